"""Which data are sources that are read in passes: files, datasets, lazy frames, functions."""

import sys
from os import PathLike
from typing import Any

from bayes_softmax.data.sources.dask_frames import dask_source
from bayes_softmax.data.sources.functions import made_source
from bayes_softmax.data.sources.parquet import dataset_source, names_parquet, parquet_source
from bayes_softmax.data.sources.partitions import Source


def source_of(data: Any) -> Source | None:
    """The source that the data are, or None where they are frames, arrays, or nothing that holds rows."""
    if isinstance(data, str | PathLike):
        return parquet_source(data) if names_parquet(data) else None
    dataset = sys.modules.get("pyarrow.dataset")
    if dataset is not None and isinstance(data, dataset.Dataset):
        return dataset_source(data)
    dask = sys.modules.get("dask.dataframe")
    if dask is not None and isinstance(data, dask.DataFrame):
        return dask_source(data)
    if callable(data) and not isinstance(data, type):
        return made_source(data)
    return None
