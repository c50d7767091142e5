"""A function that returns frames as a source: called anew for each pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.frames import is_frame, require_columns
from bayes_softmax.data.sources.partitions import Source, in_frames, numbered_frame
from bayes_softmax.data.sources.passes import raise_named


@dataclass(frozen=True, eq=False)
class Made:
    """All frames that a function makes, one after another."""

    make: Callable[[], Any]
    name: str = "data()"

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames numbered on."""
        start = 0
        for i, given in enumerate(self._made()):
            frame = to_pandas_or_numpy(given, f"frame {i}")
            if not isinstance(frame, pd.DataFrame):
                raise TypeError(f"frame {i} is of type {type(given).__name__}; expected a data frame")
            frame = frame.rename(columns=str)
            if columns is not None:
                require_columns(frame, columns, f"frame {i}")
                frame = frame[list(columns)]
            for piece in in_frames(frame):
                yield numbered_frame(piece, start)
                start += len(piece)

    def _made(self) -> Iterable[Any]:
        """The frames; one alone need not be in a list."""
        made = self.make()
        if is_frame(made):
            return [made]
        if isinstance(made, str) or not isinstance(made, Iterable):
            raise TypeError(f"it returned {type(made).__name__}; expected data frames, one after another")
        return made


def made_source(make: Callable[[], Any]) -> Source:
    """The source of a function that returns an iterable of frames."""
    made = Made(make)
    try:
        once = make()
        if isinstance(once, Iterator) and make() is once:
            raise TypeError("it returns the same iterator each time, which can be read once; make a new one in it")
        for frame in made.frames(None):
            return Source("the frames of data()", (made,), tuple(frame.columns))
        raise ValueError("it returned no frames")
    except Exception as error:
        raise_named(made.name, error)
