"""Conversion of the data of a fit to groups of a file and back: each distinct row once, in the columns of the model."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import RowsInMemory, TrainingData
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Response, Standardisation, dense_counts
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.formula.columns import as_frame
from bayes_softmax.data.schema import Schema
from bayes_softmax.fits.storage.checks import check_data
from bayes_softmax.fits.tree import GROUP_COLUMNS, data_groups

ROW = "row"
DATA_GROUPS = ("observed_data", "constant_data", "variables")


def training_groups(training: TrainingData | RowsOfSource | None, schema: Schema) -> dict[str, xr.Dataset]:
    """Groups of the data to write; ``variables`` holds the columns that a formula reads, with levels as codes."""
    if training is None or isinstance(training, RowsOfSource):
        return {}
    if not isinstance(training, RowsInMemory):
        raise ValueError("data that are not in memory are not saved with a fit; pass data=False")
    groups = data_groups(training, schema)
    if training.distinct.frame is not None:
        columns = {}
        for name, variable in schema.variables.items():
            column = training.distinct.frame[name]
            if variable.kind == "categorical":
                columns[name] = (ROW, column.cat.codes.to_numpy(dtype=np.int64))
            else:
                columns[name] = (ROW, column.to_numpy(dtype=np.float64))
        # Column names are stored as data, not as names in the file: "a/b" would be a path there.
        groups["variables"] = xr.Dataset(
            {f"column_{i}": values for i, values in enumerate(columns.values())}, attrs={"columns": list(columns)}
        )
    return groups


def read_training(groups: Mapping[str, xr.Dataset], schema: Schema) -> RowsInMemory:
    """Read the data from the groups of a file, checked against the schema."""
    check_data(groups, schema)
    constant, y = groups["constant_data"], groups["observed_data"]["y"]
    X: FloatArray = constant["X"].values
    weights = constant["frequency_weights"].values if "frequency_weights" in constant else None
    offset = constant["offset"].values if "offset" in constant else None
    available = constant["available"].values if "available" in constant else None
    columns = constant[GROUP_COLUMNS].values if GROUP_COLUMNS in constant else None
    index = pd.Index(y["obs"].values)
    row_map: IntArray = constant["pattern_of_obs"].values if "pattern_of_obs" in constant else np.arange(len(index))
    labels = y.ndim == 1
    response = Response(
        schema.response_name,
        schema.classes,
        y.values.astype(np.int64) if labels else None,
        None if labels else y.values.astype(np.float64),
        schema.unused_classes,
    )
    frame = _frame(groups["variables"], schema) if "variables" in groups else None
    p = len(schema.feature_names)
    design = Design(
        DenseFeatures(X), response, weights, offset, schema.feature_names, schema.has_intercept,
        Standardisation(np.zeros(p), np.ones(p)), index, frame=frame, available=available, group_columns=columns,
    )  # fmt: skip
    given = RowsInMemory(design, response, weights, row_map, index)
    return given if len(X) == len(index) else _collapsed(given)


def _frame(variables: xr.Dataset, schema: Schema) -> pd.DataFrame:
    names = np.atleast_1d(variables.attrs["columns"]).tolist()
    columns = {str(name): variables[f"column_{i}"].values for i, name in enumerate(names)}
    return as_frame(schema.variables, columns, None)


def _collapsed(given: RowsInMemory) -> RowsInMemory:
    """The data with counts for the distinct rows, summed over the rows as given."""
    counts = dense_counts(given.response, given.weights)
    summed = np.stack(
        [np.bincount(given.row_map, weights=column, minlength=given.distinct.n_obs) for column in counts.T], axis=1
    )
    response = replace(given.response, codes=None, counts=summed)
    distinct = replace(given.distinct, response=response, weights=None, index=pd.RangeIndex(given.distinct.n_obs))
    return replace(given, distinct=distinct)
