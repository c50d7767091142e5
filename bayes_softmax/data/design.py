"""The data of a model, checked once and never mutated: features, responses, weights, offset, coordinates."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.frames import describe_rows

Label = Hashable

MOMENT_ROWS = 4096  # rows whose sums are formed at once: they stay in the second-level cache


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
    """

    name: str
    classes: tuple[Label, ...]
    codes: IntArray | None
    counts: FloatArray | None
    unused: tuple[Label, ...]

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
    """Everything the density needs to know about the data.

    Attributes
    ----------
    X
        (N, p) features as given, float64, C-contiguous.
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
        Columns of the data that a formula reads, row by row with ``X``; None for arrays.
    available
        (N, K) True where a class is on offer in a row, or None where all classes are everywhere.
    """

    X: FloatArray
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

    @property
    def n_obs(self) -> int:
        """Rows of the data, N."""
        return int(self.X.shape[0])

    @property
    def n_features(self) -> int:
        """Features without the intercept, p."""
        return int(self.X.shape[1])

    @property
    def n_classes(self) -> int:
        """Classes, K."""
        return self.response.n_classes

    @cached_property
    def totals(self) -> FloatArray:
        """(N,) observations per row: weight, or weight times count total."""
        return unit_totals(self.response, self.weights, self.n_obs)

    @property
    def total_weight(self) -> float:
        """Observations in all."""
        return float(self.totals.sum())

    def class_counts(self) -> FloatArray:
        """(K,) observations of each class."""
        if self.response.codes is None:
            totals: FloatArray = self.dense_counts().sum(axis=0)
            return totals
        counted = np.bincount(self.response.codes, weights=self.weights, minlength=self.n_classes)
        return counted.astype(np.float64)

    def dense_counts(self) -> FloatArray:
        """(N, K) weighted counts; for labels, the weight in the observed class."""
        return dense_counts(self.response, self.weights)

    def encoded(self, at: slice | IntArray) -> tuple[FloatArray, FloatArray | None, NDArray[np.bool_] | None]:
        """What logits are made of in some rows: features (n, p), offset (n, K), and what is on offer (n, K)."""
        offset = None if self.offset is None else self.offset[at]
        return self.X[at], offset, None if self.available is None else self.available[at]

    @cached_property
    def variables(self) -> pd.DataFrame:
        """The rows as a frame of what the model reads: columns of the formula, or features."""
        if self.frame is not None:
            frame: pd.DataFrame = self.frame
            return frame
        return pd.DataFrame(self.X, columns=list(self.feature_names), copy=False)

    def standardised(self) -> FloatArray:
        """(N, q) internal features, with a first column of ones if there is an intercept."""
        first = int(self.has_intercept)
        Z = np.ones((self.n_obs, self.n_features + first))
        np.subtract(self.X, self.standardisation.centre, out=Z[:, first:])
        Z[:, first:] /= self.standardisation.scale
        return Z


def unit_totals(response: Response, weights: FloatArray | None, n_obs: int) -> FloatArray:
    """(N,) observations in each row: the weight of a label, the weighted total of counts."""
    row_weights = np.ones(n_obs) if weights is None else weights
    return row_weights if response.counts is None else row_weights * response.counts.sum(axis=1)


def dense_counts(response: Response, weights: FloatArray | None) -> FloatArray:
    """(N, K) weighted counts; for labels, the weight in the observed class."""
    if response.counts is not None:
        return response.counts if weights is None else response.counts * weights[:, None]
    assert response.codes is not None
    dense = np.zeros((len(response.codes), response.n_classes))
    dense[np.arange(len(dense)), response.codes] = 1.0 if weights is None else weights
    return dense


def standardise(
    X: FloatArray, weights: FloatArray | None, feature_names: Sequence[str], *, has_intercept: bool
) -> Standardisation:
    """Weighted mean and sd of each feature; a column that does not vary is an error (it *is* an intercept).

    Without an intercept nothing is centred, and a constant column is allowed: its size is its scale.
    """
    mean, sd, constant = _moments(X, weights)
    # Rounding in the mean leaves an sd of about eps |mean| in a column that carries no information.
    constant |= sd <= 4 * np.finfo(float).eps * np.abs(mean)
    if has_intercept:
        for j in np.flatnonzero(constant).tolist():
            raise ValueError(
                f"X: column {feature_names[j]!r} is constant ({_values(X[:, j])}), which is what the intercept "
                "already is; remove the column, or pass constant='drop'"
            )
        return Standardisation(mean, sd)
    for j in np.flatnonzero(constant & (mean == 0)).tolist():
        raise ValueError(f"X: column {feature_names[j]!r} is zero in every row; remove it, or pass constant='drop'")
    return Standardisation(np.zeros_like(mean), np.where(constant, np.abs(mean), sd))


def _values(column: FloatArray) -> str:
    """What the values of a column that carries no information are."""
    low, high = float(column.min()), float(column.max())
    if low == high:
        return f"every value is {low:g}"
    return f"its values, from {low!r} to {high!r}, differ by less than double precision can use: change its unit"


def check_weightless(
    X: FloatArray, names: tuple[str, ...], used: NDArray[np.bool_], index: Any, *, has_intercept: bool
) -> None:
    """Raise for a column that is constant only because of rows of weight zero, naming these."""
    first = X[used][0] if has_intercept else np.zeros(len(names))
    for j in np.flatnonzero((X[used] == first).all(axis=0)).tolist():
        others = np.flatnonzero(X[:, j] != first[j])
        if others.size:
            raise ValueError(
                f"X: column {names[j]!r} is {first[j]:g} but in {describe_rows(index, others)}, and these have weight "
                "zero: leave the column out, or pass constant='drop'"
            )


def _moments(X: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Weighted mean, sd (ddof 0) and constancy of each column, block by block: no copy of the data."""
    N, p = X.shape
    if not X.size:
        return np.zeros(p), np.ones(p), np.zeros(p, dtype=bool)
    w = np.ones(N) if weights is None else weights
    total = w.sum()
    shift = X[0]  # sums of small differences keep their digits where the mean is far from zero
    differs, sums, squares = np.zeros(p, dtype=bool), np.zeros(p), np.zeros(p)
    blocks = [slice(start, start + MOMENT_ROWS) for start in range(0, N, MOMENT_ROWS)]
    for block in blocks:
        shifted = X[block] - shift
        sums += w[block] @ shifted
        differs |= shifted.any(axis=0)
    centre = sums / total
    for block in blocks:
        centred = X[block] - shift
        centred -= centre
        np.square(centred, out=centred)
        squares += w[block] @ centred
    return shift + centre, np.sqrt(squares / total), ~differs
