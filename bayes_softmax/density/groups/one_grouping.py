"""Integrals over the levels of a single grouping, each on its own: by quadrature, or by Laplace's method."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.linalg import block_diag

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import in_parallel
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.level_draws import T_DF, T_SHARE, draw_levels
from bayes_softmax.density.groups.level_modes import LevelRowsData, level_normals
from bayes_softmax.density.groups.marginal import Integrated, LevelNormals
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.quadrature import hermite_nodes, log_marginals

# Rows times nodes of a task, and most tasks: fixed, so that sums do not depend on the number of threads.
TASK = 2**17
MOST_TASKS = 64
# Proposals of the effects of a level, among which a draw is chosen: more where they estimate the likelihood too.
PROPOSALS, FEWER_PROPOSALS = 32, 12


class OneGrouping:
    """The levels of one grouping are independent given weights and hyperparameters.

    ``n_nodes`` Gauss-Hermite nodes in each dimension of a level's effects; with one the rule is Laplace's.  The modes
    found last are kept, as the next ones are near.
    """

    def __init__(self, design: Design, levels: LevelRows, contrasts: FloatArray, n_nodes: int) -> None:
        self._order = np.argsort(levels.codes, kind="stable")
        m = levels.n_terms * contrasts.shape[1]
        self._nodes = hermite_nodes(n_nodes, m)
        self._starts = np.searchsorted(levels.codes[self._order], np.arange(levels.n_levels + 1)).astype(np.int64)
        counts, totals, terms = design.dense_counts(), design.totals, levels.terms
        self._parts = _parts(self._starts, len(self._nodes.log_weights))
        self._rows = []
        for first, end in self._parts:
            own = self._order[self._starts[first] : self._starts[end]]
            starts = self._starts[first : end + 1] - self._starts[first]
            of_rows = (np.ascontiguousarray(a) for a in (counts[own], totals[own], terms[own], contrasts))
            self._rows.append(LevelRowsData(starts, *of_rows))
        self._modes = np.zeros((levels.n_levels, m))

    def value_gradient(self, eta: FloatArray, roots: Sequence[FloatArray]) -> Integrated:
        """The marginal log-likelihood and its derivatives."""
        of_sorted, modes = np.empty(eta.shape), self._modes.copy()
        found = self._sums(eta, roots[0], modes, of_sorted)
        value = sum(value for value, _ in found)
        if np.isfinite(value):
            self._modes = modes
        of_eta = np.empty_like(of_sorted)
        of_eta[self._order] = of_sorted
        of_root: FloatArray = np.sum([of_root for _, of_root in found], axis=0)
        return Integrated(value, of_eta, (of_root,))

    def value(self, eta: FloatArray, roots: Sequence[FloatArray]) -> float:
        """The marginal log-likelihood alone."""
        found = self._sums(eta, roots[0], self._modes.copy(), np.empty((0, eta.shape[1])))
        return sum(value for value, _ in found)

    def normals(self, eta: FloatArray, roots: Sequence[FloatArray]) -> LevelNormals:
        """The levels' effects given all else, at their modes."""
        modes, halves = self._modes.copy(), np.empty((*self._modes.shape, self._modes.shape[1]))
        for rows, (first, end) in zip(self._rows, self._parts, strict=True):
            level_normals(rows, self._sorted(eta, first, end), roots[0], modes[first:end], halves[first:end])
        return LevelNormals((modes @ roots[0].T,), (halves @ halves.transpose(0, 2, 1),))

    def joint_covariance(self, eta: FloatArray, roots: Sequence[FloatArray]) -> FloatArray:
        """Covariance of all levels' effects given all else: dense, for not too many."""
        found: FloatArray = block_diag(*self.normals(eta, roots).covariances[0])
        return found

    def estimate(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> float:
        """Log of the marginal likelihood by quadrature, or of the unbiased estimate that belongs to a draw."""
        return self.value(eta, roots) if self._exact else self._draw(eta, roots[0], rng, PROPOSALS)[0]

    def draw(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> tuple[FloatArray, ...]:
        """A draw of the levels' effects, each chosen among proposals from around its mode."""
        return (self._draw(eta, roots[0], rng, FEWER_PROPOSALS if self._exact else PROPOSALS)[1],)

    @property
    def _exact(self) -> bool:
        """Whether levels are integrated out by quadrature."""
        return len(self._nodes.log_weights) > 1

    def _draw(self, eta: FloatArray, root: FloatArray, rng: np.random.Generator, R: int) -> tuple[float, FloatArray]:
        """The log of an estimate of the marginal likelihood, and the draw (G, m) that belongs to it."""
        modes, (G, m), total = self._modes.copy(), self._modes.shape, 0.0
        proposals, uniforms, effects = rng.normal(size=(G, R, m)), rng.random(G), np.empty((G, m))
        heavy = rng.random((G, R)) < T_SHARE
        proposals[heavy] *= np.sqrt(T_DF / rng.chisquare(T_DF, int(heavy.sum())))[:, None]
        for rows, (first, end) in zip(self._rows, self._parts, strict=True):
            part = slice(first, end)
            own = self._sorted(eta, first, end)
            total += draw_levels(rows, own, root, modes[part], proposals[part], uniforms[part], effects[part])
        return total, effects

    def _sums(
        self, eta: FloatArray, root: FloatArray, modes: FloatArray, of_sorted: FloatArray
    ) -> list[tuple[float, FloatArray]]:
        """Value and derivative in the root, of the levels of each task; fills the modes, and ``of_sorted`` if any."""

        def task(first: int, end: int) -> tuple[float, FloatArray]:
            rows, of_root = self._rows[self._parts.index((first, end))], np.empty(root.shape)
            into = of_sorted[self._starts[first] : self._starts[end]]
            own = self._sorted(eta, first, end)
            value = log_marginals(rows, own, root, self._nodes, modes[first:end], into, of_root)
            return float(value), of_root

        return in_parallel(task, self._parts)

    def _sorted(self, eta: FloatArray, first: int, end: int) -> FloatArray:
        """Logits of the rows of some levels."""
        return eta[self._order[self._starts[first] : self._starts[end]]]


def _parts(starts: IntArray, n_nodes: int) -> list[tuple[int, int]]:
    """Ranges of levels with about the same numbers of rows."""
    n = int(min(max(starts[-1] * n_nodes // TASK, 1), MOST_TASKS))
    ends = np.unique(np.searchsorted(starts, np.arange(n + 1) * starts[-1] / n))
    ends[0], ends[-1] = 0, len(starts) - 1
    return list(pairwise(np.unique(ends).tolist()))
