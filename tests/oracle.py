"""The log posterior once more, in raw coordinates and a few lines of NumPy and SciPy: what everything is held to.

It follows the coordinate table of the documentation directly: priors are densities of the raw free coordinates
``g`` of each row, ``W = g C'``, with no standardising and no compiled code.
"""

import numpy as np
from scipy import stats
from scipy.special import gammaln, logsumexp

from bayes_softmax.model import SoftmaxRegression
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.laplace import Laplace
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.student_t import StudentT
from bayes_softmax.spec.priors import Prior
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, HierarchicalNormal
from bayes_softmax.spec.scales.shared import SharedScale


def log_posterior(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Log-likelihood plus log prior at raw coefficients (K,) and (p, K)."""
    return log_likelihood(model, intercept, weights) + log_prior(model, intercept, weights)


def log_likelihood(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Sum over rows of ``sum_k y_k eta_k - n logsumexp(eta)``."""
    design = model._spec.design
    eta = intercept + design.X @ weights
    if design.offset is not None:
        eta = eta + design.offset
    if design.available is not None:
        eta = np.where(design.available, eta, -1e4)  # its exponential is zero, and zero counts stay zero
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
    coordinates, priors = model._spec.coordinates, model._spec.priors
    total = 0.0
    shrunk = {j for scale in priors.learned for j in scale.features}
    for j, (row, family) in enumerate(zip(weights, priors.weights, strict=True)):
        if j in shrunk:
            continue
        total += _row(family, np.linalg.pinv(coordinates.weights_contrast) @ row, spherical=priors.spherical)
    if priors.intercept is not None:
        at = intercept
        if priors.intercept_at == "means" and weights.size:
            at = intercept + np.average(model._spec.design.X, axis=0, weights=model._spec.design.totals) @ weights
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
    if not isinstance(family, StudentT):
        raise TypeError(f"the oracle does not know {family!r}")
    if spherical:
        return float(stats.multivariate_t.logpdf(g, shape=family.scale**2 * np.eye(len(g)), df=family.df))
    return float(stats.t.logpdf(g, df=family.df, scale=family.scale).sum())


def log_joint(model: SoftmaxRegression, intercept: np.ndarray, weights: np.ndarray, hyper: dict) -> float:
    """Log posterior with learned scales, a density of raw free coordinates and of the named hyperparameters."""
    total = log_posterior(model, intercept, weights)
    to_free = np.linalg.pinv(model._spec.coordinates.weights_contrast)
    for scale in model._spec.priors.learned:
        sd = model._spec.design.X[:, list(scale.features)].std(axis=0)
        scales, log_p = _scales(scale, {name: hyper[scale.named(name)] for name in _names(scale)})
        if not isinstance(scale.prior, HierarchicalNormal):
            scales = scales / sd
        g = weights[list(scale.features)] @ to_free.T
        total += log_p + float(stats.norm.logpdf(g, scale=np.broadcast_to(scales, len(g))[:, None]).sum())
    return total


def _names(scale: SharedScale) -> list[str]:
    if isinstance(scale.prior, HierarchicalNormal):
        return ["weights_scale"]
    return ["R2", "phi"]


def _scales(scale: SharedScale, hyper: dict) -> tuple[np.ndarray, float]:
    """Values of a shared scale and the log density of its hyperparameters."""
    family = scale.prior
    if isinstance(family, HierarchicalNormal):
        prior, tau = family.scale_prior, hyper["weights_scale"]
        half = stats.halfnorm if isinstance(prior, HalfNormal) else _HalfT(prior.df)
        return np.array([float(tau)]), float(half.logpdf(tau, scale=prior.scale))
    R2, phi = hyper["R2"], hyper["phi"]
    log_p = stats.beta.logpdf(R2, family.mean * family.precision, (1 - family.mean) * family.precision)
    if len(phi) > 1:
        log_p += stats.dirichlet.logpdf(phi, np.full(len(phi), family.concentration))
    return np.sqrt(phi * R2 / (1 - R2)), float(log_p)


class _HalfT:
    """The half-t, which SciPy has for one degree of freedom only."""

    def __init__(self, df: float) -> None:
        self.df = df

    def logpdf(self, x: np.ndarray, scale: float) -> np.ndarray:
        return np.log(2) + stats.t.logpdf(x, self.df, scale=scale)
