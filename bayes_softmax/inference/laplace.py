"""The Laplace approximation of a posterior, and the whitening derived from it."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, LaplaceApproximation, Mode, Whitening
from bayes_softmax.inference.block_metric import block_whitening, whitening_of
from bayes_softmax.inference.certificate import forms_hessian


def laplace_approximation(density: LogDensity, mode: Mode) -> LaplaceApproximation:
    r"""Normal approximation at the mode, :math:`N(\hat\theta, H^{-1})` with :math:`H = LL'`.

    ``H`` is the Hessian of minus the log density if positive definite, else the metric.  See Tierney and Kadane,
    *JASA* 81 (1986).

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


def laplace_whitening(density: LogDensity, mode: Mode) -> Whitening:
    """Whiten by the Laplace approximation; in more than 1500 dimensions by a block approximation of the metric.

    A Hessian that comes with every gradient is used in any dimension.
    """
    if not forms_hessian(density):
        metric = density.block_metric(mode.theta)
        if metric is not None:
            return block_whitening(mode.theta, metric)
    factor = laplace_approximation(density, mode).factor
    return whitening_of(mode.theta, [factor], np.ones((1, 1)))


def laplace_log_evidence(density: LogDensity, mode: Mode) -> float:
    r"""Log integral of a density by Laplace's approximation at its mode, exact for a normal one.

    .. math:: \log Z \approx \log p(\hat\theta) + \tfrac d2 \log 2\pi - \tfrac12 \log\det H
    """
    laplace = laplace_approximation(density, mode)
    half_log_determinant = float(np.log(np.diag(laplace.factor)).sum())
    return laplace.value + 0.5 * len(laplace.mode) * float(np.log(2 * np.pi)) - half_log_determinant


def covariance(laplace: LaplaceApproximation) -> FloatArray:
    """Covariance ``H^-1`` (d, d)."""
    inverse = solve_triangular(laplace.factor, np.eye(len(laplace.mode)), lower=True)
    product: FloatArray = inverse.T @ inverse
    return product


def covariance_without(density: LogDensity, mode: Mode, held: NDArray[np.bool_]) -> FloatArray | None:
    """Covariance (d, d) with the coordinates ``held`` (d,) fixed; None if it does not exist.

    It is the inverse of the other coordinates' Hessian, and zero for the held ones.
    """
    if not held.any():
        try:
            return covariance(laplace_approximation(density, mode))
        except ValueError:
            return None
    H = density.hessian(mode.theta)[np.ix_(~held, ~held)]
    try:
        factor: FloatArray = cholesky(H, lower=True)
    except LinAlgError:
        return None
    result = np.zeros((len(held),) * 2)
    result[np.ix_(~held, ~held)] = covariance(LaplaceApproximation(mode.theta[~held], factor, mode.value))
    return result
