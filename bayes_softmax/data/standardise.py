"""Centre and scale of the features, and the columns that have none: constant, or beyond double precision."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import describe_rows, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation

LARGEST = 1e150  # squares of smaller values are finite
MOMENT_ROWS = 4096  # rows summed at once: they stay in the second-level cache


def without_constant(
    X: FloatArray, names: tuple[str, ...], used: NDArray[np.bool_], constant: str, *, has_intercept: bool
) -> tuple[FloatArray, tuple[str, ...], tuple[float, ...]]:
    """Features without the columns that do not vary, on request (the model's notes name them), and their values."""
    if constant == "error" or not names:
        return X, names, ()
    varies = np.ptp(X[used], axis=0) > 0
    if not has_intercept:
        varies |= X[used].any(axis=0)
    values = tuple(X[used][0, ~varies].tolist())
    return np.ascontiguousarray(X[:, varies]), tuple(np.array(names, dtype=object)[varies]), values


def standardise(
    X: FloatArray, weights: FloatArray | None, feature_names: Sequence[str], *, has_intercept: bool
) -> Standardisation:
    """Weighted mean and sd of each feature; a column that does not vary is an error (it *is* an intercept).

    Without an intercept nothing is centred, and a constant column is allowed: its size is its scale.
    """
    mean, sd, constant = _moments(X, weights)
    low, high = (X.min(axis=0), X.max(axis=0)) if X.size else (mean, mean)
    return standardised_by(mean, sd, constant, (low, high), feature_names, has_intercept=has_intercept)


def standardised_by(
    mean: FloatArray,
    sd: FloatArray,
    constant: NDArray[np.bool_],
    ends: tuple[FloatArray, FloatArray],
    feature_names: Sequence[str],
    *,
    has_intercept: bool,
) -> Standardisation:
    """The standardisation by moments of features, of which ``ends`` are the smallest and the largest values."""
    # Rounding in the mean leaves an sd of about eps |mean| in a column that carries no information.
    constant = constant | (sd <= 4 * np.finfo(float).eps * np.abs(mean))
    if has_intercept:
        for j in np.flatnonzero(constant).tolist():
            raise ValueError(
                f"X: column {shown(feature_names[j])} is constant ({_values(ends[0][j], ends[1][j])}), which is what "
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
    return Standardisation(_moments(design.X, design.totals)[0], design.standardisation.scale)


def _values(lowest: float, highest: float) -> str:
    """The values of a column that carries no information, in words."""
    low, high = float(lowest), float(highest)
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
                f"X: column {shown(names[j])} is {first[j]:g} in every row that counts; it differs only in "
                f"{describe_rows(index, others)}, of weight zero: leave the column out, or pass constant='drop'"
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


def check_range(X: FloatArray, names: tuple[str, ...], scale: FloatArray, index: Any) -> None:
    """Raise for a column whose squares overflow or underflow: logits and moments could not be computed."""
    for j in np.flatnonzero(~((scale > 1 / LARGEST) & (scale < LARGEST))).tolist():
        i = int(np.abs(X[:, j]).argmax())
        raise ValueError(
            f"X: column {shown(names[j])} is {X[i, j]:g} in {describe_rows(index, [i])}; squares of values beyond "
            f"{LARGEST:g}, or all below {1 / LARGEST:g} in size, are lost in double precision: change its unit"
        )
