"""Log-likelihood of the observations of each unit under each draw, the effects of its own levels integrated out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.integrated import Integrand, log_integral
from bayes_softmax.answers.probabilities import HasLogits, over_blocks, row_log_likelihood
from bayes_softmax.answers.units import UnitRows
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.progress import steps
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.structure import covariance_name

BLOCK = 2 * 2**20  # numbers in the largest array of a block of draws
AT_ONCE = 4  # units in a task of the pool


class UnitLikelihood(NamedTuple):
    """Log-likelihood (U, S) of each unit under each draw, and its noise (U,), which is zero but by sampling."""

    values: FloatArray
    noise: FloatArray


def unit_log_likelihood(fit: HasLogits, units: Sequence[UnitRows]) -> UnitLikelihood:
    """The log-likelihood of each unit's observations given the parameters of each draw, but its own levels' effects."""
    logits, S = fit.logits, fit.parameters.n_draws
    found = UnitLikelihood(np.empty((len(units), S)), np.zeros(len(units)))
    if not isinstance(logits, GroupLogits):
        with steps("groups", len(units)) as done:
            for values, unit in zip(found.values, units, strict=True):
                values[:] = _plain(fit, unit)
                done(1)
        return found
    length = max(1, BLOCK // max(_size(logits, unit) for unit in units))
    bounds = [(i, min(i + AT_ONCE, len(units))) for i in range(0, len(units), AT_ONCE)]
    starts = range(0, S, length)
    with steps("groups", len(units) * len(starts)) as done, blas_on_one_thread():
        for start in starts:
            draws = slice(start, min(start + length, S))
            block = _Draws(logits, fit.parameters, draws)

            def some(first: int, end: int, block: _Draws = block, share: float = (draws.stop - start) / S) -> None:
                for u in range(first, end):
                    values, noise = log_integral(block.integrand(units[u]))
                    found.values[u, block.place] = values
                    found.noise[u] += share * noise
                done(end - first)

            in_parallel(some, bounds)
    return found


def _plain(fit: HasLogits, unit: UnitRows) -> FloatArray:
    """The log-likelihood (S,) under logits without effects."""
    parts = over_blocks(fit, unit.rows, lambda L, place: row_log_likelihood(L, unit.counts[place]), log=True)
    total: FloatArray = np.concatenate(parts).sum(axis=0)
    return total


def _size(logits: GroupLogits, unit: UnitRows) -> int:
    """Numbers per draw in the largest array."""
    n_effects = sum(len(own) * g.n_terms for own, g in zip(unit.own, logits.groups, strict=True))
    K = logits.n_classes
    return max(len(unit.counts) * K * K, (n_effects * K) ** 2, 1)


class _Draws:
    """Some of the draws, with what all units need of them."""

    def __init__(self, logits: GroupLogits, parameters: Parameters, place: slice) -> None:
        self.logits, self.place = logits, place
        self.parameters = Parameters({name: values[place] for name, values in parameters.arrays.items()})
        self.at = logits.at(self.parameters)
        self.roots = [_root(self.parameters[covariance_name(g.name)]) for g in logits.groups]

    def integrand(self, unit: UnitRows) -> Integrand:
        """The unit's observations, and the effects to integrate over."""
        base = np.ascontiguousarray(self.at(unit.rows.X).transpose(1, 0, 2))
        designs, roots = [np.empty((len(base), 0))], []
        for (g, codes, terms), own, root in zip(self.logits.parts(unit.rows.X), unit.own, self.roots, strict=True):
            for level in own:
                Z = np.where((codes == level)[:, None], terms, 0.0)
                drawn = self.parameters[g.name][:, level].transpose(1, 2, 0)
                base -= np.tensordot(Z, drawn, axes=1)
                designs.append(Z)
                roots.append(root)
        L = base.transpose(1, 0, 2)
        unit.rows.complete_logits(L, slice(None))
        return Integrand(base, unit.counts, np.hstack(designs), _diagonal(roots, self.parameters.n_draws))


def _root(covariance: FloatArray) -> FloatArray:
    """A root (S, q K, m) of covariances (S, q, K, q, K), whose rank is at most m = q (K - 1)."""
    S, q, K = covariance.shape[:3]
    values, vectors = np.linalg.eigh(covariance.reshape(S, q * K, q * K))
    root: FloatArray = vectors[:, :, q:] * np.sqrt(np.maximum(values[:, None, q:], 0.0))
    return root


def _diagonal(roots: Sequence[FloatArray], S: int) -> FloatArray:
    """Block diagonal (S, D K, M) of the levels' roots."""
    if len(roots) == 1:
        return roots[0]
    rows, columns = (sum(root.shape[axis] for root in roots) for axis in (1, 2))
    whole, i, j = np.zeros((S, rows, columns)), 0, 0
    for root in roots:
        whole[:, i : i + root.shape[1], j : j + root.shape[2]] = root
        i, j = i + root.shape[1], j + root.shape[2]
    return whole
