"""Features of a formula over the rows of a model: encoded at once, or block by block where they are large."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.features import COPY_ON_WRITE, DenseFeatures, Features, is_large, is_real_type
from bayes_softmax.data.formula.columns import as_frame, read_columns
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.frames import raise_if_missing


@dataclass(frozen=True, eq=False)
class FormulaFeatures:
    """Features that a formula makes of the columns of a frame, which were checked when the model was made."""

    encoder: FormulaEncoder
    frame: pd.DataFrame

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return len(self.frame), len(self.encoder.feature_names)

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        index = self.frame.index[rows]
        X = np.zeros((len(index), self.shape[1]))
        try:
            self.encoder.write(X, {str(name): _read(column, rows) for name, column in self.frame.items()}, index)
        except ValueError:  # a value that is not finite, met in the first pass: the message counts all such rows
            self.encoder.encode_columns(self.frame)
            raise
        return X

    def check_unchanged(self) -> None:
        """Frames of pandas are copied when one of two that share memory is written to."""


def _read(column: pd.Series, rows: slice | IntArray) -> np.ndarray[Any, Any]:
    """Some rows of a checked column: positions of levels, booleans, or numbers."""
    if isinstance(levels := column.array, pd.Categorical):
        positions: IntArray = levels.codes[rows].astype(np.int64)
        return positions
    values = column.to_numpy()[rows]
    return values if values.dtype == np.bool_ else values.astype(np.float64, copy=False)


def formula_features(encoder: FormulaEncoder, data: pd.DataFrame) -> tuple[Features, pd.DataFrame]:
    """Features of the data that an encoder was fitted to, and the columns that it reads, one by one.

    Numbers stay in the user's memory and type where the features are large; levels become codes.
    """
    if not is_large(len(data), len(encoder.feature_names)):
        X, index, columns = encoder.encode_columns(data)
        return DenseFeatures(X), as_frame(encoder.variables, columns, index)
    raise_if_missing(data, encoder.variables, advice="fill it, or leave out such rows")
    kept = {}
    for name, variable in encoder.variables.items():
        column = data[name]
        read = as_frame({name: variable}, read_columns({name: variable}, data, truth=True), data.index)[name]
        kept[name] = column if COPY_ON_WRITE and variable.kind == "numeric" and is_real_type(column.dtype) else read
    frame = pd.DataFrame(kept, index=data.index, copy=False)
    return FormulaFeatures(encoder, frame), frame
