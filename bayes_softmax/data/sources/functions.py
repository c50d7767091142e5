"""A function that returns frames as a source: called anew for each pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import require_columns
from bayes_softmax.data.sources.partitions import Source, in_frames


@dataclass(frozen=True, eq=False)
class Made:
    """All frames that a function makes, one after another."""

    make: Callable[[], Iterable[Any]]
    name: str = "data()"

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames numbered on."""
        start = 0
        for i, given in enumerate(self.make()):
            frame = to_pandas_or_numpy(given, f"frame {i} of data()")
            if not isinstance(frame, pd.DataFrame):
                raise TypeError(f"frame {i} of data() is of type {type(given).__name__}; expected data frames")
            frame = frame.rename(columns=str)
            if columns is not None:
                require_columns(frame, columns, f"frame {i} of data()")
                frame = frame[list(columns)]
            for piece in in_frames(frame):
                yield piece.set_axis(pd.RangeIndex(start, start + len(piece)))
                start += len(piece)


def made_source(make: Callable[[], Iterable[Any]]) -> Source:
    """The source of a function that returns an iterable of frames."""
    made = Made(make)
    for frame in made.frames(None):
        return Source("the frames of data()", (made,), tuple(frame.columns))
    raise ValueError("data() returned no frames")
