"""One grouping of rows: its levels, and the terms whose coefficients vary over them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import describe_rows, did_you_mean, listed, shown
from bayes_softmax.core.records import AnyArray, FloatArray, IntArray
from bayes_softmax.data.formula.columns import MANY_LEVELS, ColumnType, column_type_from_data, positions_among
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.formula.stored import encoder_from_data
from bayes_softmax.data.groups.names import check_names

INTERCEPT = "intercept"
KNOWN, NEW, AVERAGE, KNOWN_OR_NEW = LEVELS = ("known", "new", "average", "known or new")


@dataclass(frozen=True)
class Grouping:
    """Levels of the rows, and terms with effects of each level.

    Attributes
    ----------
    columns
        The columns of the data that together are the grouping, with their levels.
    seen
        Of several columns, the combinations of positions of their levels that are the levels of the grouping; empty
        for one column.
    slopes
        The terms but the intercept, None if there are none.
    has_intercept
        Whether the levels have intercepts.
    coupled
        Whether effects of different terms are correlated.
    """

    columns: Mapping[str, ColumnType]
    seen: tuple[tuple[int, ...], ...] = ()
    slopes: FormulaEncoder | None = None
    has_intercept: bool = True
    coupled: bool = True

    @property
    def name(self) -> str:
        """Its columns as a formula has them: ``"person"``, ``"school:class"``."""
        return ":".join(self.columns)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the q terms, the intercept first."""
        return (INTERCEPT,) * self.has_intercept + self.slope_names

    @property
    def slope_names(self) -> tuple[str, ...]:
        """Names of the terms but the intercept."""
        return () if self.slopes is None else self.slopes.feature_names

    @cached_property
    def levels(self) -> tuple[Any, ...]:
        """Its G levels: labels of one column, or ``"a:b"`` of several."""
        levels = [variable.levels for variable in self.columns.values()]
        if not self.seen:
            return levels[0]
        return tuple(":".join(str(own[i]) for own, i in zip(levels, at, strict=True)) for at in self.seen)

    @property
    def n_levels(self) -> int:
        """G."""
        return len(self.seen) or len(next(iter(self.columns.values())).levels)

    @property
    def variables(self) -> Mapping[str, ColumnType]:
        """All columns that it reads."""
        return {**self.columns, **(self.slopes.variables if self.slopes is not None else {})}

    @property
    def n_slopes(self) -> int:
        """Number of terms but the intercept."""
        return len(self.slope_names)

    @property
    def slope_columns(self) -> tuple[str, ...]:
        """Columns that the terms read."""
        return () if self.slopes is None else tuple(self.slopes.variables)

    def encode(self, frame: pd.DataFrame, levels: str = KNOWN) -> FloatArray:
        """The grouping's columns (N, 1 + slopes) of rows: code of the level, then the terms but the intercept.

        With ``levels`` ``"new"`` the codes number the distinct levels of these rows, as none of them was seen before,
        and with ``"known or new"`` those that the model does not have come after the ones it has.  Without the
        grouping's columns, rows have one new level; with ``"average"``, all have code 0.
        """
        codes: AnyArray = self.codes_by_choice(frame, levels)
        if self.slopes is None:
            return np.asarray(codes, dtype=np.float64)[:, None]
        return np.column_stack([codes, self.slopes.encode(frame)[0]])

    def codes_by_choice(self, frame: pd.DataFrame, levels: str) -> IntArray:
        """Codes (N,) of the rows' levels, as :meth:`encode` has them."""
        if levels == AVERAGE:
            return np.zeros(len(frame), dtype=np.int64)
        if levels == KNOWN:
            return self.codes(frame)
        has_columns = all(name in frame for name in self.columns)
        numbers = np.zeros(len(frame), dtype=np.int64)
        if has_columns:
            groups = frame.groupby(list(self.columns), sort=False, dropna=False, observed=True)
            numbers = np.array(groups.ngroup(), dtype=np.int64)
        if levels == NEW:
            return numbers
        known = self.positions(frame) if has_columns else np.full(len(frame), -1)
        unseen = known < 0
        _, numbers[unseen] = np.unique(numbers[unseen], return_inverse=True)
        return np.where(unseen, self.n_levels + numbers, known)

    def columns_read(self, frame: pd.DataFrame, levels: str) -> tuple[str, ...]:
        """Columns that :meth:`encode` reads; those of new levels if they are there."""
        names = {KNOWN: True, AVERAGE: False}.get(levels, any(name in frame for name in self.columns))
        return tuple(self.variables) if names else self.slope_columns

    def codes(self, frame: pd.DataFrame) -> IntArray:
        """Position (N,) of each row's level; raises for a level that the model does not have."""
        found = self.positions(frame)
        unknown = np.flatnonzero(found < 0)
        if unknown.size:
            raise self._unknown(frame, unknown)
        return found

    def positions(self, frame: pd.DataFrame) -> IntArray:
        """Position (N,) of each row's level, -1 for one that the model does not have."""
        parts = [positions_among(frame[name], variable.levels) for name, variable in self.columns.items()]
        if not self.seen:
            return parts[0]
        sizes = [len(variable.levels) for variable in self.columns.values()]
        known = np.ravel_multi_index(tuple(np.array(self.seen).T), sizes)
        order = np.argsort(known)
        inside = np.all([part >= 0 for part in parts], axis=0)
        keys = np.ravel_multi_index(tuple(np.where(inside, part, 0) for part in parts), sizes)
        place = np.minimum(np.searchsorted(known[order], keys), len(known) - 1)
        return np.where(inside & (known[order][place] == keys), order[place], -1).astype(np.int64)

    def to_data(self) -> dict[str, Any]:
        """What :func:`grouping_from_data` reads: names, numbers and lists."""
        return {
            "columns": {name: vars(variable) for name, variable in self.columns.items()},
            "seen": self.seen,
            "slopes": None if self.slopes is None else self.slopes.to_data(),
            "has_intercept": self.has_intercept,
            "coupled": self.coupled,
        }

    def _unknown(self, frame: pd.DataFrame, where: IntArray) -> ValueError:
        i = int(where[0])
        values = [frame[name].iloc[i] for name in self.columns]
        value = values[0] if len(values) == 1 else ":".join(map(str, values))
        value = value.item() if isinstance(value, np.generic) else value
        hint = ""
        if isinstance(value, str) and self.n_levels < MANY_LEVELS:
            hint = did_you_mean(value, self.levels)
        return ValueError(
            f"data: {shown(self.name)} has level {shown(value)} in {describe_rows(frame.index, where)}, which the "
            f"model was not fitted with (levels: {listed(self.levels)}){hint}; levels='known or new' draws the "
            "effects of such levels from the population, levels='average' averages over it"
        )


def grouping_from_data(data: Any) -> Grouping:
    """The grouping of :meth:`Grouping.to_data`.

    Raises
    ------
    ValueError
        Data not of this form: levels that are no labels, combinations beyond the levels, terms that are no formula.
    """
    if not isinstance(data, Mapping) or set(data) != {"columns", "seen", "slopes", "has_intercept", "coupled"}:
        raise ValueError("the description of a grouping is damaged")
    columns, seen, slopes = data["columns"], data["seen"], data["slopes"]
    flags = (data["has_intercept"], data["coupled"])
    if not isinstance(columns, Mapping) or not columns or not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("the description of a grouping is damaged")
    types = {str(name): column_type_from_data(str(name), fields) for name, fields in columns.items()}
    sizes = [len(variable.levels) for variable in types.values()]
    sound = isinstance(seen, tuple) and bool(seen) == (len(sizes) > 1) and len(set(seen)) == len(seen)
    if (
        not sound
        or not all(_within(at, sizes) for at in seen)
        or not all(v.kind == "categorical" for v in types.values())
    ):
        raise ValueError(f"the levels of the grouping {':'.join(types)!r} are damaged")
    encoder = None if slopes is None else encoder_from_data(slopes)
    if not flags[0] and (encoder is None or not encoder.feature_names):
        raise ValueError(f"the grouping {':'.join(types)!r} has no terms")
    return Grouping(types, seen, encoder, *flags)


def groupings_from_data(data: Any) -> tuple[Grouping, ...]:
    """The groupings of a file.

    Raises
    ------
    ValueError
        As :func:`grouping_from_data`; also for names that are not those of different groupings.
    """
    if not isinstance(data, tuple):
        raise ValueError("the description of the groupings is damaged")
    groups = tuple(map(grouping_from_data, data))
    names = [group.name for group in groups]
    if len(set(names)) < len(names):
        raise ValueError(f"the groupings {listed(names)} have one name")
    check_names(names)
    return groups


def _within(at: Any, sizes: list[int]) -> bool:
    """Whether these are positions of levels of each column."""
    whole = isinstance(at, tuple) and len(at) == len(sizes) and all(type(i) is int for i in at)
    return whole and all(0 <= i < n for i, n in zip(at, sizes, strict=True))


class HasTerms(Protocol):
    """A grouping, or its sizes alone: what says which columns are its own."""

    @property
    def n_slopes(self) -> int:
        """Number of terms but the intercept."""
        ...

    @property
    def has_intercept(self) -> bool:
        """Whether the levels have intercepts."""
        ...


def parts_of[G: HasTerms](groups: Sequence[G], columns: FloatArray) -> Iterator[tuple[G, IntArray, FloatArray]]:
    """Each grouping with the codes (N,) of its levels and its terms (N, q), from all groupings' columns (N, c)."""
    for grouping, at in zip(groups, code_columns(0, groups), strict=True):
        codes, slopes = columns[:, at].astype(np.int64), columns[:, at + 1 : at + 1 + grouping.n_slopes]
        if grouping.has_intercept:
            slopes = np.column_stack([np.ones(len(columns)), slopes])
        yield grouping, codes, np.ascontiguousarray(slopes)


def encode_groups(
    groups: tuple[Grouping, ...], frame: pd.DataFrame, levels: str | Mapping[str, str] = KNOWN
) -> FloatArray:
    """The columns (N, c) of all groupings, side by side; ``levels`` of all, or of each by name."""
    return np.column_stack([grouping.encode(frame, choice_of(grouping, levels)) for grouping in groups])


def choice_of(grouping: Grouping, levels: str | Mapping[str, str]) -> str:
    """What a choice for all groupings, or for each by name, says of one."""
    return levels if isinstance(levels, str) else levels[grouping.name]


def column_names(groups: tuple[Grouping, ...]) -> tuple[str, ...]:
    """Columns of the data that are groupings, each once."""
    return tuple(dict.fromkeys(name for grouping in groups for name in grouping.columns))


def code_columns(n_features: int, groups: Sequence[HasTerms]) -> list[int]:
    """Columns of the inputs of the logits, features and groups, that hold the codes of levels: one a grouping."""
    sizes = [1 + grouping.n_slopes for grouping in groups]
    return [n_features + sum(sizes[:j]) for j in range(len(groups))]
