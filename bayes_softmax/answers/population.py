"""Rows to average over, as variables: the data of the fit or new data, with some variables set to values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.training import VariableRows
from bayes_softmax.answers.variables import Covariate, Setting, check_setting, model_variables
from bayes_softmax.core.checks import counted, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.available import Mask, without_forced
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.frames import is_frame, require_columns, to_pandas
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_weights

# Central differences: the cube root of the machine epsilon balances rounding and truncation errors.
STEP = 6e-6
STEP_FLOOR = 1e-3  # of the range: below, a step proportional to the value would be lost in rounding
ROUNDINGS = 1e4  # least step in units in the last place
MEANS = "means"


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
    """

    source: Callable[[], Iterator[VariableRows]]
    n_rows: int
    offered_by: tuple[str, ...] = ()
    setting: Mapping[str, Any] = field(default_factory=dict)

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
            frame[name] = _repeated(value, frame[name])
        return rows._replace(frame=frame, available=_offered_with(rows.available, self.offered_by, values))

    def thinned(self, n: int) -> "Population":
        """At most ``n`` rows, evenly spaced."""
        if self.n_rows <= n:
            return self
        chosen, first, parts = np.linspace(0, self.n_rows - 1, n).astype(np.int64), 0, []
        for rows in self.chunks():
            size = len(rows.frame)
            parts.append(rows.take(chosen[(chosen >= first) & (chosen < first + size)] - first))
            first += size
        joined = parts[0] if len(parts) == 1 else joined_rows(parts)
        return Population(joined.chunks, n, self.offered_by)

    def range_of(self, name: str) -> tuple[float, float]:
        """Smallest and largest value of a variable."""
        ends = [(float(rows.frame[name].min()), float(rows.frame[name].max())) for rows in self.chunks()]
        return min(low for low, _ in ends), max(high for _, high in ends)


def joined_rows(parts: Sequence[VariableRows]) -> VariableRows:
    """Rows of several blocks as one."""
    offset, available = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("offset", "available")
    )
    weights = np.concatenate([part.weights for part in parts])
    return VariableRows(pd.concat([part.frame for part in parts]), offset, weights, available)


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
) -> Population:
    """Rows to average over: the data of the fit with their weights or new data, with variables set by ``at``."""
    schema = fit.schema
    if data is None:
        if any(argument is not None for argument in (weights, offset, available)):
            raise ValueError("weights, offset and available belong to new data; give data too")
        training = training_of(fit, "an average over the data", instead="pass data=...")
        rows = Population(training.variable_blocks, training.n_rows, schema.available_columns)
    else:
        rows = _new_population(schema, data, offset, weights, available)
    if at is None:
        return rows
    if isinstance(at, str):
        if at != MEANS:
            raise ValueError(f"at={shown(at)} must be {MEANS!r} or a mapping from variable to value")
        return _average_row(schema, rows)
    return rows.at(check_setting(schema, at, "at"))


def _new_population(schema: Schema, data: Any, offset: Any, weights: Any, available: Any) -> Population:
    """Rows of new data, checked."""
    data = schema.to_pandas_or_numpy(data)
    X, _ = schema.encode(data)  # raises for invalid data
    table = to_pandas(data) if is_frame(data) else pd.DataFrame(X, columns=list(schema.feature_names))
    frame = table.rename(columns=str)
    require_columns(frame, schema.input_columns)
    if len(frame) == 0:
        raise ValueError("data has no rows")
    row_weights = read_weights(schema.weights_of(data, weights), data, len(X), table.index)
    mask = schema.encode_available(data, available, table.index)
    if mask is not None:
        row_weights = without_forced(row_weights, mask)
        if row_weights is not None and not row_weights.any():
            raise ValueError("available: no row has more than one class on offer, so there is nothing to average")
    rows = VariableRows(
        _as_kept(schema, frame),
        schema.encode_offset(data, offset, len(X)),
        np.ones(len(X)) if row_weights is None else row_weights,
        mask,
    )
    return Population(rows.chunks, len(X), schema.available_columns if available is None else ())


def _as_kept(schema: Schema, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model reads, in the types of its own data."""
    if isinstance(schema.encoder, FormulaEncoder):
        return schema.encoder.columns(frame)
    return frame[list(schema.input_columns)]


def _average_row(schema: Schema, population: Population) -> Population:
    """One row: weighted means of numbers, the most frequent level of factors and choice set, the mean offset."""
    variables, parts = model_variables(schema), list(population.chunks())
    weights = [rows.weights for rows in parts]
    total = sum(float(w.sum()) for w in weights)
    values: dict[str, Any] = {}
    for name, variable in variables.items():
        columns = [rows.frame[name] for rows in parts]
        if variable.levels:

            def weight_of(level: Any, columns: list[pd.Series] = columns) -> float:
                return sum(float(w[(c == level).to_numpy()].sum()) for w, c in zip(weights, columns, strict=True))

            values[name] = max(variable.levels, key=weight_of)
        else:
            numbers = (c.to_numpy(dtype=np.float64) for c in columns)
            values[name] = sum(float((x * w).sum()) for x, w in zip(numbers, weights, strict=True)) / total
    first = parts[0].frame
    others = {name: first[name].iloc[0] for name in first.columns if name not in values}
    one = VariableRows(pd.DataFrame([values | others]), _mean_offset(parts, total), np.ones(1), _most_frequent(parts))
    return Population(one.chunks, 1, population.offered_by)


def _mean_offset(parts: list[VariableRows], total: float) -> FloatArray | None:
    sums = [(rows.offset * rows.weights[:, None]).sum(axis=0) for rows in parts if rows.offset is not None]
    return np.sum(sums, axis=0)[None] / total if sums else None


def _most_frequent(parts: list[VariableRows]) -> Mask | None:
    """The choice set (1, K) of the largest total weight."""
    masks = [rows.available for rows in parts if rows.available is not None]
    if not masks:
        return None
    sets, which = np.unique(np.concatenate(masks), axis=0, return_inverse=True)
    weights = np.concatenate([rows.weights for rows in parts])
    most = int(np.bincount(which.reshape(-1), weights=weights).argmax())
    chosen: Mask = sets[most : most + 1]
    return chosen


def encode_variables(schema: Schema, rows: VariableRows) -> Rows:
    """Encode variables as features."""
    if isinstance(schema.encoder, FormulaEncoder):
        X, index, beyond = schema.encode_marked(rows.frame)
        return Rows(X, index, rows.offset, None, rows.available, beyond)
    # Directly from the columns: new data have been checked.
    X = np.ascontiguousarray(rows.frame[list(schema.feature_names)].to_numpy(dtype=np.float64))
    return Rows(X, rows.frame.index, rows.offset, available=rows.available)


def derivative(schema: Schema, rows: VariableRows, variable: Covariate) -> FloatArray:
    """Change (N, p) of the features per unit of a numeric variable; (1, p) where it is the same in every row.

    Features that are functions of one variable (polynomials, splines, interactions) move together.  Computed by
    central differences through the formula, one-sided at the ends of the data's range, where splines end.
    """
    if isinstance(schema.encoder, ArrayEncoder):
        return np.eye(len(schema.feature_names))[[schema.feature_names.index(variable.name)]]
    if variable.name in schema.encoder.stepped:
        return np.full((1, len(schema.feature_names)), np.nan)  # a comparison acts in steps and has no slope
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
