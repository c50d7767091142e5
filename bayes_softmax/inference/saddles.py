"""Escape from saddle points, for densities that are not log-concave.

If the gradient vanishes and the Hessian of minus the log density has a negative eigenvalue, the density rises both
ways along its eigenvector.  A symmetric start can lead there: under full coding with two classes every step from zero
keeps the two columns opposite, though they may not be so at the best point.  Nocedal and Wright, *Numerical
Optimization* (2nd ed., 2006), section 3.4.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.inference.block_metric import preconditioner_at
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.inference.conjugate import smallest_curvature

ESCAPES = 5  # most saddle points escaped in succession
NEGATIVE = -1e-8  # relative to the metric's curvature: below is a saddle point, above rounding of a flat direction
LENGTHS = np.geomspace(1e-3, 30.0, 24)  # of the step, in units of the metric's standard deviations


def away_from_saddles(density: LogDensity, run: Callable[[FloatArray], Mode], mode: Mode) -> Mode:
    """Continue from ``mode`` with the solver ``run`` while it is a saddle point.

    Parameters
    ----------
    density
        The density to maximise.
    run
        The solver, as a function of a starting point.
    mode
        Where it first stopped.
    """
    for attempt in range(ESCAPES + 1):
        direction = negative_curvature(density, mode.theta) if mode.status is Status.SINGULAR else None
        if direction is None:
            return mode
        if attempt == ESCAPES:
            break
        points = mode.theta + np.concatenate([LENGTHS, -LENGTHS])[:, None] * direction
        values = density.values(points)
        best = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
        if not values[best] > mode.value:
            break
        further = run(points[best])
        n_iterations = mode.n_iterations + 1 + further.n_iterations
        mode = further._replace(n_iterations=n_iterations, history=np.concatenate([mode.history, further.history]))
    return mode._replace(status=Status.SADDLE)


def negative_curvature(density: LogDensity, theta: FloatArray) -> FloatArray | None:
    """Direction (d,) of negative curvature, the most negative one up to 1500 coordinates; None if there is none."""
    if density.dimension > DENSE_DIMENSION:
        solve = preconditioner_at(density, theta)
        found, direction = smallest_curvature(density.hessian_vector(theta, convex=False), solve, density.dimension)
        return (
            direction / np.sqrt(float(direction @ density.hessian_vector(theta)(direction)))
            if found < NEGATIVE
            else None
        )
    scale = 1.0 / np.sqrt(np.maximum(np.diag(density.metric(theta)), np.finfo(float).tiny))
    H = density.hessian(theta) * scale * scale[:, None]
    if not np.isfinite(H).all():
        return None
    value, vector = eigh(H, subset_by_index=(0, 0))
    if value[0] > NEGATIVE:
        return None
    steepest: FloatArray = scale * vector[:, 0]
    return steepest
