"""Rows to average over, as variables: the data of the fit or new data, with some variables set to values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.average_row import RowSums, added_rows, average_row, sums_of_rows
from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.levels import Asked, ask
from bayes_softmax.answers.new_variables import new_rows, new_rows_of
from bayes_softmax.answers.population_levels import LevelsOfData, distinct_rows, joined_rows, with_level
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.source_population import Elsewhere, VariablesOfSource
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import Covariate, Setting, check_setting
from bayes_softmax.core.checks import counted, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.available import Mask
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.groups.grouping import AVERAGE, Grouping, code_columns
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.sources.recognise import source_of

# Central differences: the cube root of the machine epsilon balances rounding and truncation errors.
STEP = 6e-6
STEP_FLOOR = 1e-3  # of the range: below, a step proportional to the value would be lost in rounding
ROUNDINGS = 1e4  # least step in units in the last place
MEANS = "means"
WITHOUT_GROUPS = Asked({})


@dataclass(frozen=True, eq=False)
class Population:
    """Rows to average over, some at a time, with variables set to values.

    Attributes
    ----------
    source
        Returns a new iterator over blocks of rows.
    n_rows
        Number of rows.
    offered_by
        The K columns that the classes on offer were read from, if any: where they are also variables of the model,
        setting one sets the choice sets too.
    setting
        Variables set to one value in all rows.
    asked, n_levels, groups
        Which levels of groups the rows have, how many by their codes, and the groupings.
    elsewhere
        The rows if they are not in memory.
    """

    source: Callable[[], Iterator[VariableRows]]
    n_rows: int
    offered_by: tuple[str, ...] = ()
    setting: Mapping[str, Any] = field(default_factory=dict)
    asked: Asked = WITHOUT_GROUPS
    n_levels: Mapping[str, int] = field(default_factory=dict)
    groups: tuple[Grouping, ...] = ()
    elsewhere: Elsewhere | None = None

    def total[T](self, of_rows: "Callable[[Population], T]", add: Callable[[T, T], T]) -> T:
        """What a function gives for these rows, added up over parts of them where they are not in memory."""
        if self.elsewhere is None:
            return of_rows(self)
        template = replace(self, source=_nothing, elsewhere=None)
        return self.elsewhere.total(partial(_of_part, of_rows, template), add)

    def chunks(self) -> Iterator[VariableRows]:
        """The rows, some at a time."""
        for rows in self.source():
            yield self.with_values(rows, self.setting)

    def at(self, setting: Setting) -> "Population":
        """The same rows with some variables set."""
        return replace(self, setting={**self.setting, **setting})

    def with_values(self, rows: VariableRows, values: Setting) -> VariableRows:
        """Given rows with variables set."""
        if not values:
            return rows
        frame = rows.frame.copy(deep=False)
        for name, value in values.items():
            if name in frame:  # a column of a grouping alone is not kept with new data
                frame[name] = _repeated(value, frame[name])
        rows = rows._replace(frame=frame, available=_offered_with(rows.available, self.offered_by, values))
        return with_level(rows, self.groups, values, self.asked.averaged)

    def thinned(self, n: int) -> "Population":
        """At most ``n`` rows, evenly spaced; of rows that are not in memory some of a sample."""
        if self.elsewhere is not None:
            sample = self.elsewhere.sample()
            return replace(self, source=sample.chunks, n_rows=len(sample.frame), elsewhere=None).thinned(n)
        if self.n_rows <= n:
            return self
        chosen, first, parts = np.linspace(0, self.n_rows - 1, n).astype(np.int64), 0, []
        for rows in self.chunks():
            size = len(rows.frame)
            parts.append(rows.take(chosen[(chosen >= first) & (chosen < first + size)] - first))
            first += size
        whole = parts[0] if len(parts) == 1 else joined_rows(parts)
        return replace(self, source=whole.chunks, n_rows=n, setting={})

    def range_of(self, name: str) -> tuple[float, float]:
        """Smallest and largest value of a variable."""
        return self.total(partial(_range_of, name), _wider)


def _range_of(name: str, population: Population) -> tuple[float, float]:
    ends = [(float(rows.frame[name].min()), float(rows.frame[name].max())) for rows in population.chunks()]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _wider(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _nothing() -> Iterator[VariableRows]:
    raise ValueError("these rows are not in memory")


def _of_part[T](of_rows: Callable[[Population], T], template: Population, rows: VariableRows) -> T:
    """What a function gives for some rows, as a population with the same settings."""
    return of_rows(replace(template, source=rows.chunks, n_rows=len(rows.frame)))


def _sums(schema: Schema, population: Population) -> RowSums:
    """The sums that the row of means is made of."""
    return reduce(added_rows, (sums_of_rows(schema, rows) for rows in population.chunks()))


def _offered_with(available: Mask | None, offered_by: tuple[str, ...], values: Setting) -> Mask | None:
    """Classes on offer after variables that define them are set to 0 or 1; other values change nothing."""
    says = [(k, name) for k, name in enumerate(offered_by) if name in values and values[name] in (0, 1)]
    if available is None or not says:
        return available
    available = available.copy()
    for k, name in says:
        available[:, k] = bool(values[name])
    nothing = int((~available.any(axis=1)).sum())
    if nothing:
        setting = ", ".join(f"{name}={values[name]}" for _, name in says)
        raise ValueError(f"with {setting} no class is on offer in {counted(nothing, 'row')}")
    return available


def _repeated(value: Any, column: pd.Series) -> Any:
    """A value for all rows in the type of a column; levels by their codes, without a look-up per row."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return value
    return pd.Categorical.from_codes(np.full(len(column), column.cat.categories.get_loc(value)), dtype=column.dtype)


def population_of(
    fit: Fitted,
    data: Any,
    at: Setting | str | None,
    offset: Any = None,
    weights: Any = None,
    available: Any = None,
    *,
    asked: Asked | None = None,
) -> Population:
    """Rows to average over: the data of the fit with their weights or new data, with variables set by ``at``.

    Levels of groups are as ``asked``, by default averaged over.
    """
    schema = fit.schema
    asked = ask(fit, AVERAGE, default=AVERAGE) if asked is None else asked
    if data is None:
        if any(argument is not None for argument in (weights, offset, available)):
            raise ValueError("weights, offset and available belong to new data; give data too")
        rows = _own_population(fit, asked)
    else:
        rows = _new_population(fit, data, offset, weights, available, asked)
    if asked.all_averaged:
        distinct = distinct_rows(schema, joined_rows(list(rows.chunks())))
        rows = replace(rows, source=distinct.chunks, n_rows=len(distinct.weights))
    if at is None:
        return rows
    if isinstance(at, str):
        if at != MEANS:
            raise ValueError(f"at={shown(at)} must be {MEANS!r} or a mapping from variable to value")
        average = average_row(schema, rows.total(partial(_sums, schema), added_rows))
        return replace(rows, source=average.chunks, n_rows=1, elsewhere=None)
    return rows.at(check_setting(schema, at, "at"))


def _own_population(fit: Fitted, asked: Asked) -> Population:
    """The rows of the data of the fit."""
    schema, offered_by = fit.schema, fit.schema.available_columns
    if isinstance(fit.training, RowsOfSource):
        elsewhere = VariablesOfSource(fit.training)
        return Population(_nothing, fit.training.n_obs, offered_by, {}, asked, elsewhere=elsewhere)
    training = training_of(fit, "an average over the data", instead="pass data=...")
    coded = LevelsOfData(schema, asked)
    source: Callable[[], Iterator[VariableRows]] = lambda: map(coded.of, training.variable_blocks())  # noqa: E731
    return Population(source, training.n_rows, offered_by, {}, asked, coded.n_levels, schema.groups)


def _new_population(fit: Fitted, data: Any, offset: Any, weights: Any, available: Any, asked: Asked) -> Population:
    """Rows of new data, checked."""
    schema = fit.schema
    offered_by = schema.available_columns if available is None else ()
    source = source_of(data)
    if source is not None:
        elsewhere = new_rows_of(source, fit, (offset, weights, available), asked)
        return Population(_nothing, elsewhere.n_rows, offered_by, {}, asked, elsewhere=elsewhere)
    rows, n_levels = new_rows(schema, data, offset, weights, available, asked)
    return Population(rows.chunks, len(rows.frame), offered_by, {}, asked, n_levels, schema.groups)


def encode_variables(schema: Schema, rows: VariableRows) -> Rows:
    """Encode variables as features."""
    if isinstance(schema.encoder, FormulaEncoder):
        X, index, beyond = schema.encode_marked(rows.frame, levels=AVERAGE)
        if rows.codes is not None:
            X[:, code_columns(len(schema.feature_names), schema.groups)] = rows.codes
        return Rows(X, index, rows.offset, None, rows.available, beyond)
    # Directly from the columns: new data have been checked.
    X = np.ascontiguousarray(rows.frame[list(schema.feature_names)].to_numpy(dtype=np.float64))
    if rows.codes is not None:
        X = np.hstack([X, rows.codes])  # groups given by value have no slopes
    return Rows(X, rows.frame.index, rows.offset, available=rows.available)


def derivative(schema: Schema, rows: VariableRows, variable: Covariate) -> FloatArray:
    """Change (N, p + c) of the features and the groupings' columns per unit of a numeric variable; one row if equal.

    Features that are functions of one variable (polynomials, splines, interactions) move together.  Computed by
    central differences through the formula, one-sided at the ends of the data's range, where splines end.
    """
    width = len(schema.feature_names) + sum(1 + g.n_slopes for g in schema.groups)
    if isinstance(schema.encoder, ArrayEncoder):
        return np.eye(width)[[schema.feature_names.index(variable.name)]]
    if variable.name in schema.encoder.stepped:
        return np.full((1, width), np.nan)  # a comparison acts in steps and has no slope
    value = rows.frame[variable.name].to_numpy(dtype=np.float64)
    span = variable.high - variable.low
    # Far from zero, a step proportional to the value would leave the range; it must also be well above rounding.
    step = STEP * np.clip(np.abs(value), STEP_FLOOR * span, span)
    step = np.maximum(step, ROUNDINGS * np.spacing(np.abs(value)))
    upper, lower = np.minimum(value + step, np.maximum(variable.high, value)), value - step
    lower = np.maximum(lower, np.minimum(variable.low, value))
    ends = []
    for end in (upper, lower):
        frame = rows.frame.copy(deep=False)
        frame[variable.name] = end
        ends.append(encode_variables(schema, rows._replace(frame=frame)).X)
    change: FloatArray = (ends[0] - ends[1]) / (upper - lower)[:, None]
    if (np.ptp(change, axis=0) <= 1e-7 * np.abs(change).max(axis=0, initial=0.0)).all():
        return change.mean(axis=0, keepdims=True)
    return change
