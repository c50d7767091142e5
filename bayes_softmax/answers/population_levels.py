"""Levels of groups in the rows that averages run over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.levels import Asked
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.core.records import IntArray
from bayes_softmax.data.groups.choices import with_levels_of_rows
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.data.schema import Schema


@dataclass(frozen=True)
class LevelsOfData:
    """Levels of the data of a fit: their own, or as many new ones."""

    schema: Schema
    asked: Asked

    def __post_init__(self) -> None:
        """Only a single level for all rows is meaningful: the data may be kept collapsed."""
        given = self.asked.groups
        if given is None:
            return
        if isinstance(given, Mapping) and not all(pd.api.types.is_scalar(value) for value in given.values()):
            raise ValueError("groups: a level for each row belongs to new data; give data too, or one level for all")
        with_levels_of_rows(self.schema.groups, (), pd.DataFrame(index=range(1)), given)

    @property
    def n_levels(self) -> Mapping[str, int]:
        """Number of levels of each grouping."""
        return {g.name: g.n_levels for g in self.schema.groups}

    def of(self, rows: VariableRows) -> VariableRows:
        """Rows of the data with the codes of their levels."""
        groups = self.schema.groups
        if not groups:
            return rows
        frame = with_levels_of_rows(groups, (), rows.frame, self.asked.groups)
        averaged = self.asked.averaged
        codes = [np.zeros(len(frame), dtype=np.int64) if g.name in averaged else g.codes(frame) for g in groups]
        return rows._replace(codes=np.column_stack(codes))


def joined_rows(parts: list[VariableRows]) -> VariableRows:
    """The rows of all parts."""
    offset, available, codes = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("offset", "available", "codes")
    )
    weights = np.concatenate([part.weights for part in parts])
    return VariableRows(pd.concat([part.frame for part in parts]), offset, weights, available, codes)


def distinct_rows(schema: Schema, whole: VariableRows) -> VariableRows:
    """Distinct rows with their weights: those that differ in their levels alone are equal."""
    slopes = (name for g in schema.groups for name in g.slope_columns)
    read = list(dict.fromkeys((*schema.feature_columns, *slopes)))
    frame = whole.frame[read]
    parts: list[pd.DataFrame] = [frame.reset_index(drop=True)]
    parts += [
        pd.DataFrame(a).add_prefix(f"{i}:") for i, a in enumerate((whole.offset, whole.available)) if a is not None
    ]
    key = pd.concat(parts, axis=1)
    code: IntArray = np.zeros(len(key), dtype=np.int64)
    if key.shape[1]:
        code = np.asarray(key.groupby(list(key.columns), sort=False, dropna=False, observed=True).ngroup())
    _, first = np.unique(code, return_index=True)
    weights = np.asarray(np.bincount(code, weights=whole.weights), dtype=np.float64)
    return whole._replace(frame=frame).take(first)._replace(weights=weights)


def with_level(
    rows: VariableRows, groups: Sequence[Grouping], values: Mapping[str, Any], averaged: Sequence[str]
) -> VariableRows:
    """Rows whose groupings, but those averaged over, have the level that values of their columns name."""
    if rows.codes is None:
        return rows
    codes = rows.codes.copy()
    for j, grouping in enumerate(groups):
        if grouping.name not in averaged and all(name in values for name in grouping.columns):
            codes[:, j] = grouping.codes(pd.DataFrame({name: [values[name]] for name in grouping.columns}))
    return rows._replace(codes=codes)
