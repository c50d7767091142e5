"""Models with group-level effects at arbitrary numbers, and their log joint density in plain NumPy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.layout import MAX_BORDER, ModelPoint
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.posterior import GroupsPosterior, groups_posterior
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.spec.specification import Specification

SHAPE = 2.0  # of the LKJ prior


class Grouped(NamedTuple):
    """A model: without effects, and with them."""

    spec: Specification
    density: GroupsPosterior


def stencil(function, x, e):  # type: ignore[no-untyped-def]
    """Five-point derivative of a function along ``e``."""
    step = 1e-3 * e
    return (8 * (function(x + step) - function(x - step)) - function(x + 2 * step) + function(x - 2 * step)) / 12e-3


def covariance_data(q: int, contrasts: FloatArray, coding: str) -> CovarianceData:
    """Unstructured covariance of q terms, with priors of both families."""
    columns = np.eye(contrasts.shape[1]) if coding == "reference" else contrasts
    n = q * len(columns)
    pair = np.full((n, n), -1)
    pair[np.tril_indices(n, -1)] = np.arange(n * (n - 1) // 2)
    power = np.array([0.0] + [n - i - 1 + 2 * SHAPE - 2 for i in range(1, n)])
    mapping = np.ascontiguousarray(np.kron(np.eye(q), columns))
    family = np.arange(n) % 2
    priors = family, np.where(family, 3.0, 0.0), np.linspace(1.0, 2.5, n)
    return CovarianceData(mapping, np.arange(n), pair, power, *priors)


def grouped(
    spec: Specification, levels: Sequence[LevelRows], coding: str = "zero-sum", max_border: int = MAX_BORDER
) -> Grouped:
    """The model of a specification, with effects of the levels."""
    C = spec.coordinates.weights_contrast
    covariances = [covariance_data(rows.n_terms, C, coding) for rows in levels]
    density = groups_posterior(density_of(spec), spec.design, levels, covariances, max_border=max_border)
    return Grouped(spec, density)


def specification(X: FloatArray, y: Any, coding: str = "zero-sum", **given: Any) -> Specification:
    """A model without effects, its rows as they are."""
    priors = {"prior": bs.Normal(2.0), "intercept_prior": bs.Normal(2.0)}
    return bs.SoftmaxRegression(X, y, coding=coding, collapse=False, **priors, **given)._spec


def at_random(case: Grouped, rng: np.random.Generator) -> Grouped:
    """Whitened at an arbitrary point, with an arbitrary root of the hyperparameters and, if it is fixed, border."""
    density = case.density
    point = ModelPoint(*(0.4 * rng.normal(size=part.shape) for part in density.reference))
    H = len(point.hyper)
    density = density.at(point, 0.3 * np.eye(H) + 0.05 * rng.normal(size=(H, H))).bordered().stretched()
    return case._replace(density=density)


def log_joint(case: Grouped, point: ModelPoint) -> float:
    """The log density of weights, effects and hyperparameters, without the constants of the weights' priors."""
    spec, n_weights = case.spec, case.density.base.dimension
    theta, h, at = point.common[:n_weights], point.hyper, n_weights
    found, design = spec.coordinates.to_parameters(theta[None]), spec.design
    eta, total = found["intercept"][0] + design.X @ found["weights"][0], 0.0
    for j, (rows, (_, cov)) in enumerate(zip(case.density.levels, case.density.packed, strict=True)):
        C, m = spec.coordinates.weights_contrast, cov.mapping.shape[1]
        own = point.effects if j == 0 else point.common[at : at + rows.n_levels * m].reshape(-1, m)
        at += own.size if j else 0
        eta += np.einsum("nt,nta,ka->nk", rows.terms, own[rows.codes].reshape(len(eta), -1, C.shape[1]), C)
        n = len(cov.mapping)
        total += _log_prior(cov, h[: n * (n + 1) // 2], own)
        h = h[n * (n + 1) // 2 :]
    if design.offset is not None:
        eta += design.offset
    if design.available is not None:
        eta[~design.available] = -np.inf
    counts = design.dense_counts()
    total += (counts * np.where(counts > 0, eta - logsumexp(eta, axis=1, keepdims=True), 0.0)).sum()
    return float(total + case.density.base.log_prior(theta) - case.density.base.log_prior_constant)


def _log_prior(cov: CovarianceData, h: FloatArray, effects: FloatArray) -> float:
    """Log density of hyperparameters, in which all columns are correlated, and of effects (G, m) given them."""
    n = len(cov.mapping)
    sds, partial, R, place, total = np.exp(h[:n]), np.tanh(h[n:]), np.eye(n), 0, float(h[:n].sum())
    for i in range(1, n):
        left = 1.0
        for j in range(i):
            R[i, j] = partial[place] * np.sqrt(left)
            total += 0.5 * np.log(left) + np.log(1 - partial[place] ** 2)
            left, place = left * (1 - partial[place] ** 2), place + 1
        R[i, i] = np.sqrt(left)
        total += (n - i - 1 + 2 * SHAPE - 2) * np.log(R[i, i])
    root = cov.mapping.T @ (sds[:, None] * R)
    normal = multivariate_normal(np.zeros(len(root)), root @ root.T)
    total += float(normal.logpdf(effects).sum()) + 0.5 * effects.size * np.log(2 * np.pi)
    squared = (sds / cov.scale) ** 2
    t = -0.5 * (cov.df + 1) * np.log1p(squared / np.maximum(cov.df, 1))
    return total + float(np.where(cov.family == 0, -0.5 * squared, t).sum())
