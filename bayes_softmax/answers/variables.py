"""Variables of a model as its user knows them: columns of the data, however many features are made of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.probabilities import Rows
from bayes_softmax.core.checks import as_float, counted, did_you_mean, is_real, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.available import Mask, without_forced
from bayes_softmax.data.formula.columns import levels_of
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.frames import is_frame, require_columns, to_pandas
from bayes_softmax.data.schema import Schema
from bayes_softmax.data.weights import read_weights

CHUNK_ROWS = 65536  # encoded at once
# Central differences: the cube root of the rounding unit balances rounding and curvature.
STEP = 6e-6
STEP_FLOOR = 1e-3  # of the range: below, a step in proportion to the value would drown in rounding
ROUNDINGS = 1e4  # a step is so many units in the last place at least
MEANS = "means"

Setting = Mapping[str, Any]


class Variable(NamedTuple):
    """A column: numeric where ``levels`` is empty, else with these levels; ``low`` and ``high`` are its range."""

    name: str
    levels: tuple[Any, ...]
    low: float = -np.inf
    high: float = np.inf


def level_name(level: Any) -> str:
    """A level in words; numbers without a point that says nothing."""
    return f"{level:g}" if isinstance(level, float) else str(level)


class Population(NamedTuple):
    """Rows that an average runs over: a frame of variables, offset (N, K) or None, weights (N,), classes on offer.

    ``offered_by`` are the K columns that the classes on offer were read from, if they were: where these are variables
    of the model too, setting one sets the other.
    """

    frame: pd.DataFrame
    offset: FloatArray | None
    weights: FloatArray
    available: Mask | None = None
    offered_by: tuple[str, ...] = ()

    def take(self, at: Any) -> "Population":
        """Some of the rows, by a slice or by positions."""
        offset, available = (None if a is None else a[at] for a in (self.offset, self.available))
        return Population(self.frame.iloc[at], offset, self.weights[at], available, self.offered_by)

    def chunks(self) -> Iterator["Population"]:
        """The same rows, some at a time."""
        for start in range(0, len(self.frame), CHUNK_ROWS):
            yield self.take(slice(start, start + CHUNK_ROWS))

    def with_values(self, values: Setting) -> "Population":
        """The same rows with some variables set."""
        frame = self.frame.copy(deep=False)
        for name, value in values.items():
            frame[name] = _repeated(value, frame[name])
        return self._replace(frame=frame, available=self._offered_with(values))

    def _offered_with(self, values: Setting) -> Mask | None:
        """Classes on offer, where some of the variables say so themselves; between 0 and 1 nothing is said."""
        says = [(k, name) for k, name in enumerate(self.offered_by) if name in values and values[name] in (0, 1)]
        if self.available is None or not says:
            return self.available
        available = self.available.copy()
        for k, name in says:
            available[:, k] = bool(values[name])
        nothing = int((~available.any(axis=1)).sum())
        if nothing:
            setting = ", ".join(f"{name}={values[name]}" for _, name in says)
            raise ValueError(f"with {setting} no class is on offer in {counted(nothing, 'row')}")
        return available


def _repeated(value: Any, column: pd.Series) -> Any:
    """A value for all rows, in the type of a column: levels by their position, not looked up row by row."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return value
    return pd.Categorical.from_codes(np.full(len(column), column.cat.categories.get_loc(value)), dtype=column.dtype)


def model_variables(schema: Schema) -> dict[str, Variable]:
    """Variables in the order of the formula's columns, or the features of an array."""
    encoder = schema.encoder
    if isinstance(encoder, ArrayEncoder):
        return {name: Variable(name, ()) for name in schema.feature_names}
    found = {}
    for name, v in encoder.variables.items():
        levels = levels_of(v)
        if len(levels) > 1 or (not levels and v.high > v.low):  # else it was constant, and is dropped
            found[name] = Variable(name, levels, v.low, v.high)
    return found


def chosen_variables(schema: Schema, features: str | Sequence[str] | None) -> list[Variable]:
    """The variables that are named, or all."""
    known = model_variables(schema)
    if features is None:
        return list(known.values())
    single = isinstance(features, str | int | np.integer)
    if not single and not isinstance(features, Iterable):
        raise TypeError(f"features={shown(features)} must be the name of a variable, or a sequence of names")
    chosen: list[Any] = [features] if single else list(cast(Iterable[Any], features))
    if not chosen:
        raise ValueError("features is empty; name at least one variable")
    names = [_by_position(schema, name) for name in chosen]
    for name in names:
        check_variable(known, name, "features")
    return [known[name] for name in names]


def _by_position(schema: Schema, name: Any) -> Any:
    """The name of a variable; of an array, whose features the user did not name, also by the number of its column."""
    if isinstance(name, bool) or not isinstance(name, int | np.integer):
        return name
    given_names = schema.encoder.feature_names
    unnamed = given_names == tuple(f"x{j}" for j in range(len(given_names)))
    if str(name) in given_names:  # columns of a frame that are numbers
        return str(name)
    inside = 0 <= name < len(given_names)
    return f"x{name}" if unnamed and inside and isinstance(schema.encoder, ArrayEncoder) else name


def check_variable(known: Mapping[str, Variable], name: Any, argument: str) -> None:
    """Raise if a variable is not in the model."""
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(f"{argument}: {shown(name)} is not a variable of the model{hint} ({listed(known)})")


def check_setting(schema: Schema, values: Any, argument: str) -> dict[str, Any]:
    """Values for variables of the model, each possible."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{argument}={shown(values)} must be a mapping from variable to value")
    known = model_variables(schema)
    for name, value in values.items():
        check_variable(known, name, argument)
        levels = known[name].levels
        if levels and (not pd.api.types.is_scalar(value) or value not in levels):
            hint = did_you_mean(value, levels)
            raise ValueError(f"{argument}: {name}={shown(value)} is not a level of it{hint} ({listed(levels)})")
        if not levels and not (is_real(value) and np.isfinite(as_float(value))):
            raise ValueError(f"{argument}: {name}={shown(value)} must be a finite number")
    return dict(values)


def population(
    fit: Fitted,
    data: Any,
    at: Setting | str | None,
    offset: Any = None,
    weights: Any = None,
    available: Any = None,
) -> Population:
    """Rows to average over: the data of the fit with their weights, or new data; with variables set by ``at``."""
    schema = fit.schema
    if data is None:
        if any(argument is not None for argument in (weights, offset, available)):
            raise ValueError("weights, offset and available belong to new data; give data too")
        training = training_of(fit, "an average over the data")
        if isinstance(schema.encoder, FormulaEncoder) and training.distinct.frame is None:
            raise ValueError("this file holds no columns of the data (an older version wrote it); pass data=...")
        distinct = training.distinct
        rows = Population(
            training.frame, distinct.offset, distinct.totals, distinct.available, schema.available_columns
        )
    else:
        data = schema.to_pandas_or_numpy(data)
        X, _ = schema.encode(data)  # names what is wrong with the data
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
        rows = Population(
            _as_kept(schema, frame),
            schema.encode_offset(data, offset, len(X)),
            np.ones(len(X)) if row_weights is None else row_weights,
            mask,
            schema.available_columns if available is None else (),
        )
    if at is None:
        return rows
    if isinstance(at, str):
        if at != MEANS:
            raise ValueError(f"at={shown(at)} must be {MEANS!r} or a mapping from variable to value")
        return _average_row(schema, rows)
    return rows.with_values(check_setting(schema, at, "at"))


def _as_kept(schema: Schema, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model reads, in the types that it keeps its own data in."""
    if isinstance(schema.encoder, FormulaEncoder):
        return schema.encoder.columns(frame)
    return frame[list(schema.input_columns)]


def _average_row(schema: Schema, rows: Population) -> Population:
    """One row: weighted means of numbers, the most frequent level of factors and choice set, the mean offset."""
    values = {}
    for name, variable in model_variables(schema).items():
        column = rows.frame[name]
        if variable.levels:
            values[name] = max(variable.levels, key=lambda level: rows.weights[(column == level).to_numpy()].sum())
        else:
            values[name] = float(np.average(column.to_numpy(dtype=np.float64), weights=rows.weights))
    offset = None if rows.offset is None else np.average(rows.offset, axis=0, weights=rows.weights)[None]
    others = {name: rows.frame[name].iloc[0] for name in rows.frame.columns if name not in values}
    one = pd.DataFrame([values | others])
    return Population(one, offset, np.ones(1), _most_frequent(rows), rows.offered_by)


def _most_frequent(rows: Population) -> Mask | None:
    """The choice set (1, K) that most of the weight has."""
    if rows.available is None:
        return None
    sets, which = np.unique(rows.available, axis=0, return_inverse=True)
    most = int(np.bincount(which.reshape(-1), weights=rows.weights).argmax())
    chosen: Mask = sets[most : most + 1]
    return chosen


def encode(schema: Schema, rows: Population) -> Rows:
    """Features of variables."""
    if isinstance(schema.encoder, FormulaEncoder):
        X, index, beyond = schema.encode_marked(rows.frame)
        return Rows(X, index, rows.offset, None, rows.available, beyond)
    # Straight from the columns: new data were checked when they came in.
    X = np.ascontiguousarray(rows.frame[list(schema.feature_names)].to_numpy(dtype=np.float64))
    return Rows(X, rows.frame.index, rows.offset, available=rows.available)


def derivative(schema: Schema, rows: Population, variable: Variable) -> FloatArray:
    """Change (N, p) of the features per unit of a numeric variable; (1, p) where it is the same in every row.

    Features that are functions of one variable (polynomials, splines, interactions) move together.  By central
    differences through the formula, one-sided at the ends of the range of the data, where splines end.
    """
    if isinstance(schema.encoder, ArrayEncoder):
        return np.eye(len(schema.feature_names))[[schema.feature_names.index(variable.name)]]
    if variable.name in schema.encoder.stepped:
        return np.full((1, len(schema.feature_names)), np.nan)  # a comparison: no slope says what it does
    value = rows.frame[variable.name].to_numpy(dtype=np.float64)
    span = variable.high - variable.low
    # Far from zero, a step in proportion to the value would leave the range; and it must be well above rounding.
    step = STEP * np.clip(np.abs(value), STEP_FLOOR * span, span)
    step = np.maximum(step, ROUNDINGS * np.spacing(np.abs(value)))
    upper, lower = np.minimum(value + step, np.maximum(variable.high, value)), value - step
    lower = np.maximum(lower, np.minimum(variable.low, value))
    ends = [encode(schema, rows.with_values({variable.name: end})).X for end in (upper, lower)]
    change: FloatArray = (ends[0] - ends[1]) / (upper - lower)[:, None]
    if (np.ptp(change, axis=0) <= 1e-7 * np.abs(change).max(axis=0, initial=0.0)).all():
        return change.mean(axis=0, keepdims=True)
    return change
