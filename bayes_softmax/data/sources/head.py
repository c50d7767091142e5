"""The first rows of a source: names of its columns, and values in which slips show before all rows are read."""

import pandas as pd

from bayes_softmax.data.sources.partitions import Source
from bayes_softmax.data.sources.passes import raise_named

HEAD_ROWS = 10_000  # enough to tell an identifier from a factor


def head_of(source: Source) -> pd.DataFrame:
    """The first frames with ``HEAD_ROWS`` rows, or all there are, names of columns as text."""
    if source.first is not None:
        return source.first().rename(columns=str)
    found: list[pd.DataFrame] = []
    for partition in source.partitions:
        try:
            for frame in partition.frames(None):
                if len(frame) or not found:
                    found.append(frame.rename(columns=str))
                if sum(map(len, found)) >= HEAD_ROWS:
                    return _joined(found)
        except Exception as error:
            raise_named(partition.name, error)
    return _joined(found) if found else pd.DataFrame(columns=list(source.columns))


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames, with the columns of the first that has rows."""
    first, *others = [frame for frame in frames if len(frame)] or frames[:1]
    same = [frame for frame in others if list(frame.columns) == list(first.columns)]
    return pd.concat([first, *same], ignore_index=True) if same else first


def with_values(head: pd.DataFrame) -> pd.DataFrame:
    """The first rows of more, in which a column without values is of unknown numbers: other rows may have some."""
    unknown = [
        str(name) for name in head if len(head) >= HEAD_ROWS and head.columns.is_unique and head[name].isna().all()
    ]
    return head.assign(**dict.fromkeys(unknown, 0.5))
