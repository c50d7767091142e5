"""Sources of rows: partitions, each of which is read as data frames of limited size, as often as a fit asks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pandas as pd

FRAME_ROWS, FRAME_VALUES = 131_072, 4_000_000  # most of a frame: a few copies fit into memory beside each other


class Partition(Protocol):
    """Consecutive rows of a source, which can be read again and again, and sent to another process."""

    @property
    def name(self) -> str:
        """What messages call it: ``"flights-03.parquet, row group 2"``."""
        ...

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows in frames of at most ``frame_rows``, with some columns or all; rows are numbered from 0."""
        ...


def frame_rows(n_columns: int) -> int:
    """Most rows of a frame of so many columns."""
    return max(min(FRAME_ROWS, FRAME_VALUES // max(n_columns, 1)), 1024)


@dataclass(frozen=True, eq=False)
class Source:
    """Partitions of rows with the same columns.

    Attributes
    ----------
    name
        What messages call it.
    partitions
        In order.
    columns
        Names of its columns, in order.
    n_rows
        Rows in all, where that is known without reading them.
    narrow
        The same source with some of its columns, where that saves reading the others; else None.
    first
        Its first rows, where they can be had without a whole frame; else None.
    on_dask
        Whether Dask holds the rows: passes are then made by the workers of the active client, if there is one.
    """

    name: str
    partitions: tuple[Partition, ...]
    columns: tuple[str, ...]
    n_rows: int | None = None
    narrow: "Callable[[Sequence[str]], Source] | None" = None
    first: Callable[[], pd.DataFrame] | None = None
    on_dask: bool = False

    def narrowed(self, columns: Sequence[str]) -> "Source":
        """The source, of which only some columns will be read."""
        return self if self.narrow is None else self.narrow(columns)


class Numbered[T](NamedTuple):
    """What a task gets: the number and the name of a partition, and its frames or designs, one at a time."""

    number: int
    name: str
    items: Iterator[T]


type Task[T, R] = Callable[[Numbered[T]], R]
type Merge[R] = Callable[[R, R], R]


def in_frames(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A frame in pieces of limited size, rows numbered from 0."""
    frame, n = numbered_frame(frame, 0), frame_rows(frame.shape[1])
    if not len(frame):
        yield frame
    for start in range(0, len(frame), n):
        yield frame.iloc[start : start + n]


def numbered_frame(frame: pd.DataFrame, start: int) -> pd.DataFrame:
    """The frame with its rows numbered from ``start``."""
    return frame.set_axis(pd.RangeIndex(start, start + len(frame)))
