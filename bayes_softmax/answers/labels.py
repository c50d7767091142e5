"""Coordinates of labelled arrays: rows, features and categories."""

import functools
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


def group_coordinates(schema: Schema) -> dict[str, Any]:
    """Labels along the dimensions of group-level effects: levels and terms of each grouping, and classes again."""
    found: dict[str, Any] = {}
    for grouping in schema.groups:
        whole = all(type(level) is int for level in grouping.levels)
        found[f"{grouping.name}_level"] = np.array(grouping.levels, dtype=np.int64 if whole else str)
        for dim in (f"{grouping.name}_term", f"{grouping.name}_term_other"):
            found[dim] = np.array(grouping.terms, dtype=str)
    return found | ({"category_other": schema.category_coordinate} if found else {})


def label_parameters(logits: Logits, values: Mapping[str, FloatArray], schema: Schema) -> dict[str, xr.DataArray]:
    """An estimate of each parameter as a labelled array."""
    categories = schema.category_coordinate
    kinds = (type(categories), *map(type, categories))  # labels of another type may be equal: 1, 1.0 and True
    labels = tuple(categories), kinds, schema.feature_names
    of_groups = group_coordinates(schema)
    labelled = {}
    for name, dims in logits.dims.items():
        array = _unfilled(name, tuple(dims), values[name].shape, *labels).copy(deep=False, data=values[name])
        labelled[name] = array.assign_coords({dim: of_groups[dim] for dim in dims if dim in of_groups})
    return labelled


@functools.lru_cache(maxsize=16)
def _unfilled(
    name: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    categories: tuple[Any, ...],
    kinds: tuple[type, ...],
    features: tuple[str, ...],
) -> xr.DataArray:
    """A labelled array to fill: making coordinates takes longer than many a fit, copying them does not."""
    category = np.array(categories, dtype=np.uint64) if kinds[0] is np.ndarray else list(categories)
    labels = {"category": category, "feature": np.array(features, dtype=str)}
    coords = {dim: labels[dim] for dim in dims if dim in labels}
    return xr.DataArray(np.broadcast_to(np.nan, shape), dims=dims, coords=coords, name=name)
