"""Solvers that use only gradients: SciPy's L-BFGS, and plain gradient descent for teaching."""

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, eigsh

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.certificate import DENSE_DIMENSION, GRADIENT_TOLERANCE, certify


def lbfgs(density: LogDensity, start: FloatArray, max_iterations: int = 10_000) -> Mode:
    """Maximise the mean per observation by L-BFGS-B (SciPy), so that tolerances do not depend on N."""
    history: list[float] = []
    n = density.total_weight

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = density.value_gradient(theta)
        return -value / n, -gradient / n

    result = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda theta: history.append(density.value(theta)),
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "ftol": 0.0,
            "gtol": 1e-10,
            "maxcor": 30,
        },
    )
    stopped = Status.MAX_ITERATIONS if result.status == 1 else Status.NO_PROGRESS
    return certify(density, np.asarray(result.x), int(result.nit), history[:-1], stopped=stopped)


def _largest_curvature(density: LogDensity, theta: FloatArray) -> float:
    """Largest eigenvalue of the metric, without forming a large matrix."""
    d = density.dimension
    if d <= DENSE_DIMENSION:
        return float(np.linalg.eigvalsh(density.metric(theta))[-1])
    metric = LinearOperator((d, d), matvec=density.hessian_vector(theta), dtype=np.float64)
    return float(eigsh(metric, k=1, which="LA", return_eigenvectors=False, v0=np.ones(d), tol=1e-3)[0])


def gradient_descent(
    density: LogDensity,
    start: FloatArray,
    max_iterations: int = 20_000,
    learning_rate: float | None = None,
) -> Mode:
    r"""Plain gradient steps on the mean negative log density: :math:`\theta \leftarrow \theta - \epsilon \nabla`.

    Parameters
    ----------
    density, start, max_iterations
        The density to maximise, the starting point, and the iteration limit.
    learning_rate
        Step size :math:`\epsilon` on the mean cross-entropy (plus prior).  Default: one over the largest eigenvalue of
        the Hessian at the start, times 1/2 as a margin for larger curvature on the way.

    Returns
    -------
    Mode
        ``history`` holds the log density at each iterate.
    """
    if learning_rate is None:
        learning_rate = 0.5 * density.total_weight / _largest_curvature(density, start)
    elif not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate={learning_rate!r} must be positive and finite")
    theta = start
    history: list[float] = []
    for iteration in range(max_iterations):
        value, gradient = density.value_gradient(theta)
        if iteration == 0 and not np.isfinite(value):
            return certify(density, theta, 0, history, stopped=Status.SINGULAR)
        if not np.isfinite(value) or np.abs(theta).max(initial=0.0) > 1e100:
            return certify(density, np.full_like(theta, np.nan), iteration, history)
        if np.abs(gradient).max(initial=0.0) <= 0.1 * GRADIENT_TOLERANCE * density.total_weight:
            return certify(density, theta, iteration, history)
        history.append(value)
        theta = theta + (learning_rate / density.total_weight) * gradient
    return certify(density, theta, max_iterations, history)
