"""Dask data frames as sources: their partitions stay where Dask has them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.sources.partitions import Source, in_frames

FIRST_ROWS = 1000  # enough to tell what columns hold


@dataclass(frozen=True)
class DaskPartition:
    """A partition of a Dask data frame.

    Attributes
    ----------
    frame
        The partition as a delayed value.  As part of a task of Dask's it is replaced by the data frame itself: Dask
        does so for the fields of every dataclass.
    name
        What messages call it.
    """

    frame: Any
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames; in a process that does not have them, computed there."""
        found = self.frame if isinstance(self.frame, pd.DataFrame) else self.frame.compute(scheduler="synchronous")
        frame = to_pandas_or_numpy(found, "data").rename(columns=str)
        return in_frames(frame if columns is None else frame[[name for name in columns if name in frame.columns]])


def dask_source(data: Any) -> Source:
    """The source of a Dask data frame."""
    parts = enumerate(data.to_delayed())
    partitions = tuple(DaskPartition(part, f"partition {i} of the Dask data frame") for i, part in parts)

    def narrowed(columns: Sequence[str]) -> Source:
        return dask_source(data[[name for name in data.columns if str(name) in set(columns)]])

    def first() -> pd.DataFrame:
        return first_rows(data)

    names = tuple(map(str, data.columns))
    return Source("the Dask data frame", partitions, names, narrow=narrowed, first=first, on_dask=True)


def first_rows(data: Any) -> pd.DataFrame:
    """Some rows of the first partition that has any, found where Dask has it."""
    import dask

    rows: pd.DataFrame = data._meta
    for part in data.to_delayed():
        rows = dask.delayed(pd.DataFrame.head)(part, FIRST_ROWS).compute()
        if len(rows):
            break
    return rows
