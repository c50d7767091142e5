"""polars lazy frames as sources: slices of a Parquet scan, else the batches of one streaming pass."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.data.frames import to_pandas
from bayes_softmax.data.sources.partitions import FRAME_ROWS, Source, in_frames, numbered_frame

SLICE_ROWS = 4 * FRAME_ROWS  # a slice decodes whole row groups, so it should be no smaller than they are


@dataclass(frozen=True, eq=False)
class Slice:
    """Consecutive rows of a lazy frame that polars can skip to."""

    frame: Any
    start: int
    n_rows: int
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        found = _chosen(self.frame, columns).slice(self.start, self.n_rows).collect()
        for start in range(0, max(found.height, 1), FRAME_ROWS):
            yield numbered_frame(to_pandas(found.slice(start, FRAME_ROWS)), start)


@dataclass(frozen=True, eq=False)
class Batches:
    """All rows of a lazy frame, as its query makes them."""

    frame: Any
    name: str = "the lazy frame"

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        start = 0
        for batch in _chosen(self.frame, columns).collect_batches(chunk_size=FRAME_ROWS, maintain_order=True):
            for piece in in_frames(to_pandas(batch)):
                yield numbered_frame(piece, start)
                start += len(piece)


def _chosen(frame: Any, columns: Sequence[str] | None) -> Any:
    from polars import selectors

    return frame if columns is None else frame.select(selectors.by_name(*columns, require_all=False))


def lazy_source(frame: Any) -> Source:
    """The source of a polars lazy frame."""
    names = tuple(frame.collect_schema().names())
    if not _skips(frame):
        return Source("the lazy frame", (Batches(frame),), names)
    from polars import len as n_rows

    n = int(frame.select(n_rows()).collect().item())
    starts = range(0, max(n, 1), SLICE_ROWS)
    slices = [
        Slice(frame, a, SLICE_ROWS, f"rows {a} to {min(a + SLICE_ROWS, n) - 1} of the lazy frame") for a in starts
    ]
    return Source("the lazy frame", tuple(slices), names)


def _skips(frame: Any) -> bool:
    """Whether a slice is taken in the scan of a Parquet file: it is quick then, and rows have one order.

    A query that joins, groups or sorts may return its rows in another order each time, so slices of it might miss some.
    """
    plan = frame.slice(1, 2).explain()
    scans = re.findall(r"\b(\w+) SCAN\b|\bDF \[", plan)
    return scans == ["Parquet"] and "SLICE: Positive { offset: 1, len: 2 }" in plan and "SELECTION:" not in plan
