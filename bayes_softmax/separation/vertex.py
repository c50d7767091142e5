r"""From one vertex of a polytope to the one where another linear function is largest: the primal simplex method.

The programs of :mod:`bayes_softmax.separation.recession` differ in their objective alone, and the vertex that one of
them ends at is ten times nearer to the next one's optimum than any other start.  An optimum counts only where its
multipliers show that there is no other one: then it is what any solver finds.
"""

import numpy as np
from scipy.linalg import LinAlgError, inv, solve

from bayes_softmax.core.records import FloatArray, IntArray

TIGHT = 1e-9  # a constraint with less to spare holds with equality
UNIQUE = 1e-7  # multipliers of a single optimum are larger, of objectives with entries up to 1
PIVOTS_PER_UNKNOWN = 5


def next_vertex(A: FloatArray, objective: FloatArray, start: FloatArray) -> FloatArray | None:
    r"""The one point (n,) with the largest ``objective'x`` where ``A x >= 0`` and ``|x| <= 1``.

    Parameters
    ----------
    A
        (M, n) constraints.
    objective
        (n,) of size 1.
    start
        (n,) a vertex.

    Returns
    -------
    ndarray or None
        None if more than n constraints meet at a vertex, or the largest value is not taken at one point only.

    Examples
    --------
    >>> A = np.array([[1.0, -0.5], [0.0, 1.0]])
    >>> next_vertex(A, np.array([0.5, 1.0]), start=np.array([1.0, 0.0])).tolist()
    [1.0, 1.0]
    >>> next_vertex(A, np.array([1.0, 0.0]), start=np.array([1.0, 0.0])) is None
    True
    """
    n = len(start)
    normals = np.vstack([A, np.eye(n), -np.eye(n)])
    lower = np.concatenate([np.zeros(len(A)), np.full(2 * n, -1.0)])
    slack = normals @ start - lower
    active = np.flatnonzero(slack < TIGHT)
    if len(active) != n or slack.min() < -TIGHT:
        return None
    try:
        edges = inv(normals[active])
    except LinAlgError:
        return None
    slack[active] = 0.0
    for _ in range(PIVOTS_PER_UNKNOWN * n):
        gains = objective @ edges
        j = int((gains / np.sqrt((edges**2).sum(axis=0))).argmax())
        if gains[j] <= UNIQUE:
            break
        along = normals @ edges[:, j]
        along[active] = 0.0
        along[active[j]] = 1.0
        closing = np.flatnonzero(along < -TIGHT)
        steps = slack[closing] / -along[closing]  # never none: the box ends every edge
        nearest = int(steps.argmin())
        slack += steps[nearest] * along
        entering = int(closing[nearest])
        slack[entering] = 0.0
        combination = normals[entering] @ edges
        pivot = edges[:, j] / combination[j]
        combination[j] -= 1.0
        edges -= np.outer(pivot, combination)
        active[j] = entering
    return _confirmed(normals, lower, objective, active)


def _confirmed(normals: FloatArray, lower: FloatArray, objective: FloatArray, active: IntArray) -> FloatArray | None:
    """The vertex of the active constraints, solved for anew, if it is feasible, simple, and better than all else."""
    try:
        vertex: FloatArray = solve(normals[active], lower[active])
        multipliers = solve(normals[active].T, objective)
    except LinAlgError:
        return None
    slack = normals @ vertex - lower
    if slack.min() < -TIGHT or (slack < TIGHT).sum() > len(active) or multipliers.max() > -UNIQUE:
        return None
    # Exactly at the bounds, as of other solvers: columns are ranked by sizes that are equal there.
    at, coordinate = np.divmod(active - (len(normals) - 2 * len(vertex)), len(vertex))
    vertex[coordinate[at == 0]] = -1.0
    vertex[coordinate[at == 1]] = 1.0
    return vertex
