"""Class probabilities of many rows under many draws: in blocks, on all cores, never all at once.

Blocks are class-major, (K, rows, draws), so that every loop over classes runs along contiguous rows and draws.  No
more than ``BLOCK_BYTES`` of probabilities exist at a time on each core.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel
from bayes_softmax.data.available import Mask

BLOCK_BYTES = 32 * 2**20
BATCH = 8  # blocks whose results exist at a time
ANNOUNCED_BYTES = 256 * 2**20  # answers larger than this say their size first


class Coefficients(NamedTuple):
    """Draws of raw coefficients: intercept (S, K), weights (S, p, K); a point estimate is one draw."""

    intercept: FloatArray
    weights: FloatArray

    def thinned(self, n_draws: int, n_chains: int) -> "Coefficients":
        """About ``n_draws`` of the draws, evenly taken from each chain; all of them if there are no more."""
        S = len(self.intercept)
        if n_draws >= S:
            return self
        length, kept = S // n_chains, max(n_draws // n_chains, 1)
        within = np.linspace(0, length - 1, kept).astype(np.int64)
        chosen = (np.arange(n_chains)[:, None] * length + within).ravel()
        return Coefficients(self.intercept[chosen], self.weights[chosen])


class Rows(NamedTuple):
    """Encoded data: features (N, p), row index of the answer, offset (N, K) or None.

    ``position`` (N,) says which rows of the answer these are, where rows with missing values were left out;
    ``available`` (N, K) which classes are on offer, None where all are.  ``beyond`` (N,) marks rows with values that a
    dropped column never had; of an optimum at infinity ``excluded`` (N, K) marks classes of probability 0, ``loose``
    (N, K) those whose probability is not determined; else None.
    """

    X: FloatArray
    index: Any
    offset: FloatArray | None
    position: Any = None
    available: Mask | None = None
    beyond: Any = None
    excluded: Any = None
    loose: Any = None

    def take(self, at: Any) -> "Rows":
        """Some of the rows, by a slice or by positions, without index."""
        marks = (None if a is None else a[at] for a in (self.available, self.beyond, self.excluded, self.loose))
        return Rows(self.X[at], None, None if self.offset is None else self.offset[at], None, *marks)

    def complete_logits(self, L: FloatArray, block: slice) -> None:
        """Add the offset to logits ``L`` (K, rows, ...) of a block of these rows; minus infinity where not on offer."""
        trailing = (1,) * (L.ndim - 2)
        if self.offset is not None:
            offset = self.offset[block].T
            offered = offset if self.available is None else np.where(self.available[block].T, offset, -np.inf)
            # What all classes on offer have in common changes nothing, but would cost the logits their digits.
            offset = offset - offered.max(axis=0)
            L += offset.reshape(*offset.shape, *trailing)
        if self.available is not None:
            L[~self.available[block].T] = -np.inf

    def expand(self, values: FloatArray, axis: int = 0) -> FloatArray:
        """Values along the encoded rows as values along all rows, NaN where values were missing."""
        if self.position is None:
            return values
        shape = [*values.shape]
        shape[axis] = len(self.index)
        full = np.full(shape, np.nan)
        full[(slice(None),) * axis + (self.position,)] = values
        return full


def block_ranges(n_rows: int, bytes_per_row: int) -> list[tuple[int, int]]:
    """Consecutive ranges of rows, each within the budget."""
    size = max(1, BLOCK_BYTES // max(bytes_per_row, 1))
    return [(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def over_blocks[T](
    coefficients: Coefficients,
    rows: Rows,
    function: Callable[[FloatArray, slice], T],
    *,
    shift: FloatArray | None = None,
    log: bool = False,
    parallel: bool = True,
) -> list[T]:
    """Apply ``function(P, block)`` to the probabilities P (K, rows, S) of one block of rows after the other.

    ``shift`` (K,) is added to all logits; ``log`` gives log probabilities.  The function may change P.  Where it holds
    Python's lock most of the time, ``parallel=False`` keeps threads from fighting for it.
    """
    S, _, K = coefficients.weights.shape
    weights = np.ascontiguousarray(coefficients.weights.transpose(2, 1, 0))  # (K, p, S)
    intercept = coefficients.intercept.T if shift is None else coefficients.intercept.T + shift[:, None]
    normalise = _log_softmax if log else _softmax

    def one(first: int, end: int) -> T:
        block = slice(first, end)
        L = np.matmul(rows.X[block], weights)
        L += intercept[:, None, :]
        rows.complete_logits(L, block)
        normalise(L)
        return function(L, block)

    ranges = block_ranges(len(rows.X), 8 * S * K)
    with blas_on_one_thread():
        return in_parallel(one, ranges) if parallel else [one(*part) for part in ranges]


def sum_over_blocks(
    coefficients: Coefficients,
    rows: Rows,
    function: Callable[[FloatArray, slice], FloatArray],
    *,
    log: bool = False,
    parallel: bool = True,
) -> FloatArray:
    """Sum of the function's arrays over all blocks, in order; no more than a few of them exist at a time."""
    S, _, K = coefficients.weights.shape
    ranges = block_ranges(len(rows.X), 8 * S * K)
    if not ranges:
        raise ValueError("data has no rows")
    total: FloatArray | None = None
    for batch in itertools.batched(ranges, BATCH):
        first = batch[0][0]
        part = rows.take(slice(first, batch[-1][1]))

        def shifted(P: FloatArray, block: slice, first: int = first) -> FloatArray:
            return function(P, slice(block.start + first, block.stop + first))

        for array in over_blocks(coefficients, part, shifted, log=log, parallel=parallel):
            total = array if total is None else np.add(total, array, out=total)
    assert total is not None
    return total


def estimate_logits(
    coefficients: Coefficients, rows: Rows, block: slice, shift: FloatArray | None = None
) -> FloatArray:
    """Logits (rows, K) of a block of rows at an estimate, minus infinity where a class is not on offer."""
    logits: FloatArray = rows.X[block] @ coefficients.weights[0] + coefficients.intercept[0]
    if shift is not None:
        logits += shift
    rows.complete_logits(logits.T, block)
    return logits


def _shifted(L: FloatArray) -> None:
    # A class of prior probability 0, or not on offer, has logit -inf, never all of them.
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


def row_log_likelihood(L: FloatArray, counts: FloatArray) -> FloatArray:
    """Log likelihood (rows, S) of weighted counts (rows, K), from log probabilities (K, rows, S); 0 x -inf is 0."""
    c = counts.T[:, :, None]
    with np.errstate(invalid="ignore"):
        summed: FloatArray = np.where(c > 0, c * L, 0.0).sum(axis=0)
    return summed


def announce(what: str, shape: tuple[int, ...]) -> None:
    """Say how large an array of doubles is before it is made, if it is large; raise if there is no room for it."""
    size = 8 * math.prod(shape)
    refuse_beyond_memory(f"{what}: {' x '.join(f'{n:,}' for n in shape)} numbers", size, "ask for fewer rows or draws")
    if size > ANNOUNCED_BYTES:
        dims = " x ".join(f"{n:,}" for n in shape)
        LOGGER.info(f"{what}: {dims} numbers, {size / 2**30:.1f} GiB")
