"""New data without the rows that have a missing value in anything that scoring reads."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.new_data import missing_in_inputs
from bayes_softmax.core.checks import counted
from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import check_aligned
from bayes_softmax.data.missing import kept_by_row, missing_by_row
from bayes_softmax.data.schema import Schema

BY_CLASS = ("offset", "available")
ARGUMENTS = ("y", "weights", *BY_CLASS)


class Scored(NamedTuple):
    """New data and what belongs to its rows; ``n_dropped`` is the number of rows that were left out."""

    data: Any
    y: Any
    weights: Any
    offset: Any
    available: Any
    n_dropped: int = 0


def without_incomplete(schema: Schema, given: Scored) -> Scored:
    """The rows that are complete in the columns of the model, labels, weights, offset and choice sets."""
    data = schema.to_pandas_or_numpy(given.data)
    by_row = {name: getattr(given, name) for name in ARGUMENTS}
    for name, value in by_row.items():
        check_aligned(given.data, value, name, "data")
        names_columns = isinstance(value, str) or (name in BY_CLASS and class_column_names(value))
        if not (value is None or names_columns):
            by_row[name] = to_pandas_or_numpy(value, name)
    missing, index = missing_in_inputs(schema, data, given.offset, given.available)
    missing = missing | missing_by_row(by_row, len(index))
    if isinstance(data, pd.DataFrame) and isinstance(by_row["weights"], str) and by_row["weights"] in data:
        missing |= data[by_row["weights"]].isna().to_numpy(dtype=bool)
    keep = np.flatnonzero(~missing)
    if not len(keep):
        raise ValueError(f"data has no rows left ({counted(len(index), 'row')} dropped for missing values)")
    complete = data.iloc[keep] if isinstance(data, pd.DataFrame) else np.asarray(data)[keep]
    return Scored(complete, **kept_by_row(by_row, keep), n_dropped=len(index) - len(keep))
