"""Log prior density of many draws of raw coefficients, in plain NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import Flat, Laplace, Normal, PriorTable, StudentT, known_scale


def log_prior_draws(
    priors: PriorTable, coordinates: Coordinates, intercept: FloatArray, weights: FloatArray
) -> FloatArray:
    """Normalised log prior density (S,) of intercepts (S, K) at x = 0 and weights (S, p, K); flat priors count zero."""
    total = np.zeros(len(weights))
    free = weights @ np.linalg.pinv(coordinates.weights_contrast).T
    for j, family in enumerate(priors.weights):
        total += _DENSITIES[type(family)](family, free[:, j], priors.spherical)
    if priors.intercept is not None:
        at = intercept if priors.intercept_at == "zero" else intercept + coordinates.centre @ weights
        g = at @ np.linalg.pinv(coordinates.intercept_contrast).T
        total += _DENSITIES[type(priors.intercept)](priors.intercept, g, priors.spherical)
    return total


def _normal(family: Normal, g: FloatArray, spherical: bool) -> FloatArray:
    k = g.shape[1]
    scale = known_scale(family)
    constant = k * (0.5 * math.log(2 * math.pi) + math.log(scale))
    density: FloatArray = -0.5 * (g**2).sum(axis=1) / scale**2 - constant
    return density


def _student(family: StudentT, g: FloatArray, spherical: bool) -> FloatArray:
    k = g.shape[1] if spherical else 1
    nu, squares = family.df, (g / family.scale) ** 2
    if spherical:
        squares = squares.sum(axis=1, keepdims=True)
    constant = math.lgamma(0.5 * (nu + k)) - math.lgamma(0.5 * nu) - k * (
        0.5 * math.log(nu * math.pi) + math.log(family.scale)
    )  # fmt: skip
    density: FloatArray = (constant - 0.5 * (nu + k) * np.log1p(squares / nu)).sum(axis=1)
    return density


def _laplace(family: Laplace, g: FloatArray, spherical: bool) -> FloatArray:
    k = g.shape[1] if spherical else 1
    norms = np.linalg.norm(g, axis=1, keepdims=True) if spherical else np.abs(g)
    log_surface = math.log(2) + 0.5 * k * math.log(math.pi) - math.lgamma(0.5 * k)
    constant = log_surface + k * math.log(family.scale) + math.lgamma(k)
    density: FloatArray = (-norms / family.scale - constant).sum(axis=1)
    return density


def _flat(family: Flat, g: FloatArray, spherical: bool) -> FloatArray:
    return np.zeros(len(g))


_DENSITIES: dict[type, Callable[[Any, FloatArray, bool], FloatArray]] = {
    Normal: _normal,
    StudentT: _student,
    Laplace: _laplace,
    Flat: _flat,
}
