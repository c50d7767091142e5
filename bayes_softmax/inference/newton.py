"""Newton's method with a line search, and Newton with conjugate gradients, for any ``LogDensity``.

Both maximise; both take full steps near the optimum, where convergence is quadratic.  Nocedal and Wright,
*Numerical Optimization* (2nd ed., 2006), chapters 3 and 7.
"""

from collections.abc import Callable

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.certificate import certify, newton_step

ARMIJO = 1e-4
VALUE_ROUNDING = 1e-13  # relative noise of a sum of N terms, below which a decrease means nothing
TARGET = 1e-13  # relative gradient at which further steps only move rounding errors
RIDGE = 1e-10  # of the Hessian's diagonal, where it is singular: moves along the directions the data determine

Direction = Callable[[FloatArray, FloatArray], FloatArray | None]


def newton(density: LogDensity, start: FloatArray, max_iterations: int = 100) -> Mode:
    """Maximise by Newton steps from a Cholesky factor of the Hessian.

    Where the Hessian is not positive definite (a Student-t prior far from its centre) the metric is used, and where
    that is singular (collinear features) a ridge on it: the probabilities still converge, and the certificate
    says that the coefficients are not determined.
    """

    def direction(theta: FloatArray, gradient: FloatArray) -> FloatArray | None:
        H = density.hessian(theta)
        step = newton_step(H, gradient)
        if step is None:
            metric = density.metric(theta)
            step = newton_step(metric, gradient)
            if step is None:
                step = newton_step(metric + np.diag(RIDGE * np.diag(metric)), gradient)
        return step

    return _ascend(density, start, direction, max_iterations)


def newton_cg(density: LogDensity, start: FloatArray, max_iterations: int = 200) -> Mode:
    """Maximise by Newton steps from truncated conjugate gradients: no matrix is formed until the certificate.

    The inner tolerance follows the gradient (Eisenstat-Walker), so that convergence stays superlinear.
    """
    first = [0.0]

    def direction(theta: FloatArray, gradient: FloatArray) -> FloatArray:
        norm = float(np.linalg.norm(gradient))
        first[0] = first[0] or norm
        product = density.hessian_vector(theta)
        return _conjugate_gradients(product, gradient, tolerance=min(0.1, (norm / first[0]) ** 0.5))

    return _ascend(density, start, direction, max_iterations)


def _ascend(density: LogDensity, start: FloatArray, direction: Direction, max_iterations: int) -> Mode:
    """Steps along ``direction`` until the gradient is rounding, stops shrinking, or the coefficients diverge."""
    theta = start
    value, gradient = density.value_gradient(theta)
    history: list[float] = []
    best_norm, stalled = np.inf, 0
    for iteration in range(max_iterations):
        norm = float(np.abs(gradient).max(initial=0.0)) / density.total_weight
        stalled = stalled + 1 if norm >= 0.5 * best_norm else 0
        best_norm = min(best_norm, norm)
        at_floor = norm <= 1e-10 and stalled >= 2
        if norm <= TARGET or at_floor:
            return certify(density, theta, iteration, history, stopped=Status.UNBOUNDED)
        history.append(value)
        step = direction(theta, gradient)
        if step is None:
            return certify(density, theta, iteration, history, stopped=Status.SINGULAR)
        trial = _line_search(density, theta, value, gradient, step)
        if trial is None:
            return certify(density, theta, iteration, history, stopped=Status.NO_PROGRESS)
        theta, value, gradient = trial
    return certify(density, theta, max_iterations, history)


def _line_search(
    density: LogDensity, theta: FloatArray, value: float, gradient: FloatArray, step: FloatArray
) -> tuple[FloatArray, float, FloatArray] | None:
    """Backtrack from the full step until the value rises enough (Armijo), allowing for rounding in the value."""
    slope = float(gradient @ step)
    length = 1.0
    for _ in range(40):
        candidate = theta + length * step
        new_value, new_gradient = density.value_gradient(candidate)
        if new_value >= value + ARMIJO * length * slope - VALUE_ROUNDING * abs(value):
            return candidate, new_value, new_gradient
        length *= 0.5
    return None


def _conjugate_gradients(
    product: Callable[[FloatArray], FloatArray], gradient: FloatArray, tolerance: float
) -> FloatArray:
    """Approximate ``H^-1 gradient``; stops early where ``H`` shows no curvature."""
    solution = np.zeros_like(gradient)
    residual, direction = gradient.copy(), gradient.copy()
    squared = start = float(residual @ residual)
    for _ in range(min(len(gradient) + 10, 250)):
        image = product(direction)
        curvature = float(direction @ image)
        if curvature <= 1e-16 * squared:
            return solution if solution.any() else gradient
        length = squared / curvature
        solution += length * direction
        residual -= length * image
        previous, squared = squared, float(residual @ residual)
        if squared <= tolerance**2 * start:
            break
        direction = residual + (squared / previous) * direction
    return solution
