"""Sources of rows: partitions, each of which is read as data frames of limited size, as often as a fit asks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pandas as pd

FRAME_ROWS = 131_072  # most rows of a frame: a few arrays of them fit into memory beside each other


class Partition(Protocol):
    """Consecutive rows of a source, which can be read again and again, and sent to another process."""

    @property
    def name(self) -> str:
        """What messages call it: ``"flights-03.parquet, row group 2"``."""
        ...

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows in frames of at most ``FRAME_ROWS``, with some columns or all; rows are numbered from 0."""
        ...


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
    narrow: "Callable[[Sequence[str]], Source] | None" = None
    first: Callable[[], pd.DataFrame] | None = None
    on_dask: bool = False

    def narrowed(self, columns: Sequence[str]) -> "Source":
        """The source, of which only some columns will be read."""
        return self if self.narrow is None else self.narrow(columns)

    def head(self) -> pd.DataFrame:
        """The first frame that has rows, or an empty one."""
        if self.first is not None:
            return self.first()
        frame = pd.DataFrame(columns=list(self.columns))
        for partition in self.partitions:
            for frame in partition.frames(None):
                if len(frame):
                    return frame
        return frame


class Numbered[T](NamedTuple):
    """What a task gets: the number and the name of a partition, and its frames or designs, one at a time."""

    number: int
    name: str
    items: Iterator[T]


type Task[T, R] = Callable[[Numbered[T]], R]
type Merge[R] = Callable[[R, R], R]


def in_frames(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A frame in pieces of at most ``FRAME_ROWS``, rows numbered from 0."""
    frame = frame.reset_index(drop=True)
    if not len(frame):
        yield frame
    for start in range(0, len(frame), FRAME_ROWS):
        yield frame.iloc[start : start + FRAME_ROWS]
