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
    """Curvature of minus the log prior at a point, as a linear map on vectors (d,) or matrices (d, m)."""

    def __init__(self, rows: PriorRows, coordinates: Coordinates, theta: FloatArray, *, convex: bool) -> None:
        self._rows, self._coordinates = rows, coordinates
        self._diagonal: list[FloatArray] = []
        self._rank_one: list[FloatArray] = []
        for g, family, scale, df in zip(self._split(theta), rows.family, rows.scale, rows.df, strict=True):
            diagonal, rank_one = _row_curvature(g, int(family), float(scale), float(df), convex=convex)
            self._diagonal.append(diagonal)
            self._rank_one.append(rank_one)

    def __matmul__(self, vectors: FloatArray) -> FloatArray:
        """Product with ``vectors`` (d,) or (d, m)."""
        columns = vectors.reshape(len(vectors), -1)
        out = np.zeros_like(columns)
        k_b, p = self._coordinates.n_free_intercept, self._coordinates.n_features
        weights = out[k_b:].reshape(self._coordinates.weights_contrast.shape[1], p, columns.shape[1])
        for r, u in enumerate(self._split(columns)):
            image = self._diagonal[r][:, None] * u - np.outer(self._rank_one[r], self._rank_one[r] @ u)
            if r == 0 and self._coordinates.has_intercept:
                out[:k_b] += image
                if self._rows.centre.any():
                    weights -= self._rows.centre[None, :, None] * image[:, None, :]
            else:
                weights[:, r - int(self._coordinates.has_intercept)] += image
        return out.reshape(vectors.shape)

    def _split(self, columns: FloatArray) -> list[FloatArray]:
        """The coordinates the priors act on, row by row: (k,) or (k, m) each."""
        k_b, p = self._coordinates.n_free_intercept, self._coordinates.n_features
        weights = columns[k_b:].reshape(self._coordinates.weights_contrast.shape[1], p, *columns.shape[1:])
        features = [weights[:, j] for j in range(p)]
        if not self._coordinates.has_intercept:
            return features
        if not self._rows.centre.any():
            return [columns[:k_b], *features]
        return [columns[:k_b] - np.tensordot(weights, self._rows.centre, axes=(1, 0)), *features]


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
