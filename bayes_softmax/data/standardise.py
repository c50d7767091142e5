"""Centre and scale of the features, and the columns that have none: constant, or beyond double precision."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import describe_rows, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation
from bayes_softmax.data.features import Features, column_of, ranges_of, some_columns, some_rows, weighted_blocks

LARGEST = 1e150  # squares of smaller values are finite


def without_constant(
    X: Features, names: tuple[str, ...], used: NDArray[np.bool_], constant: str, *, has_intercept: bool
) -> tuple[Features, tuple[str, ...], tuple[float, ...]]:
    """Features without the columns that do not vary, on request (the model's notes name them), and their values."""
    if constant == "error" or not names:
        return X, names, ()
    low, high = ranges_of(used_rows(X, used))
    varies = high > low
    if not has_intercept:
        varies |= low != 0
    if varies.all():
        return X, names, ()
    values = tuple(low[~varies].tolist())
    return some_columns(X, np.flatnonzero(varies)), tuple(np.array(names, dtype=object)[varies]), values


def used_rows(X: Features, used: NDArray[np.bool_]) -> Features:
    """The rows that hold observations."""
    return X if used.all() else some_rows(X, np.flatnonzero(used))


def standardise(
    X: Features, weights: FloatArray | None, feature_names: Sequence[str], *, has_intercept: bool
) -> Standardisation:
    """Weighted mean and sd of each feature; a column that does not vary is an error (it *is* an intercept).

    Without an intercept nothing is centred, and a constant column is allowed: its size is its scale.
    """
    mean, sd, constant = _moments(X, weights)

    def ends(j: int) -> tuple[float, float]:
        column = column_of(X, j)
        return float(column.min()), float(column.max())

    return standardised_by(mean, sd, constant, ends, feature_names, has_intercept=has_intercept)


def standardised_by(
    mean: FloatArray,
    sd: FloatArray,
    constant: NDArray[np.bool_],
    ends: Callable[[int], tuple[float, float]],
    feature_names: Sequence[str],
    *,
    has_intercept: bool,
) -> Standardisation:
    """The standardisation by moments of features; ``ends`` finds the smallest and the largest value of one."""
    # Rounding in the mean leaves an sd of about eps |mean| in a column that carries no information.
    constant = constant | (sd <= 4 * np.finfo(float).eps * np.abs(mean))
    if has_intercept:
        for j in np.flatnonzero(constant).tolist():
            raise ValueError(
                f"X: column {shown(feature_names[j])} is constant ({_values(*ends(j))}), which is what "
                "the intercept already is; remove the column, or pass constant='drop'"
            )
        return Standardisation(mean, sd)
    for j in np.flatnonzero(constant & (mean == 0)).tolist():
        column = shown(feature_names[j])
        raise ValueError(f"X: column {column} is zero in every row; remove it, or pass constant='drop'")
    return Standardisation(np.zeros_like(mean), np.where(constant, np.abs(mean), sd))


def about_means(design: Design) -> Standardisation:
    """The standardisation of a design with its features centred, also where there is no intercept."""
    if design.has_intercept:
        return design.standardisation
    return Standardisation(_moments(design.features, design.totals)[0], design.standardisation.scale)


def _values(low: float, high: float) -> str:
    """The values of a column that carries no information, in words."""
    if low == high:
        return f"every value is {low:g}"
    return f"its values, from {low!r} to {high!r}, differ by less than double precision can use: change its unit"


def check_weightless(
    X: Features, names: tuple[str, ...], used: NDArray[np.bool_], index: Any, *, has_intercept: bool
) -> None:
    """Raise for a column that is constant only because of rows of weight zero, naming these."""
    low, high = ranges_of(used_rows(X, used))
    first = low if has_intercept else np.zeros(len(names))
    for j in np.flatnonzero((low == first) & (high == first)).tolist():
        others = np.flatnonzero(column_of(X, j) != first[j])
        if others.size:
            raise ValueError(
                f"X: column {shown(names[j])} is {first[j]:g} in every row that counts; it differs only in "
                f"{describe_rows(index, others)}, of weight zero: leave the column out, or pass constant='drop'"
            )


def _moments(X: Features, weights: FloatArray | None) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Weighted mean, sd (ddof 0) and constancy of each column, block by block: no copy of the data."""
    N, p = X.shape
    if not N * p:
        return np.zeros(p), np.ones(p), np.zeros(p, dtype=bool)
    w = np.ones(N) if weights is None else weights
    total = w.sum()
    shift = X.at(slice(1))[0]  # sums of small differences keep their digits where the mean is far from zero
    differs, sums, squares = np.zeros(p, dtype=bool), np.zeros(p), np.zeros(p)
    for weight, block in weighted_blocks(X, w):
        shifted = block - shift
        sums += weight @ shifted
        if not differs.all():
            differs |= shifted.any(axis=0)
    centre = sums / total
    for weight, block in weighted_blocks(X, w):
        centred = block - shift
        centred -= centre
        np.square(centred, out=centred)
        squares += weight @ centred
    return shift + centre, np.sqrt(squares / total), ~differs


def check_range(X: Features, names: tuple[str, ...], scale: FloatArray, index: Any) -> None:
    """Raise for a column whose squares overflow or underflow: logits and moments could not be computed."""
    for j in np.flatnonzero(~((scale > 1 / LARGEST) & (scale < LARGEST))).tolist():
        column = column_of(X, j)
        i = int(np.abs(column).argmax())
        raise ValueError(
            f"X: column {shown(names[j])} is {column[i]:g} in {describe_rows(index, [i])}; squares of values beyond "
            f"{LARGEST:g}, or all below {1 / LARGEST:g} in size, are lost in double precision: change its unit"
        )
