"""Labels of arrays: coordinates of rows, features and categories."""

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
    category = {"category": schema.category_coordinate}
    feature = {"feature": np.array(schema.feature_names, dtype=str)}
    return (
        xr.DataArray(intercept, dims="category", coords=category, name="intercept"),
        xr.DataArray(weights, dims=("feature", "category"), coords={**feature, **category}, name="weights"),
    )
