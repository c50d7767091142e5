"""A table as text: the labels and numbers that are shown, before they are laid out in a width or as HTML."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.display.digits import WRITERS, Format, Formats, aligned, as_given, by_error, chances, ratios
from bayes_softmax.display.words import plain

MOST_COLUMNS = 200  # beyond, a table has hundreds of blocks
OF_ONE_THING = ("contrast", "change", "class")  # levels whose labels share a unit: those of one feature


class Column(NamedTuple):
    """A column: its label, one part per level, and its cells; ``group`` marks columns that belong side by side."""

    label: tuple[str, ...]
    cells: list[str]
    group: Hashable
    is_text: bool


class Cells(NamedTuple):
    """Everything that is shown of a table.

    Attributes
    ----------
    rows
        Label of each row, one part per level.
    row_names, column_names
        Names of the levels of rows and columns, empty where there are none.
    columns
        The columns.
    gap
        Number of rows above the ones that are left out; None if none are.
    remarks
        Sentences below the table.
    """

    rows: list[tuple[str, ...]]
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    columns: list[Column]
    gap: int | None
    remarks: tuple[str, ...]


def cells_of(frame: pd.DataFrame, formats: Formats) -> Cells:
    """The cells of the first and last rows, as many as pandas' settings show."""
    shown, gap = _rows_shown(frame)
    kept = shown.iloc[:, :MOST_COLUMNS]
    remarks = []
    if len(shown) < len(frame):
        remarks.append(f"[{len(shown)} of {len(frame)} rows]")
    if kept.shape[1] < frame.shape[1]:
        remarks.append(
            f"[the first {MOST_COLUMNS} of {frame.shape[1]} columns; .iloc[:, {MOST_COLUMNS}:] has the others]"
        )
    note = frame.attrs.get("note")
    if isinstance(note, str):
        remarks.append(f"note: {note}")
    return Cells(
        rows=_labels(kept.index),
        row_names=_names(kept.index),
        column_names=_names(kept.columns),
        columns=[_column(kept, j, formats) for j in range(kept.shape[1])],
        gap=gap,
        remarks=tuple(remarks),
    )


def _rows_shown(frame: pd.DataFrame) -> tuple[pd.DataFrame, int | None]:
    """The rows that are shown, and how many of them are above the gap."""
    plain_frame, n = pd.DataFrame(frame), len(frame)
    limit = pd.get_option("display.max_rows")
    if not limit or n <= limit:  # None and 0 show all
        return plain_frame, None
    fewest = pd.get_option("display.min_rows")
    half = max(min(fewest or limit, limit) // 2, 1)
    return plain_frame.iloc[[*range(half), *range(n - half, n)]], half


def _labels(index: pd.Index) -> list[tuple[str, ...]]:
    """Parts of each label as text."""
    if isinstance(index, pd.MultiIndex):
        levels = [_level(index.get_level_values(i)) for i in range(index.nlevels)]
        return list(zip(*levels, strict=True)) if levels else []
    return [(text,) for text in _level(index)]


def _level(index: pd.Index) -> list[str]:
    dated = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex)
    return [plain(label) for label in (index.astype(str) if dated else index)]


def _names(index: pd.Index) -> tuple[str, ...]:
    return tuple("" if name is None else plain(name) for name in index.names)


def _column(frame: pd.DataFrame, j: int, formats: Formats) -> Column:
    """One column as text."""
    label = frame.columns[j]
    column, form = frame.iloc[:, j], formats.of(label)
    parts = _labels(frame.columns[j : j + 1])[0]
    group: Hashable = parts[:-1] if len(parts) > 1 else (form.by if form is not None and form.by else j)
    if pd.api.types.is_float_dtype(column.dtype):
        texts = _numbers(frame, column.to_numpy(dtype=np.float64, na_value=np.nan), form)
        return Column(parts, aligned(texts), group, is_text=False)
    is_text = not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype))
    return Column(parts, [_value(v) for v in column.astype(object)], group, is_text=is_text)


def _value(value: Any) -> str:
    """A value that is not of a column of real numbers."""
    return as_given(np.array([value]))[0] if isinstance(value, float) else plain(value)


def _numbers(frame: pd.DataFrame, values: FloatArray, form: Format | None) -> list[str]:
    """Real numbers as text; pandas' ``display.float_format`` has the last word."""
    own = pd.get_option("display.float_format")
    if own is not None:
        return [plain(own(v)) for v in values.tolist()]
    if form is None:
        return as_given(values)
    if form.kind == "chance":
        return chances(values, form.draws)
    beside = [_beside(frame, label) for label in form.by]
    known = [b for b in beside if b is not None]
    if form.kind == "ratio" and len(known) == len(form.by) == 2:
        return ratios(values, *known)
    if form.kind == "value" and len(known) == len(form.by) > 0:
        # An interval spans some three to four standard errors: enough to choose digits.
        errors = known[0] if len(known) == 1 else np.abs(known[1] - known[0]) / 4
        noise = None if form.noise is None else _beside(frame, form.noise)
        return by_error(values, errors, noise, _together(frame.index))
    return WRITERS[form.kind](values)


def _together(index: pd.Index) -> IntArray | None:
    """Number of the block that each row is in, by feature, whose rows have one unit; None where each is for itself."""
    if index.nlevels > 1:
        first: IntArray = pd.factorize(index.get_level_values(0))[0].astype(np.int64)
        return first
    return np.zeros(len(index), dtype=np.int64) if index.name in OF_ONE_THING else None


def _beside(frame: pd.DataFrame, label: Hashable) -> FloatArray | None:
    """Values of another column; None where it is gone, or there are several of that name."""
    where = np.flatnonzero(np.asarray(frame.columns == label))
    if len(where) != 1 or not pd.api.types.is_float_dtype(frame.dtypes.iloc[where[0]]):
        return None
    values: FloatArray = frame.iloc[:, where[0]].to_numpy(dtype=np.float64, na_value=np.nan)
    return values
