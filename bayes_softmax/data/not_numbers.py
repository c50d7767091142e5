"""Columns that are no numbers, where numbers were expected: what they hold, and what to do about it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, listed, shown

FACTOR_ADVICE = (
    ". For factors use a formula, SoftmaxRegression.from_formula('y ~ .', data), or code them first: "
    "pd.get_dummies(X, drop_first=True)"
)
ADVICE = {
    "X": FACTOR_ADVICE,
    "data": ", which the model was fitted with",
    "counts": ": several responses of a formula are columns of counts",
    "y": ": columns of a response are counts, one for each class",
}
MOSTLY = 0.5  # share of written numbers from which on text is a column of numbers with slips, not a factor


def is_factor(column: pd.Series) -> bool:
    """Whether a column holds text or levels: a string type, a categorical, or objects of which one is a string."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if column.dtype == object:
        return any(isinstance(value, str) for value in column)
    return bool(pd.api.types.is_string_dtype(column))


def not_numbers(column: pd.Series, name: str, argument: str, others: Sequence[str] = ()) -> str:
    """Why a column cannot be read as numbers: its first such value and row, and a remedy; others like it by name."""
    if not is_factor(column):
        remedy = _as_numbers(column, f"{argument}[{shown(name)}]")
        return f"{argument}: column {shown(name)} has dtype {column.dtype}{_first(column)}; expected numbers{remedy}"
    kind = "categorical" if isinstance(column.dtype, pd.CategoricalDtype) else "text"
    if kind == "text":
        written = pd.to_numeric(column.astype(str), errors="coerce").notna() | column.isna()
        if written.all():
            return (
                f"{argument}: column {shown(name)} is text{_first(column)}; expected numbers: convert it with "
                ".astype(float)"
            )
        if written.mean() >= MOSTLY:
            return (
                f"{argument}: column {shown(name)} has text among its numbers{_first(column[~written])}; "
                f"pd.to_numeric({argument}[{shown(name)}], errors='coerce') makes such values missing"
            )
    where = f"{argument}: column {shown(name)} is {kind}{_first(column)}"
    if others:
        where = f"{argument}: columns {listed([name, *others])} are text or categorical{_first(column)}"
    return f"{where}; expected numbers{ADVICE.get(argument, '')}"


def _first(column: pd.Series) -> str:
    """The first value that is there, and its row, in parentheses."""
    there = np.flatnonzero(column.notna().to_numpy(dtype=bool))
    if not there.size:
        return ""
    value: Any = column.iloc[int(there[0])]
    written = shown(value) if isinstance(value, str | int | float | np.generic) else str(value)
    return f" ({written} in {describe_rows(column.index, there[:1])})"


def _as_numbers(column: pd.Series, written: str) -> str:
    """How dates and durations become numbers."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return f", such as days: ({written} - {written}.min()).dt.days"
    if pd.api.types.is_timedelta64_dtype(column):
        return f", such as seconds: {written}.dt.total_seconds()"
    return " or booleans"
