"""Levels that were never observed with some of the classes, counted over rows that are read in passes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Label, Standardisation
from bayes_softmax.data.sources.partitions import Numbered
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.separation.choice_sets import informative_rows
from bayes_softmax.separation.examination import Examination
from bayes_softmax.separation.levels import LevelsWithout, LevelWithout
from bayes_softmax.separation.recession import POSITIVE

FLAG = (0, 1)  # levels of a column of zeros and ones


class Looking(NamedTuple):
    """A direction (K, q) inside the cone, on standardised features; classes without data; names of columns of 0, 1."""

    direction: FloatArray
    empty: tuple[int, ...]
    at: Standardisation
    flags: frozenset[str]


class Pairs(NamedTuple):
    """Observed pairs of a row and a class: positions of rows, classes, rivals (P, K), and positive margins (P, K)."""

    row: IntArray
    own: IntArray
    rivals: NDArray[np.bool_]
    positive: NDArray[np.bool_]


class Counts(NamedTuple):
    """Of one variable: levels, rows in each, and (levels, K) pairs of the class itself, rivals, positive margins."""

    levels: tuple[Label, ...]
    rows: FloatArray
    own: FloatArray
    rivals: FloatArray
    positive: FloatArray

    @property
    def excluded(self) -> NDArray[np.bool_]:
        """(levels, K) classes that no row of a level has, and over which all its rows have a positive margin."""
        excluded: NDArray[np.bool_] = (self.own == 0) & (self.rivals > 0) & (self.positive == self.rivals)
        return excluded


type Tables = Mapping[str, Counts]


def levels_in_passes(
    rows: StreamedRows, found: Examination, direction: FloatArray, empty: tuple[int, ...]
) -> LevelsWithout:
    """Levels of factors and flags whose rows exclude a class along a direction inside the cone of all rows."""
    moments, names = rows.summary.moments, rows.summary.feature_names
    is_flag = ~moments.many & (moments.values == np.array(FLAG)[:, None]).all(axis=0)
    flags = frozenset(name for name, flag in zip(names, is_flag, strict=True) if flag)
    looking = Looking(direction, empty, found.design.standardisation, flags)
    tables = rows.run_variables(partial(_tables_of, looking), _added, "levels without some class")
    excluded = {name: counts.excluded for name, counts in tables.items() if counts.excluded.any()}
    if not excluded:
        return LevelsWithout((), False)
    classes = found.design.response.classes
    levels = tuple(
        LevelWithout(
            name,
            tables[name].levels[level],
            int(tables[name].rows[level]),
            tuple(classes[k] for k in np.flatnonzero(out[level])),
        )
        for name, out in excluded.items()
        for level in np.flatnonzero(out.any(axis=1))
    )
    others = rows.run_variables(partial(_unexplained, looking, excluded), _either, "separation beside these levels")
    return LevelsWithout(levels, not others)


def _pairs(looking: Looking, design: Design) -> Pairs:
    design = replace(design, standardisation=looking.at)
    logits = design.standardised() @ looking.direction.T
    row, own = np.nonzero((design.dense_counts() > 0) & informative_rows(design)[:, None])
    rivals = np.ones((len(row), len(looking.direction)), dtype=bool)
    if design.available is not None:
        rivals = design.available[row]
    rivals[:, list(looking.empty)] = False
    rivals[np.arange(len(row)), own] = False
    return Pairs(row, own, rivals, rivals & (logits[row, own][:, None] - logits[row] > POSITIVE))


def _columns(looking: Looking, design: Design) -> dict[str, tuple[IntArray, tuple[Label, ...]]]:
    """Position of the level (n,) of each row, and the levels, of each factor and flag."""
    found: dict[str, tuple[IntArray, tuple[Label, ...]]] = {}
    for name, column in design.variables.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes, levels = column.cat.codes.to_numpy().astype(np.int64), tuple(column.cat.categories.tolist())
        elif column.dtype.kind == "b":
            codes, levels = column.to_numpy().astype(np.int64), (False, True)
        elif name in looking.flags:
            codes, levels = column.to_numpy().astype(np.int64), FLAG
        else:
            continue
        if len(levels) > 1:
            found[str(name)] = codes, levels
    return found


def _tables_of(looking: Looking, part: Numbered[Design]) -> Tables:
    """The counts of one partition."""
    total: Tables = {}
    for design in part.items:
        if design.n_obs:
            total = _added(total, _tables_of_rows(looking, design))
    return total


def _tables_of_rows(looking: Looking, design: Design) -> Tables:
    pairs, K, used = _pairs(looking, design), len(looking.direction), informative_rows(design)
    own = np.zeros_like(pairs.rivals)
    own[np.arange(len(pairs.row)), pairs.own] = True
    tables = {}
    for name, (codes, levels) in _columns(looking, design).items():
        n = len(levels)
        at = codes[pairs.row]
        sums = [
            np.stack([np.bincount(at, weights=which[:, k], minlength=n) for k in range(K)], axis=1)
            for which in (own, pairs.rivals, pairs.positive)
        ]
        tables[name] = Counts(levels, np.bincount(codes[used], minlength=n).astype(np.float64), *sums)
    return tables


def _added(a: Tables, b: Tables) -> Tables:
    """The counts of two sets of rows."""
    if not (a and b):
        return a or b
    return {name: Counts(x.levels, *(u + v for u, v in zip(x[1:], b[name][1:], strict=True))) for name, x in a.items()}


def _unexplained(looking: Looking, excluded: Mapping[str, NDArray[np.bool_]], part: Numbered[Design]) -> bool:
    """Whether some positive margin is not over a class that a level of its row excludes."""
    for design in part.items:
        if not design.n_obs:
            continue
        pairs, columns = _pairs(looking, design), _columns(looking, design)
        left = pairs.positive
        for name, out in excluded.items():
            left = left & ~out[columns[name][0][pairs.row]]
        if left.any():
            return True
    return False


def _either(a: bool, b: bool) -> bool:
    return a or b
