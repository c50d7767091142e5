"""``SoftmaxRegression(X, y)`` where ``X`` is read in passes: a source of named columns, or Dask arrays."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bayes_softmax.data.build import feature_names_of
from bayes_softmax.data.options import Options
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.build import SourceRows, rows_from_columns
from bayes_softmax.data.sources.dask_arrays import RESPONSE, WEIGHTS, dask_array_source, is_dask_array
from bayes_softmax.data.sources.recognise import source_of


def rows_from_table(
    X: Any, y: Any, feature_names: Sequence[str] | None, intercept: bool, options: Options
) -> tuple[SourceRows, Schema] | None:
    """The rows of a source with ``y`` among its columns, or of Dask arrays; None where ``X`` is in memory."""
    if is_dask_array(X):
        names = feature_names_of(X, feature_names)
        given = options.weights
        source = dask_array_source(X, y, names, given)
        named = replace(options, weights=None if given is None else WEIGHTS)
        rows, schema = rows_from_columns(source, RESPONSE, intercept, named)
        return rows, replace(schema, weights_column=None)
    source_or_none = source_of(X, "X")
    if source_or_none is None:
        return None
    if feature_names is not None:
        raise ValueError("feature_names is for arrays: the columns of a source have their names")
    return rows_from_columns(source_or_none, y, intercept, options)
