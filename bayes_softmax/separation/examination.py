r"""Why a fit without enough prior has no finite optimum: empty classes, collinear features, separated classes.

A direction ``D`` (K, q) of the coefficients in which the log-likelihood never falls is one with
:math:`z_n'(D_{y_n} - D_l) \ge 0` for every observation and class ``l``; if some margin is positive, the optimum
lies at infinity (Albert and Anderson, *Biometrika* 71, 1984).  Such a direction is found, or excluded, by linear
programs: :mod:`bayes_softmax.separation.recession`.  A direction with all margins zero is a collinearity.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.design import Design, Label, Standardisation
from bayes_softmax.separation.choice_sets import connected_classes, informative_rows, unseen_lines, within_groups
from bayes_softmax.separation.rank import NullSpace, coefficient_names, independent_columns, null_space, rounding_of
from bayes_softmax.separation.rays import ZERO, rays, row_rays, span
from bayes_softmax.separation.recession import POSITIVE, Cone, observed_pairs, recession_cone
from bayes_softmax.separation.smallest import smallest_separating
from bayes_softmax.separation.verdict import Separation
from bayes_softmax.spec.priors import PriorTable

EXAMPLES = 2  # rows of each class that are shown
MANY_NUMBERS = 4_000_000  # of directions that are formed one by one


class Examination(NamedTuple):
    """What the likelihood leaves open in the coefficients that may move.

    ``cone`` lives on ``columns``, the independent ones among them; ``null`` are the collinearities, of which
    each makes one column ``redundant``.  What choice sets leave open beside them are the lines of ``cone.observed``.
    """

    design: Design
    cone: Cone
    columns: IntArray
    null: NullSpace
    redundant: tuple[str, ...]

    @property
    def is_determined(self) -> bool:
        """Whether there is nothing open: a finite, unique optimum."""
        return not (len(self.cone.directions) or len(self.null) or len(self.cone.observed.lines))


def examine(design: Design, free: NDArray[np.bool_] | None = None) -> Examination:
    """Rank and recession cone of a design, on the columns ``free`` (q,), default all.

    With proper priors on the other columns only these can go to infinity.
    """
    with blas_on_one_thread():  # small matrices: threads would cost more than they do
        return _examine(design, free)


def _examine(design: Design, free: NDArray[np.bool_] | None) -> Examination:
    Z = design.standardised()
    names = np.array(coefficient_names(design), dtype=object)
    open_columns = np.arange(Z.shape[1]) if free is None else np.flatnonzero(free)
    used = informative_rows(design)
    within = Z[:, open_columns] if used.all() else Z[used][:, open_columns]
    # Where no row says anything, that is why nothing is determined: no column is to blame.
    rounding = rounding_of(design)
    kept = independent_columns(within, rounding) if len(within) else np.ones(len(open_columns), dtype=bool)
    null = null_space(within, kept, open_columns, Z.shape[1])
    columns = open_columns[kept]
    lines = None if design.available is None else unseen_lines(within[:, kept], design.available[used], rounding)
    cone = recession_cone(observed_pairs(design, Z[:, columns], lines))
    return Examination(design, cone, columns, null, tuple(names[open_columns[~kept]]))


def what_is_open(design: Design, priors: PriorTable) -> Examination:
    """Rank and recession cone in the coefficients that have no proper prior."""
    if priors.is_jeffreys:  # holds back what separation drives to infinity, not what is collinear
        found = examine(design)
        none = found.cone._replace(directions=found.cone.directions[:0], positive=np.zeros_like(found.cone.positive))
        return found._replace(cone=none)
    if design.has_intercept and priors.intercept_at == "zero" and not priors.flat_intercept:
        # A prior holds the intercept at x = 0; the one at the feature means moves with the weights.
        scale = design.standardisation.scale
        design = replace(design, standardisation=Standardisation(np.zeros_like(scale), scale))
    return examine(design, flat_columns(design, priors))


def flat_columns(design: Design, priors: PriorTable) -> NDArray[np.bool_]:
    """(q,) True for coefficients without a proper prior."""
    intercept = [priors.flat_intercept] if design.has_intercept else []
    return np.append(np.array(intercept, dtype=np.bool_), priors.flat_features)


def check_separation(design: Design, free: NDArray[np.bool_] | None = None) -> Separation:
    """Find a separating direction by linear programs (HiGHS), or exclude one; name collinear columns, empty classes.

    Parameters
    ----------
    design
        Data.
    free
        (q,) True for coefficients that may move; default all.
    """
    return describe(examine(design, free))


def describe(found: Examination) -> Separation:
    """The verdict of an examination, with names."""
    design, cone = found.design, found.cone
    names, classes = coefficient_names(design), design.response.classes
    empty, absent, groups = _classes_without_choice(design)
    # Without an intercept that is free, choice sets may keep an empty class from falling below the others.
    falls = design.available is None or 0 in found.columns[: int(design.has_intercept)]
    apart = bool(empty) and falls and bool(cone.positive.any())
    seen = _among_observed(found, empty) if apart else found
    kind = "quasi-complete" if cone.positive.any() else "none"
    if seen.cone.positive.any() and (seen.cone.positive == seen.cone.observed.others).all():
        kind = "complete"
    chosen, direction = _direction(seen, found, empty if apart else ())
    raw = _per_unit(design, direction[None])
    told_apart = _told_apart(design, direction, empty if apart and seen.cone.positive.any() else ())
    index = pd.Index(names, name="feature", dtype=object)
    columns = pd.Index(list(classes), name=design.response.name)
    loose = within_groups(cone.observed.lines, groups) > ZERO
    return Separation(
        kind=kind,
        features=tuple(np.array(names, dtype=object)[chosen & (np.ptp(raw[0], axis=0) > 0)]),
        pairs=_pairs(cone, classes),
        direction=pd.DataFrame(direction.T, index=index, columns=columns),
        per_unit=pd.DataFrame(raw[0].T, index=index, columns=columns),
        rows=_examples(design, told_apart),
        n_separated=int(told_apart.any(axis=1).sum()),
        n_obs=int(informative_rows(design).sum()),
        collinear=found.redundant,
        empty_classes=tuple(classes[k] for k in empty),
        never_offered=tuple(classes[k] for k in absent),
        unconnected=tuple(tuple(classes[k] for k in group) for group in groups) if len(groups) > 1 else (),
        undetermined=tuple(np.array(names, dtype=object)[found.columns[loose]]),
    )


def _classes_without_choice(design: Design) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, ...]]]:
    """Classes on offer that were never observed; classes never on offer beside another; the others, as connected."""
    classes, K = design.response.classes, design.n_classes
    if design.available is None:
        return tuple(classes.index(c) for c in design.response.unused), (), [tuple(range(K))]
    rows = informative_rows(design)
    offered, chosen = design.available[rows].any(axis=0), design.dense_counts()[rows].sum(axis=0) > 0
    empty, absent = np.flatnonzero(offered & ~chosen), np.flatnonzero(~offered)
    groups = [g for g in connected_classes(design.available[rows]) if offered[list(g)].all()]
    return tuple(empty.tolist()), tuple(absent.tolist()), groups


def _among_observed(found: Examination, empty: tuple[int, ...]) -> Examination:
    """The same examination of the classes that were observed, on its columns; the cone of all projects to theirs.

    For any direction of theirs each empty class has one that it keeps below: that of their average, with a lower
    intercept where only some of them are on offer.
    """
    design, K = found.design, found.design.n_classes
    kept = np.array([k for k in range(K) if k not in empty])
    response, available = design.response, design.available
    position = np.full(K, -1)
    position[kept] = np.arange(len(kept))
    part = replace(
        design,
        response=replace(
            response,
            classes=tuple(response.classes[k] for k in kept),
            # Classes that occur in rows of weight zero only count as the first: such rows say nothing.
            codes=None if response.codes is None else np.maximum(position[response.codes], 0),
            counts=None if response.counts is None else np.ascontiguousarray(response.counts[:, kept]),
            unused=(),
        ),
        available=None if available is None else available[:, kept],
    )
    free = np.zeros(design.n_features + int(design.has_intercept), dtype=bool)
    free[found.columns] = True
    return _examine(part, free)


def _direction(seen: Examination, found: Examination, empty: tuple[int, ...]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Columns (q,) that are needed to tell observed classes apart, and a direction (K, q) that does, of size 1.

    Where only empty classes can fall, one in which they do.
    """
    design, K = found.design, found.design.n_classes
    chosen = np.ones(design.n_features + int(design.has_intercept), dtype=bool)
    inside = np.zeros((K, len(chosen)))
    if seen.cone.positive.any():
        smallest = smallest_separating(seen.cone, _raw_intercept(seen))
        chosen[:] = False
        chosen[seen.columns[smallest.columns]] = True
        kept = [k for k in range(K) if k not in empty]
        moved = _embedded(seen, smallest.direction[None])[0]
        inside[kept] = moved - moved.mean(axis=0)
        if design.available is not None and empty:
            margins = found.cone.observed.margins(inside[:, found.columns])
            inside[list(empty), 0] += np.minimum(margins[:, list(empty)].min(axis=0), 0.0)
            inside -= inside.mean(axis=0)
    else:
        inside = _embedded(found, found.cone.directions.sum(axis=0, keepdims=True))[0]
        inside -= inside.mean(axis=0)
    inside /= np.abs(inside).max(initial=0.0) or 1.0
    return chosen, inside


def _raw_intercept(found: Examination) -> FloatArray | None:
    """The intercept at x = 0 (q,) as a function of the cone's columns; None if theirs is not among them."""
    design = found.design
    if not design.has_intercept or not len(found.columns) or found.columns[0] != 0:
        return None
    function = np.concatenate([[1.0], -design.standardisation.centre / design.standardisation.scale])
    return function[found.columns]


def recession_rays(found: Examination) -> FloatArray:
    """Directions (R, p + 1, K) of the raw coefficients, intercept first, that show what each contrast can do.

    Along each of them the likelihood never falls.  Where a contrast is zero on all, its estimate is finite; where it
    has one sign on all, it is infinite; else the data do not determine it (:mod:`bayes_softmax.separation.rays`).
    """
    design, K = found.design, found.design.n_classes
    first = int(design.has_intercept)
    rows = np.zeros((design.n_features + first, len(found.columns)))
    rows[found.columns, np.arange(len(found.columns))] = 1.0
    if first:
        of_weights = found.columns > 0
        features = found.columns[of_weights] - 1
        rows[0, of_weights] = -(design.standardisation.centre / design.standardisation.scale)[features]
    directions = [np.zeros((0, K, design.n_features + first))]
    if len(found.cone.directions):
        directions.append(_embedded(found, rays(found.cone, rows)))
    unseen = unseen_directions(found)
    if len(unseen):
        # A random combination of the lines moves every contrast that one of them moves.
        line = np.tensordot(np.random.default_rng(0).normal(size=len(unseen)), unseen, axes=1)
        directions += [line[None], -line[None]]
    return _with_intercept(design, np.concatenate(directions))


def deciding_directions(found: Examination) -> FloatArray:
    """Directions (R, K, q) on the standardised features that show what becomes of the logits of any row.

    Along each of them the likelihood never falls.  A difference of two logits that is zero on all is finite; with one
    sign on all it is infinite; else it is not determined.
    """
    q = found.design.n_features + int(found.design.has_intercept)
    directions = [np.zeros((0, found.design.n_classes, q))]
    if len(found.cone.directions):
        directions.append(_embedded(found, row_rays(found.cone)))
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
    return np.concatenate([collinear, _embedded(found, lines)]) if len(lines) else collinear


def open_directions(found: Examination) -> FloatArray:
    """Directions (m, p + 1, K) of the raw coefficients that span what is open, intercept first."""
    directions = _unseen(found, found.null.basis)
    if len(found.cone.directions):
        directions = np.concatenate([directions, _embedded(found, span(found.cone))])
    return _with_intercept(found.design, directions)


def _of_each_class(n_classes: int, vectors: FloatArray) -> FloatArray:
    """Directions (r (K - 1), K, q) that move one class, but never the first, along each of the vectors (r, q)."""
    moved: FloatArray = np.einsum("ck,rq->rckq", np.eye(n_classes)[1:], vectors)
    return moved.reshape(-1, n_classes, vectors.shape[1])


def _with_intercept(design: Design, directions: FloatArray) -> FloatArray:
    """Raw directions (R, p + 1, K) of ones on the standardised features; a model without intercept gets zeros."""
    raw = _per_unit(design, directions).transpose(0, 2, 1)
    return raw if design.has_intercept else np.concatenate([np.zeros_like(raw[:, :1]), raw], axis=1)


def _embedded(found: Examination, directions: FloatArray) -> FloatArray:
    """Directions (R, K, q) on all columns, of ones on the cone's."""
    q = found.design.n_features + int(found.design.has_intercept)
    out = np.zeros((*directions.shape[:2], q))
    out[:, :, found.columns] = directions
    return out


def _per_unit(design: Design, directions: FloatArray) -> FloatArray:
    """Directions (R, K, q) per unit of the features, intercept at x = 0; rounding is made zero."""
    out = np.where(np.abs(directions) < ZERO, 0.0, directions)
    first = int(design.has_intercept)
    out[:, :, first:] /= design.standardisation.scale
    if first:
        moved = out[:, :, first:] * design.standardisation.centre
        terms = np.abs(out[:, :, 0]) + np.abs(moved).sum(axis=2)
        at_zero = out[:, :, 0] - moved.sum(axis=2)
        out[:, :, 0] = np.where(np.abs(at_zero) < ZERO * terms, 0.0, at_zero)
    return out


def _told_apart(design: Design, direction: FloatArray, empty: tuple[int, ...]) -> NDArray[np.bool_]:
    """(N, K) whether a class observed in a row has a positive margin over another one there, empty ones aside."""
    logits = design.standardised() @ direction.T
    others = logits if design.available is None else np.where(design.available, logits, np.inf)
    others = np.delete(others, empty, axis=1) if empty else others
    over_least: NDArray[np.bool_] = logits - others.min(axis=1, keepdims=True) > POSITIVE
    return over_least & (design.dense_counts() > 0)


def _pairs(cone: Cone, labels: Sequence[Label]) -> tuple[tuple[Label, Label], ...]:
    """Pairs of classes between which some observation can have a positive margin."""
    K = len(labels)
    gains = np.array([cone.positive[cone.observed.own == k].any(axis=0) for k in range(K)])
    gains |= gains.T
    return tuple((labels[k], labels[l]) for k in range(K) for l in range(k + 1, K) if gains[k, l])


def _examples(design: Design, told_apart: NDArray[np.bool_]) -> tuple[Label, ...]:
    """Labels of the first rows of each class that are separated, in the order of the data."""
    chosen = {int(n) for k in range(design.n_classes) for n in np.flatnonzero(told_apart[:, k])[:EXAMPLES]}
    labels = (design.index[n] for n in sorted(chosen))
    return tuple(label.item() if isinstance(label, np.generic) else label for label in labels)
