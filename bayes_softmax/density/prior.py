r"""Priors as numbers: the table the kernel reads, the normalising constant, and the curvature.

Each coefficient row (intercept, then features) has free coordinates :math:`g` (k,).  With
:math:`r = |g|^2/s^2` (or :math:`g_c^2/s^2` element by element) the curvature of minus the log prior is

===============  ==================================  ============================================
family           positive definite ``metric``        exact Hessian
===============  ==================================  ============================================
``Normal``       ``1/s^2``                           the same
``StudentT``     ``(nu + k) / (nu + r) / s^2``       metric ``- 2 (nu + k) g g' / (nu + r)^2 / s^4``
``Laplace``      the Hessian                         ``1/(h s^2) - g g' / (h^3 s^4)``
``Flat``         ``0``                               the same
===============  ==================================  ============================================

with k = 1 element by element.  The metric of Student-t is that of its scale-mixture (EM) majoriser.  For Laplace,
:math:`h = \sqrt{r + \epsilon^2}`: the density itself has :math:`\epsilon = 0` (and no curvature where g is zero: there
it has a kink), its smooth surrogate :math:`\epsilon = k + 1`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray, Penalty
from bayes_softmax.density import kernel
from bayes_softmax.spec.coding import Coordinates, free_vectors
from bayes_softmax.spec.priors import Flat, Jeffreys, Laplace, Normal, Prior, PriorTable, StudentT, known_scale

SPHERICAL = {
    Flat: kernel.FLAT,
    Jeffreys: kernel.FLAT,  # not of one row: density/jeffreys.py adds it
    Normal: kernel.NORMAL,
    StudentT: kernel.T_SPHERICAL,
    Laplace: kernel.LAPLACE_SPHERICAL,
}
ELEMENTWISE = SPHERICAL | {StudentT: kernel.T_ELEMENTWISE, Laplace: kernel.LAPLACE_ELEMENTWISE}


class PriorRows(NamedTuple):
    """One entry per coefficient row: family code, scale in engine units, degrees of freedom; and the centring.

    ``df`` is the smoothing of a Laplace prior, zero for the density itself.
    ``centre`` (p,) is mean/sd of the features where the intercept's prior is at x = 0, else zero.
    """

    family: IntArray
    scale: FloatArray
    df: FloatArray
    centre: FloatArray


def prior_rows(priors: PriorTable, coordinates: Coordinates) -> PriorRows:
    """Numbers of a prior table; a raw scale ``s`` per unit of the feature is ``s sd`` in engine units."""
    families: list[Prior] = list(priors.weights)
    sd = coordinates.scale
    if priors.intercept is not None:
        families, sd = [priors.intercept, *families], np.concatenate([[1.0], sd])
    codes = [(SPHERICAL if priors.spherical else ELEMENTWISE)[type(f)] for f in families]
    scale = np.array([1.0 if isinstance(f, Flat | Jeffreys) else known_scale(f) for f in families])
    at_zero = priors.intercept_at == "zero" and not priors.flat_intercept
    centre = coordinates.centre / coordinates.scale if at_zero else np.zeros(coordinates.n_features)
    return PriorRows(
        np.array(codes, dtype=np.int64),
        np.ascontiguousarray(scale * sd, dtype=np.float64),
        np.array([_df(f) for f in families], dtype=np.float64),
        np.ascontiguousarray(centre, dtype=np.float64),
    )


def _df(family: Prior) -> float:
    """Column ``df`` of a family: degrees of freedom, or smoothing."""
    if isinstance(family, StudentT):
        return family.df
    return 0.0 if isinstance(family, Laplace) else 1.0


def log_prior_constant(priors: PriorTable, coordinates: Coordinates) -> float:
    """Sum of the log normalising constants of the proper priors, as densities of the raw free coordinates."""
    k_w = coordinates.weights_contrast.shape[1]
    total = sum(_log_normaliser(family, k_w, spherical=priors.spherical) for family in priors.weights)
    if priors.intercept is not None:
        total += _log_normaliser(priors.intercept, coordinates.n_free_intercept, spherical=priors.spherical)
    return total


def _log_normaliser(family: Prior, k: int, *, spherical: bool) -> float:
    """Log density at zero of the ``k`` coordinates of one row."""
    if isinstance(family, Flat | Jeffreys):
        return 0.0
    scale = known_scale(family)
    if isinstance(family, Normal):
        return -k * (0.5 * math.log(2 * math.pi) + math.log(scale))
    m, repeats = (k, 1) if spherical else (1, k)
    if isinstance(family, Laplace):  # the integral of exp(-|g|/b) is the sphere's surface times b^m Gamma(m)
        log_surface = math.log(2) + 0.5 * m * math.log(math.pi) - math.lgamma(0.5 * m)
        return -repeats * (log_surface + m * math.log(family.scale) + math.lgamma(m))
    assert isinstance(family, StudentT)
    log_t = math.lgamma(0.5 * (family.df + m)) - math.lgamma(0.5 * family.df)
    return repeats * (log_t - 0.5 * m * math.log(family.df * math.pi) - m * math.log(scale))


def has_kink(family: IntArray) -> NDArray[np.bool_]:
    """Which coefficient rows have a Laplace prior."""
    return np.isin(family, (kernel.LAPLACE_SPHERICAL, kernel.LAPLACE_ELEMENTWISE))


def penalty_of(rows: PriorRows, coordinates: Coordinates) -> Penalty | None:
    """The Laplace priors as norms of groups of free coordinates, None without such priors."""
    first = min(coordinates.n_free_intercept, 1)
    features = np.flatnonzero(has_kink(rows.family[first:]))
    if not len(features):
        return None
    groups = coordinates.split(np.arange(coordinates.dimension))[1][:, features].T
    strengths = 1.0 / rows.scale[first + features]
    if rows.family[first + features[0]] == kernel.LAPLACE_ELEMENTWISE:
        return Penalty(groups.reshape(-1, 1), np.repeat(strengths, groups.shape[1]))
    return Penalty(groups, strengths)


def smoothing(rows: PriorRows, coordinates: Coordinates) -> FloatArray:
    """Column ``df`` of the smooth surrogate: :math:`k + 1` for Laplace priors, k = 1 where they are element-wise.

    The prior's variance is :math:`(k + 1) b^2` in each coordinate, so with this smoothing the surrogate's curvature at
    zero is the inverse of the prior's variance: the right metric where the prior dominates, and no matter elsewhere.
    """
    k = np.where(rows.family == kernel.LAPLACE_SPHERICAL, coordinates.weights_contrast.shape[1], 1)
    return np.where(has_kink(rows.family), k + 1.0, rows.df)


class PriorCurvature:
    """Curvature of minus the log prior at a point: ``diag(a) - sum_r b_r b_r'``, seen through the intercept's centring.

    The part of ``a`` and ``b`` of row ``r`` belongs to a coefficient row; a raw intercept's prior acts on
    ``intercept - centre' weights``, so it couples the intercept with the weights of the same free column.
    """

    def __init__(self, rows: PriorRows, coordinates: Coordinates, theta: FloatArray, *, convex: bool) -> None:
        self._centre = rows.centre
        self._k_b, self._split = coordinates.n_free_intercept, coordinates.split
        self._coupled = bool(rows.centre.any())
        intercept, weights = self._split(self._centred(theta))
        first = min(self._k_b, 1)
        parts = [
            _row_curvature(g, rows.family[part], rows.scale[part], rows.df[part], convex=convex)
            for g, part in ((intercept[:, None], slice(0, first)), (weights, slice(first, None)))
        ]
        self._diagonal, self._rank_one = (free_vectors(a.ravel(), b) for a, b in zip(*parts, strict=True))
        self._has_rank_one = bool(self._rank_one.any())

    def __matmul__(self, vector: FloatArray) -> FloatArray:
        """Product with a vector (d,)."""
        u = self._centred(vector)
        image = self._diagonal * u
        if self._has_rank_one:
            both = zip(self._split(self._rank_one), self._split(u), strict=True)
            image -= free_vectors(*(b * (b * part).sum(axis=0) for b, part in both))
        if self._coupled:
            intercept, weights = self._split(image)
            image = free_vectors(intercept, weights - np.outer(intercept, self._centre))
        return image

    def matrix(self) -> FloatArray:
        """The curvature as a matrix (d, d)."""
        if self._coupled or self._has_rank_one:
            return np.stack([self @ unit for unit in np.eye(len(self._diagonal))])
        return np.diag(self._diagonal)

    def column_diagonal(self) -> FloatArray:
        """The diagonal (m,) of :meth:`column_matrix`."""
        intercept, weights = self._split(self._diagonal)
        own = weights.mean(axis=0)
        if not self._k_b:
            return own
        held = float(intercept.mean())
        return np.concatenate([[held], own + held * self._centre**2])

    def column_matrix(self) -> FloatArray:
        """The curvature of one column of free coordinates (m, m), intercept first, averaged over the columns."""
        intercept, weights = self._split(self._diagonal)
        matrix = np.diag(np.concatenate([np.zeros(min(self._k_b, 1)), weights.mean(axis=0)]))
        if self._k_b:
            direction = np.concatenate([[1.0], -self._centre])
            matrix += intercept.mean() * np.outer(direction, direction)
        return matrix

    def _centred(self, vector: FloatArray) -> FloatArray:
        """The vector whose intercept is the one its prior is about."""
        if not self._coupled:
            return vector
        intercept, weights = self._split(vector)
        return free_vectors(intercept - weights @ self._centre, weights)


def _row_curvature(
    g: FloatArray, family: IntArray, scale: FloatArray, df: FloatArray, *, convex: bool
) -> tuple[FloatArray, FloatArray]:
    """Vectors ``a``, ``b`` (k, rows) of the curvature ``diag(a) - b b'`` of each row; no negative terms if ``convex``.

    ``g`` (k, rows) are the free coordinates, ``family``, ``scale``, ``df`` (rows,).
    """
    k = g.shape[0]
    inverse = 1.0 / scale**2
    elementwise, spherical = family == kernel.T_ELEMENTWISE, family == kernel.T_SPHERICAL
    diagonal = np.where(family == kernel.FLAT, 0.0, inverse) * np.ones_like(g)
    rank_one = np.zeros_like(g)
    if elementwise.any():
        r = (g**2 * inverse)[:, elementwise]
        nu = df[elementwise]
        metric = (nu + 1) / (nu + r) * inverse[elementwise]
        diagonal[:, elementwise] = metric if convex else metric * (nu - r) / (nu + r)
    if spherical.any():
        nu, r = df[spherical], (g**2).sum(axis=0)[spherical] * inverse[spherical]
        diagonal[:, spherical] = (nu + k) / (nu + r) * inverse[spherical]
        if not convex:
            rank_one[:, spherical] = g[:, spherical] * (np.sqrt(2 * (nu + k)) / (nu + r) * inverse[spherical])
    for rows, total in ((family == kernel.LAPLACE_ELEMENTWISE, False), (family == kernel.LAPLACE_SPHERICAL, True)):
        if rows.any():
            r = (g**2 * inverse)[:, rows]
            h = np.sqrt((r.sum(axis=0) if total else r) + df[rows] ** 2) * np.ones_like(r)
            safe = np.where(h > 0, h, 1.0)
            diagonal[:, rows] = np.where(h > 0, inverse[rows] / safe, 0.0)
            if total:
                rank_one[:, rows] = g[:, rows] * inverse[rows] / safe**1.5
            else:
                diagonal[:, rows] *= (df[rows] / safe) ** 2
    return diagonal, rank_one
