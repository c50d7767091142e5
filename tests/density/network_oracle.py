"""The log posterior of a network once more, on parameters by name, in a few lines of NumPy and SciPy."""

from collections.abc import Mapping

import numpy as np
from scipy import special, stats

from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.student_t import StudentT
from bayes_softmax.spec.specification import Specification

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda u: np.maximum(u, 0),
    "gelu": lambda u: u * stats.norm.cdf(u),
    "softplus": lambda u: np.log1p(np.exp(u)),
}


def log_posterior(spec: Specification, parameters: Mapping[str, np.ndarray]) -> float:
    """Log-likelihood plus log prior at parameters (*shape) by name."""
    eta, design = logits(spec, parameters), spec.design
    Y = design.dense_counts()
    if design.offset is not None:
        eta = eta + design.offset
    if design.available is not None:
        eta = np.where(design.available, eta, -np.inf)
    log_p = eta - special.logsumexp(eta, axis=1, keepdims=True)
    return float((Y[Y > 0] * log_p[Y > 0]).sum()) + log_prior(spec, parameters)


def logits(spec: Specification, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """Logits (N, K) without offsets."""
    X, phi, units = spec.design.X, ACTIVATIONS[spec.logits.activation], standardised(spec)
    for layer in range(1, len(spec.logits.hidden) + 1):
        units = phi(units @ parameters[f"hidden_{layer}"] + parameters[f"hidden_{layer}_bias"])
    eta = units @ parameters["weights"] + parameters["intercept"]
    return eta + X @ parameters["skip"] if spec.logits.skip else eta


def standardised(spec: Specification) -> np.ndarray:
    """Inputs (N, p) of the first layer: centred whether or not the model has an intercept."""
    X, weights = spec.design.X, spec.design.totals
    mean = np.average(X, axis=0, weights=weights)
    return (X - mean) / np.sqrt(np.average(np.square(X - mean), axis=0, weights=weights))


def distance_to_kink(spec: Specification, parameters: Mapping[str, np.ndarray]) -> float:
    """Smallest absolute pre-activation of all hidden units and rows."""
    phi, smallest, units = ACTIVATIONS[spec.logits.activation], np.inf, standardised(spec)
    for layer in range(1, len(spec.logits.hidden) + 1):
        before = units @ parameters[f"hidden_{layer}"] + parameters[f"hidden_{layer}_bias"]
        smallest, units = min(smallest, float(np.abs(before).min())), phi(before)
    return smallest


def log_prior(spec: Specification, parameters: Mapping[str, np.ndarray]) -> float:
    """Log prior density, normalised, of hidden weights and of the raw free coordinates of the last layer."""
    total = 0.0
    for layer, scale in enumerate(spec.hidden.scales, 1):
        if np.isfinite(scale).all():
            total += stats.norm.logpdf(parameters[f"hidden_{layer}"], scale=scale[1:, None]).sum()
            total += stats.norm.logpdf(parameters[f"hidden_{layer}_bias"], scale=scale[0]).sum()
    coordinates, priors = spec.coordinates, spec.priors
    rows = [*parameters["weights"], *(parameters["skip"] if spec.logits.skip else [])]
    for family, row in zip(priors.weights, rows, strict=True):
        total += _row(family, np.linalg.pinv(coordinates.weights_contrast) @ row, spherical=priors.spherical)
    if priors.intercept is not None:
        at = parameters["intercept"]
        if priors.intercept_at == "means" and spec.logits.skip:
            at = at + np.average(spec.design.X, axis=0, weights=spec.design.totals) @ parameters["skip"]
        g = np.linalg.pinv(coordinates.intercept_contrast) @ at
        total += _row(priors.intercept, g, spherical=priors.spherical)
    return float(total)


def _row(family: object, g: np.ndarray, *, spherical: bool) -> float:
    if isinstance(family, Flat):
        return 0.0
    if isinstance(family, Normal):
        return float(stats.norm.logpdf(g, scale=family.scale).sum())
    if isinstance(family, StudentT) and spherical:
        return float(stats.multivariate_t.logpdf(g, shape=family.scale**2 * np.eye(len(g)), df=family.df))
    if isinstance(family, StudentT):
        return float(stats.t.logpdf(g, df=family.df, scale=family.scale).sum())
    raise TypeError(f"the oracle does not know {family!r}")
