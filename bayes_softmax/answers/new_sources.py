"""New data that are sources of rows: which columns are read, and a uniform sample of the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.data.class_columns import class_column_names
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.partitions import Numbered, Source
from bayes_softmax.data.sources.passes import Passes
from bayes_softmax.data.sources.recognise import source_of
from bayes_softmax.data.sources.samples import Sample

SAMPLE_STREAM = 16  # random numbers of the sample


def source_of_answer(data: Any, out: Any) -> Source | None:
    """The source that new data are, or None; raises where there is no folder for its answers."""
    source = source_of(data)
    if source is not None and out is None:
        raise ValueError(
            f"data: {source.name} is read in passes, and its answers may be too many to be returned; name a folder "
            "for them, out='answers', or give a data frame"
        )
    return source


def refuse_source(data: Any) -> None:
    """Raise if new data are a source, for answers that are returned row by row."""
    source = source_of(data)
    if source is not None:
        raise ValueError(
            f"data: {source.name} is read in passes, and this answer has a row for each of its rows; give a data frame "
            "of some of them, or write predict_proba(data, out='answers')"
        )


def columns_read(source: Source, schema: Schema, **arguments: Any) -> list[str]:
    """Columns of a source that a model and some arguments read; raises for arguments given by value."""
    wanted = {*schema.input_columns, *schema.offset_columns, *schema.available_columns, *schema.classes}
    wanted |= {schema.response_name, schema.weights_column}
    for name, value in arguments.items():
        named = [value] if isinstance(value, str) else class_column_names(value, schema.classes)
        if value is not None and not named:
            raise TypeError(f"{name}: data is read in passes, so name columns of it; an array has no partitions")
        wanted |= set(named)
    return [name for name in source.columns if name in wanted]


def by_name(offset: Any, weights: Any, available: Any) -> dict[str, Any]:
    """Arguments that belong to the rows."""
    return {"offset": offset, "weights": weights, "available": available}


def count_rows(part: Numbered[pd.DataFrame]) -> int:
    """Number of rows of a partition."""
    return sum(map(len, part.items))


def sample_of(passes: Passes, columns: Sequence[str]) -> pd.DataFrame:
    """A uniform sample of the rows, without replacement: all, if there are few."""
    frame = passes.run_frames(columns, _sample_of_partition, Sample.merged, "a sample of the new data").frame()
    return frame if len(frame.columns) else pd.DataFrame(columns=list(columns))


def _sample_of_partition(part: Numbered[pd.DataFrame]) -> Sample:
    """The rows of a partition with the smallest random keys."""
    rng, sample = np.random.default_rng([SAMPLE_STREAM, part.number]), Sample()
    for frame in part.items:
        sample = sample.added(frame, rng.random(len(frame)))
    return sample
