"""Offsets at the border: one number for each row and class, added to its logit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.class_columns import read_class_columns
from bayes_softmax.data.design import Label
from bayes_softmax.data.frames import check_finite, column_numbers
from bayes_softmax.data.real_numbers import real_numbers

OFFSET_LIMIT = 1e150  # of an offset's entries: their squares and differences stay finite


def read_offset(offset: Any, data: Any, n_obs: int, classes: Sequence[Label]) -> FloatArray:
    """Offset (N, K) from an array, a frame, K column names, or a mapping from class to column name."""
    K, values = len(classes), read_class_columns(offset, data, classes, "offset")
    names = [str(c) for c in classes]
    index: Any = range(n_obs)
    if isinstance(values, pd.DataFrame):
        names, index = [str(c) for c in values.columns], values.index
        columns = [column_numbers(values.iloc[:, k], name, "offset") for k, name in enumerate(names)]
        array = np.column_stack(columns)
    else:
        array = real_numbers(values, "offset", columns=names if np.shape(values)[1:] == (K,) else None)
    if array.shape != (n_obs, K):
        raise ValueError(
            f"offset has shape {array.shape}; expected (N, K) = ({n_obs}, {K}): "
            "one number added to all logits of a row would change nothing"
        )
    check_finite(array, names, index, "offset")
    return _checked_size(array, classes, index)


def _checked_size(offset: FloatArray, classes: Sequence[Label], index: Any) -> FloatArray:
    """The offset, if differences of its entries are finite."""
    rows, columns = np.nonzero(np.abs(offset) > OFFSET_LIMIT)
    if rows.size:
        raise ValueError(
            f"offset: column {shown(str(classes[columns[0]]))} is {offset[rows[0], columns[0]]:g} in "
            f"{describe_rows(index, rows[:1])}; "
            f"expected at most {OFFSET_LIMIT:g} in size (use available= for a class that is not on offer)"
        )
    return offset
