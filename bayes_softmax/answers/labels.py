"""Labels of arrays: coordinates of rows, features and categories."""

import functools
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.data.schema import Schema

INTERCEPT = "intercept"


def observation_coordinate(index: Any) -> Any:
    """Row labels as a coordinate: the data's own if they are plain, else 0..N-1."""
    plain = isinstance(index, pd.Index) and not isinstance(index, pd.MultiIndex) and index.is_unique
    if plain and (pd.api.types.is_integer_dtype(index) or pd.api.types.is_string_dtype(index)):
        return index.to_numpy() if pd.api.types.is_integer_dtype(index) else index.to_numpy(dtype=str)
    return np.arange(len(index))


def label_coefficients(intercept: Any, weights: Any, schema: Schema) -> tuple[xr.DataArray, xr.DataArray]:
    """Intercept (K,) and weights (p, K) as labelled arrays."""
    categories = schema.category_coordinate
    # Labels of another type may be equal: 1, 1.0 and True.
    kinds = (type(categories), *map(type, categories))
    empty = _empty_coefficients(tuple(categories), kinds, schema.feature_names)
    return empty[0].copy(deep=False, data=intercept), empty[1].copy(deep=False, data=weights)


@functools.lru_cache(maxsize=8)
def _empty_coefficients(
    categories: tuple[Any, ...], kinds: tuple[type, ...], features: tuple[str, ...]
) -> tuple[xr.DataArray, xr.DataArray]:
    """The labels without numbers: to make coordinates takes longer than many a fit, to copy them does not."""
    labels = np.array(categories, dtype=np.uint64) if kinds[0] is np.ndarray else list(categories)
    category, feature = {"category": labels}, {"feature": np.array(features, dtype=str)}
    nothing = np.broadcast_to(np.nan, (len(features), len(categories)))
    return (
        xr.DataArray(np.full(len(categories), np.nan), dims="category", coords=category, name="intercept"),
        xr.DataArray(nothing, dims=("feature", "category"), coords={**feature, **category}, name="weights"),
    )
