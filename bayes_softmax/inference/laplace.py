"""The Laplace approximation of a posterior, and the whitening that follows from it."""

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, LaplaceApproximation, Mode


def laplace_approximation(density: LogDensity, mode: Mode) -> LaplaceApproximation:
    r"""Normal approximation at the mode, :math:`N(\hat\theta, H^{-1})` with :math:`H = LL'`.

    ``H`` is the Hessian of minus the log density where that is positive definite, else the metric.  See Tierney
    and Kadane, *JASA* 81 (1986).

    Raises
    ------
    ValueError
        If neither is positive definite: the density has a direction without curvature.
    """
    for curvature in (density.hessian, density.metric):
        H = curvature(mode.theta)
        try:
            factor: FloatArray = cholesky(H, lower=True)
        except LinAlgError:
            continue
        return LaplaceApproximation(mode.theta, factor, mode.value)
    raise ValueError("the Hessian at the mode is not positive definite: some direction is not determined")


def covariance(laplace: LaplaceApproximation) -> FloatArray:
    """Covariance ``H^-1`` (d, d)."""
    inverse = solve_triangular(laplace.factor, np.eye(len(laplace.mode)), lower=True)
    product: FloatArray = inverse.T @ inverse
    return product


def unwhiten(laplace: LaplaceApproximation, z: FloatArray) -> FloatArray:
    """Points ``theta = mode + L^-T z`` for whitened points ``z`` (S, d)."""
    theta: FloatArray = laplace.mode + solve_triangular(laplace.factor, z.T, lower=True, trans="T").T
    return theta
