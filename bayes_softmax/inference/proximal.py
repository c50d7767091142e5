r"""Proximal Newton: maximises a smooth log density minus norms of groups of coordinates, with exact zeros.

The objective is :math:`\ell(\theta) - \sum_g s_g |\theta_g|`.  Each iteration

1. puts into the working set the coordinates without penalty, the non-zero groups, and the zero groups whose gradient
   is longer than :math:`s_g` (only these can leave zero);
2. maximises over it the quadratic model of :math:`\ell` minus the norms (:mod:`bayes_softmax.inference.quadratic`);
3. searches along the segment to that point for a sufficient rise.

Lee, Sun and Saunders, *SIAM J. Optim.* 24 (2014); Tseng and Yun, *Math. Program.* 117 (2009).  The certificate is the
distance of the gradient from the subdifferential of the norms (the KKT residual): zero at the maximum and, for a
log-concave density, nowhere else.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, IntArray, Mode, Penalty, Status
from bayes_softmax.inference.certificate import GRADIENT_TOLERANCE, STEP_TOLERANCE, newton_step
from bayes_softmax.inference.newton import ARMIJO, RIDGE, TARGET, VALUE_ROUNDING
from bayes_softmax.inference.quadratic import PenaltyBlocks, QuadraticModel, kkt_residual, minimise, norm_curvature

# Up to this size the whole Hessian may be formed; above, only its columns of the working set, by one product each.
DENSE_DIMENSION = 3000
# Most zero groups admitted at once, in coordinates, or as many as are in the set already: the first steps suggest more
# than are needed.
NEW_COORDINATES = 500
INNER_ACCURACY = 0.01  # KKT residual of the quadratic model, relative to the outer one


class Current(NamedTuple):
    """A point, with value and gradient of the smooth part there."""

    theta: FloatArray
    value: float
    gradient: FloatArray


# Of the smooth part, the penalty, the current point and the proposed one.
Search = Callable[[LogDensity, Penalty, Current, FloatArray], Current | None]


def proximal_newton(
    smooth: LogDensity,
    penalty: Penalty,
    start: FloatArray,
    max_iterations: int = 100,
    *,
    target: float = TARGET,
    search: Search | None = None,
) -> Mode:
    """Maximise ``smooth`` minus ``penalty``; zeros of the result are exact.

    It ends at a residual of ``target`` per observation.  ``search`` is the line search, by default :func:`backtrack`.

    Returns
    -------
    Mode
        ``gradient_norm`` is the KKT residual per observation; decrement and step are Newton's with the zeros held.
    """
    theta = start
    value, gradient = smooth.value_gradient(theta)
    history: list[float] = []
    best, stalled = np.inf, 0
    for iteration in range(max_iterations):
        residual = _residual(smooth, penalty, theta, gradient)
        stalled = stalled + 1 if residual >= 0.5 * best else 0
        best = min(best, residual)
        if residual <= target or (residual <= 1e-10 and stalled >= 2):
            return _certify(smooth, penalty, theta, iteration, history, Status.UNBOUNDED)
        history.append(value - penalty.value(theta))
        proposal = _model_optimum(smooth, penalty, theta, gradient, INNER_ACCURACY * residual * smooth.total_weight)
        trial = (search or backtrack)(smooth, penalty, Current(theta, value, gradient), proposal)
        if trial is None:
            return _certify(smooth, penalty, theta, iteration, history, Status.NO_PROGRESS)
        theta, value, gradient = trial
    return _certify(smooth, penalty, theta, max_iterations, history, Status.MAX_ITERATIONS)


def _residual(smooth: LogDensity, penalty: Penalty, theta: FloatArray, gradient: FloatArray) -> float:
    """KKT residual per observation."""
    members, blocks = _select(penalty, len(theta), np.arange(len(penalty.groups)))
    return kkt_residual(theta[members], gradient[members], blocks) / smooth.total_weight


def _select(penalty: Penalty, dimension: int, groups: IntArray) -> tuple[IntArray, PenaltyBlocks]:
    """Coordinates without a norm, then those of some groups; and their division into blocks."""
    free = np.setdiff1d(np.arange(dimension), penalty.groups)
    members = np.concatenate([free, penalty.groups[groups].ravel()])
    return members, PenaltyBlocks(len(free), penalty.groups.shape[1], penalty.strengths[groups])


def _working_groups(penalty: Penalty, theta: FloatArray, gradient: FloatArray) -> IntArray:
    """Non-zero groups, and the zero groups that violate optimality most."""
    away = penalty.norms(theta) > 0
    excess = np.linalg.norm(gradient[penalty.groups], axis=1) - penalty.strengths
    excess[away] = -np.inf
    size = penalty.groups.shape[1]
    allowed = max(NEW_COORDINATES // size, int(away.sum()))
    new = np.argsort(-excess)[:allowed]
    chosen: IntArray = np.concatenate([np.flatnonzero(away), new[excess[new] > 0]])
    return chosen


def _model_optimum(
    smooth: LogDensity, penalty: Penalty, theta: FloatArray, gradient: FloatArray, tolerance: float
) -> FloatArray:
    """Point (d,) that maximises the quadratic model at ``theta`` over the working set."""
    members, blocks = _select(penalty, len(theta), _working_groups(penalty, theta, gradient))
    model = QuadraticModel(_curvature(smooth, theta, members), gradient[members], theta[members], blocks)
    proposal = theta.copy()
    proposal[members] = minimise(model, tolerance)
    return proposal


def _curvature(smooth: LogDensity, theta: FloatArray, members: IntArray) -> FloatArray:
    """Positive semi-definite metric of some coordinates (m, m)."""
    columns_work = 2.0 * smooth.work * len(members)
    if smooth.dimension <= DENSE_DIMENSION and smooth.hessian_work <= columns_work:
        return smooth.metric(theta)[np.ix_(members, members)]
    product, unit = smooth.hessian_vector(theta), np.zeros_like(theta)
    H = np.empty((len(members), len(members)))
    for row, member in zip(H, members.tolist(), strict=True):
        unit[member] = 1.0
        row[:] = product(unit)[members]
        unit[member] = 0.0
    return 0.5 * (H + H.T)


def backtrack(smooth: LogDensity, penalty: Penalty, current: Current, proposal: FloatArray) -> Current | None:
    """Backtrack from the model's optimum until the objective rises enough (Armijo rule of Tseng and Yun)."""
    theta, value, gradient = current
    before = penalty.value(theta)
    rise = float(gradient @ (proposal - theta)) - penalty.value(proposal) + before
    length = 1.0
    for _ in range(40):
        candidate = proposal if length == 1.0 else theta + length * (proposal - theta)
        new_value, new_gradient = smooth.value_gradient(candidate)
        enough = value - before + ARMIJO * length * rise - VALUE_ROUNDING * (abs(value) + before)
        if new_value - penalty.value(candidate) >= enough:
            return Current(candidate, new_value, new_gradient)
        length *= 0.5
    return None


def _certify(
    smooth: LogDensity, penalty: Penalty, theta: FloatArray, n_iterations: int, history: list[float], stopped: Status
) -> Mode:
    """KKT residual at ``theta``, and Newton's step and decrement with the zeros held.

    If several points are optimal (full coding: a constant added to a feature's weights may change neither
    likelihood nor penalty) the Hessian is singular; since the penalty grows in every direction, it remains to show
    that the coordinates without a penalty are at a finite optimum.
    """
    value, gradient = smooth.value_gradient(theta)
    value -= penalty.value(theta)
    residual = _residual(smooth, penalty, theta, gradient)
    members, blocks = _select(penalty, len(theta), np.flatnonzero(penalty.norms(theta) > 0))
    slope, bend = norm_curvature(theta[members], blocks)
    ascent = gradient[members] - slope
    step = _step(_curvature(smooth, theta, members) + bend, ascent, blocks.n_free)
    decrement = length = np.nan
    status = Status.SINGULAR
    if step is not None:
        decrement, length = float(np.sqrt(max(float(ascent @ step), 0.0))), float(np.abs(step).max(initial=0.0))
        small_step = length <= STEP_TOLERANCE * (1.0 + np.abs(theta).max(initial=0.0))
        status = Status.CONVERGED if small_step else Status.UNBOUNDED
    if residual > GRADIENT_TOLERANCE:
        status = stopped
    return Mode(theta, value, residual, decrement, length, n_iterations, status, np.array([*history, value]))


def _step(H: FloatArray, ascent: FloatArray, n_free: int) -> FloatArray | None:
    """Newton step; with a ridge if ``H`` is singular but not in the coordinates without a penalty."""
    step = newton_step(H, ascent)
    if step is None and newton_step(H[:n_free, :n_free], ascent[:n_free]) is not None:
        return newton_step(H + np.diag(RIDGE * np.diag(H)), ascent)
    return step
