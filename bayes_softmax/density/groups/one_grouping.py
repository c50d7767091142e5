"""Integrals over the levels of a single grouping, each on its own: by quadrature, or by Laplace's method."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import block_diag

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.level_modes import LevelRowsData, level_normals
from bayes_softmax.density.groups.marginal import Integrated, LevelNormals, sorted_by_level
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.quadrature import hermite_nodes, log_marginals


class OneGrouping:
    """The levels of one grouping are independent given weights and hyperparameters.

    ``n_nodes`` Gauss-Hermite nodes in each dimension of a level's effects; with one the rule is Laplace's.  The modes
    found last are kept, as the next ones are near.
    """

    def __init__(self, design: Design, levels: LevelRows, contrasts: FloatArray, n_nodes: int) -> None:
        self._order, starts = sorted_by_level(levels.codes, levels.n_levels)
        self._rows = LevelRowsData(
            starts,
            np.ascontiguousarray(design.dense_counts()[self._order]),
            np.ascontiguousarray(design.totals[self._order]),
            np.ascontiguousarray(levels.terms[self._order]),
            np.ascontiguousarray(contrasts),
        )
        m = levels.n_terms * contrasts.shape[1]
        self._nodes = hermite_nodes(n_nodes, m)
        self._modes = np.zeros((levels.n_levels, m))

    def value_gradient(self, eta: FloatArray, roots: Sequence[FloatArray]) -> Integrated:
        """The marginal log-likelihood and its derivatives."""
        of_sorted, of_root, modes = np.empty(eta.shape), np.empty(roots[0].shape), self._modes.copy()
        value = log_marginals(self._rows, eta[self._order], roots[0], self._nodes, modes, of_sorted, of_root)
        if np.isfinite(value):
            self._modes = modes
        of_eta = np.empty_like(of_sorted)
        of_eta[self._order] = of_sorted
        return Integrated(float(value), of_eta, (of_root,))

    def value(self, eta: FloatArray, roots: Sequence[FloatArray]) -> float:
        """The marginal log-likelihood alone."""
        nothing, of_root, modes = np.empty((0, eta.shape[1])), np.empty(roots[0].shape), self._modes.copy()
        return float(log_marginals(self._rows, eta[self._order], roots[0], self._nodes, modes, nothing, of_root))

    def normals(self, eta: FloatArray, roots: Sequence[FloatArray]) -> LevelNormals:
        """The levels' effects given all else, at their modes."""
        modes, halves = self._modes.copy(), np.empty((*self._modes.shape, self._modes.shape[1]))
        level_normals(self._rows, eta[self._order], roots[0], modes, halves)
        return LevelNormals((modes @ roots[0].T,), (halves @ halves.transpose(0, 2, 1),))

    def joint_covariance(self, eta: FloatArray, roots: Sequence[FloatArray]) -> FloatArray:
        """Covariance of all levels' effects given all else: dense, for not too many."""
        found: FloatArray = block_diag(*self.normals(eta, roots).covariances[0])
        return found
