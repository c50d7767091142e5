"""Classes on offer: which classes a row could have had, read and checked at the border.

A class that is not on offer in a row has probability zero there; the others share the row as if it did not exist.
That is a mask of the logits, not an addend of minus infinity: no coefficient sees a class where it is not on offer.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.checks import counted, describe_rows, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.class_columns import read_class_columns
from bayes_softmax.data.design import Label, Response
from bayes_softmax.data.frames import raise_if_missing

Mask = NDArray[np.bool_]


def read_available(available: Any, data: Any, n_obs: int, classes: Sequence[Label], index: Any) -> Mask:
    """Mask (N, K) from an array, a frame with the classes as columns, K column names, or a mapping class -> column.

    Raises
    ------
    ValueError, TypeError
        A class without a column, or, named with its row, a value other than true, false, 1 and 0, a missing value or
        a row without a class on offer.
    """
    K, frame = len(classes), read_class_columns(available, data, classes, "available")
    if not isinstance(frame, pd.DataFrame):
        if np.shape(frame) != (n_obs, K):
            raise ValueError(
                f"available has shape {np.shape(frame)}; expected (N, K) = {(n_obs, K)}: True where a class is on offer"
            )
        frame = pd.DataFrame(frame, columns=[str(c) for c in classes])
    if len(frame) != n_obs:
        raise ValueError(f"available has {counted(len(frame), 'row')}; expected {n_obs}")
    mask = np.column_stack([_flags(frame.iloc[:, k], str(name), index) for k, name in enumerate(frame.columns)])
    nothing = np.flatnonzero(~mask.any(axis=1))
    if nothing.size:
        raise ValueError(f"available: no class is on offer in {describe_rows(index, nothing)}")
    return mask


def _flags(column: pd.Series, name: str, index: Any) -> Mask:
    """One column of true and false, or 1 and 0, as booleans."""
    labelled = column.set_axis(pd.Index(index)).to_frame(name)
    raise_if_missing(labelled, [name], advice="give 1 or 0 in every row", argument="available")
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        good = (values == 0) | (values == 1)
    else:
        good = np.array([isinstance(v, bool | int | float | np.number | np.bool_) and v in (0, 1) for v in values])
    bad = np.flatnonzero(~good)
    if bad.size:
        raise ValueError(
            f"available: column {shown(name)} is {shown(values[bad].tolist()[0])} in {describe_rows(index, bad[:1])}; "
            "expected True or False, 1 or 0"
        )
    return values.astype(bool)


def check_outcomes(available: Mask, response: Response, index: Any) -> None:
    """Raise where a class was observed that was not on offer, naming it and its rows."""
    if response.codes is not None:
        rows = np.flatnonzero(~available[np.arange(len(available)), response.codes])
        classes, observed = response.codes[rows], f"{response.name} is"
    else:
        assert response.counts is not None
        rows, classes = np.nonzero((response.counts > 0) & ~available)
        observed = f"{response.name} counts class"
    if rows.size:
        same, others = rows[classes == classes[0]], np.unique(rows[classes != classes[0]])
        more = f" (and another class in {counted(len(others), 'more row')})" if others.size else ""
        raise ValueError(
            f"available: {observed} {shown(response.classes[int(classes[0])])} in {describe_rows(index, same)}, where "
            f"that class is not on offer{more}"
        )


def without_forced(weights: FloatArray | None, available: Mask) -> FloatArray | None:
    """Weights (N,) that are zero where one class alone is on offer: its probability is one whatever the model says."""
    forced = available.sum(axis=1) == 1
    if not forced.any():
        return weights
    return np.where(forced, 0.0, 1.0 if weights is None else weights)
