r"""How the values of a column spread, mergeable: as much of it as polynomials up to a degree can see.

A distribution of many values is replaced by one of ``m`` points with weights, that of its Gauss quadrature, which has
the same moments up to degree ``2 m - 1`` [1]_.  So a polynomial basis of degree ``m - 1``, a mean and a standard
deviation are those of all values.  Two such distributions are merged by taking their points together and finding the
quadrature of these.

Power sums would lose digits with every degree: of 5000 skew values the norms of the polynomials of degree 10 would be
right to 3e-7, those of degree 20 lost.  From the quadrature, by a Lanczos recurrence that is kept orthogonal, they are
right to 1e-13.

References
----------
.. [1] Golub, G. H. and Welsch, J. H. (1969). Calculation of Gauss quadrature rules. Mathematics of Computation 23.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray

VANISHES = 1e-13  # a recurrence coefficient, relative to half the range, below which no points are left


class Spread(NamedTuple):
    """The distribution of some values about ``shift``: their ends, and points (m,) with weights that count them.

    ``size`` is the number of points that stand for more; fewer are the distinct values themselves.
    """

    low: float
    high: float
    points: FloatArray
    weights: FloatArray
    shift: float
    size: int

    @property
    def n(self) -> float:
        """Values."""
        return float(self.weights.sum())

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.shift + float(self.weights @ self.points) / self.n

    def squares_about(self, centre: float) -> float:
        """Sum of their squares about a centre."""
        return float(self.weights @ np.square(self.points - (centre - self.shift)))


def spread_of(values: FloatArray, shift: float, size: int) -> Spread:
    """The spread of some values."""
    distinct, counts = np.unique(values, return_counts=True)
    points, weights = quadrature(distinct - shift, counts.astype(np.float64), size)
    return Spread(float(distinct[0]), float(distinct[-1]), points, weights, shift, size)


def merged_spreads(a: Spread, b: Spread) -> Spread:
    """The spread of the values of both."""
    distinct, place = np.unique(np.concatenate([a.points, b.points]), return_inverse=True)
    weights = np.bincount(place, weights=np.concatenate([a.weights, b.weights]))
    points, weights = quadrature(distinct, weights, a.size)
    return Spread(min(a.low, b.low), max(a.high, b.high), points, weights, a.shift, a.size)


def quadrature(points: FloatArray, weights: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the Gauss quadrature of a distribution; distinct points up to ``size`` as they are."""
    if len(points) <= size:
        return points, weights
    from scipy.linalg import eigh_tridiagonal

    low, high = points.min(), points.max()
    centre, half = low + (high - low) / 2, (high - low) / 2
    x, total = (points - centre) / half, weights.sum()
    basis = np.sqrt(weights / total)[None, :]
    diagonal, off = [float(np.square(basis[0]) @ x)], []
    while len(diagonal) < size:
        new = x * basis[-1]
        for _ in range(2):  # once more, as the first leaves errors of rounding
            new = new - (basis @ new) @ basis
        norm = float(np.linalg.norm(new))
        if norm < VANISHES:
            break
        off.append(norm)
        basis = np.vstack([basis, new / norm])
        diagonal.append(float(np.square(basis[-1]) @ x))
    nodes, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off))
    return centre + half * nodes, total * np.square(vectors[0])


def recurrence(spread: Spread, degree: int) -> tuple[list[float], list[float]]:
    """Coefficients ``alpha`` of the monic orthogonal polynomials up to a degree, and their squared norms."""
    t, w = spread.points, spread.weights
    before, now = np.zeros_like(t), np.ones_like(t)
    alpha: list[float] = []
    norms = [float(w.sum())]
    for k in range(degree):
        alpha.append(float(w @ (t * now**2)) / norms[k])
        new = (t - alpha[k]) * now - (norms[k] / norms[k - 1] * before if k else 0.0)
        before, now = now, new
        norms.append(float(w @ now**2))
    return [spread.shift + a for a in alpha], norms
