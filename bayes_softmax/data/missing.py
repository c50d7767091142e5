"""Rows with missing values, dropped on request: weights, offset and choice sets go with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.checks import counted
from bayes_softmax.data.frames import missing_rows
from bayes_softmax.data.options import BY_ROW, Options


def without_missing(frame: pd.DataFrame, columns: list[str], options: Options) -> tuple[pd.DataFrame, int, Options]:
    """Drop rows with missing values on request; arrays with one entry per row are cut with them."""
    if options.missing == "error":
        return frame, 0, options
    missing = missing_rows(frame, columns) | missing_by_row(_by_row(options), len(frame))
    return frame[~missing], int(missing.sum()), _cut(options, ~missing)


def without_missing_arrays(X: Any, y: Any, options: Options) -> tuple[Any, Any, int, Options]:
    """The same for arrays, or for a frame and its labels."""
    if options.missing == "error":
        return X, y, 0, options
    if len(X) != len(y):
        raise ValueError(f"X has {counted(len(X), 'row')}, but y has {len(y)}")
    missing = missing_in(X) | missing_in(y) | missing_by_row(_by_row(options), len(X))
    return X[~missing], y[~missing], int(missing.sum()), _cut(options, ~missing)


def missing_by_row(values: Mapping[str, Any], n_obs: int) -> NDArray[np.bool_]:
    """Rows (N,) in which an argument that is given by value, one entry per row, is missing."""
    missing = np.zeros(n_obs, dtype=bool)
    for argument, value in values.items():
        if not isinstance(value, np.ndarray | pd.DataFrame | pd.Series):
            continue
        if len(value) != n_obs:
            raise ValueError(f"{argument} has shape {value.shape}; expected {counted(n_obs, 'row')}")
        missing |= missing_in(value)
    return missing


def missing_in(values: Any) -> NDArray[np.bool_]:
    """Rows (N,) with a missing value of an array, a series or a frame."""
    missing = np.asarray(pd.isna(values), dtype=bool)
    return np.asarray(missing.any(axis=tuple(range(1, missing.ndim))))


def kept_by_row(values: Mapping[str, Any], keep: NDArray[Any]) -> dict[str, Any]:
    """The arguments at some of the rows, where they are given by value; ``keep`` is a mask or positions."""
    kept = dict(values)
    for name, value in values.items():
        if isinstance(value, pd.DataFrame | pd.Series):
            kept[name] = value.iloc[keep]
        elif isinstance(value, np.ndarray):
            kept[name] = value[keep]
    return kept


def _by_row(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in BY_ROW}


def _cut(options: Options, keep: NDArray[np.bool_]) -> Options:
    """Weights, offset and choice sets of the kept rows, where they are given by value."""
    return replace(options, **kept_by_row(_by_row(options), keep))


def dropped_notes(n: int) -> tuple[str, ...]:
    """Note on the rows that were left out; none if all were complete."""
    return (f"{counted(n, 'row')} with missing values {'was' if n == 1 else 'were'} dropped",) if n else ()
