"""Class probabilities of many rows under many draws: in blocks, on all cores.

Blocks are class-major, (K, rows, draws), so that every loop over classes runs along contiguous rows and draws.  No
more than ``BLOCK_BYTES`` of probabilities exist at a time on each core.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from bayes_softmax.answers.nodes import Nodes
from bayes_softmax.answers.rows import Rows, block_ranges
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.progress import counter
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel

BATCH = 8  # blocks whose results exist at a time
NODE_BLOCKS = 32  # smaller blocks where each is read and written once for every node: they stay in the cache
LARGEST = 300.0  # exponent whose exponential neither overflows nor loses other classes
ANNOUNCED_BYTES = 256 * 2**20  # the size of larger answers is logged first


class HasLogits(Protocol):
    """Logits with draws of their parameters: a fit, or a subset of its draws."""

    @property
    def logits(self) -> Logits:
        """Logits of rows as a function of parameters."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Draws of the parameters, or an estimate as one draw."""
        ...


class ThinnedDraws(NamedTuple):
    """Logits with a subset of the draws of a fit."""

    logits: Logits
    parameters: Parameters


def thinned_draws(fit: HasLogits, n_draws: int, n_chains: int) -> ThinnedDraws:
    """About ``n_draws`` draws, evenly spaced in each chain; all of them if there are no more."""
    return ThinnedDraws(fit.logits, fit.parameters.thinned(n_draws, n_chains))


def over_blocks[T](
    fit: HasLogits,
    rows: Rows,
    function: Callable[[FloatArray, slice], T],
    *,
    shift: FloatArray | None = None,
    log: bool = False,
    parallel: bool = True,
) -> list[T]:
    """Apply ``function(P, block)`` to the probabilities P (K, rows, S) of one block of rows after the other.

    ``shift`` (K,) is added to all logits; ``log`` gives log probabilities.  The function may overwrite P.  Where it
    holds the global interpreter lock most of the time, ``parallel=False`` avoids contention for it.  Rows with nodes
    have the averages of their probabilities over these, in every draw.
    """
    added = None if shift is None else shift[:, None, None]
    logits, shape = fit.logits.at(fit.parameters), (fit.logits.n_classes, fit.parameters.n_draws)
    normalise, count = _log_softmax if log else _softmax, counter()

    def one(first: int, end: int) -> T:
        block = slice(first, end)
        L = _of_shape(logits(rows.X[block]), shape[0], end - first, shape[1])
        if added is not None:
            L += added
        rows.complete_logits(L, block)
        if rows.nodes is None:
            normalise(L)
        else:
            L = _averaged(L, rows.nodes, rows.X[block], log=log)
        answer = function(L, block)
        count(end - first)
        return answer

    ranges = block_ranges(rows.n_rows, _bytes_per_row(fit) * (1 if rows.nodes is None else NODE_BLOCKS))
    with blas_on_one_thread():
        return in_parallel(one, ranges) if parallel else [one(*part) for part in ranges]


def sum_over_blocks(
    fit: HasLogits,
    rows: Rows,
    function: Callable[[FloatArray, slice], FloatArray],
    *,
    log: bool = False,
    parallel: bool = True,
) -> FloatArray:
    """Sum of the function's arrays over all blocks, in order, with only a few arrays in memory at a time."""
    ranges = block_ranges(rows.n_rows, _bytes_per_row(fit))
    if not ranges:
        raise ValueError("data has no rows")
    total: FloatArray | None = None
    for batch in itertools.batched(ranges, BATCH):
        first = batch[0][0]
        part = rows.take(slice(first, batch[-1][1]))

        def shifted(P: FloatArray, block: slice, first: int = first) -> FloatArray:
            return function(P, slice(block.start + first, block.stop + first))

        for array in over_blocks(fit, part, shifted, log=log, parallel=parallel):
            total = array if total is None else np.add(total, array, out=total)
    assert total is not None
    return total


def _of_shape(L: FloatArray, *shape: int) -> FloatArray:
    """The logits, if they have the shape (K, n, S): others would be broadcast into wrong answers."""
    if L.shape != shape:
        raise ValueError(f"logits: at() must give an array of shape {shape} (classes, rows, draws), not {L.shape}")
    return L


def _bytes_per_row(fit: HasLogits) -> int:
    """Bytes of one row's logits under all draws."""
    return 8 * fit.parameters.n_draws * fit.logits.n_classes


def estimate_logits(fit: HasLogits, rows: Rows, block: slice, shift: FloatArray | None = None) -> FloatArray:
    """Logits (rows, K) of a block of rows at an estimate, minus infinity where a class is not on offer."""
    X = rows.X[block]
    logits = _of_shape(fit.logits.at(fit.parameters)(X), fit.logits.n_classes, len(X), 1)[:, :, 0]
    if shift is not None:
        logits += shift[:, None]
    rows.complete_logits(logits, block)
    return logits.T


def _shifted(L: FloatArray) -> None:
    # A class of prior probability 0, or not on offer, has logit -inf; never all classes of a row do.
    L -= L.max(axis=0)


def _softmax(L: FloatArray) -> None:
    """Logits (K, ...) to probabilities, in place."""
    _shifted(L)
    np.exp(L, out=L)
    L /= L.sum(axis=0)


def _log_softmax(L: FloatArray) -> None:
    """Logits (K, ...) to log probabilities, in place: exact where a probability underflows."""
    _shifted(L)
    L -= np.log(np.exp(L).sum(axis=0))


def _averaged(base: FloatArray, nodes: Nodes, X: FloatArray, *, log: bool) -> FloatArray:
    """Probabilities averaged over the nodes' effects, from logits (K, rows, S) without these, or their logarithms.

    The exponentials of logits and effects are taken apart, unless these are so large that their product could overflow.
    """
    terms = nodes.terms(X)
    _shifted(base)
    W, E = np.empty_like(base), None if log else np.exp(base)
    total = np.full_like(base, -np.inf if log else 0.0)
    for node in range(nodes.n_nodes):
        effects = [
            _products(term, own) for term, own in zip(terms, nodes.effects(node).transpose(1, 2, 0), strict=True)
        ]
        if E is not None and all(np.abs(own).max() < LARGEST / len(effects) for own in effects):
            np.multiply(E, np.exp(effects[0]), out=W)
            for own in effects[1:]:
                W *= np.exp(own)
            W /= W.sum(axis=0)
            total += W
            continue
        np.copyto(W, base)
        for own in effects:
            W += own
        if log:
            _log_softmax(W)
            np.logaddexp(total, W, out=total)
        else:
            _softmax(W)
            total += W
    if log:
        total -= np.log(nodes.n_nodes)
    else:
        total /= nodes.n_nodes
    return total


def _products(term: FloatArray | None, effects: FloatArray) -> FloatArray:
    """A term (n,) times its effects (K, S): (K, n, S), or (K, 1, S) for an intercept."""
    return effects[:, None, :] if term is None else term[:, None] * effects[:, None, :]


def row_log_likelihood(L: FloatArray, counts: FloatArray) -> FloatArray:
    """Log likelihood (rows, S) of weighted counts (rows, K), from log probabilities (K, rows, S); 0 x -inf is 0."""
    c = counts.T[:, :, None]
    with np.errstate(invalid="ignore"):
        summed: FloatArray = np.where(c > 0, c * L, 0.0).sum(axis=0)
    return summed


def announce(what: str, shape: tuple[int, ...]) -> None:
    """Log the size of a large array of doubles before it is allocated; raise if it would not fit into memory."""
    size = 8 * math.prod(shape)
    refuse_beyond_memory(f"{what}: {' x '.join(f'{n:,}' for n in shape)} numbers", size, "ask for fewer rows or draws")
    if size > ANNOUNCED_BYTES:
        dims = " x ".join(f"{n:,}" for n in shape)
        LOGGER.info(f"{what}: {dims} numbers, {size / 2**30:.1f} GiB")
