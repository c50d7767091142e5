"""From what the user hands over to a checked :class:`Design` and the :class:`Schema` that reads new data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import CODINGS
from bayes_softmax.spec.design import Design, Label, Response, standardise, unit_totals
from bayes_softmax.spec.formula import fit_encoder, required_columns, split_formula
from bayes_softmax.spec.frames import (
    describe_rows,
    is_frame,
    is_series,
    missing_rows,
    require_columns,
    to_pandas,
    to_pandas_series,
)
from bayes_softmax.spec.labels import as_series, count_columns, parse_labels, parse_response
from bayes_softmax.spec.schema import ArrayEncoder, Encoder, Schema, offset_columns, read_offset


class Options(NamedTuple):
    """Arguments that formulas and arrays share."""

    coding: str = "zero-sum"
    classes: Sequence[Label] | None = None
    weights: Any = None
    offset: Any = None
    missing: str = "error"
    constant: str = "error"


def from_formula(formula: str, data: Any, options: Options) -> tuple[Design, Schema]:
    """Design of ``response ~ terms`` over the columns of a data frame."""
    if not is_frame(data):
        raise TypeError(f"data must be a pandas or polars DataFrame, got {type(data).__name__}")
    responses, right = split_formula(formula)
    frame = to_pandas(data)
    if len(frame) == 0:
        raise ValueError("data has no rows")
    for other, argument in ((options.weights, "weights"), (options.offset, "offset")):
        check_aligned(frame, other, argument, "data")
    features = required_columns(right)
    for name in responses:
        if name in features:
            raise ValueError(f"formula: {name!r} is the response and cannot explain itself")
    columns = [*responses, *features, *_named_columns(options)]
    require_columns(frame, columns)
    frame, n_dropped, options = _without_missing(frame, columns, options)
    if len(frame) == 0:
        raise ValueError(f"data has no rows left ({n_dropped} dropped for missing values)")
    if len(responses) == 1:
        response = parse_labels(frame[responses[0]], options.classes, responses[0])
    else:
        response = count_columns(frame[list(responses)], options.classes, "counts")
    encoder = fit_encoder(right, frame)
    X, index = encoder.encode(frame)
    design, schema = _assemble(X, index, response, encoder, frame, options, n_dropped)
    return replace(design, frame=encoder.columns(frame)), schema


def from_arrays(
    X: Any, y: Any, feature_names: Sequence[str] | None, intercept: bool, options: Options
) -> tuple[Design, Schema]:
    """Design of arrays, or of a data frame ``X`` with ``y`` aligned to it.

    Columns of ``X`` that ``weights`` or ``offset`` name are not features.
    """
    for other, argument in ((y, "y"), (options.weights, "weights"), (options.offset, "offset")):
        check_aligned(X, other, argument)
    X, y, n_dropped, options = _drop_missing_arrays(X, y, options)
    features = X
    if is_frame(X) and _named_columns(options):
        require_columns(to_pandas(X), _named_columns(options), "X")
        features = to_pandas(X).drop(columns=_named_columns(options))
    names = _feature_names(features, feature_names)
    encoder = ArrayEncoder(names, intercept)
    matrix, index = encoder.encode(_renamed(features, names))
    response = parse_response(y, options.classes)
    n_labels = len(response.codes) if response.codes is not None else len(response.counts)  # type: ignore[arg-type]
    if n_labels != len(matrix):
        raise ValueError(f"X has {len(matrix)} rows, but y has {n_labels}")
    return _assemble(matrix, index, response, encoder, X, options, n_dropped)


def _assemble(
    X: FloatArray,
    index: Any,
    response: Response,
    encoder: Encoder,
    data: Any,
    options: Options,
    n_dropped: int,
) -> tuple[Design, Schema]:
    """Check weights and offset, standardise, and put design and schema together."""
    if len(X) == 0:
        raise ValueError("data has no rows" + (f" ({n_dropped} dropped for missing values)" if n_dropped else ""))
    if options.coding not in CODINGS:
        raise ValueError(f"coding={options.coding!r} is not known; use one of {', '.join(map(repr, CODINGS))}")
    weights = read_weights(options.weights, data, len(X), index)
    names = tuple(encoder.feature_names)
    totals = unit_totals(response, weights, len(X))
    used = totals > 0  # rows that hold no unit must not move centre, scale or default prior
    if not used.any():
        raise ValueError("y: all counts are zero; at least one observation is needed")
    X, names, dropped = _drop_constant(X, names, used, options.constant, has_intercept=encoder.has_intercept)
    rows, row_totals = (X, totals) if used.all() else (X[used], totals[used])
    standardisation = standardise(rows, row_totals, names, has_intercept=encoder.has_intercept)
    if not names and not encoder.has_intercept:
        raise ValueError("the model has neither features nor an intercept: there is nothing to estimate")
    offset = None if options.offset is None else read_offset(options.offset, data, len(X), response.classes)
    design = Design(X, response, weights, offset, names, encoder.has_intercept, standardisation, index, n_dropped)
    counts = design.class_counts()  # an observation of weight zero is none
    response = replace(response, unused=tuple(c for c, n in zip(response.classes, counts, strict=True) if n == 0))
    design = replace(design, response=response)
    return design, replace(_schema(design, encoder, options), dropped_values=dropped)


def _schema(design: Design, encoder: Encoder, options: Options) -> Schema:
    """What new data need, and the names of the answers."""
    response = design.response
    return Schema(
        classes=response.classes,
        response_name=response.name,
        unused_classes=response.unused,
        feature_names=design.feature_names,
        encoder=encoder,
        coding=options.coding,
        has_intercept=encoder.has_intercept,
        offset_columns=offset_columns(options.offset, response.classes),
        has_offset=options.offset is not None,
        class_totals=tuple(design.class_counts().tolist()),
        weights_column=options.weights if isinstance(options.weights, str) else None,
    )


def _named_columns(options: Options) -> list[str]:
    """Columns that weights and offset name."""
    named = [options.weights] if isinstance(options.weights, str) else []
    if isinstance(options.offset, Mapping):
        return named + list(options.offset.values())
    if isinstance(options.offset, list | tuple) and all(isinstance(name, str) for name in options.offset):
        return named + list(options.offset)
    return named


def _check_choice(name: str, value: str) -> None:
    if value not in ("error", "drop"):
        raise ValueError(f"{name}={value!r} is not known; use 'error' or 'drop'")


def _without_missing(frame: pd.DataFrame, columns: list[str], options: Options) -> tuple[pd.DataFrame, int, Options]:
    """Drop rows with missing values on request; arrays that run along the rows are cut with them."""
    _check_choice("missing", options.missing)
    if options.missing == "error":
        return frame, 0, options
    missing = missing_rows(frame, columns)
    return frame[~missing], int(missing.sum()), _cut(options, ~missing)


def _drop_missing_arrays(X: Any, y: Any, options: Options) -> tuple[Any, Any, int, Options]:
    _check_choice("missing", options.missing)
    if options.missing == "error":
        return X, y, 0, options
    X_frame = to_pandas(X) if is_frame(X) else pd.DataFrame(np.asarray(X))
    two_dimensional = is_frame(y) or np.ndim(y) == 2
    y_frame = (
        pd.DataFrame(to_pandas(y) if is_frame(y) else np.asarray(y)) if two_dimensional else as_series(y).to_frame()
    )
    if len(X_frame) != len(y_frame):
        raise ValueError(f"X has {len(X_frame)} rows, but y has {len(y_frame)}")
    keep = ~(X_frame.isna().any(axis=1).to_numpy() | y_frame.isna().any(axis=1).to_numpy())
    kept_X = X_frame[keep] if is_frame(X) else X_frame.to_numpy()[keep]
    if not two_dimensional:
        named = as_series(y).name
        return (
            kept_X,
            y_frame.iloc[:, 0][keep].rename(str(named) if named is not None else None),
            int((~keep).sum()),
            _cut(options, keep),
        )
    kept_y = y_frame[keep] if is_frame(y) else y_frame.to_numpy()[keep]
    return kept_X, kept_y, int((~keep).sum()), _cut(options, keep)


def _cut(options: Options, keep: Any) -> Options:
    """Weights and offset of the kept rows, where they are given by value."""
    weights, offset = options.weights, options.offset
    if weights is not None and not isinstance(weights, str):
        weights = to_pandas_series(weights).to_numpy() if is_series(weights) else np.asarray(weights)
        if weights.shape != (len(keep),):
            raise ValueError(f"weights has shape {weights.shape}; expected ({len(keep)},)")
        weights = weights[keep]
    if offset is not None and not _named_columns(options._replace(weights=None)):
        if len(offset) != len(keep):
            raise ValueError(f"offset has {len(offset)} rows; expected {len(keep)}")
        offset = to_pandas(offset)[keep] if is_frame(offset) else np.asarray(offset)[keep]
    return options._replace(weights=weights, offset=offset)


def _feature_names(X: Any, feature_names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the columns of ``X``: given, the frame's own, or x0, x1, ..."""
    if is_frame(X):
        own = tuple(str(c) for c in to_pandas(X).columns)
        if feature_names is not None and len(feature_names) != len(own):
            raise ValueError(f"feature_names has {len(feature_names)} names, but X has {len(own)} columns")
        names = own if feature_names is None else tuple(map(str, feature_names))
    else:
        shape = np.shape(X)
        if len(shape) != 2:
            raise ValueError(f"X has shape {shape}; expected two dimensions, (N, p)")
        names = tuple(feature_names) if feature_names is not None else tuple(f"x{j}" for j in range(shape[1]))
        if len(names) != shape[1]:
            raise ValueError(f"feature_names has {len(names)} names, but X has {shape[1]} columns")
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"feature_names: {name!r} stands there {count} times; names must be unique")
        if name == "intercept":
            raise ValueError("feature_names: 'intercept' is the name of the intercept; rename the column")
    return names


def _renamed(X: Any, names: tuple[str, ...]) -> Any:
    if not is_frame(X):
        return X
    frame = to_pandas(X)
    return frame.set_axis(list(names), axis=1)


def check_aligned(X: Any, other: Any, argument: str, owner: str = "X") -> None:
    """A pandas index on both sides must be the same, in the same order: nothing is aligned silently."""
    if not isinstance(X, pd.DataFrame) or not isinstance(other, pd.DataFrame | pd.Series):
        return
    if len(X) != len(other):
        raise ValueError(f"{owner} has {len(X)} rows, but {argument} has {len(other)}")
    different = np.flatnonzero(
        np.asarray(X.index != other.index) & ~(np.asarray(X.index.isna()) & np.asarray(other.index.isna()))
    )
    if different.size:
        i = int(different[0])
        raise ValueError(
            f"{argument} is not aligned with {owner}: row {i} is {other.index[i]!r} in {argument} and {X.index[i]!r} "
            f"in {owner}; align it first ({argument}.loc[{owner}.index]), or pass {argument}.to_numpy() if the order "
            "is right"
        )


def read_weights(weights: Any, data: Any, n_obs: int, index: Any) -> FloatArray | None:
    """(N,) frequency weights from an array, a column, or the name of a column of the data."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if not is_frame(data):
            raise ValueError(f"weights={weights!r} names a column, but the data is not a data frame")
        frame = to_pandas(data)
        require_columns(frame, [weights])
        weights = frame[weights]
    column = to_pandas_series(weights) if is_series(weights) else pd.Series(np.atleast_1d(np.asarray(weights)).tolist())
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise TypeError(f"weights has dtype {column.dtype}; expected numbers")
    values: FloatArray = np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if values.shape != (n_obs,):
        raise ValueError(f"weights has shape {np.shape(weights)}; expected ({n_obs},)")
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        raise ValueError(
            f"weights is {values[bad[0]]} in {describe_rows(index, bad)}; weights must be finite and not negative"
        )
    if values.sum() <= 0:
        raise ValueError("weights: their sum is zero; at least one observation needs a positive weight")
    return values


def _drop_constant(
    X: FloatArray, names: tuple[str, ...], used: NDArray[np.bool_], constant: str, *, has_intercept: bool
) -> tuple[FloatArray, tuple[str, ...], tuple[float, ...]]:
    """Without the columns that do not vary, when asked to drop them (named in the model's notes), and their values."""
    _check_choice("constant", constant)
    if constant == "error" or not names:
        return X, names, ()
    varies = np.ptp(X[used], axis=0) > 0
    if not has_intercept:
        varies |= X[used].any(axis=0)
    values = tuple(X[used][0, ~varies].tolist())
    return np.ascontiguousarray(X[:, varies]), tuple(np.array(names, dtype=object)[varies]), values
