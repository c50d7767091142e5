"""L-BFGS from several starts, for log densities with more than one mode."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel

GRADIENT_TOLERANCE = 1e-6  # per observation: log densities there are within about 1e-8 N of their stationary value
SAME_VALUE = 1e-3  # nats: runs that end within it of the best value reached it
MEMORY = 30  # pairs of vectors that approximate the curvature
# Where a density has kinks, gradients need not vanish at its modes, and a run would creep to its iteration limit: it
# ends where so many iterations together gain so little.
PATIENCE = 50
GAIN = 1e-3  # nats
AT_LIMIT = 1  # SciPy's status of a run that reached the limit of iterations or evaluations

MAX_ITERATIONS = 5000

type ValueGradient = Callable[[FloatArray], tuple[float, FloatArray]]


class Restarts(NamedTuple):
    """Where the runs ended, best first.

    ``points`` (R, d), ``values`` (R,) of the log density, ``gradient_norms`` (R,) the largest absolute entry of each
    gradient per observation, ``n_iterations`` (R,), ``starts`` (R,), the number of each run's start, and ``at_limit``
    (R,), whether the iteration limit ended it; ``history`` are the values at the iterates of the best run.
    """

    points: FloatArray
    values: FloatArray
    gradient_norms: FloatArray
    n_iterations: IntArray
    starts: IntArray
    at_limit: NDArray[np.bool_]
    history: FloatArray

    @property
    def n_at_best(self) -> int:
        """How many runs reached the best value."""
        return int((self.values >= self.values[0] - SAME_VALUE).sum())

    @property
    def is_stationary(self) -> bool:
        """Whether the gradient vanishes at the best point, to the tolerance."""
        return bool(self.gradient_norms[0] <= GRADIENT_TOLERANCE)


class _Run(NamedTuple):
    """Where one run ended, and the values at its iterates."""

    theta: FloatArray
    n_iterations: int
    at_limit: bool
    history: FloatArray


def lbfgs_restarts(
    density: ValueGradient,
    starts: FloatArray,
    total_weight: float,
    max_iterations: int = MAX_ITERATIONS,
    *,
    kinked: bool = False,
    unit: FloatArray | None = None,
) -> Restarts:
    """Maximise a log density by SciPy's L-BFGS-B from each of ``starts`` (R, d), in parallel.

    ``density`` returns value and gradient, and should release Python's lock.  ``total_weight`` is the number of
    observations: tolerances are per observation.  ``kinked`` says that the density has kinks: a run then ends where it
    makes no more progress.  ``unit`` (d,) are the units in which steps are measured, such as the priors' scales: where
    these differ by orders of magnitude, hundreds of iterations are saved.  Interrupted, all runs end at their next
    iteration.

    Examples
    --------
    >>> def two_modes(x):
    ...     return -float(((x**2 - 1) ** 2).sum()), -4 * x * (x**2 - 1)
    >>> found = lbfgs_restarts(two_modes, np.array([[0.5], [-3.0]]), 1.0)
    >>> np.abs(found.points).round(4).ravel().tolist(), found.n_at_best, found.is_stationary
    ([1.0, 1.0], 2, True)
    """
    size = np.ones(starts.shape[1]) if unit is None else unit
    interrupted = threading.Event()

    def run(first: int, _: int) -> _Run:
        losses: list[float] = []
        norm = np.inf  # of the gradient at the last evaluation, which at the end of an iteration is that of its point

        def objective(u: FloatArray) -> tuple[float, FloatArray]:
            nonlocal norm
            value, gradient = density(size * u)
            norm = float(np.abs(gradient).max(initial=0.0)) / total_weight
            return -value / total_weight, -size * gradient / total_weight

        def watch(intermediate_result: OptimizeResult) -> None:
            losses.append(float(intermediate_result.fun))
            stalled = kinked and len(losses) > PATIENCE and losses[-PATIENCE - 1] - losses[-1] < GAIN / total_weight
            if stalled or norm <= GRADIENT_TOLERANCE or interrupted.is_set():
                raise StopIteration

        try:
            with np.errstate(all="ignore"):  # a step that overflows is rejected
                found = minimize(
                    objective,
                    starts[first] / size,
                    jac=True,
                    method="L-BFGS-B",
                    callback=watch,
                    options={
                        "maxiter": max_iterations,
                        "maxfun": 2 * max_iterations,
                        "maxcor": MEMORY,
                        "ftol": 0.0,
                        "gtol": 0.0,  # `watch` has the tolerance, which does not depend on the units
                    },
                )
        except BaseException:
            interrupted.set()  # the others end too: they are waited for
            raise
        return _Run(
            size * np.asarray(found.x), int(found.nit), found.status == AT_LIMIT, -total_weight * np.array(losses)
        )

    with blas_on_one_thread():
        try:
            ended = in_parallel(run, [(start, start + 1) for start in range(len(starts))])
        finally:
            interrupted.set()
        at = [density(one.theta) for one in ended]
    values = np.array([value for value, _ in at])
    norms = np.array([float(np.abs(gradient).max(initial=0.0)) for _, gradient in at]) / total_weight
    order = np.argsort(np.where(np.isfinite(values), -values, np.inf), kind="stable")
    sorted_ = [ended[i] for i in order]
    return Restarts(
        np.array([one.theta for one in sorted_]),
        values[order],
        norms[order],
        np.array([one.n_iterations for one in sorted_]),
        order,
        np.array([one.at_limit for one in sorted_]),
        sorted_[0].history,
    )
