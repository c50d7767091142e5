"""Dask data frames as sources: their partitions, each computed where the pass runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.sources.partitions import Source, in_frames


@dataclass(frozen=True, eq=False)
class FramePartition:
    """A partition of a Dask data frame."""

    frame: Any
    number: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"partition {self.number} of the Dask data frame"

    def lazy(self, columns: Sequence[str] | None) -> Any:
        """The partition as a Dask data frame that is not computed yet, with some columns or all."""
        chosen = self.frame
        if columns is not None:
            present = set(map(str, chosen.columns))
            chosen = chosen[[name for name in chosen.columns if str(name) in set(columns) & present]]
        return chosen.partitions[self.number]

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        found = to_pandas_or_numpy(self.lazy(columns).compute(scheduler="synchronous"), "data")
        return in_frames(found.rename(columns=str))


def dask_frame_source(frame: Any) -> Source:
    """The source of a Dask data frame."""
    names = tuple(map(str, frame.columns))
    partitions = tuple(FramePartition(frame, i) for i in range(frame.npartitions))
    return Source("the Dask data frame", partitions, names)
