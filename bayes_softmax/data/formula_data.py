"""New data of a model with a formula: a frame whose columns the formula reads by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.data.containers import to_pandas_or_numpy


def formula_frame(data: Any, names: Sequence[str]) -> pd.DataFrame:
    """The data as a pandas frame.

    Raises
    ------
    TypeError
        Data without names of columns; the message says which the formula reads, and how to name them.
    """
    columns = f"the column{'s' if len(names) != 1 else ''} {listed(names)}" if names else "a row for each answer"
    wanted = f"the formula needs a data frame with {columns}"
    if isinstance(data, dict):
        one_row = all(pd.api.types.is_scalar(value) for value in data.values())
        raise TypeError(f"data is a dict; {wanted}: pandas.DataFrame({'[data]' if one_row else 'data'})")
    if data is None:
        raise TypeError(f"data is None; {wanted}")
    found = to_pandas_or_numpy(data, "data")
    if isinstance(found, pd.DataFrame):
        return found
    if isinstance(found, pd.Series):
        one_row = set(map(str, found.index)) >= set(names)
        hint = ": for one row, data.to_frame().T" if one_row else ": for one column, data.to_frame()"
        raise TypeError(f"data is a series of {len(found)} values; {wanted}{hint}")
    shape = np.shape(found)
    hint = ": pandas.DataFrame(data, columns=[...])" if len(shape) == 2 else ""
    raise TypeError(f"data is an array of shape {shown(shape)}; {wanted}{hint}")
