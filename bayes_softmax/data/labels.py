"""Responses at the border: labels of any type, one-hot rows or counts in, a ``Response`` out."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label, Response
from bayes_softmax.data.frames import column_numbers
from bayes_softmax.data.real_numbers import real_numbers

EXACT_FLOAT = 2**53  # beyond it, neighbouring whole numbers share one floating-point number
FEW_ROWS = 1000  # up to which sorting is quicker than setting up a hash table
LABEL_TYPES = "class labels are str, int or bool"


def parse_response(y: Any, classes: Sequence[Label] | None, name: str | None = None) -> Response:
    """Read labels (one dimension) or one-hot rows and counts (two dimensions).

    Raises
    ------
    TypeError
        Labels of mixed or unsupported types.
    ValueError
        Missing labels, labels outside ``classes``, fewer than two classes, negative or non-finite counts.
    """
    y = to_pandas_or_numpy(y, "y")
    if isinstance(y, pd.DataFrame):
        return count_columns(y, classes, name or "y")
    if isinstance(y, pd.Series):
        return parse_labels(y, classes, name or own_name(y) or "y")
    if y.ndim == 2:
        _refuse_one_column(y.shape[1], name or "y")
        default = tuple(range(y.shape[1]))
        counts = real_numbers(y, "y (two dimensions: one-hot rows or counts)")
        return parse_counts(counts, default if classes is None else plain_classes(classes), name or "y")
    if y.ndim != 1:
        raise ValueError(f"y has {y.ndim} dimensions; give (N,) labels, or (N, K) one-hot rows or counts")
    return parse_labels(pd.Series(y), classes, name or "y")


def own_name(series: pd.Series) -> str:
    """Name of a column; nothing where it has none (polars calls such a column ``''``)."""
    return "" if series.name is None else str(series.name)


def count_columns(frame: pd.DataFrame, classes: Sequence[Label] | None, name: str) -> Response:
    """Columns of counts, named by class; ``classes`` may give another order of the same names."""
    _refuse_one_column(frame.shape[1], name)
    columns = [plain_label(c) for c in frame.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"{name} has {columns.count(column)} columns named {column!r}; each is one class")
    order = columns if classes is None else list(plain_classes(classes))
    if set(order) != set(columns) or len(order) != len(columns):
        odd = next((c for c in order if c not in columns), None)
        hint = did_you_mean(odd, columns) if odd is not None else ""
        raise ValueError(f"classes: {listed(order)} must name the columns of counts, which are {listed(columns)}{hint}")
    at = [columns.index(c) for c in order]
    counts = np.column_stack([column_numbers(frame.iloc[:, j], str(frame.columns[j]), name) for j in at])
    return parse_counts(counts, tuple(order), name, frame.index)


def _refuse_one_column(n_columns: int, name: str) -> None:
    if n_columns == 1:
        raise ValueError(f"{name} has one column in two dimensions; give labels in one: y['name'] or y.ravel()")


def plain_classes(classes: Any, argument: str = "classes") -> tuple[Label, ...]:
    """Declared classes as plain Python labels; a set has no order and is refused."""
    if isinstance(classes, str | set | frozenset | Mapping) or not isinstance(classes, Iterable):
        raise TypeError(f"{argument}={shown(classes)} must be a sequence of labels: their order is part of the model")
    plain = tuple(plain_label(label) for label in classes)
    for label in plain:
        if not isinstance(label, Hashable):
            raise TypeError(f"{argument}: {shown(label)} is of type {type(label).__name__}; {LABEL_TYPES}")
    return plain


def plain_label(label: Any) -> Any:
    """A label as the plain string, whole number or boolean that it stands for; else as it is.

    NumPy's scalars, ``StrEnum`` and ``IntEnum``, whole numbers stored as floats, and the intervals of ``pd.cut``
    by their name.
    """
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, Enum) and isinstance(label, str | int):
        label = label.value
    if isinstance(label, pd.Interval):
        return str(label)
    if isinstance(label, float) and label.is_integer() and abs(label) <= EXACT_FLOAT:
        return int(label)
    if isinstance(label, bool):
        return label
    if isinstance(label, int):
        return int(label)
    return str.__str__(label) if isinstance(label, str) else label


def parse_labels(series: pd.Series, classes: Sequence[Label] | None, name: str) -> Response:
    """Labels as codes ``0..K-1`` into ``classes``; unused categorical levels are declared classes."""
    missing = np.flatnonzero(series.isna().to_numpy(dtype=bool))
    if missing.size:
        raise ValueError(
            f"{name}: the label is missing in {describe_rows(series.index, missing)}; "
            "fill it, or pass missing='drop' to leave out such rows"
        )
    declared = plain_classes(classes) if classes is not None else None
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = _category_names(series.cat.categories, name)
        values = levels[series.cat.codes.to_numpy()]
        declared = declared if declared is not None else tuple(levels.tolist())
    else:
        values = _plain_array(series.to_numpy(), name)
    if values.dtype.kind in "biu" and len(values) <= FEW_ROWS:
        distinct, found = np.unique(values, return_inverse=True)
    else:
        found, distinct = pd.factorize(values)
    if declared is None:
        declared = tuple(sorted(distinct.tolist()))
    _check_classes(declared, name)
    codes = _codes(values, found, distinct, declared, name, series.index)
    observed = np.bincount(codes, minlength=len(declared)) > 0
    unused = tuple(c for c, seen in zip(declared, observed, strict=True) if not seen)
    return Response(name, declared, codes, None, unused)


def _category_names(categories: pd.Index, name: str) -> AnyArray:
    """Labels of a categorical: dates, and real numbers that are not whole, become their text."""
    plain = [plain_label(c) for c in categories.tolist()]
    named = any(not isinstance(c, str | bytes | int) for c in plain)
    return _plain_array(np.array([str(c) for c in categories.tolist()] if named else plain, dtype=object), name)


def parse_counts(counts: FloatArray, classes: tuple[Label, ...], name: str, index: Any = None) -> Response:
    """(N, K) counts, one row an observation or a cell; one-hot rows are counts with total one."""
    index = range(len(counts)) if index is None else index
    if len(classes) != counts.shape[1]:
        raise ValueError(f"{name} has {counts.shape[1]} columns of counts, but classes names {len(classes)}")
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


def _plain_array(values: AnyArray, name: str) -> AnyArray:
    """Labels as an array of one plain type: strings, integers or booleans."""
    kind = values.dtype.kind
    if kind in "bi":
        return values if kind == "b" else values.astype(np.int64)
    if kind == "u":
        return values.astype(np.int64 if values.max(initial=0) < 2**63 else np.uint64)
    if kind == "f":
        whole = np.isfinite(values) & (values == np.round(values))
        if not whole.all():
            raise TypeError(
                f"{name}: labels are real numbers, such as {shown(values[~whole][0])}; {LABEL_TYPES}: a measured "
                "response needs another model, and names of groups are strings: .astype(str)"
            )
        if (np.abs(values) > EXACT_FLOAT).any():
            _refuse_large(values[np.abs(values) > EXACT_FLOAT][0], name)
        return values.astype(np.int64)
    if kind not in "OUT":
        decode = "; decode them: numpy.char.decode(y)" if kind == "S" else ""
        raise TypeError(f"{name}: labels have dtype {values.dtype}; {LABEL_TYPES}{decode}")
    labels = values.tolist()
    kinds: set[type] = set(map(type, labels))
    if kinds == {str} and kind == "O":
        return values
    labels = [plain_label(v) for v in labels]
    kinds = set(map(type, labels))
    if kinds == {int}:
        return _whole_numbers(labels, name)
    if len(kinds) > 1 or not kinds <= {str, bool}:
        odd = next((v for v in labels if type(v) not in (str, int, bool)), labels[0])
        if isinstance(odd, float) and odd.is_integer():
            _refuse_large(odd, name)
        found = ", ".join(sorted(k.__name__ for k in kinds))
        advice = {bytes: "; decode them: [label.decode() for label in y]"}
        hint = "; take their values: [label.value for label in y]" if isinstance(odd, Enum) else ""
        hint = advice.get(type(odd), hint)
        raise TypeError(f"{name}: labels have types {found}, such as {shown(odd)}; {LABEL_TYPES}{hint}")
    out = np.empty(len(labels), dtype=object if kinds == {str} else bool)
    out[:] = labels
    return out


def _whole_numbers(labels: list[int], name: str) -> AnyArray:
    """Whole numbers that fit into 64 bits."""
    low, high = min(labels), max(labels)
    if low < -(2**63) or high >= 2**64 or (low < 0 and high >= 2**63):
        _refuse_large(high if high >= 2**63 else low, name)
    return np.array(labels, dtype=np.int64 if high < 2**63 else np.uint64)


def _refuse_large(label: Any, name: str) -> None:
    real = isinstance(plain_label(label), float)
    kind = "2**53, where real numbers no longer tell whole numbers apart" if real else "64 bits"
    raise ValueError(f"{name}: label {shown(label)} is beyond {kind}; pass labels as strings")


def _check_classes(classes: tuple[Label, ...], name: str) -> None:
    if len(set(classes)) != len(classes):
        repeated = next(c for c in classes if classes.count(c) > 1)
        raise ValueError(f"classes names {repeated!r} twice; each class must be named once")
    odd = [c for c in classes if not isinstance(c, str | int)]
    if odd:
        raise TypeError(f"classes: {shown(odd[0])} is of type {type(odd[0]).__name__}; {LABEL_TYPES}")
    if len({type(c) for c in classes}) > 1:
        first, other = classes[0], next(c for c in classes if type(c) is not type(classes[0]))
        raise TypeError(
            f"classes: {first!r} is of type {type(first).__name__} and {other!r} of type {type(other).__name__}; "
            "use one type for all"
        )
    if len(classes) < 2:
        found = f"only one class, {classes[0]!r}" if classes else "no class"
        raise ValueError(
            f"{name}: at least two classes are needed, found {found}; "
            "name classes that were not observed with classes=[...]"
        )


def _codes(
    values: AnyArray, found: IntArray, distinct: AnyArray, classes: tuple[Label, ...], name: str, index: Any
) -> IntArray:
    """Position in ``classes`` of ``distinct[found]``; an unknown label is an error with its rows and nearest class."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    position = {label: k for k, label in enumerate(classes)}
    first = min(distinct.tolist())
    if type(first) is not type(classes[0]):  # True == 1 in Python; as labels they differ
        raise TypeError(
            f"{name}: labels are of type {type(first).__name__}, such as {shown(first)}, but the classes are of type "
            f"{type(classes[0]).__name__} ({listed(classes)}); convert the labels"
        )
    table = np.array([position.get(label, -1) for label in distinct.tolist()], dtype=np.int64)
    codes = table[found]
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        label = values.tolist()[unknown[0]]
        same = np.flatnonzero(np.asarray(values == values[unknown[0]]))
        raise ValueError(
            f"{name}: unknown label {label!r} in {describe_rows(index, same)}{did_you_mean(label, classes)} "
            f"(classes: {listed(classes)})"
        )
    return np.asarray(codes, dtype=np.int64)
