"""Labels that a user gives to the rows of the data, one for each."""

from typing import Any

import pandas as pd

from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import counted
from bayes_softmax.data.containers import to_pandas_or_numpy


def label_of_rows(labels: Any, training: TrainingData, argument: str) -> pd.Series:
    """One label for each row: a series by its index where that holds the rows of the data, else by position."""
    index = training.index
    if (
        isinstance(labels, pd.Series)
        and labels.index.is_unique
        and isinstance(index, pd.Index)
        and index.isin(labels.index).all()
    ):
        return labels.loc[index]
    labels = to_pandas_or_numpy(labels, argument)
    if isinstance(labels, pd.DataFrame) or labels.ndim != 1:
        raise ValueError(f"{argument} has shape {labels.shape}; give one label for each row")
    column = labels if isinstance(labels, pd.Series) else pd.Series(labels).infer_objects()
    if len(column) != training.n_obs:
        rows = counted(training.n_obs, "row")
        raise ValueError(f"{argument} has {counted(len(column), 'label')}; the data have {rows}")
    return column
