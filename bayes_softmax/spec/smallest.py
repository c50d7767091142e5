"""A smallest set of columns that tell apart what all columns can, certified by linear programs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.recession import (
    FIRST_ROWS,
    NEGATIVE,
    POSITIVE,
    SOLVER_TOLERANCE,
    Cone,
    Observed,
    margin_matrix,
)

MOST_UNKNOWNS = 100  # of a program; more would take longer than the question is worth
MOST_ROUNDS = 20  # of cutting planes for one set of columns


class Separating(NamedTuple):
    """A direction (K, q) with the margins of the whole cone, and the ``columns`` (s,) that it needs."""

    direction: FloatArray
    columns: IntArray


def smallest_separating(cone: Cone, intercept: FloatArray | None) -> Separating:
    """Columns of which none can be left out: without it, what the cone tells apart is no longer all told apart.

    Columns are tried in the order of their size in the direction inside the cone, one, two, four and so on of them,
    until a linear program finds a direction that has all the positive margins; then each one is left out, the least
    first, if the rest still has.  So no *proper subset* of the result will do (it is inclusion-minimal); a set of other
    columns may be smaller still, unless a single column is found.  For complete separation every single column is
    tried.  Where programs would have more than 100 unknowns, ``(K - 1)`` times the columns, the columns are those of
    the direction inside the cone, and some of them may not be needed.

    Parameters
    ----------
    cone
        With at least one direction.
    intercept
        (q,) the raw intercept as a linear function of the columns, the first of which belongs to it and is left out
        last; None if there is none.
    """
    observed, K = cone.observed, cone.observed.n_classes
    inside = cone.directions.sum(axis=0)
    inside = inside / np.abs(inside).max()
    first = np.zeros(0 if intercept is None else 1, dtype=np.int64)
    size = np.ptp(inside, axis=0)
    size[: len(first)] = 0.0
    ranked = np.argsort(-size, kind="stable")[: int((size > POSITIVE).sum())]
    if (cone.positive == observed.others).all():
        alone = _single_columns(cone)
        ranked = np.array([*(j for j in ranked if alone[j]), *(j for j in ranked if not alone[j])], dtype=np.int64)
    most = MOST_UNKNOWNS // (K - 1) - len(first)
    columns = np.concatenate([first, ranked])
    found, length = None, 1
    while found is None and length <= min(most, len(ranked)):
        columns = np.concatenate([first, ranked[:length]])
        found = _within(cone, columns, None)
        length = min(2 * length, len(ranked)) if length < len(ranked) else length + 1
    if found is None:
        return Separating(inside, np.concatenate([first, ranked]))
    for j in columns[len(first) :][::-1]:
        if len(columns) == 1 + len(first) and observed.offered is None:
            break  # constants alone tell no two observed classes apart
        rest = columns[columns != j]
        fewer = _within(cone, rest, None)
        if fewer is not None:
            found, columns = fewer, rest
    if intercept is not None and len(columns) > 1:
        through_zero = _within(cone, columns, intercept[columns])
        found = found if through_zero is None else through_zero
    return Separating(found, columns)


def _single_columns(cone: Cone) -> NDArray[np.bool_]:
    """(q,) columns along which the ranges of the classes do not overlap: such a column separates on its own."""
    observed = cone.observed
    classes = np.unique(observed.own)
    low = np.array([observed.Z[observed.own == k].min(axis=0) for k in classes])
    high = np.array([observed.Z[observed.own == k].max(axis=0) for k in classes])
    order = np.argsort(low, axis=0)
    low, high = np.take_along_axis(low, order, axis=0), np.take_along_axis(high, order, axis=0)
    apart: NDArray[np.bool_] = (high[:-1] < low[1:]).all(axis=0)
    return apart


def _within(cone: Cone, columns: IntArray, vanishing: FloatArray | None) -> FloatArray | None:
    """A direction (K, q) of these columns alone with all positive margins of the cone, or None if there is none.

    The least of them is made as large as possible, from a working set of constraints; with ``vanishing`` (s,) this
    function of the direction is zero for every class.
    """
    observed = cone.observed._replace(Z=np.ascontiguousarray(cone.observed.Z[:, columns]))
    zero = observed.others & ~cone.positive
    working = cone.working
    for _ in range(MOST_ROUNDS):
        direction = _largest_least_margin(observed, cone.positive, working, vanishing)
        if direction is None:
            return None
        margins = observed.margins(direction)
        bad = (cone.positive & (margins <= POSITIVE)) | (zero & (margins < NEGATIVE))
        if not bad.any():
            full = np.zeros((observed.n_classes, cone.observed.Z.shape[1]))
            full[:, columns] = direction
            return full
        flat = np.flatnonzero(bad)
        if len(flat) > max(len(working), FIRST_ROWS):
            flat = flat[np.argsort(margins.ravel()[flat], kind="stable")[: max(len(working), FIRST_ROWS)]]
        extended = np.unique(np.vstack([working, np.column_stack(np.divmod(flat, bad.shape[1]))]), axis=0)
        if len(extended) == len(working):  # nothing but the solver's tolerance lets it through
            return None
        working = extended
    return None


def _largest_least_margin(
    observed: Observed, positive: NDArray[np.bool_], working: IntArray, vanishing: FloatArray | None
) -> FloatArray | None:
    """Direction (K, s) with entries up to 1 whose least positive margin in the working set is largest, if above zero."""
    s, K = observed.Z.shape[1], observed.n_classes
    least = positive[working[:, 0], working[:, 1]].astype(np.float64)
    A = sparse.hstack([-margin_matrix(observed, working), sparse.csr_matrix(least[:, None])], format="csr")
    objective = np.zeros((K - 1) * s + 1)
    objective[-1] = -1.0
    equal = None if vanishing is None else np.kron(np.eye(K - 1), vanishing / np.abs(vanishing).max())
    solution = linprog(
        objective,
        A_ub=A,
        b_ub=np.zeros(len(working)),
        A_eq=None if equal is None else np.column_stack([equal, np.zeros(K - 1)]),
        b_eq=None if equal is None else np.zeros(K - 1),
        bounds=[(-1, 1)] * ((K - 1) * s) + [(None, 1)],
        method="highs-ds",
        options={"primal_feasibility_tolerance": SOLVER_TOLERANCE, "dual_feasibility_tolerance": SOLVER_TOLERANCE},
    )
    if solution.x is None or solution.x[-1] <= POSITIVE:
        return None
    moved = solution.x[:-1].reshape(K - 1, s)
    return np.vstack([np.zeros(s), moved / (np.abs(moved).max() or 1.0)])
