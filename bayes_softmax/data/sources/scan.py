"""The first pass: what makes the encoding of a source, summed over its partitions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.formula.columns import ColumnType, column_type_of
from bayes_softmax.data.frames import raise_if_missing, require_columns
from bayes_softmax.data.labels import labels_in
from bayes_softmax.data.missing import without_missing
from bayes_softmax.data.options import Options
from bayes_softmax.data.sources.partitions import Numbered

SAMPLE_ROWS = 100_000  # of a uniform sample of the rows, from which a fit starts
SAMPLE_STREAM = 15  # random numbers of the sample


class ScannedColumn(NamedTuple):
    """A column as far as it was read; ``ordered`` are the categories of a categorical, None if partitions differ."""

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
        Distinct labels of the response, or None for counts; of a categorical all its categories, in order.
    declared
        Whether the labels are the categories of a categorical.
    sample, keys
        The rows with the smallest random keys, and these keys: a uniform sample without replacement.
    """

    n_rows: int
    n_dropped: int
    columns: dict[str, ScannedColumn]
    labels: tuple[Label, ...] | None
    declared: bool
    sample: pd.DataFrame
    keys: FloatArray


class Scanner(NamedTuple):
    """What is read in the first pass: columns of features, those of them inside ``C()``, and the response.

    ``share`` bounds the random keys of rows in the sample, so that what comes back of many partitions is small.
    """

    features: tuple[str, ...]
    coded: frozenset[str]
    responses: tuple[str, ...]
    columns: tuple[str, ...]
    options: Options
    share: float = 1.0


def share_of(n_rows: int | None, options: Options) -> float:
    """A bound on the keys of the sample: 1 unless all rows are known to be candidates, and enough below it."""
    if not n_rows or options.missing != "error":
        return 1.0
    # Twelve standard deviations above the expected number of keys below the bound.
    return min(1.0, (SAMPLE_ROWS + 12 * math.sqrt(SAMPLE_ROWS)) / n_rows)


def scan_partition(scanner: Scanner, part: Numbered[pd.DataFrame]) -> Scan:
    """The scan of one partition."""
    rng = np.random.default_rng([SAMPLE_STREAM, part.number])
    total = empty_scan(scanner)
    for frame in part.items:
        total = merged_scans(total, _scan_frame(scanner, frame.rename(columns=str), part.name, rng, total.keys))
    return total


def empty_scan(scanner: Scanner) -> Scan:
    """The scan of no rows."""
    labels = () if len(scanner.responses) == 1 else None
    return Scan(0, 0, {}, labels, False, pd.DataFrame(columns=list(scanner.columns)), np.empty(0))


def _scan_frame(scanner: Scanner, frame: pd.DataFrame, where: str, rng: np.random.Generator, keys: FloatArray) -> Scan:
    require_columns(frame, scanner.columns)
    n_rows, draws = len(frame), rng.random(len(frame))
    kept, n_dropped, _ = without_missing(frame, list(scanner.columns), scanner.options)
    if n_dropped:
        draws = draws[np.isin(frame.index, kept.index)]
    frame = kept
    raise_if_missing(frame, scanner.features, advice="fill it, or pass missing='drop' to leave out such rows")
    if not len(frame):
        return replace(empty_scan(scanner), n_rows=n_rows, n_dropped=n_dropped)
    columns = {name: _scan_column(frame[name], name, where, coded=name in scanner.coded) for name in scanner.features}
    labels, declared = None, False
    if len(scanner.responses) == 1:
        labels, declared = labels_in(frame[scanner.responses[0]], scanner.responses[0])
    # Rows beyond the largest key of a full sample cannot enter it.
    limit = keys[-1] if len(keys) == SAMPLE_ROWS else scanner.share
    at = np.flatnonzero(draws < limit)
    at = at[np.argsort(draws[at], kind="stable")][:SAMPLE_ROWS]
    sample = frame[list(scanner.columns)].iloc[at]
    return Scan(n_rows, n_dropped, columns, labels, declared, sample, draws[at])


def _scan_column(column: pd.Series, name: str, where: str, *, coded: bool) -> ScannedColumn:
    ordered = tuple(column.cat.categories.tolist()) if isinstance(column.dtype, pd.CategoricalDtype) else None
    return ScannedColumn(column_type_of(column, name, coded=coded), str(column.dtype), where, ordered)


def merged_scans(a: Scan, b: Scan) -> Scan:
    """The scan of the rows of both; raises where a column is of different kinds in them."""
    columns = {
        name: merged_columns(name, a.columns[name], b.columns[name]) if name in a.columns and name in b.columns
        else (a.columns.get(name) or b.columns[name])
        for name in dict.fromkeys((*a.columns, *b.columns))
    }  # fmt: skip
    labels = a.labels or b.labels
    if a.labels and b.labels:
        labels = tuple(dict.fromkeys((*a.labels, *b.labels)))
    frames = [scan.sample for scan in (a, b) if len(scan.sample)]
    keys = np.concatenate([a.keys, b.keys])
    order = np.argsort(keys, kind="stable")[:SAMPLE_ROWS]
    sample = a.sample if not frames else frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    sample = sample if len(frames) == 1 else sample.iloc[order]
    declared = (a.declared or not a.labels) and (b.declared or not b.labels) and bool(labels)
    return Scan(a.n_rows + b.n_rows, a.n_dropped + b.n_dropped, columns, labels, declared, sample, keys[order])


def merged_columns(name: str, a: ScannedColumn, b: ScannedColumn) -> ScannedColumn:
    """A column in both; a factor has the levels of both, in the order of its categories if they agree on it."""
    if a.type.kind != b.type.kind:
        raise TypeError(
            f"column {name!r} has dtype {a.dtype} in {a.where}, and dtype {b.dtype} in {b.where}; "
            "expected one kind of values in all partitions"
        )
    levels = tuple(dict.fromkeys((*a.type.levels, *b.type.levels)))
    ordered = a.ordered if a.ordered == b.ordered else None
    if ordered is not None and set(levels) <= set(ordered):
        levels = tuple(level for level in ordered if level in set(levels))
    else:
        ordered, levels = None, _sorted(levels)
    low, high = min(a.type.low, b.type.low), max(a.type.high, b.type.high)
    return a._replace(type=ColumnType(a.type.kind, levels, low, high), ordered=ordered)


def _sorted(levels: Iterable[Label]) -> tuple[Label, ...]:
    """Levels in order; those of several types by their type first."""
    return tuple(sorted(levels, key=lambda level: (type(level).__name__, level)))
