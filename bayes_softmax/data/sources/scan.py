"""The first pass: what makes the encoding of a source, summed over its partitions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import shown
from bayes_softmax.data.design import Label
from bayes_softmax.data.formula.columns import ColumnType, column_type_of
from bayes_softmax.data.formula.expressions import Call
from bayes_softmax.data.formula.transforms import key_of
from bayes_softmax.data.frames import raise_if_missing, require_columns
from bayes_softmax.data.labels import labels_in
from bayes_softmax.data.missing import without_missing
from bayes_softmax.data.options import Options
from bayes_softmax.data.sources import samples
from bayes_softmax.data.sources.partitions import Numbered
from bayes_softmax.data.sources.samples import Sample
from bayes_softmax.data.sources.spread import Spread, merged_spreads
from bayes_softmax.data.sources.transforms import spread_of_call

SAMPLE_STREAM = 15  # random numbers of the sample
NO_ROWS = Sample()
KINDS = {"numeric": "numbers", "boolean": "booleans", "categorical": "text or levels"}
LABELS = {str: "categorical", int: "numeric", bool: "boolean"}


class Found(NamedTuple):
    """A column as far as it was read: its levels or labels, where they were found first, and as what.

    ``ordered`` are the categories of a categorical, None if partitions differ.
    """

    name: str
    type: ColumnType
    dtype: str
    where: str
    ordered: tuple[Label, ...] | None


@dataclass(frozen=True, eq=False)
class Scan:
    """What the first pass found in some partitions.

    Attributes
    ----------
    n_rows, n_dropped
        Rows that were read, and those of them with missing values.
    columns
        The columns that the features are made of, by name; without those that had no value.
    labels
        Distinct labels of the response, of a categorical all its categories; without counts.
    spreads
        Of the values that the transforms of a formula need to know of, by the text of their calls.
    sample
        A uniform sample of the rows, without replacement.
    """

    n_rows: int = 0
    n_dropped: int = 0
    columns: Mapping[str, Found] = field(default_factory=dict)
    labels: Mapping[str, Found] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    sample: Sample = NO_ROWS

    @property
    def n_left(self) -> int:
        """Rows without missing values."""
        return self.n_rows - self.n_dropped


class Scanner(NamedTuple):
    """What is read in the first pass: columns of features, those of them inside ``C()``, the response, transforms.

    ``calls`` are transforms that keep a state, with a value near those of their arguments.  ``share`` bounds the random
    keys of rows in the sample, so that what comes back of many partitions is small.
    """

    features: tuple[str, ...]
    coded: frozenset[str]
    responses: tuple[str, ...]
    columns: tuple[str, ...]
    options: Options
    calls: tuple[tuple[Call, float], ...] = ()
    share: float = 1.0


def share_of(n_rows: int | None, options: Options) -> float:
    """A bound on the keys of the sample: 1 unless all rows are known to be candidates, and enough below it."""
    if not n_rows or options.missing != "error":
        return 1.0
    # Twelve standard deviations above the expected number of keys below the bound.
    return min(1.0, (samples.SAMPLE_ROWS + 12 * math.sqrt(samples.SAMPLE_ROWS)) / n_rows)


def scan_partition(scanner: Scanner, part: Numbered[pd.DataFrame]) -> Scan:
    """The scan of one partition."""
    rng = np.random.default_rng([SAMPLE_STREAM, part.number])
    total = Scan(sample=Sample(limit=scanner.share))
    for frame in part.items:
        start = frame.index[0] if len(frame) else 0
        where = f"{part.name} from row {start:,} on" if start else part.name
        keys = rng.random(len(frame))
        total = merged_scans(total, _scan_frame(scanner, frame.rename(columns=str), keys, where, total.sample.limit))
    return total


def _scan_frame(scanner: Scanner, frame: pd.DataFrame, keys: Any, where: str, limit: float) -> Scan:
    require_columns(frame, scanner.columns)
    n_rows = len(frame)
    kept, n_dropped, _ = without_missing(frame, list(scanner.columns), scanner.options)
    if n_dropped:
        keys = keys[np.isin(frame.index, kept.index)]
    frame = kept
    raise_if_missing(frame, scanner.features, advice="fill it, or pass missing='drop' to leave out such rows")
    if not len(frame):
        return Scan(n_rows, n_dropped)
    columns = {name: _found(frame[name], name, where, coded=name in scanner.coded) for name in scanner.features}
    types = {name: found.type for name, found in columns.items()}
    labels: dict[str, Found] = {}
    if len(scanner.responses) == 1:
        column = frame[scanner.responses[0]]
        kind, declared = _labels(column)
        labels = {scanner.responses[0]: Found(scanner.responses[0], kind, str(column.dtype), where, declared)}
    return Scan(
        n_rows,
        n_dropped,
        columns,
        labels,
        {key_of(call): spread_of_call(call, frame, types, shift) for call, shift in scanner.calls},
        Sample(limit=limit).added(frame[list(scanner.columns)], keys),
    )


def _found(column: pd.Series, name: str, where: str, *, coded: bool) -> Found:
    ordered = None
    if isinstance(column.dtype, pd.CategoricalDtype):
        ordered = tuple(column.cat.categories.tolist())
        if not all(isinstance(level, str | int | float | bool) for level in ordered):
            ordered = tuple(map(str, ordered))  # as the column's levels: intervals by their name
    return Found(name, column_type_of(column, name, coded=coded), str(column.dtype), where, ordered)


def _labels(column: pd.Series) -> tuple[ColumnType, tuple[Label, ...] | None]:
    """Labels as levels, all of them in order for a categorical, which declares them."""
    labels, declared = labels_in(column, str(column.name))
    return ColumnType(LABELS[type(labels[0])], labels), labels if declared else None


def merged_scans(a: Scan, b: Scan) -> Scan:
    """The scan of the rows of both; raises where a column is of different kinds in them."""
    return Scan(
        a.n_rows + b.n_rows,
        a.n_dropped + b.n_dropped,
        _of_both(a.columns, b.columns, merged_columns),
        _of_both(a.labels, b.labels, merged_columns),
        _of_both(a.spreads, b.spreads, merged_spreads),
        a.sample.merged(b.sample),
    )


def _of_both[T](a: Mapping[str, T], b: Mapping[str, T], merge: Callable[[T, T], T]) -> dict[str, T]:
    """What is known in either, merged where it is in both."""
    return {**a, **b, **{name: merge(a[name], b[name]) for name in a if name in b}}


def merged_columns(a: Found, b: Found) -> Found:
    """A column in both; a factor has the levels of both, in the order of its categories if they agree on it."""
    if a.type.kind != b.type.kind:
        raise TypeError(
            f"column {shown(a.name)} holds {KINDS[a.type.kind]} ({a.dtype}) in {a.where}, and {KINDS[b.type.kind]} "
            f"({b.dtype}) in {b.where}; expected one kind of values in all partitions"
        )
    for type_a, type_b in zip(_types(a), _types(b), strict=False):
        if type_a != type_b:
            raise TypeError(
                f"column {shown(a.name)} has levels of type {type_a} in {a.where}, and of type {type_b} in {b.where}; "
                "expected one type in all partitions"
            )
    levels = tuple(dict.fromkeys((*a.type.levels, *b.type.levels)))
    ordered = a.ordered if a.ordered == b.ordered else None
    if ordered is not None and set(levels) <= set(ordered):
        levels = tuple(level for level in ordered if level in set(levels))
    else:
        ordered, levels = None, tuple(sorted(levels, key=lambda level: (type(level).__name__, level)))
    low, high = min(a.type.low, b.type.low), max(a.type.high, b.type.high)
    return a._replace(type=ColumnType(a.type.kind, levels, low, high), ordered=ordered)


def _types(found: Found) -> list[str]:
    """The type of the levels of a factor, if it is one."""
    types = {type(level).__name__ for level in found.type.levels}
    return list(types) if found.type.kind != "numeric" and len(types) == 1 else []
