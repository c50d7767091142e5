"""Classes on offer: which classes a row could have had, read and checked at the border.

A class that is not on offer in a row has probability zero there; the others share the row as if it did not exist.
That is a mask of the logits, not an addend of minus infinity: no coefficient sees a class where it is not on offer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.checks import counted, describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.arrays import given
from bayes_softmax.spec.design import Label, Response
from bayes_softmax.spec.frames import is_frame, raise_if_missing, require_columns, to_pandas
from bayes_softmax.spec.labels import plain_label

Mask = NDArray[np.bool_]


def available_columns(available: Any, classes: Sequence[Label]) -> tuple[str, ...]:
    """Columns that say what is on offer, if they are named: by a list in the order of the classes, or by class."""
    if isinstance(available, Mapping):
        available = [available[c] for c in classes if c in available]
    if isinstance(available, list | tuple) and all(isinstance(name, str) for name in available):
        return tuple(available)
    return ()


def read_available(available: Any, data: Any, n_obs: int, classes: Sequence[Label], index: Any) -> Mask:
    """Mask (N, K) from an array, a frame with the classes as columns, K column names, or a mapping class -> column.

    Raises
    ------
    ValueError, TypeError
        A class without a column, values other than true, false, 1 and 0, a missing value, or a row in which nothing
        is on offer: named with its row.
    """
    K, names = len(classes), [str(c) for c in classes]
    if isinstance(available, Mapping):
        odd, absent = [c for c in available if c not in classes], [c for c in classes if c not in available]
        if odd:
            hint = did_you_mean(odd[0], absent or classes)
            raise ValueError(
                f"available has a column for {shown(odd[0])}, which is no class{hint} (classes: {listed(classes)})"
            )
        if absent:
            raise ValueError(
                f"available has no column for class {shown(absent[0])}; name one for each class, a column of ones "
                "where it is always on offer"
            )
        available = [available[c] for c in classes]
    if isinstance(available, list | tuple) and available and all(isinstance(name, str) for name in available):
        if len(available) != K:
            raise ValueError(
                f"available names {counted(len(available), 'column')}; it needs one for each of {K} classes"
            )
        if not is_frame(data):
            raise ValueError(f"available names the columns {listed(available)}, but the data is not a data frame")
        frame, names = to_pandas(data), list(available)
        require_columns(frame, names, "available: data")
        frame = frame[names]
    else:
        frame = _by_class(available, (n_obs, K), classes)
    if len(frame) != n_obs:
        raise ValueError(f"available has {counted(len(frame), 'row')}; expected {n_obs}")
    mask = np.column_stack([_flags(frame.iloc[:, k], names[k], index) for k in range(K)])
    nothing = np.flatnonzero(~mask.any(axis=1))
    if nothing.size:
        raise ValueError(f"available: no class is on offer in {describe_rows(index, nothing)}")
    return mask


def _by_class(available: Any, shape: tuple[int, int], classes: Sequence[Label]) -> pd.DataFrame:
    """A frame, its columns in the order of the classes, from one with the classes as columns or from an array."""
    if isinstance(available, str):
        raise TypeError(
            f"available={shown(available)} must be an (N, K) array of True and False, {shape[1]} names of columns, or "
            "a mapping from class to column"
        )
    values = given(available, "available")
    if isinstance(values, pd.DataFrame):
        columns = [plain_label(c) for c in values.columns]
        if set(columns) != set(classes) or len(columns) != shape[1]:
            raise ValueError(f"available has the columns {listed(columns)}; name them by class: {listed(classes)}")
        return values.iloc[:, [columns.index(c) for c in classes]]
    if np.shape(values) != shape:
        raise ValueError(
            f"available has shape {np.shape(values)}; expected (N, K) = {shape}: True where a class is on offer"
        )
    return pd.DataFrame(values)


def _flags(column: pd.Series, name: str, index: Any) -> Mask:
    """One column of true and false, 1 and 0."""
    labelled = column.set_axis(pd.Index(index)).to_frame(name)
    raise_if_missing(labelled, [name], advice="say 1 or 0 in every row", argument="available")
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        good = (values == 0) | (values == 1)
    else:
        good = np.array([isinstance(v, bool | int | float | np.number | np.bool_) and v in (0, 1) for v in values])
    bad = np.flatnonzero(~good)
    if bad.size:
        raise ValueError(
            f"available: column {name!r} is {shown(values[bad].tolist()[0])} in {describe_rows(index, bad)}; "
            "expected True or False, 1 or 0"
        )
    return values.astype(bool)


def check_outcomes(available: Mask, response: Response, index: Any) -> None:
    """Raise where a class was observed that was not on offer, naming it and its rows."""
    if response.codes is not None:
        bad = np.flatnonzero(~available[np.arange(len(available)), response.codes])
        classes = response.codes[bad[:1]]
    else:
        assert response.counts is not None
        rows, columns = np.nonzero((response.counts > 0) & ~available)
        bad, classes = np.unique(rows), columns
    if bad.size:
        raise ValueError(
            f"available: {response.name} is {response.classes[int(classes[0])]!r} in {describe_rows(index, bad)}, "
            "where that class is not on offer"
        )


def without_forced(weights: FloatArray | None, available: Mask) -> FloatArray | None:
    """Weights (N,) that are zero where one class alone is on offer: its probability is one whatever the model says."""
    forced = available.sum(axis=1) == 1
    if not forced.any():
        return weights
    return np.where(forced, 0.0, 1.0 if weights is None else weights)
