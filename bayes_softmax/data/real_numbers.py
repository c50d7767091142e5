"""Real numbers from any array; errors name the row and column of a value that is not one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import as_float, describe_rows, is_real, shown
from bayes_softmax.core.records import AnyArray, FloatArray


def real_numbers(
    values: Any, argument: str, *, index: Any = None, columns: Sequence[str] | None = None, advice: str = ""
) -> FloatArray:
    """A new float64 array of real numbers, C-contiguous; NaN where one is missing.

    ``advice`` says in the message what to do about text that is no number.

    Raises
    ------
    TypeError
        Complex numbers, text, dates: named with their row and, in two dimensions, their column.
    """
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            return np.array(array, dtype=np.float64, order="C")
    if array.dtype.kind != "O":
        array = array.astype(object)
    out = np.empty(array.shape)
    for at, value in np.ndenumerate(array):
        number = _number(value)
        if number is None:
            raise TypeError(f"{argument}{_place(array, at, index, columns, advice)}")
        out[at] = number
    return out


def _number(value: Any) -> float | None:
    """The number, NaN for a missing one, None for what is no real number."""
    if is_real(value):
        return as_float(value)
    return float("nan") if pd.api.types.is_scalar(value) and bool(pd.isna(value)) else None


def _place(array: AnyArray, at: tuple[int, ...], index: Any, columns: Sequence[str] | None, advice: str) -> str:
    """The value that is not a number, its place, and a remedy."""
    value = array[at]
    column = "" if array.ndim < 2 else f": column {shown(at[1] if columns is None else columns[at[1]])}"
    row = describe_rows(range(len(array)) if index is None else index, [at[0]]) if array.ndim else ""
    if isinstance(value, complex | np.complexfloating):
        return f"{column} is complex ({shown(value)} in {row}); expected real numbers"
    if isinstance(value, str):
        return (
            f"{column} is the text {shown(value)} in {row}; expected real numbers{_if_text_of_numbers(array) or advice}"
        )
    return f"{column} has {shown(value)} of type {type(value).__name__} in {row}; expected real numbers"


def _if_text_of_numbers(array: AnyArray) -> str:
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return ""
    return ": convert them with .astype(float)"
