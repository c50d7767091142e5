"""Rows drawn with probabilities by leverage, and counted so that sums over them estimate sums over all."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel
from bayes_softmax.data.design import Design
from bayes_softmax.density.parts import rows_of

UNIFORM = 0.1  # share of the draws that go by weight alone
BLOCK = 65536  # rows whose leverages are computed at a time
CACHED = 8192  # rows at a time that stay in the second-level cache
RIDGE = 1e-9  # relative to the diagonal, where features are collinear


@dataclass(frozen=True, eq=False)
class RowProbabilities:
    """Probability (N,) of each row of a design; rows without an observation have none."""

    design: Design
    probabilities: FloatArray

    @cached_property
    def _cumulative(self) -> FloatArray:
        cumulative = np.cumsum(self.probabilities)
        shares: FloatArray = cumulative / cumulative[-1]
        return shares

    def draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """Positions (n,) of rows, drawn with replacement."""
        found: IntArray = np.searchsorted(self._cumulative, rng.random(n), side="right")
        return np.minimum(found, len(self._cumulative) - 1)


def row_probabilities(design: Design, gram: FloatArray) -> RowProbabilities:
    """Probabilities by weight and leverage in a Gram matrix (q, q) of the standardised features."""
    factor = factor_of(gram)
    parts = [(start, min(start + BLOCK, design.n_obs)) for start in range(0, design.n_obs, BLOCK)]
    with blas_on_one_thread():
        found = in_parallel(lambda first, end: leverages_in(rows_of(design, slice(first, end)), factor), parts)
        leverage = np.concatenate(found)
    totals = design.totals
    by_leverage = totals * leverage**1.5
    shares = by_leverage / by_leverage.sum() if by_leverage.any() else totals / totals.sum()
    return RowProbabilities(design, (1.0 - UNIFORM) * shares + UNIFORM * totals / totals.sum())


def leverages_in(design: Design, factor: FloatArray) -> FloatArray:
    """Leverages (n,) of rows, by the lower factor of a Gram matrix."""
    found = np.empty(design.n_obs)
    for start in range(0, design.n_obs, CACHED):
        rows = slice(start, start + CACHED)
        solved = solve_triangular(factor, rows_of(design, rows).standardised().T, lower=True, check_finite=False)
        np.einsum("ij,ij->j", solved, solved, out=found[rows])
    return found


def factor_of(gram: FloatArray) -> FloatArray:
    """Lower Cholesky factor, with a small ridge where there is none."""
    try:
        factor: FloatArray = cholesky(gram, lower=True)
    except LinAlgError:
        diagonal = np.diag(gram)
        factor = cholesky(gram + np.diag(RIDGE * diagonal + np.finfo(float).tiny), lower=True)
    return factor


class SampledRows(Protocol):
    """Rows of a sample, with what makes sums over them estimates of sums over all rows.

    The variance of such an estimate, of values ``r``, is estimated by ``squares @ r**2 - (shared @ r)**2``.
    """

    @property
    def design(self) -> Design:
        """The rows."""
        ...

    @property
    def weighted(self) -> Design:
        """The rows, weighted for all rows."""
        ...

    @property
    def squares(self) -> FloatArray:
        """(n,) as above."""
        ...

    @property
    def shared(self) -> FloatArray:
        """(n,) as above."""
        ...


@dataclass(frozen=True, eq=False)
class RowSample:
    """Distinct rows of a sample of M draws, how often each was drawn, and its probability."""

    design: Design
    times: FloatArray
    probabilities: FloatArray

    @property
    def n_draws(self) -> int:
        """M."""
        return int(self.times.sum())

    @property
    def squares(self) -> FloatArray:
        """(n,) factors of the squares of the rows' values in the variance of an estimated sum."""
        squares: FloatArray = self.times / (self.n_draws * self.probabilities) ** 2
        return squares

    @property
    def shared(self) -> FloatArray:
        """(n,) factors of the values, in a sum whose square is taken off."""
        shared: FloatArray = self.times / (self.n_draws**1.5 * self.probabilities)
        return shared

    @cached_property
    def weighted(self) -> Design:
        """The rows with weights for which sums over them estimate sums over all rows."""
        factor = self.times / (self.n_draws * self.probabilities)
        weights = factor if self.design.weights is None else self.design.weights * factor
        return replace(self.design, weights=weights)


def sample_of(rows: RowProbabilities, drawn: IntArray) -> RowSample:
    """The rows drawn, each once."""
    positions, times = np.unique(drawn, return_counts=True)
    return RowSample(rows_of(rows.design, positions), times.astype(np.float64), rows.probabilities[positions])
