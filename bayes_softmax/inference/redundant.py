"""Maximum of a smooth function of few coordinates, of which some combinations may be redundant.

Sds and correlations of more columns than a covariance has describe it more than once: along such directions the
function is constant, and its Hessian singular.  L-BFGS finds the neighbourhood, Newton steps in the other directions
the maximum.  The certificate asks that directions without curvature change nothing that is identified.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray, Status
from bayes_softmax.inference.certificate import DECREMENT_TOLERANCE, GRADIENT_TOLERANCE, STEP_TOLERANCE
from bayes_softmax.inference.local_mode import hessian_by_differences
from bayes_softmax.inference.restarts import ValueGradient, lbfgs_restarts

FLAT = 1e-7  # smallest eigenvalue, relative to the largest, that is no rounding error of differences
REDUNDANT = 1e-6  # of what is identified, relative to the most per unit of a direction: less is no change
RISING = 1e-5  # relative curvature in redundant directions that is no rounding error
NEWTON_STEPS = 20
ACCURACY = 1e-11  # of the gradient per observation, at which Newton steps end
FAST = 0.1  # factor on the gradient below which the same Hessian serves for another step
HALVINGS = 12
ESCAPES = 5  # most saddle points that are left in succession
LENGTHS = np.geomspace(1e-3, 3.0, 12)  # of a step off a saddle point

type Jacobian = Callable[[FloatArray], FloatArray]


class RedundantMode(NamedTuple):
    """Where the search ended, with its certificate, as in :class:`bayes_softmax.core.records.Mode`.

    ``basis`` (d, r) are eigenvectors with curvature of the Hessian of minus the function, in the units of the
    coordinates, and ``curvatures`` (r,) their eigenvalues, so that ``basis diag(1 / curvatures) basis'`` is the
    covariance of what is identified.
    """

    theta: FloatArray
    value: float
    gradient_norm: float
    newton_decrement: float
    newton_step: float
    n_iterations: int
    status: Status
    history: FloatArray
    basis: FloatArray
    curvatures: FloatArray

    @property
    def converged(self) -> bool:
        """Whether the certificate holds."""
        return self.status is Status.CONVERGED

    @property
    def covariance(self) -> FloatArray:
        """Covariance (d, d) by the inverse of the Hessian, in the directions that are identified."""
        found: FloatArray = (self.basis / self.curvatures) @ self.basis.T
        return found


class _Curvature(NamedTuple):
    """Identified directions with curvature, in units, and these curvatures.

    ``flat`` says whether some identified direction has none; ``rising`` is a direction in which the value rises.
    """

    basis: FloatArray
    curvatures: FloatArray
    flat: bool
    rising: FloatArray | None


class _At(NamedTuple):
    theta: FloatArray
    value: float
    gradient: FloatArray
    norm: float


def maximise_redundant(
    density: ValueGradient,
    start: FloatArray,
    total_weight: float,
    unit: FloatArray,
    identified: Jacobian,
    *,
    max_iterations: int,
) -> RedundantMode:
    """Maximise from ``start`` (d,), and certify where the search ends.

    Parameters
    ----------
    density
        Value and gradient.
    start
        Where to begin.
    total_weight
        Number of observations.
    unit
        (d,) natural sizes of the coordinates.
    identified
        Jacobian (n, d), at a point, of what the coordinates are to determine.
    max_iterations
        Of L-BFGS; Newton steps follow.

    Examples
    --------
    >>> def of_product(x):
    ...     return -((x[0] * x[1] - 2.0) ** 2), -2.0 * (x[0] * x[1] - 2.0) * x[::-1]
    >>> found = maximise_redundant(of_product, np.ones(2), 1.0, np.ones(2), lambda x: x[None, ::-1], max_iterations=99)
    >>> round(float(found.theta.prod()), 8), found.status.name, found.basis.shape
    (2.0, 'CONVERGED', (2, 1))
    """
    theta, history, n_iterations, at_limit = start, np.empty(0), 0, False
    for turn in range(ESCAPES + 1):
        left = max_iterations - n_iterations
        found = lbfgs_restarts(density, theta[None], total_weight, max(left, 1), unit=unit)
        n_iterations, at_limit = n_iterations + int(found.n_iterations[0]), bool(found.at_limit[0])
        history = np.append(history, found.history)
        at, curvature, steps = _newton(
            density, found.points[0], total_weight, lambda x: _curvature(density, x, unit, identified)
        )
        n_iterations += steps
        if curvature.rising is None or turn == ESCAPES or at_limit:
            break
        points = at.theta + np.concatenate([LENGTHS, -LENGTHS])[:, None] * curvature.rising
        values: FloatArray = np.array([density(point)[0] for point in points])
        best = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
        if not values[best] > at.value:
            break
        theta = points[best]
    step: FloatArray = curvature.basis @ ((curvature.basis.T @ at.gradient) / curvature.curvatures)
    decrement, length = float(np.sqrt(max(float(at.gradient @ step), 0.0))), float(np.abs(step).max(initial=0.0))
    status = _status(at, curvature, decrement, length, total_weight, at_limit=at_limit)
    return RedundantMode(
        at.theta,
        at.value,
        at.norm,
        decrement,
        length,
        n_iterations,
        status,
        np.append(history, at.value),
        curvature.basis,
        curvature.curvatures,
    )


def _status(
    at: _At,
    curvature: _Curvature,
    decrement: float,
    length: float,
    total_weight: float,
    *,
    at_limit: bool,
) -> Status:
    """What the certificate implies."""
    stopped = Status.MAX_ITERATIONS if at_limit else Status.NO_PROGRESS
    if not np.isfinite(at.value) or (at_limit and at.norm > GRADIENT_TOLERANCE):
        return stopped
    if curvature.rising is not None:
        return Status.SADDLE
    stationary = min(at.norm / GRADIENT_TOLERANCE, decrement / np.sqrt(total_weight) / DECREMENT_TOLERANCE)
    if not stationary <= 1.0:
        return stopped
    if not length <= STEP_TOLERANCE * (1.0 + np.abs(at.theta).max(initial=0.0)):
        return Status.UNBOUNDED
    return Status.SINGULAR if curvature.flat else Status.CONVERGED


def _newton(
    density: ValueGradient, theta: FloatArray, total_weight: float, curvature_at: Callable[[FloatArray], _Curvature]
) -> tuple[_At, _Curvature, int]:
    """Newton steps in the directions with curvature, each of them shortened until the value rises."""
    at, steps = _evaluate(density, theta, total_weight), 0
    curvature, fresh = curvature_at(at.theta), True
    for _ in range(NEWTON_STEPS):
        if at.norm <= ACCURACY or not np.isfinite(at.value) or curvature.rising is not None:
            break
        after = _step(density, at, curvature, total_weight)
        if after is None:
            break
        fast, at, steps, fresh = after.norm < FAST * at.norm, after, steps + 1, False
        if not fast and at.norm <= GRADIENT_TOLERANCE:  # towards infinity the gradient vanishes, but not fast
            break
        if not fast:
            curvature, fresh = curvature_at(at.theta), True
    return at, curvature if fresh else curvature_at(at.theta), steps


def _step(density: ValueGradient, at: _At, curvature: _Curvature, total_weight: float) -> _At | None:
    """One Newton step; None if neither value nor gradient gain from it."""
    step = curvature.basis @ ((curvature.basis.T @ at.gradient) / curvature.curvatures)
    slope, rounding = float(at.gradient @ step), 1e-13 * (1.0 + abs(at.value))
    for halving in range(HALVINGS):
        share = 0.5**halving
        after = _evaluate(density, at.theta + share * step, total_weight)
        rises = after.value >= at.value + 1e-4 * share * slope - rounding
        if rises and (after.value > at.value + rounding or after.norm < at.norm):
            return after
    return None


def _evaluate(density: ValueGradient, theta: FloatArray, total_weight: float) -> _At:
    value, gradient = density(theta)
    return _At(theta, value, gradient, float(np.abs(gradient).max(initial=0.0)) / total_weight)


def _curvature(density: ValueGradient, theta: FloatArray, unit: FloatArray, identified: Jacobian) -> _Curvature:
    """The curvature in identified directions, and whether it is negative there or in redundant ones."""
    H = hessian_by_differences(density, theta, unit) * unit * unit[:, None]
    if not np.isfinite(H).all():
        return _Curvature(np.empty((len(theta), 0)), np.empty(0), True, None)
    _, sizes, directions = np.linalg.svd(identified(theta) * unit)
    rank = int((sizes > REDUNDANT * sizes[0]).sum())
    others, largest = directions[rank:].T, float(np.abs(np.linalg.eigvalsh(H)[[0, -1]]).max())
    of_others, ways = np.linalg.eigh(others.T @ H @ others)
    if of_others.min(initial=0.0) < -RISING * largest:
        return _Curvature(np.empty((len(theta), 0)), np.empty(0), True, unit * (others @ ways[:, 0]))
    # A prior, or a variance of zero, gives curvature to directions in which nothing else changes.
    own = np.column_stack([directions[:rank].T, others @ ways[:, of_others > RISING * largest]])
    values, vectors = np.linalg.eigh(own.T @ H @ own)
    in_units, least = unit[:, None] * (own @ vectors), FLAT * largest
    kept = values > least
    return _Curvature(in_units[:, kept], values[kept], not kept.all(), in_units[:, 0] if values[0] < -least else None)
