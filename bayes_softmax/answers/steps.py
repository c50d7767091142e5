"""Sizes of steps of numeric variables: ``per={"income": 10000}``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayes_softmax.answers.variables import Covariate, by_position, check_variable
from bayes_softmax.core.checks import as_float, did_you_mean, is_number, listed, shown
from bayes_softmax.data.schema import Schema

SMALL = 1e-3  # change of the odds, on the log scale, that three decimals do not show
VISIBLE = 0.1  # change that the step which is proposed brings about
EXACT = 15  # digits of a step's name


def size_name(size: float) -> str:
    """Size of a step as it is written, in full.

    >>> size_name(10000.0), size_name(1234567.5), size_name(0.25)
    ('10000', '1234567.5', '0.25')
    """
    return f"{size:.{EXACT}g}"


def steps_of_features(schema: Schema, per: Any) -> dict[str, float]:
    """Sizes by feature, checked; features that are not named take steps of 1."""
    given = _sizes(schema, per, schema.feature_names)
    for name in given:
        if name not in schema.feature_names:
            coded = [feature for feature in schema.feature_names if feature.startswith(f"{name}[")]
            hint = did_you_mean(name, coded, cutoff=0.0) or did_you_mean(name, schema.feature_names)
            raise ValueError(f"per: {shown(name)} is not a feature{hint} (features: {listed(schema.feature_names)})")
    return dict.fromkeys(schema.feature_names, 1.0) | given


def steps_of_variables(
    schema: Schema, per: Any, known: Mapping[str, Covariate], chosen: Sequence[Covariate]
) -> dict[str, float]:
    """Sizes by numeric variable, checked to be among the ``chosen`` of the ``known`` ones."""
    given = _sizes(schema, per, [name for name, variable in known.items() if not variable.levels])
    asked = [variable.name for variable in chosen]
    for name in given:
        check_variable(known, name, "per")
        if known[name].levels:
            raise ValueError(f"per: {shown(name)} is a factor; its levels are compared, and only numbers take steps")
        if name not in asked:
            raise ValueError(f"per: {shown(name)} is not among the features asked for ({listed(asked)})")
    return given


def _sizes(schema: Schema, per: Any, names: Sequence[str]) -> dict[Any, float]:
    """Sizes of steps by name, each a finite number other than 0."""
    if per is None:
        return {}
    if not isinstance(per, Mapping):
        example = shown(dict.fromkeys(names[:1] or ["age"], 10))
        raise TypeError(f"per={shown(per)} must be a mapping from name to the size of a step, such as {example}")
    found: dict[Any, float] = {}
    for given, size in per.items():
        name = by_position(schema, given)
        if not is_number(size) or not np.isfinite(as_float(size)) or as_float(size) == 0:
            raise ValueError(f"per: {shown(name)} has {shown(size)}; expected a finite number other than 0")
        if name in found:
            raise ValueError(f"per: {shown(name)} appears twice")
        found[name] = float(size)
    return found


def larger_step(size: float, largest: float) -> float | None:
    """A rounder step that shows, where ``size`` changes the log odds by at most ``largest``; None where that shows.

    >>> larger_step(1.0, 4.5e-5), larger_step(1.0, 0.02)
    (10000.0, None)
    """
    if not 0 < largest < SMALL:
        return None
    return float(10.0 ** np.ceil(np.log10(VISIBLE / largest * abs(size))))
