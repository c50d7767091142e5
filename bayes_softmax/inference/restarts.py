"""L-BFGS from several starts, for log densities with more than one mode."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel

GRADIENT_TOLERANCE = 1e-6  # per observation: log densities there are within about 1e-8 N of their stationary value
SAME_VALUE = 1e-3  # nats: runs that end within it of the best value reached it
MEMORY = 30  # pairs of vectors that approximate the curvature

type ValueGradient = Callable[[FloatArray], tuple[float, FloatArray]]


class Restarts(NamedTuple):
    """Where the runs ended, best first.

    ``points`` (R, d), ``values`` (R,) of the log density, ``gradient_norms`` (R,) the largest absolute entry of each
    gradient per observation, ``n_iterations`` (R,), and ``starts`` (R,), the number of each run's start.
    """

    points: FloatArray
    values: FloatArray
    gradient_norms: FloatArray
    n_iterations: IntArray
    starts: IntArray

    @property
    def n_at_best(self) -> int:
        """How many runs reached the best value."""
        return int((self.values >= self.values[0] - SAME_VALUE).sum())

    @property
    def is_stationary(self) -> bool:
        """Whether the gradient vanishes at the best point, to the tolerance."""
        return bool(self.gradient_norms[0] <= GRADIENT_TOLERANCE)


def lbfgs_restarts(
    density: ValueGradient, starts: FloatArray, total_weight: float, max_iterations: int = 5000
) -> Restarts:
    """Maximise a log density by SciPy's L-BFGS-B from each of ``starts`` (R, d), in parallel.

    ``density`` returns value and gradient, and should release Python's lock.  ``total_weight`` is the number of
    observations: tolerances are per observation.

    Examples
    --------
    >>> def two_modes(x):
    ...     return -float(((x**2 - 1) ** 2).sum()), -4 * x * (x**2 - 1)
    >>> found = lbfgs_restarts(two_modes, np.array([[0.5], [-3.0]]), 1.0)
    >>> np.abs(found.points).round(4).ravel().tolist(), found.n_at_best, found.is_stationary
    ([1.0, 1.0], 2, True)
    """

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = density(theta)
        return -value / total_weight, -gradient / total_weight

    def run(first: int, _: int) -> tuple[FloatArray, int]:
        with np.errstate(all="ignore"):  # a step that overflows is rejected
            found = minimize(
                objective,
                starts[first],
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": max_iterations,
                    "maxfun": 2 * max_iterations,
                    "maxcor": MEMORY,
                    "ftol": 0.0,
                    "gtol": GRADIENT_TOLERANCE,
                },
            )
        return np.asarray(found.x), int(found.nit)

    with blas_on_one_thread():
        ended = in_parallel(run, [(start, start + 1) for start in range(len(starts))])
        at = [density(theta) for theta, _ in ended]
    values = np.array([value for value, _ in at])
    norms = np.array([float(np.abs(gradient).max(initial=0.0)) for _, gradient in at]) / total_weight
    order = np.argsort(np.where(np.isfinite(values), -values, np.inf), kind="stable")
    iterations = np.array([n for _, n in ended])
    points: FloatArray = np.array([theta for theta, _ in ended])[order]
    return Restarts(points, values[order], norms[order], iterations[order], order)
