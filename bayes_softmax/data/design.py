"""The data of a model, checked once and never mutated: features, responses, weights, offset, coordinates."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.features import Features

Label = Hashable


@dataclass(frozen=True)
class Response:
    """Responses of N rows over K classes.

    Attributes
    ----------
    name
        What the response is called (``"y"`` for arrays).
    classes
        The K labels in order, of the user's own type.
    codes
        (N,) class of each row, or None when the response is counts.
    counts
        (N, K) counts, or None when the response is labels.
    unused
        Declared classes without an observation.
    declared
        Whether the classes were named by ``classes=``, a categorical or columns of counts, not just found.
    weightless
        Those of the unused classes that occur as labels, in rows that hold no observation.
    alone
        Those of these that were only ever on offer alone.
    """

    name: str
    classes: tuple[Label, ...]
    codes: IntArray | None
    counts: FloatArray | None
    unused: tuple[Label, ...]
    declared: bool = True
    weightless: tuple[Label, ...] = ()
    alone: tuple[Label, ...] = ()

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.classes)


class Standardisation(NamedTuple):
    """Weighted mean (zero where nothing is centred) and standard deviation (ddof 0) of the features."""

    centre: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Design:
    """The data of a model, as the density reads them.

    Attributes
    ----------
    features
        The p features of the rows, as given.
    response
        The observed classes.
    weights
        (N,) frequency weights, or None for ones.
    offset
        (N, K) added to the logits, or None.
    feature_names
        p names.
    has_intercept
        Whether the model has an intercept.
    standardisation
        Centre and scale of the internal features.
    index
        (N,) row labels of the data.
    n_dropped
        Rows with missing values dropped on request.
    frame
        Columns of the data that a formula reads, row by row with the features; None for arrays.
    available
        (N, K) True where a class is on offer in a row, or None where all classes are everywhere.
    group_columns
        (N, c) levels and terms of groupings (:mod:`bayes_softmax.data.groups.grouping`), or None without groups.
    """

    features: Features
    response: Response
    weights: FloatArray | None
    offset: FloatArray | None
    feature_names: tuple[str, ...]
    has_intercept: bool
    standardisation: Standardisation
    index: Any
    n_dropped: int = 0
    frame: Any = None
    available: NDArray[np.bool_] | None = None
    group_columns: FloatArray | None = None

    @property
    def X(self) -> FloatArray:
        """(N, p) features, float64 and C-contiguous: a new copy of large data, which are better read in blocks."""
        self.features.check_unchanged()
        return self.features.at(slice(None))

    @property
    def n_obs(self) -> int:
        """Rows of the data, N."""
        return self.features.shape[0]

    @property
    def n_features(self) -> int:
        """Features without the intercept, p."""
        return self.features.shape[1]

    @property
    def n_classes(self) -> int:
        """Classes, K."""
        return self.response.n_classes

    @cached_property
    def totals(self) -> FloatArray:
        """(N,) observations per row: weight, or weight times count total."""
        return observation_totals(self.response, self.weights, self.n_obs)

    @property
    def total_weight(self) -> float:
        """Observations in all."""
        return float(self.totals.sum())

    @property
    def n_forced(self) -> int:
        """Rows with a single class on offer."""
        return 0 if self.available is None else int((self.available.sum(axis=1) == 1).sum())

    def without_weights(self) -> "Design":
        """The same rows, each with weight one."""
        return replace(self, weights=None)

    def class_counts(self) -> FloatArray:
        """(K,) observations of each class."""
        if self.response.codes is None:
            totals: FloatArray = self.dense_counts().sum(axis=0)
            return totals
        counted = np.bincount(self.response.codes, weights=self.weights, minlength=self.n_classes)
        return counted.astype(np.float64)

    def class_rows(self) -> IntArray | None:
        """(2, K) rows of each class, and those of them in which it is alone on offer; None for counts."""
        codes, available = self.response.codes, self.available
        if codes is None:
            return None
        rows = np.bincount(codes, minlength=self.n_classes)
        if available is None:
            return np.stack([rows, np.zeros_like(rows)])
        alone = np.bincount(codes[available.sum(axis=1) == 1], minlength=self.n_classes)
        return np.stack([rows, alone])

    def dense_counts(self) -> FloatArray:
        """(N, K) weighted counts; for labels, the weight in the observed class."""
        return dense_counts(self.response, self.weights)

    def encoded(self, at: slice | IntArray) -> tuple[FloatArray, FloatArray | None, NDArray[np.bool_] | None]:
        """Inputs of the logits of some rows, offset (n, K), and the classes on offer (n, K).

        The inputs are the features (n, p), with groups followed by their columns.
        """
        offset = None if self.offset is None else self.offset[at]
        X = self.features.at(at)
        X = X if self.group_columns is None else np.hstack([X, self.group_columns[at]])
        return X, offset, None if self.available is None else self.available[at]

    @property
    def variable_names(self) -> tuple[str, ...]:
        """Names of the columns that the model reads: columns of the formula, or features."""
        return self.feature_names if self.frame is None else tuple(self.frame.columns)

    @cached_property
    def variables(self) -> pd.DataFrame:
        """The rows as a frame of what the model reads."""
        return self.variables_of(slice(None))

    def variables_of(self, rows: slice) -> pd.DataFrame:
        """Some rows as a frame of what the model reads: numbers as float64, booleans, and categoricals."""
        if self.frame is not None:
            return as_doubles(self.frame.iloc[rows])
        index = pd.RangeIndex(self.n_obs)[rows]
        return pd.DataFrame(self.features.at(rows), index=index, columns=list(self.feature_names), copy=False)

    def standardised(self) -> FloatArray:
        """(N, q) internal features, with a first column of ones if there is an intercept."""
        first = int(self.has_intercept)
        Z = np.ones((self.n_obs, self.n_features + first))
        np.subtract(self.X, self.standardisation.centre, out=Z[:, first:])
        Z[:, first:] /= self.standardisation.scale
        return Z


def as_doubles(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its numbers as float64, of whatever type they are kept."""
    kept = {n: t for n, t in frame.dtypes.items() if isinstance(t, np.dtype) and t.kind in "iuf" and t != np.float64}
    return frame.astype(dict.fromkeys(kept, np.float64)) if kept else frame


def observation_totals(response: Response, weights: FloatArray | None, n_obs: int) -> FloatArray:
    """(N,) observations in each row: the weight of a label, the weighted total of counts."""
    row_weights = np.broadcast_to(np.float64(1.0), n_obs) if weights is None else weights  # ones that take no memory
    return row_weights if response.counts is None else row_weights * response.counts.sum(axis=1)


def dense_counts(response: Response, weights: FloatArray | None) -> FloatArray:
    """(N, K) weighted counts; for labels, the weight in the observed class."""
    if response.counts is not None:
        return response.counts if weights is None else response.counts * weights[:, None]
    assert response.codes is not None
    dense = np.zeros((len(response.codes), response.n_classes))
    dense[np.arange(len(dense)), response.codes] = 1.0 if weights is None else weights
    return dense
