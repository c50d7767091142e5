"""From bars and arguments to groupings: levels and terms are learned from the data."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted, describe_rows, listed, shown
from bayes_softmax.core.errors import warn_caller
from bayes_softmax.data.containers import to_pandas_or_numpy
from bayes_softmax.data.formula.columns import ColumnType
from bayes_softmax.data.formula.encoder import fit_encoder, required_columns
from bayes_softmax.data.formula.terms import parse_terms
from bayes_softmax.data.frames import check_aligned, plain_column, raise_if_missing, require_columns
from bayes_softmax.data.groups.bars import Bar
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.data.groups.names import check_names

DROP_ADVICE = "fill it, or pass missing='drop' to leave out such rows"
MEASURED = 0.5  # share of distinct numbers among the rows from which on a grouping is doubtful
FEWEST_ROWS = 20  # rows up to which that is not looked at


def bars_of(groups: Any) -> tuple[Bar, ...]:
    """A bar ``(1 | name)`` for each name in the argument ``groups``."""
    if groups is None:
        return ()
    names = [groups] if isinstance(groups, str) else groups
    if not isinstance(names, Mapping | list | tuple):
        raise TypeError(
            f"groups={shown(groups)} must be a mapping from name to one level for each row, {{'person': codes}}, or "
            "names of columns of the data"
        )
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"groups: {shown(name)} must be a string, the name of a grouping")
    return tuple(Bar("1", (name,), True, "groups") for name in names)


def framed(X: Any, groups: Any) -> Any:
    """Features as a frame, with the groupings that are given by value as further columns."""
    if isinstance(X, np.ndarray) and X.ndim == 2:
        X = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    if not isinstance(X, pd.DataFrame):
        return X
    return with_group_columns(X.rename(columns=str), groups, "X")


def with_group_columns(frame: pd.DataFrame, groups: Any, owner: str = "data") -> pd.DataFrame:
    """The frame with a column for each grouping that is given by value."""
    require_columns(
        frame, [bar.columns[0] for bar in bars_of(groups) if not isinstance(groups, Mapping)], f"groups: {owner}"
    )
    if not isinstance(groups, Mapping):
        return frame
    added: dict[str, Any] = {}
    for name, given in groups.items():
        if name in frame.columns:
            raise ValueError(f"groups[{name!r}] is given by its values, and {owner} has a column of that name too")
        argument = f"groups[{name!r}]"
        values = to_pandas_or_numpy(given, argument)
        check_aligned(frame, values, argument, owner)
        if np.ndim(values) != 1 or len(values) != len(frame):
            raise ValueError(f"{argument} has shape {np.shape(values)}; expected ({len(frame)},), one level a row")
        added[name] = pd.Series(np.asarray(values) if isinstance(values, np.ndarray) else values.array, frame.index)
    return frame.assign(**added)


def columns_read(bars: Sequence[Bar]) -> list[str]:
    """Columns that the bars read: groupings, and terms."""
    found = [name for bar in bars for name in (*bar.columns, *required_columns(parse_terms(bar.terms)))]
    return list(dict.fromkeys(found))


def fit_groupings(bars: Sequence[Bar], frame: pd.DataFrame, used: Sequence[str]) -> tuple[Grouping, ...]:
    """The groupings of the bars over a frame without missing values; ``used`` are names of responses.

    Raises
    ------
    ValueError, TypeError
        A grouping that is the response, appears twice, has a single level, or holds real numbers; or whose name is
        that of something else.
    """
    groupings: list[Grouping] = []
    for column in [column for bar in bars for column in bar.columns]:
        if column in used:
            raise ValueError(f"formula: {shown(column)} is the response and cannot be a grouping")
    check_names([":".join(bar.columns) for bar in bars])
    for bar in bars:
        name = ":".join(bar.columns)
        if any(known.name == name for known in groupings):
            raise ValueError(
                f"formula: the grouping {name!r} appears twice; write its terms in one bar, (1 + x | {name}), or "
                f"(1 + x || {name}) for terms that are not correlated"
            )
        groupings.append(_fit_grouping(bar, frame))
    return tuple(groupings)


def _fit_grouping(bar: Bar, frame: pd.DataFrame) -> Grouping:
    raise_if_missing(frame, bar.columns, advice=DROP_ADVICE, argument=bar.source)
    columns = {name: _column_of(frame[name], name, bar.source) for name in bar.columns}
    terms = parse_terms(bar.terms)
    has_intercept = any(not term.factors for term in terms)
    slopes = None
    if any(term.factors for term in terms):
        slopes = fit_encoder(bar.terms, terms, frame)
    elif not has_intercept:
        raise ValueError(f"formula: the bar of {':'.join(bar.columns)!r} has no terms; (1 | g) has an intercept")
    grouping = Grouping(columns, (), slopes, has_intercept, bar.coupled)
    if len(columns) > 1:
        grouping = Grouping(columns, _combinations(columns, frame), slopes, has_intercept, bar.coupled)
    if grouping.n_levels < 2:
        raise ValueError(
            f"{bar.source}: the grouping {grouping.name!r} has one level, {shown(grouping.levels[0])}; effects of "
            "groups need at least two"
        )
    return grouping


def _combinations(columns: Mapping[str, ColumnType], frame: pd.DataFrame) -> tuple[tuple[int, ...], ...]:
    """Positions of the levels that occur together, in order."""
    singles = [Grouping({name: variable}).codes(frame) for name, variable in columns.items()]
    return tuple(map(tuple, np.unique(np.column_stack(singles), axis=0).tolist()))


def _column_of(column: pd.Series, name: str, source: str) -> ColumnType:
    """A column of a grouping with its levels: all that a categorical declares, else those that occur."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        found = column.cat.categories.tolist()
        is_plain = all(isinstance(level, str | int | bool) for level in found)
        return ColumnType("categorical", tuple(found if is_plain else map(str, found)))
    column = plain_column(column)
    distinct = pd.unique(column)
    if pd.api.types.is_bool_dtype(column):
        return ColumnType("categorical", (False, True))
    if pd.api.types.is_numeric_dtype(column):
        values = np.asarray(distinct, dtype=np.float64)
        part = np.flatnonzero(values != np.round(values))
        if part.size:
            where = np.flatnonzero((column == distinct[part[0]]).to_numpy())
            raise TypeError(
                f"{source}: the grouping {name!r} holds real numbers ({shown(float(values[part[0]]))} in "
                f"{describe_rows(column.index, where[:1])}); make levels of it first, as by pd.cut, or .astype(str)"
            )
        if len(distinct) > max(MEASURED * len(column), FEWEST_ROWS):
            warn_caller(
                f"the grouping {name!r} is a column of numbers with {counted(len(distinct), 'level')} in "
                f"{counted(len(column), 'row')}: is it a measurement? Levels with one row say little of their spread"
            )
        return ColumnType("categorical", tuple(sorted(int(v) for v in distinct)))
    levels = distinct.tolist()
    kinds = sorted({type(level).__name__ for level in levels})
    if kinds != ["str"]:
        raise TypeError(
            f"{source}: the grouping {name!r} holds values of type {listed(kinds)}; expected strings, whole numbers, "
            "booleans or a categorical; convert it first, as by .astype(str)"
        )
    return ColumnType("categorical", tuple(sorted(levels)))


def group_variables(groups: Sequence[Grouping]) -> dict[str, ColumnType]:
    """Columns that the groupings read."""
    return dict(itertools.chain.from_iterable(grouping.variables.items() for grouping in groups))
