"""Which data are sources that are read in passes: files, datasets, lazy and Dask data frames, functions."""

import sys
from collections.abc import Iterator
from os import PathLike
from typing import Any

import narwhals as nw

from bayes_softmax.core.checks import counted
from bayes_softmax.data.frames import is_frame
from bayes_softmax.data.sources.dask_frames import dask_source
from bayes_softmax.data.sources.datasets import dataset_source
from bayes_softmax.data.sources.functions import made_source
from bayes_softmax.data.sources.lazy import lazy_source
from bayes_softmax.data.sources.parquet import names_parquet, parquet_source
from bayes_softmax.data.sources.partitions import Source


def source_of(data: Any, argument: str = "data") -> Source | None:
    """The source that the data are, or None where they are frames, arrays, or nothing that holds rows.

    Raises
    ------
    TypeError
        Rows that can be read once, and a fit reads them several times.
    """
    if isinstance(data, str | PathLike):
        return parquet_source(data) if names_parquet(data) else None
    if isinstance(data, nw.LazyFrame):
        data = data.to_native()
    polars, dataset, frames = (sys.modules.get(name) for name in ("polars", "pyarrow.dataset", "dask.dataframe"))
    if dataset is not None and isinstance(data, dataset.Dataset):
        return dataset_source(data)
    if polars is not None and isinstance(data, polars.LazyFrame):
        return lazy_source(data)
    if frames is not None and isinstance(data, frames.DataFrame):
        return dask_source(data)
    if isinstance(data, list | tuple) and data and all(map(is_frame, data)):
        raise TypeError(
            f"{argument} is a {type(data).__name__} of {counted(len(data), 'data frame')}; pass "
            f"pandas.concat({argument}), or a function that returns them, lambda: {argument}"
        )
    _refuse_once(data, argument)
    if callable(data) and not isinstance(data, type):
        return made_source(data)
    return None


def _refuse_once(data: Any, argument: str) -> None:
    """Raise for an iterator, a reader of batches, or a scan of a dataset."""
    arrow, dataset = (sys.modules.get(name) for name in ("pyarrow", "pyarrow.dataset"))
    reads_once = isinstance(data, Iterator)
    reads_once |= arrow is not None and isinstance(data, arrow.RecordBatchReader)
    reads_once |= dataset is not None and isinstance(data, dataset.Scanner)
    if reads_once:
        instead = "an array, list(X)" if argument == "X" else "a data frame"
        raise TypeError(
            f"{argument} is an iterator of type {type(data).__name__}, which can be read once, and a fit reads its "
            f"rows several times: pass a function that returns a new one, or {instead}"
        )
