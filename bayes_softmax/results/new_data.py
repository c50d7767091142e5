"""New data at the border: rows without missing values, and rows whose logits can be computed with."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.checks import counted
from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.probabilities import Coefficients, Rows
from bayes_softmax.spec.arrays import given
from bayes_softmax.spec.build import check_aligned
from bayes_softmax.spec.by_class import names_by_class
from bayes_softmax.spec.frames import describe_rows, is_frame, missing_rows, require_columns
from bayes_softmax.spec.missing import missing_in
from bayes_softmax.spec.schema import ArrayEncoder, Schema

LOGIT_LIMIT = 1e150  # the delta method squares logits, and 1e300 is still a number


def encode_all(schema: Schema, data: Any, offset: Any, available: Any) -> Rows:
    """Every row; a missing value is an error."""
    data = schema.given(data)
    check_aligned(data, offset, "offset", "data")
    check_aligned(data, available, "available", "data")
    X, index, beyond = schema.encode_marked(data)
    values = schema.encode_offset(data, offset, len(X))
    return Rows(X, index, values, None, schema.encode_available(data, available, index), beyond)


def encode_complete(schema: Schema, data: Any, offset: Any, available: Any) -> Rows:
    """The rows without a missing value in what the model reads: columns, and offset and choice sets as given."""
    data = schema.given(data)
    if not is_frame(data) and not isinstance(schema.encoder, ArrayEncoder):
        return encode_all(schema, data, offset, available)  # which says that a formula needs a frame
    check_aligned(data, offset, "offset", "data")
    check_aligned(data, available, "available", "data")
    in_offset = names_by_class(schema.offset_columns if offset is None else offset, schema.classes)
    in_available = names_by_class(schema.available_columns if available is None else available, schema.classes)
    named = (*(in_offset if schema.has_offset else ()), *(in_available if schema.has_available else ()))
    # What is not among the columns runs along all rows, and may lack values too.
    offset, available = (
        v if v is None or columns else given(v, name)
        for v, name, columns in ((offset, "offset", in_offset), (available, "available", in_available))
    )
    missing, index = _missing(schema, data, named)
    for name, value in (("offset", offset), ("available", available)):
        if isinstance(value, np.ndarray | pd.DataFrame):
            if len(value) != len(index):
                raise ValueError(f"{name} has {counted(len(value), 'row')}; expected {len(index)}")
            missing |= missing_in(value)
    keep = np.flatnonzero(~missing)
    offset, available = (
        v.iloc[keep] if isinstance(v, pd.DataFrame) else v[keep] if isinstance(v, np.ndarray) else v
        for v in (offset, available)
    )
    complete = data.iloc[keep] if isinstance(data, pd.DataFrame) else np.asarray(data)[keep]
    X, _, beyond = schema.encode_marked(complete)
    values = schema.encode_offset(complete, offset, len(X))
    return Rows(X, index, values, keep, schema.encode_available(complete, available, index[keep]), beyond)


def _missing(schema: Schema, data: Any, named: tuple[str, ...]) -> tuple[NDArray[np.bool_], Any]:
    """Rows (N,) with a missing value in the columns that the model reads, and the index of all rows."""
    if isinstance(data, pd.DataFrame):
        names = [*schema.input_columns, *named]
        require_columns(data, names)
        return missing_rows(data.rename(columns=str), names), data.index
    assert isinstance(schema.encoder, ArrayEncoder)
    array = schema.encoder.read_array(data)
    return np.isnan(array).any(axis=1), pd.RangeIndex(len(array))


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
