r"""Priors as numbers: the table the kernel reads, the normalising constant, and the curvature.

Each coefficient row (intercept, then features) has free coordinates :math:`g` (k,).  With
:math:`r = |g|^2/s^2` (or :math:`g_c^2/s^2` element by element) the curvature of minus the log prior is

===============  ==================================  ============================================
family           positive definite ``metric``        exact Hessian
===============  ==================================  ============================================
``Normal``       ``1/s^2``                           the same
``StudentT``     ``(nu + k) / (nu + r) / s^2``       metric ``- 2 (nu + k) g g' / (nu + r)^2 / s^4``
``Flat``         ``0``                               the same
===============  ==================================  ============================================

with k = 1 element by element.  The metric of Student-t is that of its scale-mixture (EM) majoriser.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density import kernel
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import Flat, Normal, Prior, PriorTable, StudentT


class PriorRows(NamedTuple):
    """One entry per coefficient row: family code, scale in engine units, degrees of freedom; and the centring.

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
    elementwise = np.array([isinstance(f, StudentT) for f in families]) & (not priors.spherical)
    codes = [{Flat: kernel.FLAT, Normal: kernel.NORMAL, StudentT: kernel.T_SPHERICAL}[type(f)] for f in families]
    scale = np.array([1.0 if isinstance(f, Flat) else f.scale for f in families])
    at_zero = priors.intercept_at == "zero" and not priors.flat_intercept
    centre = coordinates.centre / coordinates.scale if at_zero else np.zeros(coordinates.n_features)
    return PriorRows(
        np.where(elementwise, kernel.T_ELEMENTWISE, np.array(codes, dtype=np.int64)).astype(np.int64),
        np.ascontiguousarray(scale * sd, dtype=np.float64),
        np.array([f.df if isinstance(f, StudentT) else 1.0 for f in families], dtype=np.float64),
        np.ascontiguousarray(centre),
    )


def log_prior_constant(priors: PriorTable, coordinates: Coordinates) -> float:
    """Sum of the log normalising constants of the proper priors, as densities of the raw free coordinates."""
    k_w = coordinates.weights_contrast.shape[1]
    total = sum(_log_normaliser(family, k_w, spherical=priors.spherical) for family in priors.weights)
    if priors.intercept is not None:
        total += _log_normaliser(priors.intercept, coordinates.n_free_intercept, spherical=priors.spherical)
    return total


def _log_normaliser(family: Prior, k: int, *, spherical: bool) -> float:
    """Log density at zero of the ``k`` coordinates of one row."""
    if isinstance(family, Flat):
        return 0.0
    if isinstance(family, Normal):
        return -k * (0.5 * math.log(2 * math.pi) + math.log(family.scale))
    m, repeats = (k, 1) if spherical else (1, k)
    log_t = math.lgamma(0.5 * (family.df + m)) - math.lgamma(0.5 * family.df)
    return repeats * (log_t - 0.5 * m * math.log(family.df * math.pi) - m * math.log(family.scale))


class PriorCurvature:
    """Curvature of minus the log prior at a point: ``diag(a) - sum_r b_r b_r'``, seen through the intercept's centring.

    Row ``r`` of ``diagonal`` and ``rank_one`` belongs to a coefficient row; a raw intercept's prior acts on
    ``intercept - centre' weights``, so it couples the intercept with the weights of the same free column.
    """

    def __init__(self, rows: PriorRows, coordinates: Coordinates, theta: FloatArray, *, convex: bool) -> None:
        self._centre = rows.centre
        self._k_b, self._p = coordinates.n_free_intercept, coordinates.n_features
        self._positions = self._row_positions(coordinates.weights_contrast.shape[1])
        self._coupled = bool(rows.centre.any())
        self._diagonal, self._rank_one = np.zeros_like(theta), np.zeros_like(theta)
        g = self._centred(theta)
        for r, position in enumerate(self._positions):
            family, scale, df = int(rows.family[r]), float(rows.scale[r]), float(rows.df[r])
            self._diagonal[position], self._rank_one[position] = _row_curvature(
                g[position], family, scale, df, convex=convex
            )

    def __matmul__(self, vector: FloatArray) -> FloatArray:
        """Product with a vector (d,)."""
        u = self._centred(vector)
        image = self._diagonal * u
        if self._rank_one.any():
            for position in self._positions:
                b = self._rank_one[position]
                image[position] -= b * (b @ u[position])
        if self._coupled:
            weights = image[self._k_b :].reshape(-1, self._p)
            weights -= np.outer(image[: self._k_b], self._centre)
        return image

    def matrix(self) -> FloatArray:
        """The curvature as a matrix (d, d)."""
        if self._coupled or self._rank_one.any():
            return np.stack([self @ unit for unit in np.eye(len(self._diagonal))])
        return np.diag(self._diagonal)

    def _row_positions(self, k_w: int) -> list[NDArray[np.int64]]:
        """Where the coordinates of each coefficient row stand in the free vector."""
        weights = self._k_b + np.arange(k_w * self._p).reshape(k_w, self._p)
        intercept = [np.arange(self._k_b)] if self._k_b else []
        return intercept + list(weights.T)

    def _centred(self, vector: FloatArray) -> FloatArray:
        """The vector whose intercept is the one its prior is about."""
        if not self._coupled:
            return vector
        out = vector.copy()
        out[: self._k_b] -= vector[self._k_b :].reshape(-1, self._p) @ self._centre
        return out


def _row_curvature(
    g: FloatArray, family: int, scale: float, df: float, *, convex: bool
) -> tuple[FloatArray, FloatArray]:
    """Vectors ``a``, ``b`` of the curvature ``diag(a) - b b'`` of one row; without negative terms if ``convex``."""
    inverse = 1.0 / scale**2
    none = np.zeros_like(g)
    if family == kernel.FLAT:
        return none, none
    if family == kernel.NORMAL:
        return np.full_like(g, inverse), none
    if family == kernel.T_ELEMENTWISE:
        r = g**2 * inverse
        metric = (df + 1) / (df + r) * inverse
        return (metric if convex else metric * (df - r) / (df + r)), none
    k, squared = len(g), float(g @ g) * inverse
    metric = np.full_like(g, (df + k) / (df + squared) * inverse)
    return metric, (none if convex else g * (math.sqrt(2 * (df + k)) / (df + squared) * inverse))
