"""Weights at the border: one finite, non-negative number for each row."""

from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import is_frame, require_columns, to_pandas
from bayes_softmax.data.not_numbers import not_numbers
from bayes_softmax.data.real_numbers import real_numbers


def read_weights(weights: Any, data: Any, n_obs: int, index: Any) -> FloatArray | None:
    """(N,) frequency weights from an array, a column, or the name of a column of the data."""
    values = read_part_weights(weights, data, n_obs, index)
    if values is not None and values.sum() <= 0:
        raise ValueError("weights: their sum is zero; at least one observation needs a positive weight")
    return values


def read_part_weights(weights: Any, data: Any, n_obs: int, index: Any) -> FloatArray | None:
    """The same of some of the rows, all of which may have weight zero."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if not is_frame(data):
            raise ValueError(
                f"weights={shown(weights)} would name a column of a data frame, and the data is none; give one number "
                "for each row"
            )
        frame = to_pandas(data)
        require_columns(frame, [weights], "weights: data")
        weights = frame[weights]
    values = read_numbers(weights, "weights", index)
    if values.shape != (n_obs,):
        raise ValueError(f"weights has shape {values.shape}; expected ({n_obs},), one number for each row")
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        raise ValueError(
            f"weights is {values[bad[0]]:g} in {describe_rows(index, bad)}; weights must be finite and not negative"
        )
    return values


def read_numbers(values: Any, argument: str, index: Any = None) -> FloatArray:
    """New float64 values of an array or a column, NaN where one is missing."""
    values = to_pandas_or_numpy(values, argument)
    if isinstance(values, pd.Series) and values.dtype != object:
        if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
            raise TypeError(not_numbers(values, argument if values.name is None else str(values.name), argument))
        if not pd.api.types.is_complex_dtype(values):
            return np.array(values.to_numpy(dtype=np.float64, na_value=np.nan))
    array = values.to_numpy() if isinstance(values, pd.Series | pd.DataFrame) else values
    return real_numbers(array, argument, index=index if index is not None and len(index) == len(array) else None)
