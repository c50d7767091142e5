"""Answers per row as pandas objects, with the row index of the data and the names of the classes."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import counted, shortened
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of

SHARE = Format("share")


def size_in_words(schema: Schema) -> str:
    """Number of classes and features of a model, and its groupings with their numbers of levels."""
    groups = "".join(f", {shortened(g.name)} ({counted(g.n_levels, 'level')})" for g in schema.groups)
    return f"{len(schema.classes)} classes, {counted(len(schema.feature_names), 'feature')}{groups}"


def probability_frame(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.DataFrame:
    """(N, K) probabilities with the data's row index and class names as columns."""
    columns = pd.Index(list(schema.classes), name=schema.response_name)
    return table_of(pd.DataFrame(rows.expand(probabilities), index=rows.index, columns=columns), others=SHARE)


def interval_frame(schema: Schema, rows: Rows, values: FloatArray, *, stats: tuple[str, str, str]) -> pd.DataFrame:
    """(3, N, K) estimates and interval ends as columns ``(class, statistic)``."""
    columns = pd.MultiIndex.from_product([list(schema.classes), stats], names=[schema.response_name, "statistic"])
    flat = values.transpose(1, 2, 0).reshape(values.shape[1], len(columns))
    return table_of(pd.DataFrame(rows.expand(flat), index=rows.index, columns=columns), others=SHARE)


def label_series(schema: Schema, rows: Rows, probabilities: FloatArray) -> pd.Series:
    """Most probable class of each row, as a series with the data's row index; missing for rows with missing values."""
    unknown = np.isnan(probabilities).any(axis=1)
    best = np.where(unknown[:, None], 0.0, probabilities).argmax(axis=1)
    labels = pd.Series(list(schema.classes)).iloc[best].to_numpy()
    if unknown.any():
        labels = labels.astype(object)
        labels[unknown] = None
    if rows.position is None:
        return pd.Series(labels, index=rows.index, name=schema.response_name)
    known = pd.Series(labels, index=rows.position).astype(object)
    full = known.reindex(range(len(rows.index)))
    return pd.Series(full.to_numpy(), index=rows.index, name=schema.response_name)


def label_dtype(schema: Schema) -> Any:
    """The type of a column of classes, which is the same whether some are missing or not."""
    kinds = {type(label) for label in schema.classes}
    return {bool: "boolean", int: "Int64"}.get(kinds.pop(), "string") if len(kinds) == 1 else "string"


def index_of(rows: Iterable[tuple[Hashable, ...]], names: Sequence[str]) -> pd.MultiIndex:
    """Index whose levels are in the order in which their labels appear: pandas finds labels in it without a search."""
    levels, codes, labels = [], [], list(rows)
    for i in range(len(names)):
        place = {label: n for n, label in enumerate(dict.fromkeys(row[i] for row in labels))}
        levels.append(list(place))
        codes.append([place[row[i]] for row in labels])
    return pd.MultiIndex(levels=levels, codes=codes, names=list(names))


def row_frame(rows: Rows, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Columns of any type along the encoded rows, missing for rows with missing values."""
    table = pd.DataFrame(columns, index=rows.index if rows.position is None else rows.position)
    if rows.position is None:
        return table
    return table.reindex(range(len(rows.index))).set_axis(rows.index)
