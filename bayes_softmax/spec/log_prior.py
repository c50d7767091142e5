"""The log prior as numbers, in plain NumPy: its normalising constant, and its density at many draws."""

import math
from collections.abc import Mapping

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.priors import FamilyRows, PriorTable, repeated

NUMBERS = 2**22  # of draws whose density is computed at a time


def log_normaliser(rows: FamilyRows, k: int, *, spherical: bool) -> float:
    """Sum of the log densities at zero of coefficient rows of ``k`` coordinates; flat priors count zero."""
    size, repeats = (k, 1) if spherical else (1, k)
    total = 0.0
    for family, members in registry.each(rows.family):
        if not family.proper:
            continue
        dfs, counts = np.unique(rows.df[members], return_counts=True)
        constants = [n * family.log_normaliser(size, df) for df, n in zip(dfs.tolist(), counts.tolist(), strict=True)]
        total += repeats * math.fsum(constants) - k * float(np.log(rows.scale[members]).sum())
    return total


def log_prior_constant(priors: PriorTable, coordinates: Coordinates) -> float:
    """Sum of the log normalising constants of the proper priors, as densities of the raw free coordinates."""
    k_w, k_b = coordinates.weights_contrast.shape[1], coordinates.n_free_intercept
    total = log_normaliser(priors.features, k_w, spherical=priors.spherical)
    if priors.intercept is not None:
        total += log_normaliser(repeated(priors.intercept, 1), k_b, spherical=priors.spherical)
    return total


def log_prior_draws(priors: PriorTable, coordinates: Coordinates, parameters: Mapping[str, FloatArray]) -> FloatArray:
    """Normalised log prior density (S,) of intercepts (S, K) at x = 0 and weights (S, p, K); flat priors count zero."""
    intercept, weights = parameters[INTERCEPT], parameters[WEIGHTS]
    total, step = np.empty(len(weights)), max(1, NUMBERS // max(weights[0].size, 1))
    for start in range(0, len(weights), step):
        some = slice(start, start + step)
        total[some] = _log_prior(priors, coordinates, intercept[some], weights[some])
    return total + log_prior_constant(priors, coordinates)


def _log_prior(priors: PriorTable, coordinates: Coordinates, intercept: FloatArray, weights: FloatArray) -> FloatArray:
    """Log density (S,), less that at zero."""
    total = _log_density(priors.features, weights, coordinates.weights_contrast, spherical=priors.spherical)
    if priors.intercept is not None:
        at = intercept if priors.intercept_at == "zero" else intercept + coordinates.centre @ weights
        rows = repeated(priors.intercept, 1)
        total += _log_density(rows, at[:, None], coordinates.intercept_contrast, spherical=priors.spherical)
    return total


def _log_density(rows: FamilyRows, values: FloatArray, contrast: FloatArray, *, spherical: bool) -> FloatArray:
    """Log density (S,) of coefficients (S, rows, K) that lie in a coding with this contrast matrix, less that at zero.

    The contrast matrices of spherical priors are orthonormal: coefficients have the length of their free coordinates.
    Of others the transpose is the inverse from the left.
    """
    total = np.zeros(len(values))
    g = values if spherical else values @ contrast
    size = contrast.shape[1] if spherical else 1
    for family, members in registry.each(rows.family):
        r = np.square(g[:, members] / rows.scale[members, None])
        if spherical:
            r = r.sum(axis=2, keepdims=True)
        total -= family.phi(r, size, rows.df[members, None]).sum(axis=(1, 2))
    return total
