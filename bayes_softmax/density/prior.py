r"""Numerical form of the priors: the kernel's prior rows, their kinks, and the curvature of minus the log prior.

Each coefficient row (intercept, then features) has free coordinates :math:`g` (k,).  With :math:`r = |g|^2/s^2`, or
:math:`g_c^2/s^2` element by element, its family has the curvature :math:`2\varphi' I/s^2 + 4\varphi'' gg'/s^4`
(:mod:`bayes_softmax.spec.families.family`).  If the family is not log-concave, the positive definite ``metric`` omits
the second term: the remainder is the curvature of the scale mixture's majoriser (EM).
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray, Penalty
from bayes_softmax.density.log_prior import codes_of, split_code
from bayes_softmax.spec.coding import Coordinates, free_vectors
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.family import Family
from bayes_softmax.spec.priors import PriorTable, repeated


class PriorRows(NamedTuple):
    """Code, scale in engine units and second parameter of each coefficient row; and the centring.

    ``family`` holds codes as in :mod:`bayes_softmax.density.log_prior`.  For a family with a kink ``df`` is the width
    of its rounding, zero for the density itself.
    ``centre`` (p,) is mean/sd of the features if the intercept's prior applies at x = 0, else zero.
    """

    family: IntArray
    scale: FloatArray
    df: FloatArray
    centre: FloatArray


def prior_rows(priors: PriorTable, coordinates: Coordinates) -> PriorRows:
    """Prior rows of a table; a scale ``s`` per unit of the raw feature is ``s sd`` in engine units."""
    family, scale, df = priors.features
    sd = coordinates.scale
    if priors.intercept is not None:
        first = repeated(priors.intercept, 1)
        family, scale, df = (np.concatenate(pair) for pair in zip(first, priors.features, strict=True))
        sd = np.append(1.0, sd)
    at_zero = priors.intercept is not None and priors.intercept_at == "zero" and not priors.flat_intercept
    centre = coordinates.centre / coordinates.scale if at_zero else np.zeros(coordinates.n_features)
    return PriorRows(
        codes_of(family, spherical=priors.spherical),
        np.ascontiguousarray(scale * sd, dtype=np.float64),
        np.ascontiguousarray(df, dtype=np.float64),
        np.ascontiguousarray(centre, dtype=np.float64),
    )


def rows_that_are(codes: IntArray, *attributes: str) -> NDArray[np.bool_]:
    """Mask of the coefficient rows whose family has all of the attributes; raises for an unknown code."""
    found = np.ones(len(codes), dtype=np.bool_)
    for attribute in attributes:
        found &= registry.that_are(split_code(codes)[0], attribute)
    return found


def penalty_of(rows: PriorRows, coordinates: Coordinates) -> Penalty | None:
    """Norms of groups of free coordinates that represent priors with a kink, None without such priors."""
    first = int(coordinates.has_intercept)
    features = np.flatnonzero(rows_that_are(rows.family[first:], "kinked"))
    if not len(features):
        return None
    groups = coordinates.split(np.arange(coordinates.dimension))[1][:, features].T
    strengths = 1.0 / rows.scale[first + features]
    if split_code(rows.family[first + features[0]])[1]:
        return Penalty(groups.reshape(-1, 1), np.repeat(strengths, groups.shape[1]))
    return Penalty(groups, strengths)


def surrogate_df(rows: PriorRows, coordinates: Coordinates) -> FloatArray:
    """Second parameters ``df`` of the smooth surrogate, in which kinks are rounded off.

    The surrogate's curvature at zero is the inverse of the prior's variance: the right metric where the prior
    dominates, and immaterial elsewhere.
    """
    df, k_w = rows.df.copy(), int(coordinates.weights_contrast.shape[1])
    for code in np.unique(rows.family).tolist():
        position, elementwise = split_code(code)
        family = registry.family_at(position)
        if family.kinked:
            df[rows.family == code] = family.rounding(1 if elementwise else k_w)
    return df


class PriorCurvature:
    """Curvature of minus the log prior at a point: ``diag(a) + sum_r b_r u_r u_r'``, transformed by the centring.

    ``u_r`` is the unit vector along the coordinates of row ``r``.  The prior of a raw intercept acts on
    ``intercept - centre' weights``, so it couples the intercept with the weights of the same free column.
    """

    def __init__(self, rows: PriorRows, coordinates: Coordinates, theta: FloatArray, *, convex: bool) -> None:
        self._centre, self._coordinates = rows.centre, coordinates
        self._coupled = bool(rows.centre.any())
        first = int(coordinates.has_intercept)
        intercept, weights = coordinates.split(self._centred(theta))
        both = (intercept[:, None], _subset(rows, slice(0, first))), (weights, _subset(rows, slice(first, None)))
        curvature = [_row_curvature(g, part, convex=convex) for g, part in both]
        self._direction = [_directions(g) for g, _ in both]
        (a_intercept, b_intercept), (a_weights, b_weights) = curvature
        self._diagonal = free_vectors(a_intercept.ravel(), a_weights)
        self._bend = b_intercept, b_weights
        self._is_diagonal = not (b_intercept.any() or b_weights.any())

    def __matmul__(self, vector: FloatArray) -> FloatArray:
        """Product with a vector (d,)."""
        centred = self._centred(vector)
        image: FloatArray = self._diagonal * centred
        if not self._is_diagonal:
            intercept, weights = self._coordinates.split(centred)
            parts = zip(self._direction, (intercept[:, None], weights), self._bend, strict=True)
            bent = [u * (b * (u * part).sum(axis=0)) for u, part, b in parts]
            image += free_vectors(bent[0].ravel(), bent[1])
        if self._coupled:
            intercept, weights = self._coordinates.split(image)
            image = free_vectors(intercept, weights - np.outer(intercept, self._centre))
        return image

    @cached_property
    def matrix(self) -> FloatArray:
        """The curvature as a matrix (d, d)."""
        matrix = np.diag(self._diagonal)
        intercept, weights = self._coordinates.split(np.arange(len(self._diagonal)))
        if not self._is_diagonal:
            for index, u, b in zip((intercept[:, None], weights), self._direction, self._bend, strict=True):
                matrix[index[:, None], index[None]] += b * u[:, None] * u[None]
        if self._coupled:
            matrix[:, weights] -= matrix[:, intercept, None] * self._centre
            matrix[weights] -= matrix[intercept, None] * self._centre[:, None]
        return matrix

    def column_diagonal(self) -> FloatArray:
        """The diagonal (m,) of :meth:`column_matrix`."""
        intercept, weights = self._coordinates.split(self._diagonal)
        own: FloatArray = weights.mean(axis=0)
        if not len(intercept):
            return own
        held = float(intercept.mean())
        return np.concatenate([[held], own + held * self._centre**2])

    def column_matrix(self) -> FloatArray:
        """The curvature of one column of free coordinates (m, m), intercept first, averaged over the columns."""
        intercept, weights = self._coordinates.split(self._diagonal)
        matrix = np.diag(np.concatenate([np.zeros(min(len(intercept), 1)), weights.mean(axis=0)]))
        if len(intercept):
            direction = np.concatenate([[1.0], -self._centre])
            matrix += intercept.mean() * np.outer(direction, direction)
        return matrix

    def _centred(self, vector: FloatArray) -> FloatArray:
        """The vector with its intercept replaced by the one to which its prior applies."""
        if not self._coupled:
            return vector
        intercept, weights = self._coordinates.split(vector)
        centred: FloatArray = free_vectors(intercept - weights @ self._centre, weights)
        return centred


class _Members(NamedTuple):
    """Rows of one code: mask, family, radii (rows,) or (k, rows), and the number of coordinates per radius."""

    rows: NDArray[np.bool_]
    family: type[Family]
    r: FloatArray
    size: int
    elementwise: bool


def _subset(rows: PriorRows, which: slice) -> PriorRows:
    """The prior rows of a slice: the intercept's, or those of the features."""
    return PriorRows(rows.family[which], rows.scale[which], rows.df[which], rows.centre)


def _members(g: FloatArray, rows: PriorRows) -> Iterator[_Members]:
    """The rows of free coordinates ``g`` (k, rows), grouped by code."""
    for code in np.unique(rows.family).tolist():
        of_code, (position, elementwise) = rows.family == code, split_code(code)
        r = np.square(g[:, of_code]) / rows.scale[of_code] ** 2
        size = 1 if elementwise else len(g)
        yield _Members(of_code, registry.family_at(position), r if elementwise else r.sum(axis=0), size, elementwise)


def _row_curvature(g: FloatArray, rows: PriorRows, *, convex: bool) -> tuple[FloatArray, FloatArray]:
    """``a`` (k, rows) and ``b`` (rows,) of the curvature ``diag(a) + b u u'`` of each row; definite if ``convex``."""
    diagonal, bend = np.zeros_like(g), np.zeros(g.shape[1])
    for of_code, family, r, size, elementwise in _members(g, rows):
        inverse, df = 1.0 / rows.scale[of_code] ** 2, rows.df[of_code]
        diagonal[:, of_code] = 2.0 * family.slope(r, size, df) * inverse
        if family.quadratic or (convex and not family.log_concave):
            continue
        bent = 4.0 * family.bend(r, size, df) * r * inverse
        if elementwise:
            diagonal[:, of_code] += bent
        else:
            bend[of_code] = bent
    return diagonal, bend


def _directions(g: FloatArray) -> FloatArray:
    """Columns of ``g`` (k, rows) divided by their lengths, zero for those of length zero."""
    lengths = np.linalg.norm(g, axis=0)
    return g / np.where(lengths > 0, lengths, 1.0)


def in_a_tail(rows: PriorRows, coordinates: Coordinates, theta: FloatArray) -> bool:
    """Whether some coefficient lies where its prior is log-convex along the radius; False for log-concave priors."""
    intercept, weights = coordinates.split(theta)
    first = int(coordinates.has_intercept)
    at = intercept - weights[: len(intercept)] @ rows.centre
    for g, which in ((at[:, None], slice(0, first)), (weights, slice(first, None))):
        part = _subset(rows, which)
        for of_code, family, r, size, _ in _members(g, part):
            df = part.df[of_code]
            along = 2.0 * family.slope(r, size, df) + 4.0 * family.bend(r, size, df) * r
            if not family.log_concave and bool((along < 0).any()):
                return True
    return False
