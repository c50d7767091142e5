r"""Curvature of the log posterior in weights and effects given the hyperparameters, solved without forming it.

With several groupings whose levels cross, the curvature has no order of elimination that stays sparse.  A product with
it costs as much as a few gradients; conjugate gradients, preconditioned by the blocks of each level and of the weights,
then need about as many products as the square root of its condition number (Hestenes and Stiefel, 1952).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import CovarianceData, covariance_root
from bayes_softmax.density.groups.expansion import ExpansionRows, flat_coordinates
from bayes_softmax.density.groups.layout import Layout

TOLERANCE = 1e-9  # of the residual's norm
MAX_PRODUCTS = 300


@nb.njit(**nb.OPTIONS)
def add_curvature_product(rows, Q, P, x, out):  # type: ignore[no-untyped-def]
    """Add the likelihood's curvature at expected counts ``P`` (N, K) times ``x`` (n,) to ``out`` (n,)."""
    (N, K), n_columns = P.shape, Q.shape[1]
    size = rows.column.shape[0] + rows.terms.shape[1] * rows.n_contrasts
    where, column, factor = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    moved, eta = np.empty(n_columns), np.empty(K)
    for i in range(N):
        flat_coordinates(rows, i, where, column, factor)
        moved[:] = 0.0
        for e in range(size):
            moved[column[e]] += factor[e] * x[where[e]]
        total, mean = 0.0, 0.0
        for k in range(K):
            logit = 0.0
            for c in range(n_columns):
                logit += Q[k, c] * moved[c]
            eta[k] = logit
            total += P[i, k]
            mean += P[i, k] * logit
        mean = mean / total if total > 0.0 else 0.0
        moved[:] = 0.0
        for k in range(K):
            residual = P[i, k] * (eta[k] - mean)
            for c in range(n_columns):
                moved[c] += residual * Q[k, c]
        for e in range(size):
            out[where[e]] += factor[e] * moved[column[e]]


class Blocks(NamedTuple):
    """Inverses of the curvature's blocks of the weights (d, d), and of each level (G, m, m) by grouping."""

    weights: FloatArray
    levels: tuple[FloatArray, ...]


@dataclass(frozen=True, eq=False)
class JointCurvature:
    """The curvature of minus the log posterior in a flat point of a layout in which every grouping is whitened.

    ``expected`` (N, K) are expected counts at the reference, ``contrasts`` (K, c) columns of contrasts,
    ``prior`` (d, d) is the curvature of the weights' prior and ``precisions`` (m, m) are those of each grouping.
    """

    layout: Layout
    rows: ExpansionRows
    contrasts: FloatArray
    expected: FloatArray
    prior: FloatArray
    precisions: tuple[FloatArray, ...]
    inverses: Blocks

    def times(self, x: FloatArray) -> FloatArray:
        """The curvature times a vector (n,)."""
        d, out = self.layout.n_weights, np.zeros_like(x)
        out[:d] = self.prior @ x[:d]
        for j, Q in enumerate(self.precisions):
            self.layout.effects(out, j)[:] = self.layout.effects(x, j) @ Q
        add_curvature_product(self.rows, self.contrasts, self.expected, x, out)
        return out

    def solve(self, b: FloatArray, *, effects_only: bool = False) -> FloatArray:
        """The curvature's inverse times a vector (n,); ``effects_only`` with the weights held at zero."""
        held = slice(0, self.layout.n_weights if effects_only else 0)
        x, r = np.zeros_like(b), b.copy()
        r[held] = 0.0
        y = self._precondition(r, held)
        p, ry, enough = y, float(r @ y), TOLERANCE * float(np.linalg.norm(r))
        for _ in range(MAX_PRODUCTS):
            if float(np.linalg.norm(r)) <= enough:
                break
            image = self.times(p)
            image[held] = 0.0
            step = ry / float(p @ image)
            x += step * p
            r -= step * image
            y = self._precondition(r, held)
            before, ry = ry, float(r @ y)
            p = y + (ry / before) * p
        return x

    def _precondition(self, r: FloatArray, held: slice) -> FloatArray:
        out, d = np.empty_like(r), self.layout.n_weights
        out[:d] = self.inverses.weights @ r[:d]
        for j, inverse in enumerate(self.inverses.levels):
            self.layout.effects(out, j)[:] = np.einsum("gab,gb->ga", inverse, self.layout.effects(r, j))
        out[held] = 0.0
        return out


def precision(covariance: CovarianceData, hyper: FloatArray) -> FloatArray:
    """Precision (m, m) of a level's effects at the grouping's own hyperparameters."""
    n, m = covariance.mapping.shape
    R, root = np.empty((n, n)), np.empty((m, n))
    covariance_root(covariance, hyper, R, root)
    return np.linalg.inv(root @ root.T)
