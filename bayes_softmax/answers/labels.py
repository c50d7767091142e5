"""Labels of arrays: coordinates of rows, features and categories."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema


def observation_coordinate(index: Any) -> Any:
    """Row labels as a coordinate: the data's own if they are plain, else 0..N-1."""
    plain = isinstance(index, pd.Index) and not isinstance(index, pd.MultiIndex) and index.is_unique
    if plain and (pd.api.types.is_integer_dtype(index) or pd.api.types.is_string_dtype(index)):
        return index.to_numpy() if pd.api.types.is_integer_dtype(index) else index.to_numpy(dtype=str)
    return np.arange(len(index))


def label_parameters(logits: Logits, values: Mapping[str, FloatArray], schema: Schema) -> dict[str, xr.DataArray]:
    """An estimate of each parameter as a labelled array."""
    labels = {"category": schema.category_coordinate, "feature": np.array(schema.feature_names, dtype=str)}
    arrays = {}
    for name, dims in logits.dims.items():
        coords = {dim: labels[dim] for dim in dims if dim in labels}
        arrays[name] = xr.DataArray(values[name], dims=dims, coords=coords, name=name)
    return arrays
