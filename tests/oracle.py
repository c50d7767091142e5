"""The log posterior once more, in raw coordinates and a few lines of NumPy and SciPy: what everything is held to.

It follows the coordinate table of the documentation directly: priors are densities of the raw free coordinates
``g`` of each row, ``W = g C'``, with no standardising and no compiled code.
"""

import numpy as np
from scipy import stats
from scipy.special import gammaln, logsumexp

from bayes_softmax.model import SoftmaxRegression
from bayes_softmax.spec.priors import Flat, Laplace, Normal, Prior


def log_posterior(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Log-likelihood plus log prior at raw coefficients (K,) and (p, K)."""
    return log_likelihood(model, intercept, weights) + log_prior(model, intercept, weights)


def log_likelihood(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Sum over rows of ``sum_k y_k eta_k - n logsumexp(eta)``."""
    design = model.design
    eta = intercept + design.X @ weights
    if design.offset is not None:
        eta = eta + design.offset
    Y = np.zeros_like(eta)
    if design.response.codes is not None:
        for n, code in enumerate(design.response.codes):
            Y[n, code] = 1.0
    else:
        Y = design.response.counts
    if design.weights is not None:
        Y = Y * design.weights[:, None]
    return float((Y * eta).sum() - (Y.sum(axis=1) * logsumexp(eta, axis=1)).sum())


def log_prior(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Log prior density, normalised, of the raw free coordinates."""
    coordinates, priors = model.coordinates, model.priors
    total = 0.0
    for row, family in zip(weights, priors.weights, strict=True):
        total += _row(family, np.linalg.pinv(coordinates.weights_contrast) @ row, spherical=priors.spherical)
    if priors.intercept is not None:
        at = intercept
        if priors.intercept_at == "means" and weights.size:
            at = intercept + np.average(model.design.X, axis=0, weights=model.design.totals) @ weights
        g = np.linalg.pinv(coordinates.intercept_contrast) @ at
        total += _row(priors.intercept, g, spherical=priors.spherical)
    return total


def _row(family: Prior, g: np.ndarray, *, spherical: bool) -> float:
    if isinstance(family, Flat):
        return 0.0
    if isinstance(family, Normal):
        return float(stats.norm.logpdf(g, scale=family.scale).sum())
    if isinstance(family, Laplace):
        if not spherical:
            return float((-np.abs(g) / family.scale - np.log(2 * family.scale)).sum())
        k = len(g)
        log_surface = np.log(2 * np.pi ** (k / 2)) - gammaln(k / 2)
        return float(-np.linalg.norm(g) / family.scale - log_surface - k * np.log(family.scale) - gammaln(k))
    if spherical:
        return float(stats.multivariate_t.logpdf(g, shape=family.scale**2 * np.eye(len(g)), df=family.df))
    return float(stats.t.logpdf(g, df=family.df, scale=family.scale).sum())
