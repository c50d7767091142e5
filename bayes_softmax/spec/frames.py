"""Data frames at the border: pandas or polars in, checked pandas columns out; errors name column and row."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.wording import listed


def is_frame(data: object) -> bool:
    """Whether ``data`` is a data frame of a library we read (pandas, or any that narwhals knows)."""
    if isinstance(data, pd.DataFrame):
        return True
    if isinstance(data, np.ndarray | list | tuple):
        return False
    if isinstance(data, pd.Series | dict | str) or data is None:
        return False
    return isinstance(nw.from_native(data, eager_only=True, pass_through=True), nw.DataFrame)


def is_series(data: object) -> bool:
    """Whether ``data`` is a pandas or polars column."""
    if isinstance(data, pd.Series | pd.Categorical | pd.Index):
        return True
    if isinstance(data, np.ndarray | list | tuple | str) or data is None:
        return False
    return isinstance(nw.from_native(data, series_only=True, pass_through=True), nw.Series)


def to_pandas(data: Any) -> pd.DataFrame:
    """A pandas frame of ``data``, sharing memory where it can; never mutated afterwards."""
    if isinstance(data, pd.DataFrame):
        if data.columns.nlevels > 1:
            raise ValueError(
                f"data has columns of {data.columns.nlevels} levels, such as {data.columns[0]!r}; give each one name, "
                "e.g. data.columns = ['_'.join(map(str, c)) for c in data.columns]"
            )
        return data
    frame = nw.from_native(data, eager_only=True)
    # The categories of a polars Categorical stand in no meaningful order (an Enum's do): read them as strings.
    unordered = [name for name, dtype in frame.schema.items() if dtype == nw.Categorical]
    plain: pd.DataFrame = frame.with_columns(nw.col(name).cast(nw.String) for name in unordered).to_pandas()
    return plain


def to_pandas_series(data: Any) -> pd.Series:
    """A pandas series of a column of any kind."""
    if isinstance(data, pd.Series):
        return data
    if isinstance(data, pd.Categorical | pd.Index):
        return pd.Series(data)
    series = nw.from_native(data, series_only=True)
    return to_pandas(series.to_frame().to_native()).iloc[:, 0]


def require_columns(frame: pd.DataFrame, names: Iterable[str], argument: str = "data") -> None:
    """Raise if a column is missing, naming it and the nearest column there is, or if it stands there twice."""
    columns = [str(c) for c in frame.columns]
    for name in names:
        if columns.count(name) > 1:
            raise ValueError(f"{argument} has {columns.count(name)} columns named {name!r}; names must be unique")
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{argument} has no column {name!r}{hint} (columns: {listed(columns)})")


def describe_rows(index: Any, where: Sequence[int] | np.ndarray[Any, Any], limit: int = 5) -> str:
    """Row labels for an error message: ``row 3`` or ``rows 3, 8, 9 (and 2 more)``."""
    positions = np.asarray(where)
    labels = [str(index[int(i)]) for i in positions[:limit]]
    more = f" (and {len(positions) - limit} more)" if len(positions) > limit else ""
    return f"row{'s' if len(positions) > 1 else ''} {', '.join(labels)}{more}"


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) True where any of the named columns is missing."""
    missing = np.zeros(len(frame), dtype=bool)
    for name in names:
        missing |= frame[name].isna().to_numpy(dtype=bool)
    return missing


def raise_if_missing(frame: pd.DataFrame, names: Iterable[str], *, advice: str, argument: str = "data") -> None:
    """Raise if a value is missing, naming column and rows, with advice what to do."""
    for name in names:
        where = np.flatnonzero(frame[name].isna().to_numpy(dtype=bool))
        if where.size:
            raise ValueError(
                f"{argument}: column {name!r} has a missing value in {describe_rows(frame.index, where)}; {advice}"
            )


def plain_column(column: pd.Series) -> pd.Series:
    """The column; one of dtype object that holds numbers only, or truth values only, in a dtype for these."""
    if not pd.api.types.is_object_dtype(column):
        return column
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in ("integer", "floating", "mixed-integer-float"):
        return pd.to_numeric(column)
    return column.astype("boolean") if held == "boolean" else column


def numeric_values(column: pd.Series, name: str, argument: str = "data") -> FloatArray:
    """Finite float64 values of a numeric or boolean column, or of one of Python's numbers."""
    column = plain_column(column)
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise TypeError(
            f"{argument}: column {name!r} has dtype {column.dtype}, expected numbers or booleans; "
            "a categorical feature needs a formula, e.g. SoftmaxRegression.from_formula('y ~ x + group', data)"
        )
    if pd.api.types.is_complex_dtype(column):
        raise TypeError(f"{argument}: column {name!r} is complex, expected real numbers")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    check_finite(values[:, None], [name], column.index, argument)
    return values


def check_finite(values: FloatArray, names: Sequence[str], index: Any, argument: str) -> None:
    """Raise if an entry is NaN or infinite, naming column and rows."""
    if np.isfinite(values).all():
        return
    for j, name in enumerate(names):
        where = np.flatnonzero(~np.isfinite(values[:, j]))
        if where.size:
            kind = "NaN" if np.isnan(values[where[0], j]) else "infinite"
            raise ValueError(
                f"{argument}: column {name!r} is {kind} in {describe_rows(index, where)}; expected finite numbers"
            )
