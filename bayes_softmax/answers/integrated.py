r"""Likelihood of a few observations under each draw, with the effects of their own levels integrated out.

With :math:`u = R z` for a root of the effects' covariance and standard normal ``z`` (M,), the integrand
:math:`p(y \mid u = R z)\, \phi(z)` is log-concave.  It is expanded at its mode :math:`\hat z`, with the curvature
:math:`P = I + R' H R = L L'`, and integrated

- up to two dimensions by adaptive Gauss-Hermite quadrature, at :math:`\hat z + L^{-\top} t` (Pinheiro and Bates,
  *Journal of Computational and Graphical Statistics* 4, 1995);
- in more by importance sampling with quasi-random points of the mixture of :math:`N(\hat z, P^{-1})` and the population
  :math:`N(0, I)`, under which the weights are bounded (Owen and Zhou, *JASA* 95, 2000).
"""

import functools
from typing import NamedTuple, Self

import numpy as np
from scipy.special import logsumexp, ndtri

from bayes_softmax.core.records import FloatArray

NODES = {1: 15, 2: 7}  # along each dimension
POINTS = (128, 1024)  # of importance sampling; the second number where the first leaves too much noise
LOCAL = 0.75  # share of the points that is drawn around the mode
NOISE = 0.02  # relative variance of a likelihood, averaged over the draws, beyond which it is too noisy
STEPS, HALVINGS, DECREMENT = 30, 8, 1e-3  # of Newton's method: the mode is a centre, and need not be exact
SEED = 1  # of the quasi-random points


class Integrand(NamedTuple):
    """Observations, and effects whose logits are ``base + Z U`` for ``U = R z``.

    ``base`` (n, K, S) are the logits without these effects, minus infinity where a class is not on offer, ``counts``
    (n, K), ``Z`` (n, D) the effects' terms in each row, and ``root`` (S, D K, M) is R.
    """

    base: FloatArray
    counts: FloatArray
    Z: FloatArray
    root: FloatArray

    @property
    def size(self) -> int:
        """M."""
        return int(self.root.shape[2])


class _Mode(NamedTuple):
    """Mode (S, M), and the Cholesky factor (S, M, M) of the curvature there."""

    z: FloatArray
    factor: FloatArray


def log_integral(given: Integrand) -> tuple[FloatArray, float]:
    """Logarithm (S,) of the integral for each draw; its relative variance, averaged over the draws."""
    value = _LogLikelihood(given)
    if not given.size:
        return value(np.zeros(given.root.shape[1::-1])), 0.0
    mode = _mode(given, value)
    if given.size in NODES:
        return _by_quadrature(given, value, mode), 0.0
    for n in POINTS:
        found, noise = _by_sampling(given, value, mode, n)
        if noise <= NOISE:
            break
    return found, noise


class _LogLikelihood:
    """Log-likelihood (S,) of effects (D K, S)."""

    def __init__(self, given: Integrand) -> None:
        self.given = given
        self.totals = given.counts.sum(axis=1)
        seen = np.where(given.counts[:, :, None] > 0, given.base, 0.0)
        self.constant = np.einsum("nk,nks->s", given.counts, seen)
        self.slope = (given.Z.T @ given.counts).ravel()

    def __call__(self, U: FloatArray) -> FloatArray:
        eta = self.logits(U)
        top = eta.max(axis=1)
        eta -= top[:, None]
        np.exp(eta, out=eta)
        total: FloatArray = self.constant + self.slope @ U - self.totals @ (np.log(eta.sum(axis=1)) + top)
        return total

    def logits(self, U: FloatArray) -> FloatArray:
        n, K, S = self.given.base.shape
        added = self.given.Z @ U.reshape(-1, K * S)
        logits: FloatArray = self.given.base + added.reshape(n, K, S)
        return logits

    def derivatives(self, U: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient (S, D K) and minus the Hessian (S, D K, D K)."""
        Z, (n, K, S) = self.given.Z, self.given.base.shape
        D = Z.shape[1]
        P = self.logits(U)
        P -= P.max(axis=1, keepdims=True)
        np.exp(P, out=P)
        P /= P.sum(axis=1, keepdims=True)
        expected = self.totals[:, None, None] * P
        gradient = self.slope[:, None] - (Z.T @ expected.reshape(n, -1)).reshape(D * K, S)
        ZZ = (Z[:, :, None] * Z[:, None]).reshape(n, D * D).T
        products = (expected[:, :, None] * P[:, None]).reshape(n, -1)
        H = -(ZZ @ products).reshape(D, D, K, K, S)
        k = np.arange(K)
        H[:, :, k, k] += (ZZ @ expected.reshape(n, -1)).reshape(D, D, K, S)
        return gradient.T, np.ascontiguousarray(H.transpose(4, 0, 2, 1, 3)).reshape(S, D * K, D * K)


class _Around(NamedTuple):
    """Points ``z`` (M, S) and effects (D K, S) as functions of standard normal coordinates around the mode."""

    z: FloatArray
    U: FloatArray
    spread_z: FloatArray
    spread_U: FloatArray

    @classmethod
    def of(cls, given: Integrand, mode: _Mode) -> Self:
        """The map of a mode."""
        spread = np.linalg.inv(mode.factor).transpose(0, 2, 1)
        by_coordinate = (np.ascontiguousarray(a.transpose(2, 1, 0)) for a in (spread, given.root @ spread))
        return cls(np.ascontiguousarray(mode.z.T), _effects(given.root, mode.z), *by_coordinate)

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``z`` and effects at a point ``t`` (M,), the same for all draws."""
        z, U = (
            origin + (t @ spread.reshape(len(t), -1)).reshape(origin.shape)
            for origin, spread in ((self.z, self.spread_z), (self.U, self.spread_U))
        )
        return z, U


def _mode(given: Integrand, value: _LogLikelihood) -> _Mode:
    """The mode of each draw's integrand by Newton's method with halved steps, from the population's centre."""
    R, (S, _, M) = given.root, given.root.shape
    z = np.zeros((S, M))
    height = value(_effects(R, z))
    for _ in range(STEPS):
        gradient, H = value.derivatives(_effects(R, z))
        g = (gradient[:, None] @ R)[:, 0] - z
        factor = np.linalg.cholesky(np.eye(M) + R.transpose(0, 2, 1) @ H @ R)
        step = np.linalg.solve(factor.transpose(0, 2, 1), np.linalg.solve(factor, g[:, :, None]))[:, :, 0]
        if ((g * step).sum(axis=1) < DECREMENT).all():
            break
        for _ in range(HALVINGS):
            ahead = z + step
            reached = value(_effects(R, ahead)) - 0.5 * np.square(ahead).sum(axis=1)
            lower = reached < height
            if not lower.any():
                break
            step[lower] *= 0.5
        better = reached >= height
        z[better], height = ahead[better], np.where(better, reached, height)
    return _Mode(z, factor)


def _effects(R: FloatArray, z: FloatArray) -> FloatArray:
    """``R z`` (D K, S)."""
    return np.ascontiguousarray((R @ z[:, :, None])[:, :, 0].T)


def _by_quadrature(given: Integrand, value: _LogLikelihood, mode: _Mode) -> FloatArray:
    """Adaptive Gauss-Hermite quadrature."""
    (points, log_weights), around = _nodes(given.size), _Around.of(given, mode)
    heights = np.empty((len(points), len(mode.z)))
    for height, t, log_weight in zip(heights, points, log_weights, strict=True):
        z, U = around.at(t)
        height[:] = value(U) - 0.5 * np.square(z).sum(axis=0) + 0.5 * (t @ t) + log_weight
    integral: FloatArray = logsumexp(heights, axis=0) - _log_determinant(mode.factor)
    return integral


@functools.cache
def _nodes(M: int) -> tuple[FloatArray, FloatArray]:
    """Nodes (n, M) of the standard normal, and the logarithms (n,) of their weights."""
    at, weights = np.polynomial.hermite_e.hermegauss(NODES[M])
    points = np.stack(np.meshgrid(*[at] * M, indexing="ij"), axis=-1).reshape(-1, M)
    log_weights = np.log(weights / weights.sum())
    return points, np.add.reduce(np.meshgrid(*[log_weights] * M, indexing="ij")).ravel()


def _by_sampling(given: Integrand, value: _LogLikelihood, mode: _Mode, n: int) -> tuple[FloatArray, float]:
    """Importance sampling from the mixture."""
    points = _normal_points(given.size, n)
    around, log_det = _Around.of(given, mode), _log_determinant(mode.factor)
    log_ratios = np.empty((n, len(mode.z)))
    for i, (log_ratio, point) in enumerate(zip(log_ratios, points, strict=True)):
        if i < LOCAL * n:
            (z, U), t = around.at(point), np.broadcast_to(point, mode.z.shape).T
        else:
            z = np.broadcast_to(point, mode.z.shape).T
            U, t = _effects(given.root, z.T), ((z.T - mode.z)[:, None] @ mode.factor)[:, 0].T
        population, local = (-0.5 * np.square(x).sum(axis=0) for x in (z, t))
        mixture = np.logaddexp(np.log(LOCAL) + local + log_det, np.log1p(-LOCAL) + population)
        log_ratio[:] = value(U) + population - mixture
    total = logsumexp(log_ratios, axis=0)
    noise = np.exp(logsumexp(2.0 * log_ratios, axis=0) - 2.0 * total) - 1.0 / n
    return total - np.log(n), float(noise.mean())


@functools.lru_cache(maxsize=4)
def _normal_points(M: int, n: int) -> FloatArray:
    """Quasi-random standard normal points (n, M)."""
    from scipy.stats.qmc import Sobol

    points: FloatArray = ndtri(np.clip(Sobol(M, scramble=True, rng=SEED).random(n), 1e-12, 1.0 - 1e-12))
    return points


def _log_determinant(factor: FloatArray) -> FloatArray:
    """Logarithm (S,) of the determinants of triangular factors (S, M, M)."""
    total: FloatArray = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return total
