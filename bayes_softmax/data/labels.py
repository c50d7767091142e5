"""Responses at the border: labels of any type, one-hot rows or counts in, a ``Response`` out."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted, describe_rows, did_you_mean, listed, shown, times
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.design import Label, Response
from bayes_softmax.data.distinct import Coded, coded, recoded
from bayes_softmax.data.frames import column_numbers
from bayes_softmax.data.plain_labels import LABEL_TYPES, plain_array, plain_label
from bayes_softmax.data.real_numbers import real_numbers

DROP = "fill it, or pass missing='drop' to leave out such rows"
FEW_ROWS = 1000  # up to which sorting is quicker than setting up a hash table


def parse_response(
    y: Any, classes: Sequence[Label] | None, name: str | None = None, *, missing: str = DROP
) -> Response:
    """Read labels (one dimension) or one-hot rows and counts (two dimensions); ``missing`` advises on missing labels.

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
        return parse_labels(y, classes, name or own_name(y) or "y", missing=missing)
    if y.ndim == 2:
        if y.shape[1] == 1:
            raise ValueError(f"y has shape {y.shape}; give labels in one dimension: y.ravel()")
        default = tuple(range(y.shape[1]))
        counts = real_numbers(y, "y (two dimensions: one-hot rows or counts)")
        return parse_counts(counts, default if classes is None else plain_classes(classes), name or "y")
    if y.ndim != 1:
        raise ValueError(f"y has {y.ndim} dimensions; give (N,) labels, or (N, K) one-hot rows or counts")
    return parse_labels(pd.Series(y, copy=False), classes, name or "y", missing=missing)


def own_name(series: pd.Series) -> str:
    """Name of a column; nothing where it has none (polars calls such a column ``''``)."""
    return "" if series.name is None else str(series.name)


def count_columns(frame: pd.DataFrame, classes: Sequence[Label] | None, name: str) -> Response:
    """Columns of counts, named by class; ``classes`` may give another order of the same names."""
    if frame.shape[1] == 1:
        column = frame.columns[0]
        raise ValueError(f"{name} is a data frame of one column; pass the column: {name}[{shown(column)}]")
    columns = [plain_label(c) for c in frame.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"{name} has {columns.count(column)} columns named {shown(column)}; each is one class")
    order = columns if classes is None else list(plain_classes(classes))
    if set(order) != set(columns) or len(order) != len(columns):
        odd = next((c for c in order if c not in columns), None)
        hint = did_you_mean(odd, columns) if odd is not None else ""
        raise ValueError(f"classes: {listed(order)} must name the columns of counts, which are {listed(columns)}{hint}")
    at = [columns.index(c) for c in order]
    counts = np.column_stack([column_numbers(frame.iloc[:, j], str(frame.columns[j]), name) for j in at])
    return parse_counts(counts, tuple(order), name, frame.index)


def plain_classes(classes: Any, argument: str = "classes") -> tuple[Label, ...]:
    """Declared classes as plain Python labels; a set has no order and is refused."""
    if isinstance(classes, str | set | frozenset | Mapping) or not isinstance(classes, Iterable):
        raise TypeError(f"{argument}={shown(classes)} must be a sequence of labels: their order is part of the model")
    plain = tuple(plain_label(label) for label in classes)
    for label in plain:
        if not isinstance(label, Hashable):
            raise TypeError(f"{argument}: {shown(label)} is of type {type(label).__name__}; {LABEL_TYPES}")
    return plain


def parse_labels(series: pd.Series, classes: Sequence[Label] | None, name: str, *, missing: str = DROP) -> Response:
    """Labels as codes ``0..K-1`` into ``classes``; unused categorical levels are declared classes."""
    declared = plain_classes(classes) if classes is not None else None
    labels, levels = _plain_labels(series, name, missing)
    if declared is None and levels is not None:
        declared = levels
    given = declared is not None
    if declared is None:
        declared = tuple(sorted(labels.distinct))
    _check_classes(declared, name)
    codes = _codes(labels, declared, name, series.index)
    observed = np.bincount(codes, minlength=len(declared)) > 0
    unused = tuple(c for c, seen in zip(declared, observed, strict=True) if not seen)
    return Response(name, declared, codes, None, unused, declared=given)


def labels_in(series: pd.Series, name: str) -> tuple[tuple[Label, ...], bool]:
    """Distinct labels of a column, and whether they are declared: the categories of a categorical, in order."""
    labels, levels = _plain_labels(series, name, DROP)
    return (tuple(labels.distinct), False) if levels is None else (levels, True)


def response_of_labels(
    labels: Sequence[Any], classes: Sequence[Label] | None, name: str, *, declared: bool
) -> Response:
    """The response of a column with these distinct labels, without its rows."""
    found = tuple(labels) if declared else tuple(sorted(labels))
    given = found if classes is None else plain_classes(classes)
    _check_classes(given, name)
    return Response(name, given, None, None, (), declared=declared or classes is not None)


def _plain_labels(series: pd.Series, name: str, missing: str) -> tuple[Coded, tuple[Label, ...] | None]:
    """Labels of plain types, and those that a categorical declares."""
    absent = np.flatnonzero(series.isna().to_numpy(dtype=bool))
    if absent.size:
        raise ValueError(f"{name}: the label is missing in {describe_rows(series.index, absent)}; {missing}")
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = _category_names(series.cat.categories, name).tolist()
        return Coded(series.cat.codes.to_numpy().astype(np.int64), levels), tuple(levels)
    if isinstance(series.dtype, pd.StringDtype):
        return coded(series.array), None
    values = plain_array(series.to_numpy(), name, series.index)
    if values.dtype.kind in "biu" and len(values) <= FEW_ROWS:
        distinct, found = np.unique(values, return_inverse=True)
        return Coded(found, distinct.tolist()), None
    return coded(values), None


def _category_names(categories: pd.Index, name: str) -> AnyArray:
    """Labels of a categorical: dates, and real numbers that are not whole, become their text."""
    plain = [plain_label(c) for c in categories.tolist()]
    named = any(not isinstance(c, str | bytes | int) for c in plain)
    return plain_array(np.array([str(c) for c in categories.tolist()] if named else plain, dtype=object), name)


def parse_counts(counts: FloatArray, classes: tuple[Label, ...], name: str, index: Any = None) -> Response:
    """(N, K) counts, one row an observation or a cell; one-hot rows are counts with total one."""
    index = range(len(counts)) if index is None else index
    if len(classes) != counts.shape[1]:
        raise ValueError(
            f"{name} has {counted(counts.shape[1], 'column')} of counts, but there are {len(classes)} classes "
            f"({listed(classes)})"
        )
    _check_classes(classes, name)
    for k, label in enumerate(classes):
        bad = np.flatnonzero(~(np.isfinite(counts[:, k]) & (counts[:, k] >= 0)))
        if bad.size:
            raise ValueError(
                f"{name}: the count of class {shown(label)} is {counts[bad[0], k]:g} in {describe_rows(index, bad)}; "
                "columns of a response are counts, finite and not negative"
            )
    unused = tuple(c for c, total in zip(classes, counts.sum(axis=0), strict=True) if total == 0)
    return Response(name, classes, None, np.array(counts, order="C"), unused)


def _check_classes(classes: tuple[Label, ...], name: str) -> None:
    if len(set(classes)) != len(classes):
        repeated = next(c for c in classes if classes.count(c) > 1)
        raise ValueError(f"classes names {shown(repeated)} {times(classes.count(repeated))}; name each class once")
    odd = [c for c in classes if not isinstance(c, str | int)]
    if odd:
        raise TypeError(f"classes: {shown(odd[0])} is of type {type(odd[0]).__name__}; {LABEL_TYPES}")
    if len({type(c) for c in classes}) > 1:
        first, other = classes[0], next(c for c in classes if type(c) is not type(classes[0]))
        raise TypeError(
            f"classes: {shown(first)} is of type {type(first).__name__} and {shown(other)} of type "
            f"{type(other).__name__}; use one type for all"
        )
    if len(classes) < 2:
        found = f"only one class, {shown(classes[0])}" if classes else "no class"
        raise ValueError(
            f"{name}: at least two classes are needed, found {found}; "
            "name classes that were not observed with classes=[...]"
        )


def _codes(labels: Coded, classes: tuple[Label, ...], name: str, index: Any) -> IntArray:
    """Position in ``classes`` of each label; an unknown one is an error with its rows and nearest class."""
    found, distinct = labels
    if not len(found):
        return np.empty(0, dtype=np.int64)
    position = {label: k for k, label in enumerate(classes)}
    first = min(distinct)
    if type(first) is not type(classes[0]):  # True == 1 in Python; as labels they differ
        kind = type(classes[0]).__name__
        raise TypeError(
            f"{name}: labels are of type {type(first).__name__}, such as {shown(first)}, but the classes are of type "
            f"{kind} ({listed(classes)}); convert the labels: .astype({kind})"
        )
    table = np.array([position.get(label, -1) for label in distinct], dtype=np.int64)
    unknown = np.flatnonzero(table[found] < 0) if (table < 0).any() else np.empty(0, dtype=np.int64)
    if unknown.size:
        label, same = distinct[found[unknown[0]]], np.flatnonzero(found == found[unknown[0]])
        raise ValueError(
            f"{name}: unknown label {shown(label)} in {describe_rows(index, same)}{did_you_mean(label, classes)} "
            f"(classes: {listed(classes)})"
        )
    return recoded(table, found)
