"""Groups of observations that are left out together, each with the levels whose effects nobody else informs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.folds import group_labels
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import TrainingData, cells_in, cells_of
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.groups.grouping import parts_of

Levels = tuple[IntArray, ...]


class Units(NamedTuple):
    """Observations by the unit that they belong to.

    ``labels`` (U,) name the units.  Entry e is class ``codes[e]`` in the distinct row ``rows[e]`` of unit ``units[e]``,
    ``amounts[e]`` times, and is cell ``cells[e]`` of all distinct rows; entries are ordered by unit, row and class.
    """

    labels: AnyArray
    units: IntArray
    rows: IntArray
    codes: IntArray
    cells: IntArray
    amounts: FloatArray

    @property
    def n_units(self) -> int:
        """U."""
        return len(self.labels)

    def entries(self, unit: int) -> slice:
        """Entries of a unit."""
        return slice(*np.searchsorted(self.units, [unit, unit + 1]).tolist())


class UnitRows(NamedTuple):
    """The distinct rows of a unit with counts (n, K), and of each grouping the levels that no other unit has."""

    rows: Rows
    counts: FloatArray
    own: Levels


def units_of(fit: Fitted, training: TrainingData, groups: Any) -> Units:
    """The observations by the label that ``groups`` gives to each row; rows without observations have no part in it."""
    column = group_labels(training, fit.schema, groups)
    code_of_row, labels = pd.factorize(column, sort=not pd.api.types.is_object_dtype(column))
    distinct, K = cells_of(training), fit.logits.n_classes
    given, codes, amounts = cells_in(training.given_blocks())
    rows, unit = training.row_map[given], code_of_row[given].astype(np.int64)
    key = (unit * training.n_rows + rows) * K + codes
    kept, place = np.unique(key, return_inverse=True)
    rest, codes = np.divmod(kept, K)
    unit, rows = np.divmod(rest, training.n_rows)
    present, unit = np.unique(unit, return_inverse=True)
    cells = np.searchsorted(distinct.rows * K + distinct.codes, rows * K + codes)
    names = np.asarray(labels)[present]
    whole = pd.api.types.is_integer_dtype(names)
    return Units(names if whole else names.astype(str), unit, rows, codes, cells, np.bincount(place, weights=amounts))


def rows_of_units(fit: Fitted, training: TrainingData, units: Units) -> list[UnitRows]:
    """The rows of each unit."""
    own, found, K = _own_levels(fit, training, units), [], fit.logits.n_classes
    for unit in range(units.n_units):
        here = units.entries(unit)
        at, local = np.unique(units.rows[here], return_inverse=True)
        counts = np.zeros((len(at), K))
        counts[local, units.codes[here]] = units.amounts[here]
        found.append(UnitRows(training.take(at), counts, own[unit]))
    return found


def _own_levels(fit: Fitted, training: TrainingData, units: Units) -> Sequence[Levels]:
    """Of each unit and grouping the levels all of whose observations are in that unit."""
    groups = fit.schema.groups
    found: list[list[IntArray]] = [[] for _ in range(units.n_units)]
    if not groups:
        return [() for _ in found]
    columns = np.concatenate([block.rows.X[:, len(fit.schema.feature_names) :] for block in training.blocks()])
    for grouping, codes, _ in parts_of(groups, columns):
        level = codes[units.rows]
        low = np.full(grouping.n_levels, units.n_units)
        high = np.full(grouping.n_levels, -1)
        np.minimum.at(low, level, units.units)
        np.maximum.at(high, level, units.units)
        alone = np.flatnonzero(low == high)
        order = np.argsort(low[alone], kind="stable")
        bounds = np.searchsorted(low[alone][order], np.arange(units.n_units + 1))
        for unit, levels in enumerate(found):
            levels.append(alone[order][bounds[unit] : bounds[unit + 1]])
    return [tuple(levels) for levels in found]
