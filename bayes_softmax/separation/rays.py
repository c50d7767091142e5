r"""What the data leave open: rays along which the likelihood never falls, enough of them to judge every contrast.

A contrast of coefficients is a linear function on the recession cone.  Where it vanishes on all of the cone, its
estimate is finite.  Where it has one sign, every sequence of coefficients that raises the likelihood to its supremum
takes the contrast to plus or minus infinity: by Farkas' lemma it is a positive combination of margins, at least one of
which is unbounded.  Where both signs occur, the data do not determine it.
"""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from bayes_softmax.core.records import FloatArray
from bayes_softmax.separation.rank import triangular_factor
from bayes_softmax.separation.recession import RecessionCone, maximise

SPAN_TOLERANCE = 1e-9  # of the largest singular value: below, a direction keeps the implicit equalities
ZERO = 1e-8  # relative to a ray's largest entry: below, the solver's rounding
MANY_PROGRAMS = 100  # coefficients above which two programs for each contrast would take minutes
APEX = 1e-6
FAR = 1e3  # where a line inside the cone has no end
MOST_DIMENSIONS = 6  # of a cone whose extreme rays are enumerated, and ...
MOST_POINTS = 20000  # ... margins: hulls grow quickly with both
SAME = 1e-9  # margins, or rays, that differ by less are one


def span(cone: RecessionCone) -> FloatArray:
    """Orthonormal basis (m, K, q) of the cone's span, first class zero: all directions that keep every equality.

    Directions that no margin sees are not among them.

    Rows of one class with the same equalities share a triangular factor, so the matrix stays small.
    """
    observed, K = cone.observed, cone.positive.shape[1]
    q = observed.Z.shape[1]
    equal = ~cone.positive & observed.others
    patterns, which = np.unique(np.column_stack([observed.own, equal]), axis=0, return_inverse=True)
    blocks = [observed.lines[:, 1:].reshape(len(observed.lines), (K - 1) * q)]
    for number, (own, *row) in enumerate(patterns):
        R = triangular_factor(observed.Z[which.ravel() == number])
        for other in np.flatnonzero(row):
            difference = np.eye(K)[own] - np.eye(K)[other]
            blocks.append(np.kron(difference[1:], R))
    _, values, vectors = np.linalg.svd(np.vstack([*blocks, np.zeros(((K - 1) * q,) * 2)]), full_matrices=False)
    free = vectors[values <= SPAN_TOLERANCE * values.max(initial=1.0)]
    return np.concatenate([np.zeros((len(free), 1, q)), free.reshape(-1, K - 1, q)], axis=1)


def rays(cone: RecessionCone, rows: FloatArray) -> FloatArray:
    """Members (R, K, q) of the cone that span it and show which signs each contrast takes.

    Parameters
    ----------
    cone
        With at least one direction.
    rows
        (r, q) linear functions of the columns, such as a feature's raw weight; contrasts are differences of two
        classes, or of a class and the average, in one of these rows.

    Returns
    -------
    ndarray
        Each contrast that takes two signs on the cone takes them on these.
    """
    K, q = cone.directions.shape[1:]
    if (K - 1) * q > MANY_PROGRAMS:
        return _generic(cone)
    basis = span(cone)
    found = [_cleaned(ray, basis) for ray in _through_the_interior(cone, basis)]
    working = cone.working
    for contrast in _contrasts(K):
        for row in rows:
            function = np.outer(contrast, row)
            if np.abs(np.einsum("mkq,kq->m", basis, function)).max(initial=0.0) <= ZERO * np.abs(row).max():
                continue
            for sign in (1.0, -1.0):
                values = sign * np.einsum("rkq,kq->r", np.array(found), function)
                if (values > ZERO * np.abs(row).max()).any():
                    continue
                step = maximise(cone.observed, sign * function, working)
                working = step.working
                if step.direction is not None:
                    found.append(_cleaned(step.direction, basis))
    return np.array(found)


def row_rays(cone: RecessionCone) -> FloatArray:
    """Members (R, K, q) of the cone that show which sign *any* linear function has on it.

    Its extreme rays: every member is a positive combination of them.  In more than six dimensions they are too many;
    then a line through the cone and its opposite, on which every function that moves has both signs.
    """
    extreme = _extreme_rays(cone)
    return _generic(cone) if extreme is None else extreme


def _extreme_rays(cone: RecessionCone) -> FloatArray | None:
    """The facets of the hull of all margins, as functions on the cone's span: none if they are too many.

    Margins are scaled to 1 in a direction inside the cone.  Functions that are not negative on the cone are their
    positive combinations (Farkas), so that the hull's facets are the cone's extreme rays.
    """
    basis = span(cone)
    if len(basis) > MOST_DIMENSIONS:
        return None
    A = np.stack([cone.observed.margins(direction)[cone.positive] for direction in basis], axis=1)
    inside = np.tensordot(basis, cone.directions.sum(axis=0), axes=2)
    A = np.unique(np.round(A / (A @ inside)[:, None] / SAME) * SAME, axis=0)
    if len(basis) == 1:
        found = inside[None]
    else:
        across = np.linalg.svd(inside[None])[2][1:].T  # (m, m - 1)
        points = A @ across
        if len(basis) == 2:
            normals = np.array([[-1.0], [1.0]])
            offsets = np.array([points.min(), -points.max()])
        elif len(points) > MOST_POINTS:
            return None
        else:
            try:
                equations = ConvexHull(points).equations
            except QhullError:
                return None
            normals, offsets = equations[:, :-1], equations[:, -1]
        found = -normals @ across.T - offsets[:, None] * inside
    found = found / np.abs(found).max(axis=1, keepdims=True)
    found = np.unique(np.round(found / SAME) * SAME, axis=0)
    extreme = np.tensordot(found, basis, axes=1)
    extreme[np.abs(extreme) < ZERO * np.abs(extreme).max(axis=(1, 2), keepdims=True)] = 0.0
    return extreme


def _generic(cone: RecessionCone) -> FloatArray:
    """A line of the span, as both its directions (2, K, q): no sign is claimed of any contrast that moves at all.

    Its coordinates are random, so that every such contrast moves along it.
    """
    rng = np.random.default_rng(0)
    K, q = cone.directions.shape[1:]
    if not len(cone.observed.lines) and (cone.positive == cone.observed.others).all():  # no equalities: everything
        line = np.vstack([np.zeros((1, q)), rng.normal(size=(K - 1, q))])
    else:
        basis = span(cone)
        line = np.tensordot(rng.normal(size=len(basis)), basis, axes=1)
    return np.stack([line, -line])


def _contrasts(n_classes: int) -> list[FloatArray]:
    """Each class against the average, and against each other one, as vectors (K,)."""
    unit = np.eye(n_classes)
    against_average = list(unit - 1.0 / n_classes)
    return against_average + [unit[k] - unit[l] for k in range(n_classes) for l in range(k)]


def _through_the_interior(cone: RecessionCone, basis: FloatArray) -> list[FloatArray]:
    """Points on the cone's boundary, from one inside it along both directions of each basis vector."""
    inside = cone.directions.sum(axis=0)
    margins = cone.observed.margins(inside)[cone.positive]
    ends = [inside]
    for direction in basis:
        slopes = cone.observed.margins(direction)[cone.positive] / margins
        ends.extend(inside + sign * direction / max(-(sign * slopes).min(), 1.0 / FAR) for sign in (1.0, -1.0))
    # Towards the cone's apex, which is no direction, only rounding is left.
    return [end for end in ends if np.abs(end).max() > APEX * np.abs(inside).max()]


def _cleaned(ray: FloatArray, basis: FloatArray) -> FloatArray:
    """The ray projected onto the cone's span, with largest entry 1, and zero where only rounding is left."""
    flat = basis.reshape(len(basis), -1)
    projected = ((flat @ ray.ravel()) @ flat).reshape(ray.shape)
    projected /= np.abs(projected).max()
    projected[np.abs(projected) < ZERO] = 0.0
    return projected
