"""Levels of factors that were never observed with some of the classes: the commonest reason for separation."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Label
from bayes_softmax.separation.choice_sets import informative_rows
from bayes_softmax.separation.margins import ObservedPairs
from bayes_softmax.separation.recession import RecessionCone


class LevelWithout(NamedTuple):
    """A level of a variable, the number of its rows, and the classes on offer that were never observed there."""

    variable: str
    level: Label
    n_rows: int
    classes: tuple[Label, ...]


class LevelsWithout(NamedTuple):
    """Such levels, and whether they are all that separates the classes."""

    levels: tuple[LevelWithout, ...]
    explain_all: bool


def levels_without(design: Design, cone: RecessionCone) -> LevelsWithout:
    """Levels of factors and flags whose rows exclude a class along the directions of the cone."""
    observed, positive = cone.observed, cone.positive
    if not positive.any():
        return LevelsWithout((), False)
    used, unexplained, found = informative_rows(design), positive.copy(), list[LevelWithout]()
    for name in design.variables:
        codes, levels = _levels_of(design.variables[name])
        if len(levels) < 2:
            continue
        excluded = _excluded(observed, positive, codes, len(levels))
        unexplained &= ~excluded[codes[observed.row]]
        rows = np.bincount(codes[used], minlength=len(levels))
        for level in np.flatnonzero(excluded.any(axis=1)):
            classes = tuple(design.response.classes[k] for k in np.flatnonzero(excluded[level]))
            found.append(LevelWithout(str(name), levels[level], int(rows[level]), classes))
    return LevelsWithout(tuple(found), bool(found) and not unexplained.any())


def _levels_of(column: pd.Series) -> tuple[IntArray, list[Label]]:
    """Position of the level (N,) of each row, and the levels of a factor or flag; none of a number."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64), column.cat.categories.tolist()
    values = column.to_numpy()
    # A flag of an array is a column of zeros and ones.
    if values.dtype.kind != "b" and not np.isin(values, (0.0, 1.0)).all():
        return np.zeros(len(values), dtype=np.int64), []
    return values.astype(np.int64), [False, True] if values.dtype.kind == "b" else [0, 1]


def _excluded(
    observed: ObservedPairs, positive: NDArray[np.bool_], codes: IntArray, n_levels: int
) -> NDArray[np.bool_]:
    """(levels, K) classes that no row of a level has, and over which all its rows can have a positive margin."""
    at, others, K = codes[observed.row], observed.others, observed.n_classes

    def per_level(pairs: NDArray[np.bool_]) -> FloatArray:
        counts = [np.bincount(at, weights=pairs[:, k], minlength=n_levels) for k in range(K)]
        return np.stack(counts, axis=1)

    own = np.zeros_like(others)
    own[np.arange(len(at)), observed.own] = True
    rivals = per_level(others)
    excluded: NDArray[np.bool_] = (per_level(own) == 0) & (rivals > 0) & (per_level(positive) == rivals)
    return excluded
