"""Where to whiten: empirical Bayes, at the mode of the hyperparameters' approximate marginal posterior.

Formulae are at the top of :mod:`bayes_softmax.density.scales`.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.hyper_root import hyper_root
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.scales.conditional import ConditionalNormal, log_marginal_posterior
from bayes_softmax.density.scales.hyperpriors import HyperpriorData, conditional_scales, hyperprior_data
from bayes_softmax.density.scales.kernel import WhitenedCoordinates
from bayes_softmax.density.scales.posterior import HierarchicalPosterior
from bayes_softmax.density.scales.whitening import (
    conditional_normal,
    conditional_posterior,
    non_centring_exponent,
    residual_whitening,
)
from bayes_softmax.spec.scales.shared import SharedScale

MAX_ROUNDS = 5  # alternations of conditional and marginal mode; they only choose coordinates
TOLERANCE = 0.1  # change of a hyperparameter, a log scale, that is immaterial to whitening
SEARCH_RADIUS = 8.0  # hyperparameters are searched within this distance of the middle of their prior
SD_LIMITS = (0.05, 3.0)  # of a hyperparameter; under its prior alone the sd is near 1.5
SCALE_RATIO = 2.5  # ratio of scales over which the growth of the coefficients is measured
STEP = 1e-4  # for second derivatives of the log marginal posterior


def whitened_posterior(
    base: SoftmaxPosterior,
    shared: tuple[SharedScale, ...],
    conditional_mode: Callable[[SoftmaxPosterior], FloatArray],
    reference_mode: Callable[[SoftmaxPosterior], FloatArray],
) -> HierarchicalPosterior:
    """The joint posterior, whitened at the empirical Bayes estimate of the scales.

    Parameters
    ----------
    base
        The likelihood with the fixed priors only.
    shared
        The learned scales.
    conditional_mode
        Maximises a density; returns its mode (d,).
    reference_mode
        Likewise, for the densities at whose mode the posterior is whitened: it may refuse one.
    """
    hyper = hyperprior_data(shared, base.coordinates)
    h = middle = np.concatenate([scale.hyperprior.initial for scale in shared])
    for _ in range(MAX_ROUNDS):
        scales = conditional_scales(hyper, h)
        theta = reference_mode(conditional_posterior(base, hyper, scales))
        with blas_on_one_thread():
            normal = conditional_normal(base, hyper, theta, scales)
        before, h = h, marginal_mode(hyper, normal, h, middle)
        if np.abs(h - before).max() < TOLERANCE:
            break
    larger = SCALE_RATIO * scales
    theta_larger = conditional_mode(conditional_posterior(base, hyper, larger))
    with blas_on_one_thread():
        residual = residual_whitening(base, hyper, normal, theta, scales)
        exponent = non_centring_exponent(base, hyper, normal, theta_larger, larger, SCALE_RATIO)
    at_reference = np.array([exponent, float(np.log(scales).mean())])
    coordinates = WhitenedCoordinates(h, marginal_root(hyper, normal, h), at_reference, residual)
    return HierarchicalPosterior(base, shared, hyper, normal, coordinates)


def marginal_mode(
    hyper: HyperpriorData, normal: ConditionalNormal, start: FloatArray, middle: FloatArray
) -> FloatArray:
    """Mode (H,) of the approximate marginal posterior of the hyperparameters, searched around ``middle``."""

    def negative(h: FloatArray) -> tuple[float, FloatArray]:
        gradient = np.empty(len(h))
        value = log_marginal_posterior(hyper, normal, h, gradient)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros(len(h)))

    bounds = [(c - SEARCH_RADIUS, c + SEARCH_RADIUS) for c in middle]
    mode: FloatArray = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return mode


def marginal_root(hyper: HyperpriorData, normal: ConditionalNormal, h: FloatArray) -> FloatArray:
    """Symmetric root (H, H) of the hyperparameters' covariance, from the curvature of their log marginal posterior."""

    def gradient(displacement: FloatArray) -> FloatArray:
        rising = np.empty(len(h))
        log_marginal_posterior(hyper, normal, h + displacement, rising)
        return -rising

    return hyper_root(gradient, len(h), STEP, SD_LIMITS)
