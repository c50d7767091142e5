"""Cells of a population with their counts, and the groups of cells that shares are asked for."""

import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import in_the_limit, joined, row_cautions
from bayes_softmax.answers.effects import affordable_draws
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import Asked, affordable_nodes, levels_of_rows, nodes_note
from bayes_softmax.answers.new_data import check_logits, encode_all
from bayes_softmax.answers.probabilities import HasLogits
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.shares import Answering, Weighted, answering
from bayes_softmax.answers.variables import level_name, model_variables
from bayes_softmax.core.checks import LISTED, counted, describe_rows, first_few, shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.frames import check_aligned, is_frame, raise_if_missing, require_columns, to_pandas
from bayes_softmax.data.groups.choices import with_levels_of_rows
from bayes_softmax.data.groups.grouping import KNOWN_OR_NEW, code_columns, column_names
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_numbers

ADVICE = "fill it, or leave out such cells"
CLASS = "class"  # level of the answer that names the classes


class Groups(NamedTuple):
    """Columns that define groups, the label of each group in each, and the group (N,) of each cell."""

    by: tuple[str, ...]
    labels: list[tuple[Hashable, ...]]
    codes: IntArray

    def name(self, group: int) -> str:
        """A group in words.

        >>> Groups(("state", "year"), [("CA", 2020.0)], np.zeros(1, dtype=np.int64)).name(0)
        'state=CA, year=2020'
        """
        parts = zip(self.by, self.labels[group], strict=True)
        return ", ".join(f"{name}={level_name(label)}" for name, label in parts)


class Strata(NamedTuple):
    """Cells with people in them, weighted by their count within their group; the draws that answer, and sentences."""

    weighted: Weighted
    groups: Groups
    answer: Answering
    cautions: list[str]
    note: str | None


class Given(NamedTuple):
    """The cells, with the arguments that have a value for each; levels may have to be among their columns."""

    cells: Any
    offset: Any
    available: Any
    by_column: bool


def read_strata(fit: Fitted, given: Given, count: Any, by: Any, asked: Asked, n_draws: int | None) -> Strata:
    """Cells, checked and encoded, sorted by group; those of count zero are left out."""
    schema = fit.schema
    with _called("cells"):
        cells = schema.to_pandas_or_numpy(given.cells)
    if np.shape(cells)[:1] == (0,):
        raise ValueError("cells has no rows")
    for argument, values in (("count", count), ("offset", given.offset), ("available", given.available)):
        check_aligned(cells, values, argument, "cells")
    with _called("cells"):
        frame = with_levels_of_rows(schema.groups, schema.encoder.feature_names, cells, asked.groups)
        if given.by_column and is_frame(frame):
            require_columns(frame, column_names(schema.groups))
        rows = encode_all(schema, frame, given.offset, given.available, ADVICE, levels=asked.choices)
        thinned = affordable_draws(fit, rows.n_rows, (), n_draws, averaged=bool(asked.averaged))
        answer = answering(fit, thinned, asked, levels_of_rows(schema, rows.X), _nodes(fit, thinned, asked, rows))
        check_logits(schema, answer.draws, rows)
    rows = in_the_limit(fit, answer.at.place(rows))
    counts = _read_counts(schema, frame, count, rows.index)
    groups = _read_groups(frame, by, count, rows.n_rows)
    largest = counts.max()
    totals = np.bincount(groups.codes, weights=counts / (largest or 1.0), minlength=len(groups.labels))
    empty = np.flatnonzero(totals == 0)
    if len(empty):
        where = f"the cells of {groups.name(int(empty[0]))}" if groups.by else "all cells"
        raise ValueError(f"count is 0 in {where}; a share needs a cell with a positive count")
    order = np.argsort(groups.codes, kind="stable")
    order = order[counts[order] > 0]
    codes = groups.codes[order]
    kept = rows.take(order)
    cautions = row_cautions(fit, kept._replace(index=rows.index[order]))
    note = joined(nodes_note(answer.at.nodes), *_unseen(schema, asked, frame, kept.X, order))
    ends = np.searchsorted(codes, np.arange(len(totals) + 1))
    weighted = Weighted(kept, counts[order] / largest / totals[codes], ends)
    return Strata(weighted, groups._replace(codes=codes), answer, cautions, note)


def _nodes(fit: Fitted, thinned: HasLogits, asked: Asked, rows: Rows) -> int:
    """Number of nodes of an average over levels."""
    if not asked.averaged:
        return 1
    return affordable_nodes(rows.n_rows, thinned.parameters.n_draws, fit.logits.n_classes)


def _unseen(schema: Schema, asked: Asked, frame: Any, X: FloatArray, at: IntArray) -> Iterator[str]:
    """Sentences on levels that the model was not fitted with; ``X`` are the cells ``at`` these rows of the frame."""
    for g, column in zip(schema.groups, code_columns(len(schema.feature_names), schema.groups), strict=True):
        codes, first = np.unique(X[:, column], return_index=True)
        first = np.sort(first[codes >= g.n_levels])
        if asked.choices[g.name] != KNOWN_OR_NEW or not len(first):
            continue
        if not all(name in frame for name in g.columns):
            yield f"cells do not say which {shown(g.name)} they are of: all count as one new level"
            continue
        labels = [":".join(str(frame[name].iloc[at[i]]) for name in g.columns) for i in first[:LISTED]]
        yield (
            f"{counted(len(first), 'level')} of {shown(g.name)} not in the data of the fit, with effects drawn from "
            f"the population: {first_few(labels, len(first))}"
        )


@contextmanager
def _called(name: str) -> Iterator[None]:
    """Context in which messages about ``data`` are about the argument of this name."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(re.sub(r"^data\b", name, str(error))) from None


def _read_counts(schema: Schema, cells: Any, count: Any, index: Any) -> FloatArray:
    """(N,) people in each cell, from a column of the cells by its name, or as one number for each."""
    column = ""
    if isinstance(count, str):
        if not is_frame(cells):
            raise ValueError(
                f"count={shown(count)} would name a column of a data frame, and cells is none; give one number for "
                "each row"
            )
        require_columns(to_pandas(cells), [count], "count: cells")
        if count in model_variables(schema):
            raise ValueError(
                f"count={shown(count)} is a variable of the model; name the column that holds the counts of the cells"
            )
        column, count = f": column {shown(count)}", to_pandas(cells).rename(columns=str)[count]
    values = read_numbers(count, "count", index)
    if values.shape != (len(index),):
        raise ValueError(f"count has shape {values.shape}; expected ({len(index)},), one number for each row of cells")
    for bad, what in ((np.isnan(values), "missing"), (np.isinf(values), "infinite"), (values < 0, "negative")):
        if bad.any():
            where = np.flatnonzero(bad)
            value = f" ({values[where[0]]:g})" if what == "negative" else ""
            raise ValueError(
                f"count{column} is {what}{value} in {describe_rows(index, where)}; counts are finite and not negative"
            )
    return values


def _read_groups(cells: Any, by: Any, count: Any, n: int) -> Groups:
    """Groups of cells by the values of columns, in the order of the values; one group of all cells without ``by``."""
    if by is None:
        return Groups((), [()], np.zeros(n, dtype=np.int64))
    names = _names_of(by)
    if not is_frame(cells):
        raise ValueError(f"by={shown(by)} names columns of a data frame, and cells is none")
    frame = to_pandas(cells).rename(columns=str)
    require_columns(frame, names, "by: cells")
    raise_if_missing(frame, names, advice=ADVICE, argument="by: cells")
    for name in names:
        if name == count:
            raise ValueError(f"by: {shown(name)} is the column of counts")
        if name == CLASS:
            raise ValueError(f"by: {shown(name)} is what the answer calls the classes; rename this column of cells")
    codes, levels = zip(*(_levels_of(frame[name]) for name in names), strict=True)
    sizes = [max(len(own), 1) for own in levels]
    found, groups = np.unique(np.ravel_multi_index(codes, sizes), return_inverse=True)
    places = np.stack(np.unravel_index(found, sizes), axis=1)
    labels = [tuple(own[i] for own, i in zip(levels, at, strict=True)) for at in places.tolist()]
    return Groups(names, labels, groups.reshape(-1).astype(np.int64))


def _names_of(by: Any) -> tuple[str, ...]:
    """Names of one or several columns."""
    given = [by] if isinstance(by, str | int) and not isinstance(by, bool) else by
    named = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    if not named or not all(isinstance(name, str | int) and not isinstance(name, bool) for name in given):
        raise TypeError(f"by={shown(by)} must be the name of a column of cells, or a sequence of names")
    names = tuple(map(str, given))
    if not names:
        raise ValueError("by is empty; name at least one column of cells, or leave it out for the whole population")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"by names {shown(twice)} twice")
    return names


def _levels_of(column: pd.Series) -> tuple[IntArray, list[Hashable]]:
    """Codes (N,) of a column and its values, a factor's in their order, others sorted where they can be."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return np.asarray(column.cat.codes, dtype=np.int64), column.cat.categories.tolist()
    try:
        codes, values = pd.factorize(column, sort=True)
    except TypeError:  # values of several types have no order
        codes, values = pd.factorize(column)
    return np.asarray(codes, dtype=np.int64), values.tolist()
