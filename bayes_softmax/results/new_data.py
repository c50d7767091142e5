"""New data at the border: rows without missing values, and rows whose logits can be computed with."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.results.probabilities import Coefficients, Rows
from bayes_softmax.spec.build import check_aligned
from bayes_softmax.spec.frames import describe_rows, is_frame, missing_rows, require_columns, to_pandas
from bayes_softmax.spec.schema import ArrayEncoder, Schema, offset_columns

LOGIT_LIMIT = 1e150  # the delta method squares logits, and 1e300 is still a number


def encode_all(schema: Schema, data: Any, offset: Any) -> Rows:
    """Every row; a missing value is an error."""
    check_aligned(data, offset, "offset", "data")
    X, index, beyond = schema.encode_marked(data)
    return Rows(X, index, schema.encode_offset(data, offset, len(X)), beyond=beyond)


def encode_complete(schema: Schema, data: Any, offset: Any) -> Rows:
    """The rows without a missing value in the columns that the model reads, those of the offset among them."""
    if not is_frame(data) and not isinstance(schema.encoder, ArrayEncoder):
        return encode_all(schema, data, offset)  # which says that a formula needs a frame
    check_aligned(data, offset, "offset", "data")
    named = offset_columns(schema.offset_columns if offset is None else offset, schema.classes)
    complete, keep, index = _complete(schema, data, named)
    X, _, beyond = schema.encode_marked(complete)
    if named:
        return Rows(X, index, schema.encode_offset(complete, offset, len(X)), keep, beyond)
    values = schema.encode_offset(data, offset, len(index))  # along all rows, as it was given
    return Rows(X, index, None if values is None else values[keep], keep, beyond)


def _complete(schema: Schema, data: Any, named: tuple[str, ...]) -> tuple[Any, IntArray, Any]:
    """Complete rows, their positions, and the index of all rows."""
    if is_frame(data):
        frame, names = to_pandas(data), [*schema.input_columns, *(named if schema.has_offset else ())]
        require_columns(frame, names)
        keep = np.flatnonzero(~missing_rows(frame.rename(columns=str), names))
        return frame.iloc[keep], keep, frame.index
    assert isinstance(schema.encoder, ArrayEncoder)
    array = np.asarray(data)
    if array.dtype == object:  # None among numbers is a missing value too
        array = np.where(pd.isna(array), np.nan, array)
        array = array.astype(np.float64) if all(isinstance(v, Real) for v in array.flat) else array
    array = schema.encoder.check_array(array)
    keep = np.flatnonzero(~np.isnan(array.astype(np.float64)).any(axis=1))
    return array[keep], keep, pd.RangeIndex(len(array))


def check_logits(schema: Schema, coefficients: Coefficients, rows: Rows) -> None:
    """Raise for rows whose logits overflow, naming them and their largest column.

    The bound of a logit is by the largest coefficient over the draws, and first by the largest value of each column:
    neither copies the data nor the draws.
    """
    W = np.maximum(coefficients.weights.max(axis=0), -coefficients.weights.min(axis=0))  # (p, K)
    b = np.abs(coefficients.intercept).max()
    X, offset = rows.X, np.zeros((1, 1)) if rows.offset is None else rows.offset
    if not len(X):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        reach = np.maximum(X.max(axis=0), -X.min(axis=0)) @ W + b + max(offset.max(), -offset.min())
        if (reach < LOGIT_LIMIT).all():
            return
        bad = np.flatnonzero(~(_bounds(X, W, b, offset=offset) < LOGIT_LIMIT))
    if bad.size:
        index = rows.index if rows.position is None else rows.index[rows.position]
        raise ValueError(f"data: the logits overflow in {describe_rows(index, bad)}{_largest(schema, X[bad[0]], W)}")


def _bounds(X: FloatArray, W: FloatArray, b: float, *, offset: FloatArray) -> FloatArray:
    bounds: FloatArray = (np.abs(X) @ W + b + np.abs(offset)).max(axis=1)
    return bounds


def _largest(schema: Schema, x: FloatArray, W: FloatArray) -> str:
    """The column that moves the logits of a row most."""
    if not x.any():
        return ": the offset is too large"
    with np.errstate(over="ignore"):
        j = int((np.abs(x) * W.max(axis=1)).argmax())
    return f": column {schema.feature_names[j]!r} is {x[j]:g} there"
