r"""A smallest set of columns that separate what all columns can.

A direction with margins :math:`a_i'd \ge 1` where they can be positive, and :math:`a_i'd \ge 0` elsewhere, exists iff
no :math:`\lambda \ge 0` has :math:`\sum_i \lambda_i a_i = 0` and sum one over the positive ones (Gordan, Farkas).  The
non-negative least squares of these equations decides that: either it solves them, or its residual is the direction
(Lawson and Hanson, *Solving Least Squares Problems*, 1974, chapter 23).  It takes a tenth of a linear program's time.
A direction is accepted only once its margins have been checked on all rows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import nnls

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.separation.margins import ObservedPairs, dense_margins
from bayes_softmax.separation.recession import NEGATIVE, POSITIVE, RecessionCone

MOST_COEFFICIENTS = 100  # more would take too long
MOST_ROUNDS = 50  # of cutting planes for one set of columns
FIRST_CONSTRAINTS = 100  # in the first working set, at least, ...
CONSTRAINTS_PER_UNKNOWN = 4  # ... and for each unknown: the equations take time in proportion
SOLVED = 1e-10  # residual of a target of 1 below which the equations are solved


class Separating(NamedTuple):
    """A direction (K, q) with the margins of the whole cone, and the ``columns`` (s,) that it needs."""

    direction: FloatArray
    columns: IntArray


def smallest_separating(cone: RecessionCone, intercept: FloatArray | None) -> Separating:
    """Columns of which none can be left out: without it, what the cone separates is no longer all separated.

    Columns are tried in the order of what they separate alone, one, two, four and so on of them, until there is a
    direction with all the positive margins; then each one is left out, the least first, if the rest still has.  So no
    *proper subset* of the result will do (it is inclusion-minimal).  A set of other columns may be smaller still; but
    where classes that are always on offer are separated completely, a single column that suffices is always found.  Of
    more than 100 coefficients, ``(K - 1) q``, only single columns are tried; failing these, all columns that move in
    the direction inside the cone are named.

    Parameters
    ----------
    cone
        With at least one direction.
    intercept
        (q,) the raw intercept as a linear function of the columns, the first of which belongs to it and is left out
        last; None if there is none.
    """
    K, q = cone.directions.shape[1:]
    inside = cone.directions.sum(axis=0)
    inside = inside / np.abs(inside).max()
    first = np.zeros(0 if intercept is None else 1, dtype=np.int64)
    size, apart, n_pairs = np.ptp(inside, axis=0), *_separated_alone(cone)
    candidates = np.arange(len(first), q)
    ranked = candidates[np.lexsort((-size[candidates], -apart[candidates]))]
    lengths = [2**i for i in range(q.bit_length()) if 2**i < len(ranked)] if (K - 1) * q <= MOST_COEFFICIENTS else [1]
    if (apart[candidates] < n_pairs).all():
        lengths = [length for length in lengths if length > 1]
    for length in lengths:
        columns = np.concatenate([first, ranked[:length]])
        found = _within(cone, columns, None)
        if found is not None:
            break
    else:
        columns, found = np.arange(q), inside
    if (K - 1) * q <= MOST_COEFFICIENTS or len(columns) <= 2:
        return _without_needless(cone, Separating(found, columns), intercept)
    return Separating(found, columns[np.ptp(found[:, columns], axis=0) > 0])


def _without_needless(cone: RecessionCone, separating: Separating, intercept: FloatArray | None) -> Separating:
    """Columns left out one by one where the rest still separates: from the last one on, the intercept at the end."""
    found, columns = separating
    n_first = 0 if intercept is None else 1
    for j in columns[n_first:][::-1]:
        if len(columns) == 1 + n_first and cone.observed.offered is None:
            break  # constants alone separate no two observed classes
        rest = columns[columns != j]
        fewer = _within(cone, rest, None)
        if fewer is not None:
            found, columns = fewer, rest
    if intercept is not None and len(columns) > 1:
        through_zero = _within(cone, columns, intercept[columns])
        found = found if through_zero is None else through_zero
    return Separating(found, columns)


def _separated_alone(cone: RecessionCone) -> tuple[IntArray, int]:
    """How many pairs of classes each column (q,) separates alone, and how many all columns separate completely.

    A column does iff the ranges of the two classes do not overlap in it.
    """
    observed, K = cone.observed, cone.observed.n_classes
    seen = [k for k in range(K) if (observed.own == k).any()]
    low, high = ({k: f(observed.Z[observed.own == k], axis=0) for k in seen} for f in (np.min, np.max))
    complete = {(k, l) for k in seen for l in seen if k != l and cone.positive[observed.own == k, l].all()}
    pairs = [(k, l) for k, l in complete if k < l and (l, k) in complete]
    alone = np.zeros(observed.Z.shape[1], dtype=np.int64)
    for k, l in pairs:
        alone += (high[k] < low[l]) | (high[l] < low[k])
    return alone, len(pairs)


def _within(cone: RecessionCone, columns: IntArray, vanishing: FloatArray | None) -> FloatArray | None:
    """A direction (K, q) of these columns alone with all positive margins of the cone, or None if there is none.

    Only a working set of the constraints is looked at, and extended by those that are violated.  With ``vanishing``
    (s,) this function of the direction is zero for every class.
    """
    observed = cone.observed._replace(Z=np.ascontiguousarray(cone.observed.Z[:, columns]))
    zero, K = observed.others & ~cone.positive, observed.n_classes
    limit = max(FIRST_CONSTRAINTS, CONSTRAINTS_PER_UNKNOWN * (K - 1) * len(columns))
    working = _nearest(cone, limit)
    for _ in range(MOST_ROUNDS):
        direction = _direction(observed, cone.positive, working, vanishing)
        if direction is None:
            return None
        margins = observed.margins(direction)
        flat = np.flatnonzero((cone.positive & (margins <= POSITIVE)) | (zero & (margins < NEGATIVE)))
        if not len(flat):
            full = np.zeros((K, cone.observed.Z.shape[1]))
            full[:, columns] = direction
            return full
        flat = flat[np.argsort(margins.ravel()[flat], kind="stable")[:limit]]
        extended = np.unique(np.vstack([working, np.column_stack(np.divmod(flat, K))]), axis=0)
        if len(extended) == len(working):  # only rounding admits it
            return None
        working = extended
    return None


def _nearest(cone: RecessionCone, limit: int) -> IntArray:
    """Constraints (M, 2) of the cone's programs whose margins in its interior are the smallest."""
    if len(cone.working) <= limit:
        return cone.working
    pairs, classes = cone.working.T
    inside = cone.directions.sum(axis=0)
    gaps = inside[cone.observed.own[pairs]] - inside[classes]
    margins = (cone.observed.Z[pairs] * gaps).sum(axis=1)
    return cone.working[np.sort(np.argpartition(margins, limit)[:limit])]


def _direction(
    observed: ObservedPairs, positive: NDArray[np.bool_], working: IntArray, vanishing: FloatArray | None
) -> FloatArray | None:
    """Direction (K, s) of largest entry 1 with these margins positive, the others not negative, in the working set."""
    s, K = observed.Z.shape[1], observed.n_classes
    A = dense_margins(observed, working)
    basis = None if vanishing is None else np.kron(np.eye(K - 1), null_space(vanishing[None]))
    counted = positive[working[:, 0], working[:, 1]].astype(np.float64)
    equations = np.vstack([(A if basis is None else A @ basis).T, counted])
    target = np.append(np.zeros(len(equations) - 1), 1.0)
    multipliers, left = nnls(equations, target)
    if left <= SOLVED:
        return None
    residual = equations[:-1] @ multipliers
    moved = (residual if basis is None else basis @ residual).reshape(K - 1, s)
    return np.vstack([np.zeros(s), moved / (np.abs(moved).max() or 1.0)])
