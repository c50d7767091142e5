"""Variables of a model: columns of the data, whatever the number of features encoded from each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import as_float, did_you_mean, is_real, listed, shown
from bayes_softmax.data.array_encoder import ArrayEncoder
from bayes_softmax.data.formula.columns import levels_of
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.formula.expressions import columns_of
from bayes_softmax.data.schema import Schema

Setting = Mapping[str, Any]


class Covariate(NamedTuple):
    """A variable, numeric where ``levels`` is empty, else a factor; ``low`` and ``high`` are its range in the data."""

    name: str
    levels: tuple[Any, ...]
    low: float = -np.inf
    high: float = np.inf


def level_name(level: Any) -> str:
    """Name of a level; whole numbers without a decimal point."""
    return f"{level:g}" if isinstance(level, float) else str(level)


def model_variables(schema: Schema) -> dict[str, Covariate]:
    """Variables in the order in which the formula names them, or the features of an array."""
    encoder = schema.encoder
    if isinstance(encoder, ArrayEncoder):
        return {name: Covariate(name, ()) for name in schema.feature_names}
    found = {}
    for name in _in_order(encoder):
        v = encoder.variables[name]
        levels = levels_of(v)
        if len(levels) > 1 or (not levels and v.high > v.low):  # otherwise it is constant and was dropped
            found[name] = Covariate(name, levels, v.low, v.high)
    return found


def _in_order(encoder: FormulaEncoder) -> list[str]:
    """Columns in the order in which the terms read them, the columns of one factor by name."""
    factors = [factor for term in encoder.terms for factor in term.factors]
    return list(dict.fromkeys(name for factor in factors for name in sorted(columns_of(factor))))


def chosen_variables(schema: Schema, features: str | Sequence[str] | None) -> list[Covariate]:
    """The named variables, or all."""
    known = model_variables(schema)
    if features is None:
        return list(known.values())
    single = isinstance(features, str | int | np.integer)
    if not single and not isinstance(features, Iterable):
        raise TypeError(f"features={shown(features)} must be the name of a variable, or a sequence of names")
    chosen: list[Any] = [features] if single else list(cast(Iterable[Any], features))
    if not chosen:
        raise ValueError("features is empty; name at least one variable")
    names = [by_position(schema, name) for name in chosen]
    for name in names:
        check_variable(known, name, "features")
    return [known[name] for name in names]


def by_position(schema: Schema, name: Any) -> Any:
    """Name of a variable; for an array without feature names, also from the number of a column."""
    if isinstance(name, bool) or not isinstance(name, int | np.integer):
        return name
    given_names = schema.encoder.feature_names
    unnamed = given_names == tuple(f"x{j}" for j in range(len(given_names)))
    if str(name) in given_names:  # a frame whose column names are numbers
        return str(name)
    inside = 0 <= name < len(given_names)
    return f"x{name}" if unnamed and inside and isinstance(schema.encoder, ArrayEncoder) else name


def check_variable(known: Mapping[str, Covariate], name: Any, argument: str) -> None:
    """Raise if a variable is not in the model."""
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(name, known) or did_you_mean(str(name).partition("[")[0], known)  # 'g[T.b]' is of 'g'
        raise ValueError(f"{argument}: {shown(name)} is not a variable of the model{hint} (variables: {listed(known)})")


def check_setting(schema: Schema, values: Any, argument: str) -> dict[str, Any]:
    """Values for variables of the model, checked against levels and types."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument}={shown(values)} must be a mapping from variable to value{example_setting(schema, argument)}"
        )
    known = model_variables(schema)
    for name, value in values.items():
        check_variable(known, name, argument)
        levels = known[name].levels
        if levels and (not pd.api.types.is_scalar(value) or value not in levels):
            hint = did_you_mean(value, levels)
            raise ValueError(
                f"{argument}: {shown(value)} is not a level of {shown(name)}{hint} (levels: {listed(levels)})"
            )
        if not levels and not (is_real(value) and np.isfinite(as_float(value))):
            raise ValueError(f"{argument}: {shown(name)} is {shown(value)}; expected one finite number")
    return dict(values)


def check_comparable(first: Setting, second: Setting) -> None:
    """Raise for two settings of which each sets a variable that the other does not: they compare nothing one means."""
    only_first, only_second = ([k for k in a if k not in b] for a, b in ((first, second), (second, first)))
    if only_first and only_second:
        raise ValueError(
            f"first sets {listed(only_first)} and second sets {listed(only_second)}: a contrast is between two values "
            f"of the same variables, such as {{{shown(only_first[0])}: ...}} in both"
        )


def outside_the_data(schema: Schema, settings: Iterable[Setting]) -> str | None:
    """Note on numbers that lie outside the range of the data of the fit, as far as that is known."""
    known, said = model_variables(schema), dict[str, None]()
    for name, value in (pair for setting in settings for pair in setting.items()):
        variable = known.get(name)
        if variable is None or variable.levels or variable.low <= as_float(value) <= variable.high:
            continue
        said[f"{name}={as_float(value):g} ({variable.low:g} to {variable.high:g})"] = None
    return f"outside the data of the fit, so extrapolated: {', '.join(said)}" if said else None


def example_setting(schema: Schema, argument: str = "") -> str:
    """``", such as {'age': 10}"`` with the first variable, for ``base`` the first factor; nothing if there is none."""
    first = next((v for v in model_variables(schema).values() if v.levels or argument != "base"), None)
    if first is None:
        return ""
    value = first.levels[0] if first.levels else float(f"{first.high:.2g}") if np.isfinite(first.high) else 1.0
    return f", such as {shown({first.name: value})}"
