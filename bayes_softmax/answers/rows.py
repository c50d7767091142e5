"""Encoded rows, independent of the logit function, and their division into blocks."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.nodes import Nodes
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.available import Mask

BLOCK_BYTES = 32 * 2**20
SHORT_BLOCK = 1024  # rows per block where several K x K matrices per row are held


class Rows(NamedTuple):
    """Encoded data: features (N, p), row index of the answer, offset (N, K) or None.

    ``position`` (N,) holds the positions of these rows in the answer, where rows with missing values were left out;
    ``available`` (N, K) marks the classes on offer, None where all are.  ``beyond`` (N,) marks rows in which a dropped
    column differs from its constant.  For an optimum at infinity, ``excluded`` (N, K) marks classes of probability 0,
    ``loose`` (N, K) those whose probability is not determined; else None.  ``nodes`` are effects of levels of groups to
    average over.
    """

    X: FloatArray
    index: Any
    offset: FloatArray | None
    position: Any = None
    available: Mask | None = None
    beyond: Any = None
    excluded: Any = None
    loose: Any = None
    nodes: Nodes | None = None

    @property
    def n_rows(self) -> int:
        """Number of encoded rows, N."""
        return len(self.X)

    @property
    def labels(self) -> Any:
        """(N,) labels of the encoded rows."""
        return self.index if self.position is None else self.index[self.position]

    def take(self, at: Any) -> "Rows":
        """Some of the rows, by a slice or by positions, without their index."""
        by_row = ("offset", "available", "beyond", "excluded", "loose")
        values = {name: getattr(self, name) for name in by_row}
        cut = {name: None if value is None else value[at] for name, value in values.items()}
        return self._replace(X=self.X[at], index=None, position=None, **cut)

    def complete_logits(self, L: FloatArray, block: slice) -> None:
        """Add the offset to logits ``L`` (K, rows, ...) of a block of these rows; minus infinity where not on offer."""
        trailing = (1,) * (L.ndim - 2)
        if self.offset is not None:
            offset = self.offset[block].T
            offered = offset if self.available is None else np.where(self.available[block].T, offset, -np.inf)
            # A common offset of all classes on offer cancels in the softmax, but would cost the logits digits.
            offset = offset - offered.max(axis=0)
            L += offset.reshape(*offset.shape, *trailing)
        if self.available is not None:
            L[~self.available[block].T] = -np.inf

    def expand(self, values: FloatArray, axis: int = 0) -> FloatArray:
        """Values of the encoded rows scattered over all rows, NaN in rows with missing values."""
        if self.position is None:
            return values
        shape = [*values.shape]
        shape[axis] = len(self.index)
        full = np.full(shape, np.nan)
        full[(slice(None),) * axis + (self.position,)] = values
        return full


def block_ranges(n_rows: int, bytes_per_row: int) -> list[tuple[int, int]]:
    """Consecutive ranges of rows, each within ``BLOCK_BYTES``."""
    size = max(1, BLOCK_BYTES // max(bytes_per_row, 1))
    return [(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def short_blocks(n_rows: int) -> Iterator[slice]:
    """Consecutive slices of at most ``SHORT_BLOCK`` rows."""
    for start in range(0, n_rows, SHORT_BLOCK):
        yield slice(start, min(start + SHORT_BLOCK, n_rows))
