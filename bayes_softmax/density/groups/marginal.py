r"""The marginal log posterior of weights and hyperparameters, with the levels' effects integrated out.

Coordinates are ``[theta, x]``: the weights' free coordinates (d,), and the hyperparameters of all groupings (H,), in
one of two systems.  Of *signed* sds and angles the log density is that of sds and correlations as their priors are
given, without a Jacobian: a maximum of it is the same whatever the coordinates.  Of *unconstrained* ones (logs of sds,
inverse hyperbolic tangents of partial correlations) it is a density in these, as draws need it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import solve_triangular

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.angles import (
    add_log_prior_of_sds,
    pull_back_signed,
    signed_root,
)
from bayes_softmax.density.groups.covariance import (
    CovarianceData,
    add_log_hyperprior,
    covariance_root,
    pull_back_root,
)
from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.density.posterior import SoftmaxPosterior

SINGULAR = 1e-6  # of a diagonal entry of a root, relative to the largest: how it turns is not determined


class Integrated(NamedTuple):
    """A marginal log-likelihood, and its derivatives in the rows' logits (N, K) and in a root (m, m) per grouping."""

    value: float
    of_eta: FloatArray
    of_roots: tuple[FloatArray, ...]


class LevelNormals(NamedTuple):
    """Levels' effects given all else, by Laplace's method: modes (G, m) per grouping, and their covariances.

    ``covariances`` (G, m, m) per grouping are those of each level alone.
    """

    modes: tuple[FloatArray, ...]
    covariances: tuple[FloatArray, ...]


class Integral(Protocol):
    """What integrates the levels' effects out, given the rows' logits without them and a root per grouping."""

    def value_gradient(self, eta: FloatArray, roots: Sequence[FloatArray]) -> Integrated:
        """The marginal log-likelihood and its derivatives; later searches start from the modes found here."""
        ...

    def value(self, eta: FloatArray, roots: Sequence[FloatArray]) -> float:
        """The marginal log-likelihood alone."""
        ...

    def normals(self, eta: FloatArray, roots: Sequence[FloatArray]) -> LevelNormals:
        """The levels' effects given all else."""
        ...

    def joint_covariance(self, eta: FloatArray, roots: Sequence[FloatArray]) -> FloatArray:
        """Covariance of all levels' effects given all else, one grouping after the other: dense, for not too many."""
        ...

    def estimate(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> float:
        """Log of the marginal likelihood by quadrature, or of the unbiased estimate that belongs to :meth:`draw`."""
        ...

    def draw(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> tuple[FloatArray, ...]:
        """One draw (G, m) of each grouping's effects given all else; the same random numbers make the same draw."""
        ...


class HyperCoordinates(NamedTuple):
    """Functions of a grouping's hyperparameters: a root of the covariance, its reverse sweep, and the log prior.

    ``start`` and ``unit`` are functions of a covariance and sds: coordinates where these are the sds and nothing is
    correlated, and natural sizes of the coordinates there.
    """

    root: Callable[..., None]
    pull_back: Callable[..., None]
    add_log_prior: Callable[..., float]
    start: Callable[[CovarianceData, FloatArray], FloatArray]
    unit: Callable[[CovarianceData, FloatArray], FloatArray]


type CoordinatesOf = Callable[[CovarianceData], HyperCoordinates]


def signed(cov: CovarianceData) -> HyperCoordinates:
    """Signed sds, then angles."""
    return HyperCoordinates(signed_root, pull_back_signed, add_log_prior_of_sds, _sds_and(0.0), _sds_and(1.0))


def unconstrained(cov: CovarianceData) -> HyperCoordinates:
    """Logarithms of sds, then inverse hyperbolic tangents of partial correlations."""
    start, ones = _sds_and(0.0), _sds_and(1.0)
    return HyperCoordinates(
        covariance_root,
        pull_back_root,
        add_log_hyperprior,
        lambda cov, sds: start(cov, np.log(sds)),
        lambda cov, sds: ones(cov, np.ones_like(sds)),
    )


def n_hyper(cov: CovarianceData) -> int:
    """Number of hyperparameters."""
    return len(cov.scale) + int(cov.pair.max(initial=-1)) + 1


def _sds_and(others: float) -> Callable[[CovarianceData, FloatArray], FloatArray]:
    """A function that puts a number for each correlation behind those of the sds."""

    def joined(cov: CovarianceData, sds: FloatArray) -> FloatArray:
        return np.concatenate([sds, np.full(n_hyper(cov) - len(sds), others)])

    return joined


@dataclass(frozen=True, eq=False)
class MarginalPosterior:
    """Marginal log posterior of ``[theta, x]``; without ``priors`` the marginal log-likelihood.

    ``base`` is the model without effects, ``design`` its rows, ``covariances`` one per grouping.
    """

    base: SoftmaxPosterior
    design: Design
    integral: Integral
    covariances: tuple[CovarianceData, ...]
    coordinates: tuple[HyperCoordinates, ...]
    priors: bool
    features: FloatArray

    @property
    def n_weights(self) -> int:
        """Number of the weights' free coordinates d."""
        return self.base.dimension

    @property
    def dimension(self) -> int:
        """d + H."""
        return self.n_weights + int(self.slices[-1].stop)

    def value_gradient(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Log density, without the constants of hyperpriors, and its gradient."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        _, reduced, turns, R = self._roots(x)
        found = self.integral.value_gradient(self.logits(theta), reduced)
        of_theta, of_x = self.base.coordinates.pull_back(found.of_eta.T @ self.features), np.zeros(len(x))
        value = found.value
        of_roots = [_with_turning(L, own) @ turn for L, own, turn in zip(reduced, found.of_roots, turns, strict=True)]
        for own, at, cov, adjoint, factor in zip(*self._hyper, of_roots, R, strict=True):
            own.pull_back(cov, x[at], factor, np.ascontiguousarray(adjoint), of_x[at])
        if self.priors:
            value += self.log_prior(point, of_theta, of_x)
        return value, np.concatenate([of_theta, of_x])

    def value(self, point: FloatArray) -> float:
        """Log density, without the constants of hyperpriors."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        value = self.integral.value(self.logits(theta), self._roots(x)[1])
        return value + self.log_prior(point) if self.priors else value

    def values(self, points: FloatArray) -> FloatArray:
        """Log densities (S,) of points (S, d + H)."""
        found: FloatArray = np.array([self.value(point) for point in points])
        return found

    def log_prior(self, point: FloatArray, of_theta: FloatArray | None = None, of_x: FloatArray | None = None) -> float:
        """Log prior of weights and hyperparameters, the latter without constants; adds its gradients, if asked for."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        into = np.zeros(len(theta)) if of_theta is None else of_theta
        value = log_prior_gradient(self.base.data, theta, into) + self.base.log_prior_constant
        into = np.zeros(len(x)) if of_x is None else of_x
        for own, at, cov in zip(*self._hyper, strict=True):
            value += own.add_log_prior(cov, x[at], into[at])
        return float(value)

    def logits(self, theta: FloatArray) -> FloatArray:
        """Logits (N, K) of the rows without effects, -inf where a class is not on offer."""
        eta = self.features @ self.base.coordinates.to_engine(theta[None])[0].T
        if self.design.offset is not None:
            eta += self.design.offset
        if self.design.available is not None:
            eta[~self.design.available] = -np.inf
        return np.ascontiguousarray(eta)

    def sigmas(self, point: FloatArray) -> list[FloatArray]:
        """Covariance (m, m) of the free coordinates of a level's effects, per grouping."""
        return [root @ root.T for root in self._roots(np.ascontiguousarray(point[self.n_weights :]))[0]]

    def identified_jacobian(self, point: FloatArray) -> FloatArray:
        """Derivatives (d + sum of m^2, d + H) of what is identified: weights, and the covariances of effects."""
        n, x = self.n_weights, np.ascontiguousarray(point[self.n_weights :])
        parts = [np.eye(n, self.dimension)]
        roots, _, _, factors = self._roots(x)
        for coordinates, at, cov, root, R in zip(*self._hyper, roots, factors, strict=True):
            m = len(root)
            own = np.zeros((m, m, self.dimension))
            for a in range(m):
                for b in range(a + 1):
                    adjoint = np.zeros_like(root)
                    adjoint[a] += root[b]
                    adjoint[b] += root[a]
                    coordinates.pull_back(cov, x[at], R, adjoint, own[a, b, n:][at])
                    own[b, a] = own[a, b]
            parts.append(own.reshape(m * m, -1))
        return np.concatenate(parts)

    def normals(self, point: FloatArray) -> LevelNormals:
        """The levels' effects given weights and hyperparameters."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        return self.integral.normals(self.logits(theta), self._roots(x)[1])

    def joint_covariance(self, point: FloatArray) -> FloatArray:
        """Covariance of all levels' effects given weights and hyperparameters, one grouping after the other."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        return self.integral.joint_covariance(self.logits(theta), self._roots(x)[1])

    def estimate(self, point: FloatArray, rng: np.random.Generator) -> float:
        """The marginal log-likelihood, or the log of an unbiased estimate that belongs to :meth:`draw_effects`."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        return self.integral.estimate(self.logits(theta), self._roots(x)[1], rng)

    def draw_effects(self, point: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, ...]:
        """One draw (G, m) of each grouping's effects given weights and hyperparameters."""
        theta, x = np.split(np.ascontiguousarray(point, dtype=np.float64), [self.n_weights])
        return self.integral.draw(self.logits(theta), self._roots(x)[1], rng)

    @property
    def slices(self) -> list[slice]:
        """Where the hyperparameters of each grouping are among all."""
        sizes = [n_hyper(cov) for cov in self.covariances]
        return [slice(first, end) for first, end in pairwise(np.cumsum([0, *sizes]).tolist())]

    @property
    def _hyper(self) -> tuple[tuple[HyperCoordinates, ...], list[slice], tuple[CovarianceData, ...]]:
        """Of each grouping the coordinates of its hyperparameters, their places among all, and its covariance."""
        return self.coordinates, self.slices, self.covariances

    def _roots(self, x: FloatArray) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray], list[FloatArray]]:
        """Roots (m, n) of the covariances; lower triangular ones L; turns O (m, n) with ``root = L O``; factors R."""
        found: tuple[list[Any], ...] = ([], [], [], [])
        for own, at, cov in zip(*self._hyper, strict=True):
            n, m = cov.mapping.shape
            R, root = np.empty((n, n)), np.empty((m, n))
            own.root(cov, x[at], R, root)
            turn, upper = np.linalg.qr(root.T)
            for into, part in zip(found, (root, np.ascontiguousarray(upper.T), turn.T, R), strict=True):
                into.append(part)
        return found  # type: ignore[return-value]


def _with_turning(L: FloatArray, of_L: FloatArray) -> FloatArray:
    """Derivatives (m, m) in ``root O'`` of what depends on ``L L' = root root'`` through the lower triangular L alone.

    They are those in L where the function does not change as L turns; quadrature nodes turn with L, which changes the
    sum over them by its error.
    """
    T = L.T @ of_L
    E = np.triu(T.T - T, 1)[:-1]
    above = L[:-1, :-1].T
    if not E.size or not np.abs(np.diag(above)).min() > SINGULAR * np.abs(L).max() or not np.isfinite(E).all():
        return of_L
    turned = of_L.copy()
    turned[:-1] += solve_triangular(above, E)
    return turned
