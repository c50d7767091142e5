"""Responses at the border: labels of any type, one-hot rows or counts in, a ``Response`` out."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.design import Label, Response
from bayes_softmax.spec.frames import describe_rows, is_frame, is_series, to_pandas, to_pandas_series

LabelArray = np.ndarray[Any, Any]


def parse_response(y: Any, classes: Sequence[Label] | None, name: str | None = None) -> Response:
    """Read labels (one dimension) or one-hot rows and counts (two dimensions).

    Raises
    ------
    TypeError
        Labels of mixed or unsupported types.
    ValueError
        Missing labels, labels outside ``classes``, fewer than two classes, negative or non-finite counts.
    """
    if is_frame(y):
        return count_columns(to_pandas(y), classes, name or "y")
    if is_series(y):
        series = to_pandas_series(y)
        return parse_labels(series, classes, name or str(series.name if series.name is not None else "y"))
    array = np.asarray(y)
    if array.ndim == 2:
        _refuse_one_column(array.shape[1], name or "y")
        default = tuple(range(array.shape[1]))
        if array.dtype.kind not in "biuf":
            raise TypeError(f"y has two dimensions and dtype {array.dtype}; one-hot rows or counts must be numbers")
        return parse_counts(array.astype(np.float64), default if classes is None else _ordered(classes), name or "y")
    if array.ndim != 1:
        raise ValueError(f"y has {array.ndim} dimensions; give (N,) labels, or (N, K) one-hot rows or counts")
    return parse_labels(as_series(y), classes, name or "y")


def as_series(y: Any) -> pd.Series:
    """Labels as a series in which a missing label among strings is still missing, not the string ``'nan'``."""
    if is_series(y):
        return to_pandas_series(y)
    return pd.Series(y) if isinstance(y, np.ndarray) else pd.Series(list(y), dtype=object)


def count_columns(frame: pd.DataFrame, classes: Sequence[Label] | None, name: str) -> Response:
    """Columns of counts, named by class; ``classes`` may give another order of the same names."""
    _refuse_one_column(frame.shape[1], name)
    columns = list(frame.columns)
    order = columns if classes is None else list(_ordered(classes))
    if set(order) != set(columns) or len(order) != len(columns):
        raise ValueError(f"classes={order!r} must name the columns of counts, which are {columns!r}")
    for column in order:
        if not (pd.api.types.is_numeric_dtype(frame[column]) or pd.api.types.is_bool_dtype(frame[column])):
            raise TypeError(f"{name}: column {column!r} has dtype {frame[column].dtype}; counts must be numbers")
    counts = frame[order].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    return parse_counts(counts, tuple(order), name, frame.index)


def _refuse_one_column(n_columns: int, name: str) -> None:
    if n_columns == 1:
        raise ValueError(f"{name} has one column in two dimensions; give labels in one: y['name'] or y.ravel()")


def _ordered(classes: Any) -> tuple[Label, ...]:
    """Declared classes as plain Python labels; a set has no order and is refused."""
    if isinstance(classes, str | set | frozenset):
        raise TypeError(f"classes={classes!r} must be a sequence of labels: their order is part of the model")
    return tuple(label.item() if isinstance(label, np.generic) else label for label in classes)


def parse_labels(series: pd.Series, classes: Sequence[Label] | None, name: str) -> Response:
    """Labels as codes ``0..K-1`` into ``classes``; unused categorical levels are declared classes."""
    missing = np.flatnonzero(series.isna().to_numpy(dtype=bool))
    if missing.size:
        raise ValueError(
            f"{name}: the label is missing in {describe_rows(series.index, missing)}; "
            "fill it, or pass missing='drop' to leave out such rows"
        )
    declared = _ordered(classes) if classes is not None else None
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = _plain(np.asarray(series.cat.categories), name)
        values = levels[series.cat.codes.to_numpy()]
        declared = declared if declared is not None else tuple(levels.tolist())
    else:
        values = _plain(series.to_numpy(), name)
    if declared is None:
        declared = tuple(np.unique(values).tolist())
    _check_classes(declared, name)
    codes = _codes(values, declared, name, series.index)
    observed = np.bincount(codes, minlength=len(declared)) > 0
    unused = tuple(c for c, seen in zip(declared, observed, strict=True) if not seen)
    return Response(name, declared, codes, None, unused)


def parse_counts(counts: FloatArray, classes: tuple[Label, ...], name: str, index: Any = None) -> Response:
    """(N, K) counts, one row a unit or a cell; one-hot rows are counts with total one."""
    index = range(len(counts)) if index is None else index
    if len(classes) != counts.shape[1]:
        raise ValueError(f"{name} has {counts.shape[1]} columns of counts, but {len(classes)} classes were given")
    _check_classes(classes, name)
    for k, label in enumerate(classes):
        bad = np.flatnonzero(~(np.isfinite(counts[:, k]) & (counts[:, k] >= 0)))
        if bad.size:
            raise ValueError(
                f"{name}: the count of class {label!r} is {counts[bad[0], k]} in {describe_rows(index, bad)}; "
                "counts must be finite and not negative"
            )
    unused = tuple(c for c, total in zip(classes, counts.sum(axis=0), strict=True) if total == 0)
    return Response(name, classes, None, np.array(counts, order="C"), unused)


def _plain(values: LabelArray, name: str) -> LabelArray:
    """Labels as an array of one plain type: strings, integers or booleans."""
    if values.dtype.kind in "OUST":
        values = np.array([v.item() if isinstance(v, np.generic) else v for v in values.tolist()], dtype=object)
        kinds = {type(v) for v in values.tolist()}
        if kinds <= {str}:
            return values.astype(object)
        if not (kinds <= {bool} or kinds <= {int}):
            named = ", ".join(sorted(k.__name__ for k in kinds))
            raise TypeError(f"{name}: labels have types {named}; use one of str, int or bool")
        return np.asarray(values.tolist())
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.round(values)).all()):
            raise TypeError(f"{name}: labels are real numbers; a class label must be str, int, bool or categorical")
        return values.astype(np.int64)
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "b":
        return values
    raise TypeError(f"{name}: labels of dtype {values.dtype} are not supported; use str, int, bool or categorical")


def _check_classes(classes: tuple[Label, ...], name: str) -> None:
    if len(set(classes)) != len(classes):
        repeated = next(c for c in classes if classes.count(c) > 1)
        raise ValueError(f"classes names {repeated!r} twice; each class must be named once")
    odd = [c for c in classes if not isinstance(c, str | int)]
    if odd:
        raise TypeError(f"{name}: class {odd[0]!r} is a {type(odd[0]).__name__}; class labels must be str, int or bool")
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise ValueError(
            f"{name}: at least two classes are needed, found {found}; "
            "name classes that were not observed with classes=[...]"
        )


def _codes(values: LabelArray, classes: tuple[Label, ...], name: str, index: Any) -> IntArray:
    """Position of each label in ``classes``; an unknown label is an error with its rows and nearest class."""
    position = {label: k for k, label in enumerate(classes)}
    distinct, inverse = np.unique(values, return_inverse=True)
    table = np.array([position.get(label, -1) for label in distinct.tolist()], dtype=np.int64)
    codes = table[inverse.reshape(-1)]
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        label = values.tolist()[unknown[0]]
        same = np.flatnonzero(np.asarray(values == values[unknown[0]]))
        near = difflib.get_close_matches(str(label), [str(c) for c in classes], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{name}: unknown label {label!r} in {describe_rows(index, same)}{hint} "
            f"(classes: {', '.join(map(repr, classes))})"
        )
    return np.asarray(codes, dtype=np.int64)
