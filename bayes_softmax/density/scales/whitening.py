"""Coordinates whitened given the hyperparameters: the conditional normal approximation and its corrections.

Formulae are at the top of :mod:`bayes_softmax.density.scales`.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import brentq

from bayes_softmax.core.errors import ImproperPosteriorError
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.log_prior import NORMAL
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.scales.conditional import ConditionalNormal
from bayes_softmax.density.scales.hyperpriors import HyperpriorData

RIDGE = 1e-8  # relative to the reference precision's diagonal: keeps directions without data or prior factorisable
# Above, the blocks of ``block_metric`` are factorised at every step instead of one matrix of all coordinates: its
# factorisation of d^3 / 3 multiplications would outweigh the likelihood.
DENSE_DIMENSION = 100
MAX_RESIDUAL = 1500  # number of coordinates up to which a full matrix whitens the residual of the blocks


def conditional_posterior(base: SoftmaxPosterior, hyper: HyperpriorData, scales: FloatArray) -> SoftmaxPosterior:
    """``p(theta | h, y)`` given the scales (R,) of the shrunk features on standardised features."""
    k_b = base.coordinates.n_free_intercept
    of_feature = hyper.scale_of_coordinate[min(k_b, 1) :][: base.coordinates.n_features]
    shrunk = np.flatnonzero(of_feature >= 0)
    rows = shrunk + min(k_b, 1)
    family, scale = base.data.family.copy(), base.data.scale.copy()
    family[rows], scale[rows] = NORMAL, scales[of_feature[shrunk]]
    return replace(base, data=base.data._replace(family=family, scale=scale))


def conditional_normal(
    base: SoftmaxPosterior, hyper: HyperpriorData, theta: FloatArray, scales: FloatArray
) -> ConditionalNormal:
    """Normal approximation for all hyperparameters, from the conditional mode ``theta`` at ``scales`` (R,)."""
    blocks = base.block_metric(theta) if base.dimension > DENSE_DIMENSION else None
    if blocks is None:
        precision, mixing = base.metric(theta)[None], np.eye(1)
    else:
        precision, mixing = blocks.precisions.copy(), np.ascontiguousarray(blocks.mixing)
    k, m = precision.shape[:2]
    D = prior_precision(hyper, scales, m)
    diagonal = np.arange(m)
    precision[:, diagonal, diagonal] *= 1.0 + RIDGE
    precision[:, diagonal, diagonal] += RIDGE * D
    columns = mixing.T @ theta.reshape(k, m)
    information = np.einsum("eij,ej->ei", precision, columns) + D * columns
    return ConditionalNormal(np.ascontiguousarray(precision), information, mixing)


def prior_precision(hyper: HyperpriorData, scales: FloatArray, m: int) -> FloatArray:
    """Diagonal (m,) of ``D``, the prior precision of the shrunk coordinates of a column, zero for others."""
    of_coordinate = hyper.scale_of_coordinate[:m]
    return np.where(of_coordinate >= 0, scales[of_coordinate] ** -2.0, 0.0)


def residual_whitening(
    base: SoftmaxPosterior, hyper: HyperpriorData, normal: ConditionalNormal, theta: FloatArray, scales: FloatArray
) -> NDArray[np.float32]:
    """``S`` (d, d) with ``(S S')^-1`` the Hessian in ``z`` at the reference.

    It is empty for a single block, or too many coordinates.  ``theta`` is the conditional mode at ``scales`` (R,), at
    which ``normal`` was computed.
    """
    k, m = normal.information.shape
    if k == 1 or k * m > MAX_RESIDUAL:
        return np.empty((0, 0), dtype=np.float32)
    factors = np.linalg.cholesky(normal.precision + np.diag(prior_precision(hyper, scales, m)))
    H = conditional_posterior(base, hyper, scales).metric(theta).reshape(k, m, k, m)
    H = np.einsum("ce,cidj,df->eifj", normal.mixing, H, normal.mixing, optimize=True)
    X = np.array([solve_triangular(L, np.eye(m), lower=True) for L in factors])
    of_z = np.einsum("eai,eifj,fbj->eafb", X, H, X, optimize=True).reshape(k * m, k * m)
    S = solve_triangular(cholesky(of_z, lower=True), np.eye(k * m), lower=True, trans="T")
    return np.ascontiguousarray(S, dtype=np.float32)


def non_centring_exponent(
    base: SoftmaxPosterior, hyper: HyperpriorData, normal: ConditionalNormal, theta: FloatArray, scales: FloatArray,
    ratio: float,
) -> float:  # fmt: skip
    """Exponent in [0, 1] of partial non-centring, from how the coefficients' sds grow with the scales.

    ``theta`` is the conditional mode at ``scales``, which are ``ratio`` times those at which ``normal`` was computed.
    """
    blocks = base.block_metric(theta) if len(normal.mixing) > 1 else None
    curvature = base.metric(theta)[None] if blocks is None else blocks.precisions
    D = prior_precision(hyper, scales, curvature.shape[1])
    found = _mean_log_sd(curvature, D)

    def excess(exponent: float) -> float:
        r = ratio**exponent
        return math.log(r) + _mean_log_sd(normal.precision, D * r**2) - found

    if excess(0.0) >= 0:
        return 0.0
    return 1.0 if excess(1.0) <= 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-3))


def _mean_log_sd(precision: FloatArray, D: FloatArray) -> float:
    """Mean log sd of the shrunk coordinates under blocks (k, m, m) of precision plus the diagonal ``D``."""
    try:
        covariance = np.linalg.inv(precision + np.diag(D))
    except np.linalg.LinAlgError as error:
        raise ImproperPosteriorError(
            "the posterior cannot be sampled: in double precision, neither data nor priors determine some direction; "
            "give the coefficients proper priors, and features and offsets of comparable sizes"
        ) from error
    return 0.5 * float(np.log(np.diagonal(covariance, axis1=1, axis2=2)[:, D > 0]).mean())
