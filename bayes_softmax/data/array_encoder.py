"""Features that are given as an array or as the columns of a data frame: encoded as they are."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.features import (
    COPY_ON_WRITE,
    ArrayFeatures,
    DenseFeatures,
    Features,
    FrameFeatures,
    all_finite,
    is_large,
    is_real_type,
    stamp_of,
)
from bayes_softmax.data.formula.named import NamedTerm
from bayes_softmax.data.frames import check_finite, numeric_matrix, raise_if_missing, require_columns
from bayes_softmax.data.not_numbers import FACTOR_ADVICE
from bayes_softmax.data.real_numbers import real_numbers


@dataclass(frozen=True)
class ArrayEncoder:
    """Features given as an array or as the columns of a data frame."""

    feature_names: tuple[str, ...]
    has_intercept: bool = True

    @property
    def named_terms(self) -> tuple[NamedTerm, ...]:
        """No terms: these are of a formula."""
        return ()

    def encode(self, data: Any, argument: str = "data", *, if_missing: str | None = None) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data: a frame with these columns, or an array of p columns.

        ``if_missing`` is the advice on missing values.
        """
        data = to_pandas_or_numpy(data, argument)
        if isinstance(data, pd.DataFrame):
            frame = data.rename(columns=str)
            require_columns(frame, self.feature_names, argument)
            if if_missing is not None:
                raise_if_missing(frame, self.feature_names, advice=if_missing, argument=argument)
            return numeric_matrix(frame, self.feature_names, argument), frame.index
        X = self.read_array(data, argument)
        index = pd.RangeIndex(len(X))
        check_finite(X, self.feature_names, index, argument, if_missing=if_missing)
        return X, index

    def features(self, data: Any, argument: str) -> tuple[Features, Any]:
        """Features as of :meth:`encode`; large arrays and frames of numbers are not copied."""
        if not is_large(len(data), len(self.feature_names)):
            return self._held(data, argument)
        features: Features
        if isinstance(data, pd.DataFrame):
            frame = data.rename(columns=str)
            require_columns(frame, self.feature_names, argument)
            if not COPY_ON_WRITE or not all(map(is_real_type, frame.dtypes)):
                return self._held(data, argument)
            frame = frame if list(frame.columns) == list(self.feature_names) else frame[list(self.feature_names)]
            features, index = FrameFeatures(frame), frame.index
        else:
            self.check_shape(data, argument)
            if not is_real_type(data.dtype):
                return self._held(data, argument)
            features, index = ArrayFeatures(data, stamp_of(data)), pd.RangeIndex(len(data))
        # Where something is wrong, it is named by the function that reads all at once.
        return (features, index) if all_finite(features) else self._held(data, argument)

    def _held(self, data: Any, argument: str) -> tuple[Features, Any]:
        X, index = self.encode(data, argument)
        return DenseFeatures(X), index

    def check_shape(self, data: Any, argument: str = "data") -> None:
        """Raise unless ``data`` has two dimensions and p columns."""
        p, shape = len(self.feature_names), data.shape
        if len(shape) != 2 or shape[1] != p:
            hint = ""
            if len(shape) == 1:
                one_row = shape == (p,) or p > 1
                hint = (
                    "; one row is [[...]], or row.to_frame().T of a frame's row"
                    if one_row
                    else "; one column is X.reshape(-1, 1), or column.to_frame() of a frame's column"
                )
            features = f", the feature{'s' if p != 1 else ''} {listed(self.feature_names)}" if p else ""
            raise ValueError(f"{argument} has shape {shape}; expected (N, {p}){features}{hint}")

    def read_array(self, data: Any, argument: str = "data") -> FloatArray:
        """A new array of numbers, NaN where one is missing, if ``data`` has two dimensions and p columns."""
        self.check_shape(data, argument)
        advice = FACTOR_ADVICE if argument == "X" else ""
        return real_numbers(data, argument, columns=self.feature_names, advice=advice)
