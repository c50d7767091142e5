"""Features of the rows, read in blocks: small data are an array; large data stay where the user keeps them.

A model of N rows and p features packs them once, ``8 (p + 1) N`` bytes, for its density.  A float64 copy of large data
beside that would double its memory, so that the rows are encoded anew, block by block, in each of the few passes.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import AnyArray, FloatArray, IntArray

HELD_BYTES = 2**25  # features up to this size are held as an array: encoding them again would cost more than 32 MiB
BLOCK_BYTES, BLOCK_ROWS = 2**20, 4096  # a block of a pass stays in the cache, and has a multiple of so many rows
FEW_ROWS = 64
STAMP_ROWS = 65536  # of memory that is not contiguous, read at once
COPY_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3  # a frame keeps its values whatever becomes of its twin


class Features(Protocol):
    """Features (N, p) of the rows of a model."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        ...

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows, float64 and C-contiguous; perhaps a view, so never written to."""
        ...

    def check_unchanged(self) -> None:
        """Raise if the memory that is shared with the user holds other values than when the model was made."""
        ...


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """Features in an array (N, p) of the model's own, float64 and C-contiguous."""

    values: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return self.values.shape[0], self.values.shape[1]

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        return self.values[rows]

    def check_unchanged(self) -> None:
        """Nothing is shared."""


@dataclass(frozen=True, eq=False)
class ArrayFeatures:
    """Features in the user's array (N, p) of real numbers of any type and layout; ``stamp`` is :func:`stamp_of` it."""

    given: AnyArray
    stamp: int

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return self.given.shape[0], self.given.shape[1]

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(self.given[rows], dtype=np.float64)

    def check_unchanged(self) -> None:
        """Raise if the user has written to the array since."""
        if stamp_of(self.given) != self.stamp:
            raise ValueError(
                f"X was changed after the model was made: arrays of more than {HELD_BYTES / 2**20:.0f} MB are not "
                "copied, so the model reads X where it is. Make the model again, or give it a copy: "
                "SoftmaxRegression(X.copy(), y)"
            )


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """Features in the columns of a frame of numbers and booleans, which shares memory with the user's."""

    frame: pd.DataFrame

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return self.frame.shape

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        columns = [column.to_numpy()[rows] for _, column in self.frame.items()]
        X = np.empty((len(columns[0]), len(columns)))
        for j, column in enumerate(columns):
            X[:, j] = column
        return X

    def check_unchanged(self) -> None:
        """Frames of pandas are copied when one of two that share memory is written to."""


@dataclass(frozen=True, eq=False)
class SomeRows:
    """Some rows of other features, by their positions."""

    whole: Features
    rows: IntArray

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return len(self.rows), self.whole.shape[1]

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        return self.whole.at(as_slice(self.rows[rows]))

    def check_unchanged(self) -> None:
        """Raise if the rows were changed."""
        self.whole.check_unchanged()


@dataclass(frozen=True, eq=False)
class SomeColumns:
    """Some columns of other features."""

    whole: Features
    columns: IntArray

    @property
    def shape(self) -> tuple[int, int]:
        """N and p."""
        return self.whole.shape[0], len(self.columns)

    def at(self, rows: slice | IntArray) -> FloatArray:
        """Features (n, p) of some rows."""
        return np.ascontiguousarray(self.whole.at(rows)[:, self.columns])

    def check_unchanged(self) -> None:
        """Raise if the rows were changed."""
        self.whole.check_unchanged()


class Range(NamedTuple):
    """Least and largest value (p,) of each feature."""

    low: FloatArray
    high: FloatArray


def stamp_of(array: AnyArray) -> int:
    """Checksum of the values of an array: 160 MB take 0.02 s where they are contiguous."""
    for layout in (array, array.T):
        if layout.flags.c_contiguous:
            return zlib.crc32(layout.view(np.uint8).data) if layout.size else 0
    stamp = 0
    for start in range(0, len(array), STAMP_ROWS):
        stamp = zlib.crc32(np.ascontiguousarray(array[start : start + STAMP_ROWS]).view(np.uint8).data, stamp)
    return stamp


def is_real_type(dtype: Any) -> bool:
    """Whether a NumPy type is of real numbers or booleans; others are read once, with all that may be wrong."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def as_slice(rows: IntArray) -> slice | IntArray:
    """Positions as a slice where they are consecutive: a view then needs no copy."""
    n = len(rows)
    if n and rows[-1] - rows[0] == n - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[0]) + n)
    return rows


def is_large(n_obs: int, n_features: int) -> bool:
    """Whether features are left where they are."""
    return 8 * n_obs * n_features > HELD_BYTES


def block_length(n_features: int) -> int:
    """Rows of a block."""
    return BLOCK_ROWS * max(BLOCK_BYTES // (8 * BLOCK_ROWS * max(n_features, 1)), 1)


def places(n_obs: int, n_features: int) -> Iterator[slice]:
    """Places of the blocks."""
    step = block_length(n_features)
    for start in range(0, n_obs, step):
        yield slice(start, min(start + step, n_obs))


def blocks(features: Features) -> Iterator[tuple[slice, FloatArray]]:
    """All rows, a block at a time, with their place."""
    for place in places(*features.shape):
        yield place, features.at(place)


def weighted_blocks(features: Features, weights: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Weights (n,) and features (n, p), ``BLOCK_ROWS`` at a time: sums do not depend on where rows are kept."""
    for place, X in blocks(features):
        for start in range(0, len(X), BLOCK_ROWS):
            some = slice(start, start + BLOCK_ROWS)
            yield np.ascontiguousarray(weights[place][some]), X[some]


def all_finite(features: Features) -> bool:
    """Whether no entry is NaN or infinite."""
    return all(bool(np.isfinite(X).all()) for _, X in blocks(features))


def column_of(features: Features, j: int) -> FloatArray:
    """Values (N,) of one feature."""
    return np.concatenate([X[:, j] for _, X in blocks(features)])


def some_rows(features: Features, rows: slice | IntArray) -> Features:
    """The features of some rows; those of an array in memory are a view for a slice."""
    if isinstance(features, DenseFeatures):
        return DenseFeatures(features.values[rows])
    N = features.shape[0]
    return SomeRows(features, np.arange(*rows.indices(N)) if isinstance(rows, slice) else np.arange(N)[rows])


def some_columns(features: Features, columns: IntArray) -> Features:
    """The features of some columns."""
    if isinstance(features, DenseFeatures):
        return DenseFeatures(np.ascontiguousarray(features.values[:, columns]))
    return SomeColumns(features, columns)


def ranges_of(features: Features) -> Range:
    """Least and largest value of each feature, in one pass; zeros without rows."""
    found = [(X.min(axis=0), X.max(axis=0)) for _, X in blocks(features)] or [(np.zeros(features.shape[1]),) * 2]
    low, high = (np.stack(ends) for ends in zip(*found, strict=True))
    return Range(low.min(axis=0), high.max(axis=0))


def two_valued(features: Features) -> tuple[NDArray[np.bool_], Range]:
    """Which features have two values at most, and these; of others any two.  Without rows none has."""
    N, p = features.shape
    if not N:
        return np.zeros(p, dtype=np.bool_), Range(np.zeros(p), np.zeros(p))
    few = features.at(np.arange(0, N, max(N // FEW_ROWS, 1)))  # most columns show a third value among a few rows
    low, high = few.min(axis=0), few.max(axis=0)
    two: NDArray[np.bool_] = ((low == few) | (high == few)).all(axis=0)
    for _, X in blocks(features) if two.any() else ():
        known = (low == X) | (high == X) | ~two
        if known.all():
            continue
        odd = np.flatnonzero(~known.all(axis=0))
        some = X[:, odd]
        least, largest = np.minimum(low[odd], some.min(axis=0)), np.maximum(high[odd], some.max(axis=0))
        ends = np.stack([least, largest])
        two[odd] = ((some == least) | (some == largest)).all(axis=0) & _among(low[odd], ends) & _among(high[odd], ends)
        low[odd], high[odd] = least, largest
        if not two.any():
            break
    return two, Range(low, high)


def _among(values: FloatArray, ends: FloatArray) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (values == ends).any(axis=0)
    return found
