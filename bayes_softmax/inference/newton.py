"""Newton's method with a line search, and Newton with conjugate gradients, for any ``LogDensity``.

Both maximise; both take full steps near the optimum, where convergence is quadratic.  Nocedal and Wright,
*Numerical Optimization* (2nd ed., 2006), chapters 3 and 7.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.block_metric import preconditioner_at
from bayes_softmax.inference.certificate import DECREMENT_TOLERANCE, Solve, certify, cheap_hessian, newton_step
from bayes_softmax.inference.conjugate import conjugate_gradients

ARMIJO = 1e-4
VALUE_ROUNDING = 1e-13  # relative rounding error of a sum of N terms: smaller decreases are not significant
TARGET = 1e-13  # gradient per observation at which further steps only change rounding errors
CG_TARGET = 1e-11  # the same if each digit costs conjugate gradient steps; the certificate requires 1e-8
RIDGE = 1e-10  # relative to the diagonal of a singular Hessian: steps then follow the directions the data determine

RIDGE_FLOOR = 1e-3

# Levenberg's damping, in units of the curvature of one logit per observation: if all probabilities are 0 or 1 (large
# offsets) the Hessian does not determine the length of a step, so steps start short and grow.
DAMPINGS = (1e-4, 1e2)
EASING = 0.1  # factor on the damping after a step that succeeded with it
LARGE_GRADIENT = 1e-3  # per observation: near an optimum a short step is due to rounding, not to a poor direction
NO_OPTIMUM = 1e-6  # the same for a search that fails altogether
SHORT = 1e-3  # shorter accepted steps indicate a poor direction: the next one is damped


class Trial(NamedTuple):
    """A point accepted by a line search, the length of the step, and the value and gradient there."""

    theta: FloatArray
    value: float
    gradient: FloatArray
    length: float


Direction = Callable[[FloatArray, FloatArray, float], FloatArray | None]
# Of a density, a point, value and gradient there, and a step.
Search = Callable[[LogDensity, FloatArray, float, FloatArray, FloatArray], Trial | None]


class Stop(NamedTuple):
    """When a search ends: at this gradient per observation, or decrement over the root of the observations."""

    gradient: float = TARGET
    decrement: float = 0.0


ROUNDING = Stop()  # when further steps only change rounding errors


def newton(
    density: LogDensity,
    start: FloatArray,
    max_iterations: int = 500,
    *,
    stop: Stop = ROUNDING,
    search: Search | None = None,
) -> Mode:
    """Maximise by Newton steps: from a Cholesky factor of the Hessian, or by :func:`newton_cg` if that is cheaper.

    If the Hessian is not positive definite (a Student-t prior far from its centre) the metric is used, and if that is
    singular (collinear features) a ridge is added: the probabilities still converge, and the certificate reports that
    the coefficients are not determined.  ``stop`` and ``search`` are those of :func:`ascend`.
    """
    if not cheap_hessian(density):
        return newton_cg(density, start, max_iterations)

    singular = False  # whether the metric was singular at the previous point

    def direction(theta: FloatArray, gradient: FloatArray, damping: float) -> FloatArray | None:
        nonlocal singular
        metric, step = None, None
        if not damping and singular:  # the Hessian is no larger than the metric: singular if the metric still is
            metric = density.metric(theta)
            singular = newton_step(metric, gradient) is None
        if not damping and not singular:
            step = newton_step(density.hessian(theta), gradient)
        if step is None:
            metric = density.metric(theta) if metric is None else metric
            if damping or not singular:
                metric[np.diag_indices_from(metric)] += damping * (density.total_weight + np.diag(metric))
                step = newton_step(metric, gradient)
                singular = not damping and step is None
            if step is None:
                # A coordinate without curvature, such as one of a class never on offer, gets a share of the mean.
                diagonal = np.diag(metric)
                step = newton_step(
                    metric + np.diag(RIDGE * np.maximum(diagonal, RIDGE_FLOOR * diagonal.mean())), gradient
                )
        return step

    return ascend(density, start, direction, max_iterations, stop, search=search)


def newton_cg(density: LogDensity, start: FloatArray, max_iterations: int = 200, solve: Solve | None = None) -> Mode:
    """Maximise by Newton steps from truncated conjugate gradients: no matrix is formed until the certificate.

    The inner tolerance follows the gradient (Eisenstat-Walker), so that convergence stays superlinear.  The
    preconditioner is ``solve``, or one that is recomputed as the point moves: at iterations 0, 1, 3, 7, ...
    """
    first_norm, n_directions, current = 0.0, 0, solve or (lambda r: r)

    def direction(theta: FloatArray, gradient: FloatArray, damping: float) -> FloatArray:
        nonlocal first_norm, n_directions, current
        norm = float(np.linalg.norm(gradient))
        first_norm = first_norm or norm
        n_directions += 1
        if solve is None and n_directions & (n_directions - 1) == 0:  # a power of two
            current = preconditioner_at(density, theta)
        enough = 0.1 * CG_TARGET * density.total_weight / norm
        tolerance = max(min(0.1, (norm / first_norm) ** 0.5), enough)
        product = density.hessian_vector(theta, convex=False)
        if not damping:
            return conjugate_gradients(product, gradient, tolerance, current)
        shift = damping * density.total_weight
        return conjugate_gradients(lambda v: product(v) + shift * v, gradient, tolerance, lambda r: r)

    return ascend(density, start, direction, max_iterations, Stop(CG_TARGET), solve=solve)


def ascend(
    density: LogDensity,
    start: FloatArray,
    direction: Direction,
    max_iterations: int,
    stop: Stop = ROUNDING,
    *,
    solve: Solve | None = None,
    search: Search | None = None,
) -> Mode:
    """Step along ``direction`` until the gradient is rounding error or stops shrinking, or the coefficients diverge.

    ``solve`` preconditions the certificate, see :func:`certify`; ``search`` is the line search, by default
    :func:`backtrack`.
    """
    search = search or backtrack
    finish = partial(certify, density, solve=solve)
    theta = start
    value, gradient = density.value_gradient(theta)
    history: list[float] = []
    best_norm, stalled, damping = np.inf, 0, 0.0
    for iteration in range(max_iterations if np.isfinite(value) else 0):
        norm = float(np.abs(gradient).max(initial=0.0)) / density.total_weight
        stalled = stalled + 1 if norm >= 0.5 * best_norm else 0
        best_norm = min(best_norm, norm)
        at_floor = norm <= 1e-10 and stalled >= 2
        if norm <= stop.gradient or at_floor:
            return finish(theta, iteration, history, stopped=Status.UNBOUNDED)
        history.append(value)
        step = direction(theta, gradient, damping)
        # Rounding of ill-conditioned coefficients can keep the gradient large though its Newton step gains nothing.
        no_gain = 0.01 * DECREMENT_TOLERANCE**2 * density.total_weight
        if step is not None and stalled >= 2 and float(gradient @ step) <= no_gain:
            return finish(theta, iteration, history, stopped=Status.NO_PROGRESS)
        enough = stop.decrement**2 * density.total_weight
        if step is not None and enough and 0 <= float(gradient @ step) <= enough:
            return finish(theta, iteration, history[:-1], stopped=Status.NO_PROGRESS)
        trial = None if step is None else search(density, theta, value, gradient, step)
        while _poor(trial, norm) and damping < DAMPINGS[1]:
            damping = max(10 * damping, DAMPINGS[0])
            step = direction(theta, gradient, damping)
            damped = None if step is None else search(density, theta, value, gradient, step)
            trial = max((t for t in (trial, damped) if t), key=lambda t: t.value, default=None)
        if trial is None:
            return finish(theta, iteration, history, stopped=Status.SINGULAR if step is None else Status.NO_PROGRESS)
        theta, value, gradient, _ = trial
        damping = EASING * damping if EASING * damping >= DAMPINGS[0] else 0.0
    if not np.isfinite(value):  # Jeffreys' prior with singular information
        return finish(theta, 0, history, stopped=Status.SINGULAR)
    return finish(theta, max_iterations, history)


def _poor(trial: Trial | None, norm: float) -> bool:
    """Whether the direction was poor: the search failed, or accepted only a short step, far from an optimum."""
    return norm > NO_OPTIMUM if trial is None else trial.length < SHORT and norm > LARGE_GRADIENT


def backtrack(
    density: LogDensity, theta: FloatArray, value: float, gradient: FloatArray, step: FloatArray
) -> Trial | None:
    """Backtrack from the full step until the value rises enough (Armijo), up to rounding error of the value."""
    slope = float(gradient @ step)
    length = 1.0
    for _ in range(40):
        candidate = theta + length * step
        new_value, new_gradient = density.value_gradient(candidate)
        if np.isfinite(new_value) and new_value >= value + ARMIJO * length * slope - VALUE_ROUNDING * abs(value):
            return Trial(candidate, new_value, new_gradient, length)
        length *= 0.5
    return None
