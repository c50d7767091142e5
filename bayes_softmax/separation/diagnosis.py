"""The verdict of an examination, with names: which classes are separated, by which features, in which rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Label
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of
from bayes_softmax.separation.choice_sets import connected_classes, informative_rows, within_groups
from bayes_softmax.separation.directions import on_all_columns, per_unit
from bayes_softmax.separation.examination import Examination, OverAll, examine
from bayes_softmax.separation.levels import LevelsWithout, levels_without
from bayes_softmax.separation.rank import coefficient_names
from bayes_softmax.separation.rays import ZERO
from bayes_softmax.separation.recession import POSITIVE, RecessionCone
from bayes_softmax.separation.smallest import smallest_separating
from bayes_softmax.separation.verdict import Separation

EXAMPLES = 2  # rows of each class that are shown


def check_separation(design: Design, free: NDArray[np.bool_] | None = None) -> Separation:
    """Find a separating direction by linear programs (HiGHS), or exclude one; name collinear columns, empty classes.

    Parameters
    ----------
    design
        Data.
    free
        (q,) True for coefficients that may move; default all.
    """
    return diagnose_separation(examine(design, free))


def diagnose_separation(found: Examination) -> Separation:
    """The verdict of an examination."""
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
    raw = per_unit(design, direction[None])
    separated = separated_rows(design, direction, empty if apart and seen.cone.positive.any() else ())
    index = pd.Index(names, name="feature", dtype=object)
    columns = pd.Index(list(classes), name=design.response.name)
    loose = within_groups(cone.observed.lines, groups) > ZERO
    without = levels_without(seen.design, seen.cone)
    verdict = Separation(
        kind=kind,
        features=tuple(np.array(names, dtype=object)[chosen & (np.ptp(raw[0], axis=0) > 0)]),
        pairs=_pairs(cone, classes),
        direction=table_of(pd.DataFrame(direction.T, index=index, columns=columns), others=Format("ratio")),
        per_unit=table_of(pd.DataFrame(raw[0].T, index=index, columns=columns), others=Format("ratio")),
        rows=_examples(design, separated),
        n_separated=int(separated.any(axis=1).sum()),
        n_obs=int(informative_rows(design).sum()),
        collinear=found.redundant,
        empty_classes=tuple(classes[k] for k in empty),
        never_offered=tuple(classes[k] for k in absent),
        unconnected=tuple(tuple(classes[k] for k in group) for group in groups) if len(groups) > 1 else (),
        undetermined=tuple(np.array(names, dtype=object)[found.columns[loose]]),
        levels=without.levels,
        levels_explain=without.explain_all,
    )
    return verdict if found.overall is None else _of_all(verdict, found.overall)


def _of_all(verdict: Separation, overall: OverAll) -> Separation:
    """The verdict with what is known of all rows, where some were examined."""
    levels = overall.levels or LevelsWithout((), False)
    return replace(
        verdict,
        rows=overall.rows,
        n_separated=overall.n_separated,
        n_obs=overall.n_obs,
        levels=levels.levels,
        levels_explain=levels.explain_all,
        proof=overall.said,
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

    Any of their directions extends to the empty classes, which stay below: they take the average direction, with a
    lower intercept where only some classes are on offer.
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
            # Classes that occur only in rows of weight zero are coded as the first: such rows carry no information.
            codes=None if response.codes is None else np.maximum(position[response.codes], 0),
            counts=None if response.counts is None else np.ascontiguousarray(response.counts[:, kept]),
            unused=(),
        ),
        available=None if available is None else available[:, kept],
    )
    free = np.zeros(design.n_features + int(design.has_intercept), dtype=bool)
    free[found.columns] = True
    return examine(part, free)


def _direction(seen: Examination, found: Examination, empty: tuple[int, ...]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Columns (q,) that separate the observed classes, and a direction (K, q) that does, with largest entry 1.

    Where only empty classes can fall, a direction in which they do.
    """
    design, K = found.design, found.design.n_classes
    chosen = np.ones(design.n_features + int(design.has_intercept), dtype=bool)
    inside = np.zeros((K, len(chosen)))
    if seen.cone.positive.any():
        smallest = smallest_separating(seen.cone, _raw_intercept(seen))
        chosen[:] = False
        chosen[seen.columns[smallest.columns]] = True
        kept = [k for k in range(K) if k not in empty]
        moved = on_all_columns(seen, smallest.direction[None])[0]
        inside[kept] = moved - moved.mean(axis=0)
        if design.available is not None and empty:
            margins = found.cone.observed.margins(inside[:, found.columns])
            inside[list(empty), 0] += np.minimum(margins[:, list(empty)].min(axis=0), 0.0)
            inside -= inside.mean(axis=0)
    else:
        inside = on_all_columns(found, found.cone.directions.sum(axis=0, keepdims=True))[0]
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


def separated_rows(design: Design, direction: FloatArray, empty: tuple[int, ...]) -> NDArray[np.bool_]:
    """(N, K) whether a class observed in a row has a positive margin over another one there, empty ones aside."""
    logits = design.standardised() @ direction.T
    others = logits if design.available is None else np.where(design.available, logits, np.inf)
    others = np.delete(others, empty, axis=1) if empty else others
    over_least: NDArray[np.bool_] = logits - others.min(axis=1, keepdims=True) > POSITIVE
    return over_least & (design.dense_counts() > 0)


def _pairs(cone: RecessionCone, labels: Sequence[Label]) -> tuple[tuple[Label, Label], ...]:
    """Pairs of classes between which some observation can have a positive margin."""
    K = len(labels)
    gains = np.array([cone.positive[cone.observed.own == k].any(axis=0) for k in range(K)])
    gains |= gains.T
    return tuple((labels[k], labels[l]) for k in range(K) for l in range(k + 1, K) if gains[k, l])


def _examples(design: Design, separated: NDArray[np.bool_]) -> tuple[Label, ...]:
    """Labels of the first rows of each class that are separated, in the order of the data."""
    chosen = {int(n) for k in range(design.n_classes) for n in np.flatnonzero(separated[:, k])[:EXAMPLES]}
    labels = (design.index[n] for n in sorted(chosen))
    return tuple(label.item() if isinstance(label, np.generic) else label for label in labels)
