"""Columns that a formula reads: their types when the model was made, and new data in the same form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.distinct import coded, recoded
from bayes_softmax.data.frames import numeric_values, plain_column

MANY_LEVELS = 10_000  # levels from which on no nearest match is sought
FEW_LEVELS = 20  # up to which a factor with few rows for each level is taken as it is
COLUMN_KINDS = ("numeric", "boolean", "categorical")
TRUTH = (False, True)

# Columns in the form from which features are made: positions of levels (N,), booleans or numbers.
Columns = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class ColumnType:
    """A column a formula reads: ``kind`` is ``"numeric"``, ``"boolean"`` or ``"categorical"``.

    ``levels`` are those of a categorical, or the distinct numbers of a column inside ``C()``; ``low`` and ``high``
    are the range of a numeric column.
    """

    kind: str
    levels: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0


def column_type_from_data(name: str, fields: Any) -> ColumnType:
    """The type of a column as a file holds it, checked."""
    if not isinstance(fields, Mapping) or set(fields) - {"kind", "levels", "low", "high"}:
        raise ValueError(f"variable {name!r} is damaged")
    kind, levels = fields.get("kind"), fields.get("levels", ())
    numbers = [fields.get("low", 0.0), fields.get("high", 1.0)]
    sound = (
        kind in COLUMN_KINDS
        and isinstance(levels, tuple)
        and all(isinstance(level, str | int | float) for level in levels)
        and len({(isinstance(level, bool), level) for level in levels}) == len(levels)
        and all(isinstance(v, int | float) and isfinite(v) for v in numbers)
        and (kind != "categorical" or levels)
        and (kind != "numeric" or _increasing(levels))
    )
    if not sound:
        raise ValueError(f"variable {name!r} is damaged")
    return ColumnType(str(kind), levels, float(numbers[0]), float(numbers[1]))


def _increasing(levels: tuple[Any, ...]) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v) for v in levels)
    return numbers and all(a < b for a, b in pairwise(levels))


def column_type_of(column: pd.Series, name: str, *, coded: bool) -> ColumnType:
    """The type of a column; ``coded`` if it is inside ``C()``, where numbers are names of levels."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = np.zeros(len(column.cat.categories), dtype=bool)
        used[column.cat.codes.to_numpy()] = True
        found = tuple(column.cat.categories[used].tolist())
        is_plain = all(isinstance(level, str | int | float | bool) for level in found)
        return ColumnType("categorical", found if is_plain else tuple(map(str, found)))  # pd.cut makes intervals
    column = plain_column(column)
    if pd.api.types.is_bool_dtype(column):
        return ColumnType("boolean")
    if pd.api.types.is_numeric_dtype(column):
        values = numeric_values(column, name)
        levels = tuple(map(_whole, np.unique(values).tolist())) if coded else ()
        return ColumnType("numeric", levels, float(values.min()), float(values.max()))
    if pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column):
        try:
            distinct = pd.unique(column).tolist()
        except TypeError:  # lists, which pandas cannot compare
            distinct = column.tolist()
        kinds = sorted({type(v).__name__ for v in distinct})
        if kinds != ["str"]:
            raise TypeError(
                f"data: column {name!r} has dtype object with values of type {', '.join(kinds)}; "
                "expected numbers, booleans, strings or a categorical"
                + ("; convert it first, as by .astype(str)" if "str" in kinds else "")
            )
        return ColumnType("categorical", tuple(sorted(distinct)))
    days = "; a number of days is (date - date.min()).dt.days" if column.dtype.kind == "M" else ""
    raise TypeError(
        f"data: column {name!r} has dtype {column.dtype}; expected numbers, booleans, strings or a categorical{days}"
    )


def check_levels(variable: ColumnType, name: str, n_obs: int) -> None:
    """Raise for a column of measured numbers inside ``C()``, each of which would be a level."""
    n_levels = len(variable.levels)
    measured = variable.kind == "numeric" and any(isinstance(level, float) for level in variable.levels)
    if measured and n_levels > max(n_obs / 2, FEW_LEVELS):
        raise ValueError(
            f"formula: C() of column {name!r} would make a level of each of {n_levels:,} different numbers in "
            f"{n_obs:,} rows; use the column without C(), or make groups of it first, as by pd.cut"
        )


def _whole(value: float) -> int | float:
    """A whole number as an int: its level is called ``2``, not ``2.0``."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def read_columns(variables: Mapping[str, ColumnType], frame: pd.DataFrame, *, truth: bool) -> Columns:
    """The columns of a frame in the form the model was made with; ``truth`` if booleans are two levels.

    Raises
    ------
    ValueError
        A level not seen when the model was made: named with its rows.
    TypeError
        A column of another kind than when the model was made.
    """
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for name, variable in variables.items():
        column = frame[name]
        if variable.kind == "categorical":
            columns[name] = _positions(column, name, variable.levels)
            continue
        column = plain_column(column)
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            held = "booleans" if variable.kind == "boolean" else "numbers"
            raise TypeError(f"data: column {name!r} has dtype {column.dtype}; the model was fitted with {held}")
        values = numeric_values(column, name)
        if variable.kind == "boolean" and truth:
            _check_known(values, column, name, TRUTH)
            columns[name] = values != 0
            continue
        if variable.levels:
            _check_known(values, column, name, variable.levels)
        columns[name] = values
    return columns


def positions_of(values: np.ndarray[Any, Any], variable: ColumnType) -> IntArray:
    """Positions (N,) of the levels in a column that was read."""
    if variable.kind == "numeric":
        return np.searchsorted(np.array(variable.levels, dtype=np.float64), values)
    return values.astype(np.int64, copy=False)


def levels_of(variable: ColumnType) -> tuple[Any, ...]:
    """The levels of a factor."""
    return TRUTH if variable.kind == "boolean" else variable.levels


def as_frame(variables: Mapping[str, ColumnType], columns: Columns, index: Any) -> pd.DataFrame:
    """The columns as they are shown and kept: numbers, booleans, and categoricals with the levels of the model."""
    shown: dict[str, Any] = {}
    for name, variable in variables.items():
        values = columns[name]
        if variable.kind == "categorical":
            shown[name] = pd.Categorical.from_codes(values, dtype=dtype_of(variable.levels))
        else:
            shown[name] = values.astype(bool) if variable.kind == "boolean" else values
    return pd.DataFrame(shown, index=index)


def dtype_of(levels: tuple[Any, ...]) -> pd.CategoricalDtype:
    """The type of a column with these levels."""
    mixed = len({type(level) for level in levels}) > 1
    return pd.CategoricalDtype(pd.Index(list(levels), dtype=object) if mixed else list(levels))


def _positions(column: pd.Series, name: str, levels: tuple[Any, ...]) -> IntArray:
    """Position of each value among the levels; anything else in the column is an error."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = dtype_of(levels)  # pandas takes types of the same categories in another order for equal
        if column.dtype == known and column.cat.categories.equals(known.categories):  # as the model keeps them
            return column.cat.codes.to_numpy().astype(np.int64)
        table = _lookup(column.cat.categories, levels)
        codes = column.cat.codes.to_numpy()
        found = codes.astype(np.int64) if np.array_equal(table, np.arange(len(table))) else table[codes]
    else:
        found = _lookup_column(column, levels)
    unseen = np.flatnonzero(found < 0)
    if unseen.size:
        raise _unseen_level(column, name, levels, unseen)
    return found


def _lookup_column(column: pd.Series, levels: tuple[Any, ...]) -> IntArray:
    """Positions of the values of a column among levels, -1 for others: of text each distinct one is sought once."""
    text = isinstance(column.dtype, pd.StringDtype) or column.dtype == object
    if not (text and all(isinstance(level, str) for level in levels)):
        return _lookup(column, levels)
    codes, distinct = coded(column.to_numpy() if column.dtype == object else column.array)
    return recoded(_lookup(distinct, levels), codes)


def _lookup(values: Any, levels: tuple[Any, ...]) -> IntArray:
    """Positions of values among levels, -1 for others."""
    index, sought = pd.Index(list(levels), dtype=object), pd.Index(values, dtype=object)
    if not index.is_unique:  # pandas takes False and 0 for one key
        table = {(isinstance(level, bool), level): j for j, level in enumerate(levels)}
        return np.array([table.get((isinstance(v, bool | np.bool_), v), -1) for v in sought.tolist()], dtype=np.int64)
    found: IntArray = index.get_indexer(sought).astype(np.int64, copy=False)
    if all(isinstance(level, str) for level in levels):  # intervals and dates are kept as their text
        for i in np.flatnonzero(found < 0).tolist():
            if isinstance(sought[i], pd.Interval | pd.Period | date) and str(sought[i]) in index:
                found[i] = index.get_loc(str(sought[i]))
    return found


def positions_among(column: pd.Series, levels: tuple[Any, ...]) -> IntArray:
    """Position (N,) of each value among the levels, -1 where it is none of them."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy()
        return np.append(_lookup(column.cat.categories, levels), -1)[codes]  # code -1 is a missing value
    return _lookup_column(column, levels)


def _check_known(values: FloatArray, column: pd.Series, name: str, levels: tuple[Any, ...]) -> None:
    """Raise if a number is not one of the levels."""
    known = np.array(levels, dtype=np.float64)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    unseen = np.flatnonzero(known[place] != values)
    if unseen.size:
        raise _unseen_level(column, name, levels, unseen)


def _unseen_level(column: pd.Series, name: str, levels: tuple[Any, ...], where: IntArray) -> ValueError:
    value = column.iloc[int(where[0])]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        value = _whole(value)
    alike = next((level for level in levels if str(level) == str(value)), None)
    hint = did_you_mean(value, levels) if isinstance(value, str) and len(levels) < MANY_LEVELS else ""
    if alike is not None:
        hint = f": level {shown(alike)} is of type {type(alike).__name__}, not {type(value).__name__}"
    return ValueError(
        f"data: column {shown(name)} has level {shown(value)} in {describe_rows(column.index, where)}, "
        f"which the model was not fitted with (levels: {listed(levels)}){hint}"
    )
