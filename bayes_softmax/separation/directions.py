"""Directions of the coefficients that an examination left open, on the features as given or standardised."""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.separation.examination import Examination
from bayes_softmax.separation.rays import ZERO, rays, row_rays, span

MANY_NUMBERS = 4_000_000  # of directions that are formed one by one


def recession_rays(found: Examination) -> FloatArray:
    """Directions (R, p + 1, K) of the raw coefficients, intercept first, that decide every contrast.

    Along each of them the likelihood never falls.  Where a contrast is zero on all, its estimate is finite; where it
    has one sign on all, it is infinite; else the data do not determine it (:mod:`bayes_softmax.separation.rays`).
    """
    design, K = found.design, found.design.n_classes
    directions = [np.zeros((0, K, design.n_features + int(design.has_intercept)))]
    if len(found.cone.directions):
        directions.append(contrast_rays(found))
    unseen = unseen_directions(found)
    if len(unseen):
        # A random combination of the lines moves every contrast that one of them moves.
        line = np.tensordot(np.random.default_rng(0).normal(size=len(unseen)), unseen, axes=1)
        directions += [line[None], -line[None]]
    return _with_intercept(design, np.concatenate(directions))


def contrast_rays(found: Examination) -> FloatArray:
    """Directions (R, K, q) on the standardised features, in a cone that has some, that decide every contrast."""
    design, first = found.design, int(found.design.has_intercept)
    rows = np.zeros((design.n_features + first, len(found.columns)))
    rows[found.columns, np.arange(len(found.columns))] = 1.0
    if first:
        of_weights = found.columns > 0
        features = found.columns[of_weights] - 1
        rows[0, of_weights] = -(design.standardisation.centre / design.standardisation.scale)[features]
    return on_all_columns(found, rays(found.cone, rows))


def deciding_directions(found: Examination) -> FloatArray:
    """Directions (R, K, q) on the standardised features that decide the logits of any row.

    Along each of them the likelihood never falls.  A difference of two logits that is zero on all is finite; with one
    sign on all it is infinite; else it is not determined.
    """
    q = found.design.n_features + int(found.design.has_intercept)
    directions = [np.zeros((0, found.design.n_classes, q))]
    if len(found.cone.directions):
        directions.append(on_all_columns(found, row_rays(found.cone)))
    unseen = unseen_directions(found)
    return np.concatenate([*directions, unseen, -unseen])


def unseen_directions(found: Examination) -> FloatArray:
    """Directions (m, K, q) along which the likelihood is constant: collinear columns, and what choice sets hide.

    Where the collinearities are many, as with many more features than rows, a random combination of them stands for
    all: it moves whatever one of them moves.
    """
    null, K = found.null, found.design.n_classes
    if len(null) * K * K * null.n_columns <= MANY_NUMBERS:
        return _unseen(found, null.basis)
    return _unseen(found, null.vectors(np.random.default_rng(0).normal(size=(1, len(null))) / np.sqrt(len(null))))


def _unseen(found: Examination, collinearities: FloatArray) -> FloatArray:
    collinear = _of_each_class(found.design.n_classes, collinearities)
    lines = found.cone.observed.lines
    return np.concatenate([collinear, on_all_columns(found, lines)]) if len(lines) else collinear


def open_directions(found: Examination) -> FloatArray:
    """Directions (m, p + 1, K) of the raw coefficients, intercept first, that span what the likelihood leaves open."""
    directions = _unseen(found, found.null.basis)
    if len(found.cone.directions):
        directions = np.concatenate([directions, on_all_columns(found, span(found.cone))])
    return _with_intercept(found.design, directions)


def _of_each_class(n_classes: int, vectors: FloatArray) -> FloatArray:
    """Directions (r (K - 1), K, q) that move one class, but never the first, along each of the vectors (r, q)."""
    moved: FloatArray = np.einsum("ck,rq->rckq", np.eye(n_classes)[1:], vectors)
    return moved.reshape(-1, n_classes, vectors.shape[1])


def _with_intercept(design: Design, directions: FloatArray) -> FloatArray:
    """Raw directions (R, p + 1, K) from those on standardised features; a model without intercept gets zeros."""
    raw = per_unit(design, directions).transpose(0, 2, 1)
    return raw if design.has_intercept else np.concatenate([np.zeros_like(raw[:, :1]), raw], axis=1)


def on_all_columns(found: Examination, directions: FloatArray) -> FloatArray:
    """Directions (R, K, q) on all columns, from those on the columns of the cone."""
    q = found.design.n_features + int(found.design.has_intercept)
    out = np.zeros((*directions.shape[:2], q))
    out[:, :, found.columns] = directions
    return out


def per_unit(design: Design, directions: FloatArray) -> FloatArray:
    """Directions (R, K, q) per unit of the features, intercept at x = 0; rounding errors become zero."""
    out = np.where(np.abs(directions) < ZERO, 0.0, directions)
    first = int(design.has_intercept)
    out[:, :, first:] /= design.standardisation.scale
    if first:
        moved = out[:, :, first:] * design.standardisation.centre
        terms = np.abs(out[:, :, 0]) + np.abs(moved).sum(axis=2)
        at_zero = out[:, :, 0] - moved.sum(axis=2)
        out[:, :, 0] = np.where(np.abs(at_zero) < ZERO * terms, 0.0, at_zero)
    return out
