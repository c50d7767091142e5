r"""Directions along which the likelihood never falls: their cone, found by linear programs.

A direction ``D`` (K, q) of the coefficients has a margin :math:`z_n'(D_{y_n} - D_l)` for every observed pair of a row
and a class, and every other class ``l``.  The log-likelihood never falls along ``D`` iff no margin is negative, and
keeps rising iff one is positive too (Albert and Anderson, *Biometrika* 71, 1984).  These directions form a convex
cone.  The margins that are zero on all of it, its *implicit equalities*, tell its span, the set of directions in which
the data do not bound the coefficients (Geyer, *Electronic Journal of Statistics* 3, 2009); they are found by repeating

    maximise the sum of the margins that have not been positive yet, all margins >= 0, |D| <= 1

until the maximum is zero (Konis, *Linear programming algorithms for detecting separated data*, thesis, Oxford 2007, for
one such program).  Only a working set of the constraints is ever given to the solver.  Constraints make the cone
smaller: where the maximum is zero with some of them, it is zero with all, so overlap that a sample of the rows proves
is proven.  A maximum that is not zero is a candidate, checked on all rows; the constraints it violates join the
working set (cutting planes).
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize, nnls

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.separation.margins import ObservedPairs, dense_margins, margin_matrix
from bayes_softmax.separation.rank import independent_columns
from bayes_softmax.separation.vertex import TIGHT, next_vertex

# Directions are scaled to a largest entry of 1, features to sd 1: margins are of order 1, and the solver's vertices are
# exact to about 1e-12.  Between the two tolerances lies nothing but data that overlap, or not, in the eighth digit.
POSITIVE = 1e-7
NEGATIVE = -1e-9
SOLVER_TOLERANCE = 1e-10  # the least HiGHS takes
FIRST_ROWS = 200  # rows in the first working set, at least ...
ROWS_PER_COEFFICIENT = 5  # ... and for each coefficient: fewer overlap less often, more cost the solver time
MANY_COEFFICIENTS = 100  # where linear programs begin to be slow
EASY_ROUNDS = 4  # of cutting planes, before a descent is tried
DESCENT_STEPS = 60


class RecessionCone(NamedTuple):
    """The recession cone of the likelihood on the columns of ``observed``.

    ``directions`` (m, K, q) lie in it and their sum in its interior, ``positive`` (P, K) are the margins that can be
    positive (own classes excluded), ``working`` (M, 2) the constraints (pair, class) that were needed.
    """

    observed: ObservedPairs
    directions: FloatArray
    positive: NDArray[np.bool_]
    working: IntArray


class Maximum(NamedTuple):
    """Where a linear function is largest on the cone.

    ``direction`` (K, q) with largest entry 1, or None if the function is nowhere positive; ``working`` the working set
    with the constraints that were added; ``settled`` False if the rounds ran out before either was known.
    """

    direction: FloatArray | None
    working: IntArray
    settled: bool


def recession_cone(observed: ObservedPairs) -> RecessionCone:
    """The cone of an observed design, orthogonal to the lines that no margin sees, by linear programs."""
    K, others = observed.n_classes, observed.others
    positive = np.zeros_like(others)
    directions: list[FloatArray] = []
    step = Maximum(None, _first_working_set(observed, others), False)
    many = (K - 1) * observed.Z.shape[1] > MANY_COEFFICIENTS
    if many and K > 2 and not len(observed.lines) and _pairs_overlap(observed):
        return RecessionCone(observed, np.zeros((0, K, observed.Z.shape[1])), positive, step.working)
    if not many:
        step = maximise(observed, observed.sum_of(others), step.working, EASY_ROUNDS)
    perfect = None if step.settled else _descend(observed)
    if perfect is not None:
        return RecessionCone(observed, perfect[None], others, step.working)
    if not step.settled:
        step = maximise(observed, observed.sum_of(others), step.working)
    while step.direction is not None:
        gained = (observed.margins(step.direction) > POSITIVE) & others & ~positive
        if not gained.any():
            break
        directions.append(step.direction)
        positive |= gained
        rest = observed.sum_of(others & ~positive)
        if not many and _is_exhausted(observed, rest, step):
            break
        step = maximise(observed, rest, step.working, start=None if many else step.direction)
    shape = (len(directions), K, observed.Z.shape[1])
    return RecessionCone(observed, np.array(directions).reshape(shape), positive, step.working)


def maximise(
    observed: ObservedPairs,
    objective: FloatArray,
    working: IntArray,
    max_rounds: int | None = None,
    *,
    start: FloatArray | None = None,
) -> Maximum:
    """Maximise a linear function (K, q) of the direction over the cone, from a working set (M, 2) of constraints.

    ``start`` is where another function is largest under the same constraints, if that is known.
    """
    for _ in itertools.count() if max_rounds is None else range(max_rounds):
        direction = _solve(observed, objective, working, start)
        if direction is None:
            return Maximum(None, working, True)
        violated = _most_violated(observed.margins(direction), max(len(working), FIRST_ROWS))
        if not len(violated):
            return Maximum(direction, working, True)
        extended = np.unique(np.vstack([working, violated]), axis=0)
        if len(extended) == len(working):  # only the solver's tolerance admits it
            return Maximum(None, working, True)
        working = extended
    return Maximum(None, working, False)


def _solve(
    observed: ObservedPairs, objective: FloatArray, working: IntArray, start: FloatArray | None
) -> FloatArray | None:
    """As :func:`maximise` with the constraints of the working set alone."""
    size = np.abs(objective).max(initial=0.0)
    if size == 0:
        return None
    few = objective[1:].size <= MANY_COEFFICIENTS
    A = dense_margins(observed, working) if few else margin_matrix(observed, working)
    if start is not None and not len(observed.lines):
        vertex = next_vertex(A, (objective / size)[1:].ravel(), start[1:].ravel())
        if vertex is not None:
            return _scaled(vertex, observed.n_classes)
    lines = observed.lines[:, 1:].reshape(len(observed.lines), (observed.n_classes - 1) * observed.Z.shape[1])
    solution = linprog(
        -(objective / size)[1:].ravel(),  # the first class stays at zero: only differences matter
        A_ub=-A,
        b_ub=np.zeros(len(working)),
        A_eq=lines if len(lines) else None,
        b_eq=np.zeros(len(lines)) if len(lines) else None,
        bounds=(-1, 1),
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": SOLVER_TOLERANCE,
            "dual_feasibility_tolerance": SOLVER_TOLERANCE,
            "presolve": False,  # dense: presolving removes nothing and takes a fifth of the time
        },
    )
    if solution.x is None or np.abs(solution.x).max(initial=0.0) < POSITIVE:
        return None
    return _scaled(solution.x, observed.n_classes)


def _scaled(x: FloatArray, n_classes: int) -> FloatArray:
    """The direction (K, q) of largest entry 1 that a solution is."""
    moved = x.reshape(n_classes - 1, -1) / np.abs(x).max()
    return np.vstack([np.zeros(moved.shape[1]), moved])


def _is_exhausted(observed: ObservedPairs, rest: FloatArray, step: Maximum) -> bool:
    """Whether the margins that were not positive yet, whose sum ``rest`` (K, q) is, are shown to be so nowhere.

    Then minus their sum is a combination of margins (Farkas), which non-negative least squares find in less time than
    a linear program takes.  It is looked for only where all constraints are known, and more of them meet than in the
    vertex of a cone of full dimension, which holds more.
    """
    assert step.direction is not None
    n, others = rest[1:].size, observed.others
    if len(step.working) != others.sum():
        return False
    tight = (observed.margins(step.direction)[others] < TIGHT).sum() + (np.abs(step.direction) > 1.0 - TIGHT).sum()
    if tight <= n:
        return False
    _, left = nnls(dense_margins(observed, step.working).T, -rest[1:].ravel())
    return bool(left * np.sqrt(n) < POSITIVE)


def _pairs_overlap(observed: ObservedPairs) -> bool:
    """Whether enough pairs of classes overlap, each on its own, to prove that all classes do.

    A direction of the cone keeps all margins of each pair of classes ``k, l``; where the pair's rows have full column
    rank and overlap, that leaves only :math:`D_k = D_l`.  Pairs that connect all classes leave nothing.  Their linear
    programs have q unknowns instead of (K - 1) q.  False proves nothing.
    """
    connected, missing = [0], list(range(1, observed.n_classes))
    while missing:
        joined = next((l for l in missing if any(_pair_overlaps(observed, k, l) for k in connected)), None)
        if joined is None:
            return False
        connected.append(joined)
        missing.remove(joined)
    return True


def _pair_overlaps(observed: ObservedPairs, k: int, l: int) -> bool:
    """Whether two classes overlap in all directions, judged by their own rows."""
    chosen = (observed.own == k) | (observed.own == l)
    if observed.offered is not None:
        chosen &= observed.offered[:, k] & observed.offered[:, l]
    rows = np.flatnonzero(chosen)
    Z = observed.Z[rows]
    lines = np.zeros((0, 2, Z.shape[1]))
    pair = ObservedPairs(Z, (observed.own[rows] == l).astype(np.int64), observed.row[rows], 2, lines)
    return bool(independent_columns(Z).all()) and not len(recession_cone(pair).directions)


def _descend(observed: ObservedPairs) -> FloatArray | None:
    """A direction (K, q) with all margins positive, if a few steps towards the likelihood's supremum find one.

    On the way to infinity the coefficients soon separate all rows (Soudry et al., *JMLR* 19, 2018), at the cost of a
    few passes over the data where a linear program takes minutes.  To find none proves nothing.
    """
    K, q = observed.n_classes, observed.Z.shape[1]
    pairs, others = (np.arange(len(observed.own)), observed.own), observed.others

    def cross_entropy(flat: FloatArray) -> tuple[float, FloatArray]:
        logits = observed.Z @ flat.reshape(K, q).T
        if observed.offered is not None:
            logits[~observed.offered] = -np.inf  # never all of a row
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[pairs]
        residual = np.exp(logits, out=logits)
        totals = residual.sum(axis=1, keepdims=True)
        residual /= totals
        residual[pairs] -= 1.0
        return float((np.log(totals[:, 0]) - own).sum()), (residual.T @ observed.Z).ravel()

    def separates(flat: FloatArray) -> bool:
        margins = observed.margins(flat.reshape(K, q))
        return bool(margins[others].min(initial=np.inf) > POSITIVE * np.abs(flat).max())

    found: list[FloatArray] = []

    def stop(intermediate_result: Any) -> None:
        if separates(intermediate_result.x):
            found.append(intermediate_result.x.reshape(K, q).copy())
            raise StopIteration

    options = {"maxiter": DESCENT_STEPS, "ftol": 0.0, "gtol": 0.0}
    minimize(cross_entropy, np.zeros(K * q), jac=True, method="L-BFGS-B", callback=stop, options=options)
    if not found:
        return None
    direction: FloatArray = found[0] - found[0][0]
    return direction / float(np.abs(direction).max())


def _first_working_set(observed: ObservedPairs, others: NDArray[np.bool_]) -> IntArray:
    """Constraints of all rows if they are few, else of a sample."""
    P, K = others.shape
    n_rows = max(FIRST_ROWS, ROWS_PER_COEFFICIENT * observed.Z.shape[1] * (K - 1))
    chosen = np.arange(P)
    if 2 * n_rows < P:
        chosen = np.sort(np.random.default_rng(0).choice(P, size=n_rows, replace=False))
    i, l = np.nonzero(others[chosen])
    return np.column_stack([chosen[i], l]).astype(np.int64)


def _most_violated(margins: FloatArray, limit: int) -> IntArray:
    """Constraints (pair, class) with a negative margin, the worst ones if there are many."""
    flat = np.flatnonzero(margins.ravel() < NEGATIVE)
    if len(flat) > limit:
        flat = flat[np.argpartition(margins.ravel()[flat], limit)[:limit]]
    return np.column_stack(np.divmod(flat, margins.shape[1])).astype(np.int64)
