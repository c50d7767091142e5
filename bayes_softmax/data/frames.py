"""Data frames at the border: pandas or polars in, checked pandas columns out; errors name column and row."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted, describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.not_numbers import is_factor, not_numbers
from bayes_softmax.data.real_numbers import real_numbers

MISSING_ADVICE = {
    "X": "fill it, or pass missing='drop' to leave out such rows",
    "data": "fill it, or leave out such rows",
}


def is_frame(data: object) -> bool:
    """Whether ``data`` is a data frame of a library we read: pandas, or any that narwhals knows."""
    return isinstance(data, pd.DataFrame) or nw.dependencies.is_into_dataframe(data)


def is_series(data: object) -> bool:
    """Whether ``data`` is a column of such a library, or a pandas categorical or index."""
    return isinstance(data, pd.Categorical | pd.Index) or nw.dependencies.is_into_series(data)


def to_pandas(data: Any) -> pd.DataFrame:
    """A pandas frame of ``data``, sharing memory where it can; never mutated afterwards."""
    if isinstance(data, pd.DataFrame):
        return data
    frame = nw.from_native(data, eager_only=True)
    # The categories of a polars Categorical have no meaningful order (an Enum's do): read them as strings.
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
    """Raise if a column is missing, naming it and the nearest column there is, or if it appears twice."""
    columns = Counter(map(str, frame.columns))
    for name in names:
        if columns[name] > 1:
            raise ValueError(f"{argument} has {columns[name]} columns named {shown(name)}; names must be unique")
        if name not in columns:
            hint = did_you_mean(name, columns)
            raise ValueError(f"{argument} has no column {shown(name)}{hint} (columns: {listed(frame.columns)})")


def check_columns(frame: pd.DataFrame, argument: str) -> None:
    """Raise if columns have names of several levels: a feature, a class or an option has one name."""
    if frame.columns.nlevels > 1:
        first = ", ".join(map(str, frame.columns[0]))
        raise ValueError(
            f"{argument} has columns of {frame.columns.nlevels} levels, such as ({first}); give each one "
            f"name first: {argument}.columns = ['_'.join(map(str, c)) for c in {argument}.columns]"
        )


def check_aligned(X: Any, other: Any, argument: str, owner: str = "X") -> None:
    """A pandas index on both sides must be the same, in the same order: nothing is aligned silently."""
    if not isinstance(X, pd.DataFrame) or not isinstance(other, pd.DataFrame | pd.Series):
        return
    if len(X) != len(other):
        raise ValueError(f"{owner} has {counted(len(X), 'row')}, but {argument} has {len(other)}")
    different = np.flatnonzero(
        np.asarray(X.index != other.index) & ~(np.asarray(X.index.isna()) & np.asarray(other.index.isna()))
    )
    if different.size:
        i = int(different[0])
        here, there = shown(other.index[i]), shown(X.index[i])
        raise ValueError(
            f"{argument} is not aligned with {owner}: row {i} is {here} in {argument} and {there} "
            f"in {owner}; align it first ({argument}.loc[{owner}.index]), or pass {argument}.to_numpy() if the order "
            "is right"
        )


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) True where any of the named columns is missing."""
    missing = np.zeros(len(frame), dtype=bool)
    for name in names:
        missing |= frame[name].isna().to_numpy(dtype=bool)
    return missing


def raise_if_missing(frame: pd.DataFrame, names: Iterable[str], *, advice: str, argument: str = "data") -> None:
    """Raise if a value is missing, naming column and rows, with advice."""
    for name in names:
        where = np.flatnonzero(frame[name].isna().to_numpy(dtype=bool))
        if where.size:
            raise ValueError(
                f"{argument}: column {shown(name)} has a missing value in {describe_rows(frame.index, where)}; {advice}"
            )


def plain_column(column: pd.Series) -> pd.Series:
    """The column; one of dtype object that holds only numbers, or only booleans, in their dtype."""
    if not pd.api.types.is_object_dtype(column):
        return column
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in ("integer", "floating", "mixed-integer-float"):
        return pd.to_numeric(column)
    return column.astype("boolean") if held == "boolean" else column


def column_numbers(column: pd.Series, name: str, argument: str = "data") -> FloatArray:
    """Float64 values of a column of numbers or booleans, NaN where one is missing; objects may be numbers too."""
    numeric = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if numeric and not pd.api.types.is_complex_dtype(column):
        values: FloatArray = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return values
    if numeric or (column.dtype == object and not is_factor(column)):
        return real_numbers(column.to_numpy(dtype=object), f"{argument}: column {shown(name)}", index=column.index)
    raise TypeError(not_numbers(column, name, argument))


def numeric_values(column: pd.Series, name: str, argument: str = "data") -> FloatArray:
    """Finite float64 values of a numeric or boolean column."""
    values = column_numbers(column, name, argument)
    check_finite(values[:, None], [name], column.index, argument)
    return values


def numeric_matrix(frame: pd.DataFrame, names: Sequence[str], argument: str = "data") -> FloatArray:
    """A new array (N, p), C-contiguous, of finite float64 values of numeric or boolean columns."""
    chosen = frame if list(frame.columns) == list(names) else frame[list(names)]
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in set(chosen.dtypes)):  # all at once
        values = np.array(chosen.to_numpy(dtype=np.float64), order="C")
        check_finite(values, names, frame.index, argument)
        return values
    factors = [j for j in range(len(names)) if is_factor(chosen.iloc[:, j])]
    if factors:
        first, *others = (names[j] for j in factors)
        raise TypeError(not_numbers(chosen.iloc[:, factors[0]], first, argument, others))
    columns = [numeric_values(chosen.iloc[:, j], name, argument) for j, name in enumerate(names)]
    return np.stack(columns, axis=1)


def check_finite(
    values: FloatArray, names: Sequence[str], index: Any, argument: str, *, if_missing: str | None = None
) -> None:
    """Raise if an entry is NaN or infinite, naming column and rows; ``if_missing`` is the advice for NaN."""
    if np.isfinite(values).all():
        return
    for j, name in enumerate(names):
        where = np.flatnonzero(~np.isfinite(values[:, j]))
        if where.size:
            missing = np.isnan(values[where[0], j])
            advice = (if_missing or MISSING_ADVICE.get(argument)) if missing else None
            raise ValueError(
                f"{argument}: column {shown(name)} is {'NaN' if missing else 'infinite'} in "
                f"{describe_rows(index, where)}; {advice or 'expected finite numbers'}"
            )
