"""Rows drawn with probabilities by leverage, and counted so that sums over them estimate sums over all."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel
from bayes_softmax.data.design import Design
from bayes_softmax.density.parts import rows_of

UNIFORM = 0.1  # share of the draws that go by weight alone
BLOCK = 65536  # rows whose leverages are computed at a time
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
    factor = _factor(gram)

    def leverages(first: int, end: int) -> FloatArray:
        Z = rows_of(design, slice(first, end)).standardised()
        solved = solve_triangular(factor, Z.T, lower=True, check_finite=False)
        squares: FloatArray = np.einsum("ij,ij->j", solved, solved)
        return squares

    parts = [(start, min(start + BLOCK, design.n_obs)) for start in range(0, design.n_obs, BLOCK)]
    with blas_on_one_thread():
        leverage = np.concatenate(in_parallel(leverages, parts))
    totals = design.totals
    by_leverage = totals * leverage**1.5
    shares = by_leverage / by_leverage.sum() if by_leverage.any() else totals / totals.sum()
    return RowProbabilities(design, (1.0 - UNIFORM) * shares + UNIFORM * totals / totals.sum())


def _factor(gram: FloatArray) -> FloatArray:
    """Lower Cholesky factor, with a small ridge where there is none."""
    try:
        factor: FloatArray = cholesky(gram, lower=True)
    except LinAlgError:
        diagonal = np.diag(gram)
        factor = cholesky(gram + np.diag(RIDGE * diagonal + np.finfo(float).tiny), lower=True)
    return factor


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
