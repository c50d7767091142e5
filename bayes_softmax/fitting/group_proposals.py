r"""Draws from an approximation of the marginal posterior of weights and hyperparameters.

The marginal likelihood depends on the hyperparameters h through the covariances of effects alone, and is approximated
in the weights and the shapes of these covariances (:func:`shapes_of`): by a t distribution whose centre and curvature
are those of the likelihood, with the prior of the weights, near the mode of the marginal posterior.  The prior of h is
kept as it is, which matters where sds and correlations of all classes are not determined one by one:

.. math:: q(\theta, h) \propto t_\nu\big(\theta, \psi(h)\big)\, p(h)

Of this product h is drawn by a population of Markov chains, each step of which costs little, and the weights given h
from a t distribution.  The importance weights are the marginal likelihood over the t density.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import CovarianceData, add_log_hyperprior
from bayes_softmax.density.groups.marginal import MarginalPosterior
from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.fitting.groups import covariance_data
from bayes_softmax.inference.local_mode import hessian_by_differences
from bayes_softmax.inference.populations import evolve
from bayes_softmax.spec.specification import Specification

DF = 8.0  # degrees of freedom of the t distribution: its tails are heavier than the likelihood's
STEPS, STEPS_EACH = 300, 20  # of the chains, and more for each hyperparameter
FEWEST_CHAINS = 20  # for each hyperparameter
SPREAD = 0.3  # sd of where the chains begin, in logarithms of sds
WIDEST = 3.0  # largest sd of a coordinate
TINY = 1e-12  # what is left of a row of correlations, below which further angles are not determined
RANK = 1e-9  # relative eigenvalue of a covariance that is no rounding error


class Likelihood(NamedTuple):
    """The marginal likelihood with the prior of the weights, as a function of weights and of :func:`shapes_of`.

    ``density`` has the covariances of free coordinates themselves, and ``offsets`` (n,) are those of the logarithms.
    """

    density: MarginalPosterior
    offsets: FloatArray

    def value_gradient(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Log of it, and its gradient."""
        own, slopes = self._own(point)
        value, gradient = self.density.value_gradient(own)
        prior = log_prior_gradient(self.density.base.data, own[: self.density.n_weights], gradient)
        return value + float(prior) + self.density.base.log_prior_constant, slopes * gradient

    def estimate(self, point: FloatArray, rng: np.random.Generator) -> float:
        """Log of the function, or of an unbiased estimate that belongs to the draw by the same random numbers."""
        own = self._own(point)[0]
        return self.density.estimate(own, rng) + self.density.base.log_prior(own[: self.density.n_weights])

    def draw_effects(self, point: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, ...]:
        """One draw (G, m) of each grouping's effects."""
        return self.density.draw_effects(self._own(point)[0], rng)

    def _own(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates of the density, and their derivatives."""
        own, slopes, at = point.copy(), np.ones(len(point)), 0
        for cov, place in zip(self.density.covariances, self.density.slices, strict=True):
            n, first = len(cov.scale), self.density.n_weights + place.start
            c, logs = self.offsets[at : at + n], point[first : first + n]
            own[first : first + n], slopes[first : first + n] = c * np.expm1(logs), c * np.exp(logs)
            at += n
        return own, slopes


def free_covariance_data(m: int) -> CovarianceData:
    """Any covariance of m free coordinates, without priors."""
    pair = np.full((m, m), -1)
    pair[np.tril_indices(m, -1)] = np.arange(m * (m - 1) // 2)
    ones = np.ones(m)
    return CovarianceData(np.eye(m), np.arange(m), pair, 0.0 * ones, np.zeros(m, dtype=np.int64), ones, ones)


def shapes_of(spec: Specification, hyper: FloatArray, offsets: FloatArray) -> FloatArray:
    """Coordinates (S, D - d) of the covariances of hyperparameters (S, H), on which alone the likelihood depends.

    For each grouping ``log(1 + s / c)`` of the sds of free coordinates, with c the ``offsets``: the logarithm of large
    ones, and regular at zero; then the angles of their correlations.
    """
    found, at, place = [], 0, 0
    for effects in spec.groups:
        m = effects.n_free
        sigma = effects.free_covariance(hyper[:, at : at + effects.n_hyper])
        found.append(_shapes(sigma, offsets[place : place + m]))
        at, place = at + effects.n_hyper, place + m
    return np.concatenate(found, axis=1)


def _shapes(sigma: FloatArray, offsets: FloatArray) -> FloatArray:
    """The same of covariances (S, m, m)."""
    sds = np.sqrt(np.einsum("sii->si", sigma))
    factor = cholesky_of(sigma) / sds[:, :, None]
    m, angles = len(offsets), []
    for i in range(1, m):
        left = np.ones(len(sigma))
        for j in range(i):
            sine = np.clip(factor[:, i, j] / np.maximum(left, TINY), -1.0, 1.0)
            angles.append(np.arcsin(sine))
            left = left * np.sqrt(1.0 - sine**2)
    return np.column_stack([np.log1p(sds / offsets), *angles])


class Approximation(NamedTuple):
    """Centre (D,) and scale (D, D) of the t distribution of weights (the first d) and shapes."""

    centre: FloatArray
    scale: FloatArray
    n_weights: int

    def log_density(self, points: FloatArray) -> FloatArray:
        """Log density (S,), but for a constant, of points (S, D)."""
        moved = points - self.centre
        square = np.einsum("si,is->s", moved, np.linalg.solve(self.scale, moved.T))
        found: FloatArray = -0.5 * (DF + len(self.centre)) * np.log1p(square / DF)
        return found

    def log_density_of_shapes(self, shapes: FloatArray) -> FloatArray:
        """The same of the shapes alone (S, D - d)."""
        square = self._square(shapes)
        found: FloatArray = -0.5 * (DF + shapes.shape[1]) * np.log1p(square / DF)
        return found

    def draw_weights(self, shapes: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Weights (S, d), one draw given each of the shapes (S, D - d)."""
        d, S = self.n_weights, self.scale
        gain = np.linalg.solve(S[d:, d:], S[d:, :d])
        conditional = S[:d, :d] - S[:d, d:] @ gain
        df = DF + shapes.shape[1]
        stretch = np.sqrt((DF + self._square(shapes)) / rng.chisquare(df, len(shapes)))
        z = rng.normal(size=(len(shapes), d)) @ np.linalg.cholesky(0.5 * (conditional + conditional.T)).T
        found: FloatArray = self.centre[:d] + (shapes - self.centre[d:]) @ gain + stretch[:, None] * z
        return found

    def _square(self, shapes: FloatArray) -> FloatArray:
        moved = shapes - self.centre[self.n_weights :]
        own = self.scale[self.n_weights :, self.n_weights :]
        square: FloatArray = np.einsum("si,is->s", moved, np.linalg.solve(own, moved.T))
        return square


class Drawn(NamedTuple):
    """Weights with shapes (S, D), hyperparameters (S, H), and log importance weights but for the likelihood (S,)."""

    points: FloatArray
    hyper: FloatArray
    log_t: FloatArray


def approximate(likelihood: Likelihood, mode: FloatArray, unit: FloatArray) -> Approximation:
    """The t distribution of the likelihood near ``mode`` (D,), with at most moderate scales in ``unit`` (D,)."""
    _, gradient = likelihood.value_gradient(mode)
    H = hessian_by_differences(likelihood.value_gradient, mode, unit) * unit * unit[:, None]
    values, vectors = np.linalg.eigh(H)
    values = np.maximum(values, WIDEST**-2)
    scale = unit[:, None] * ((vectors / values) @ vectors.T) * unit
    step = scale @ gradient
    longest = float(np.abs(step / unit).max(initial=0.0))
    centre = mode + step * min(1.0, WIDEST / max(longest, WIDEST))
    return Approximation(centre, 0.5 * (scale + scale.T), likelihood.density.n_weights)


def draw_near(
    spec: Specification,
    near: Approximation,
    hyper: FloatArray,
    offsets: FloatArray,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Drawn:
    """As many draws; chains begin near ``hyper`` (H,), unconstrained hyperparameters."""
    covariances = [covariance_data(effects) for effects in spec.groups]
    H = len(hyper)
    start = hyper + SPREAD * rng.normal(size=(max(draws, FEWEST_CHAINS * H), H))

    def log_densities(h: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            values = near.log_density_of_shapes(shapes_of(spec, h, offsets)) + _log_hyperpriors(covariances, h)
        return np.where(np.isfinite(values), values, -np.inf)

    found = evolve(log_densities, start, STEPS + STEPS_EACH * H, rng)[:draws]
    shapes = shapes_of(spec, found, offsets)
    points = np.hstack([near.draw_weights(shapes, rng), shapes])
    return Drawn(points, found, near.log_density(points))


def cholesky_of(sigma: FloatArray) -> FloatArray:
    """Cholesky factors (S, m, m) of covariances that may be singular to rounding, or infinite: then not a number."""
    try:
        return np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        pass
    finite = np.isfinite(sigma).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(finite[:, None, None], sigma, np.eye(sigma.shape[1])))
    values = np.sqrt(np.maximum(values, RANK * values[:, -1:]))
    upper = np.linalg.qr(values[:, :, None] * vectors.transpose(0, 2, 1))[1]
    factor = upper.transpose(0, 2, 1) * np.sign(np.einsum("sii->si", upper))[:, None, :]
    return np.where(finite[:, None, None], factor, np.nan)


def _log_hyperpriors(covariances: list[CovarianceData], hyper: FloatArray) -> FloatArray:
    """Log prior densities (S,) of unconstrained hyperparameters, without constants."""
    total, at = np.zeros(len(hyper)), 0
    for cov in covariances:
        size = len(cov.scale) + int(cov.pair.max(initial=-1)) + 1
        _add_each(cov, np.ascontiguousarray(hyper[:, at : at + size]), total)
        at += size
    return total


@nb.njit(**nb.OPTIONS)
def _add_each(cov, hyper, total):  # type: ignore[no-untyped-def]
    """Add the log prior density of each row."""
    gradient = np.empty(hyper.shape[1])
    for s in range(len(hyper)):
        total[s] += add_log_hyperprior(cov, hyper[s], gradient)
