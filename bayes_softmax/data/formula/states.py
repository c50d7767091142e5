"""States of the transforms: what a spline, a polynomial or a scaled column keeps of its data, checked."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from bayes_softmax.data.formula.arguments import SPLINES, arguments_of
from bayes_softmax.data.formula.expressions import Call, text


def read_state(call: Call, state: Any) -> dict[str, Any]:
    """The state of a transform as plain numbers, checked for names, sizes and finiteness."""
    values, damaged = arguments_of(call), ValueError(f"the state of {text(call)} is damaged")
    if not isinstance(state, Mapping):
        raise damaged
    try:
        if call.function == "poly":
            return {} if values["raw"] else _polynomial_state(state, values["degree"])
        if call.function in SPLINES:
            return _spline_state(call, state, values)
        sizes = {word: None if state[word] is None else _number(state[word]) for word in ("center", "scale")}
        if sizes["scale"] == 0:
            raise damaged
        return {"ddof": _number(state["ddof"]), **sizes}
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise damaged from error


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "iuf" or not isfinite(float(array)):
        raise TypeError
    return float(array)


def _numbers(values: Any) -> list[float]:
    return [_number(value) for value in values]


def _polynomial_state(state: Mapping[str, Any], degree: int) -> dict[str, Any]:
    alpha = {k: _number(state["alpha"][k]) for k in range(degree)}
    norms2 = {k: _number(state["norms2"][k]) for k in range(degree + 1)}
    if min(norms2.values()) <= 0:
        raise TypeError
    return {"alpha": alpha, "norms2": norms2}


def _spline_state(call: Call, state: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {word: _number(state[word]) for word in ("lower_bound", "upper_bound")}
    knots = _numbers(state["knots"])
    gaps = np.diff(knots)
    if call.function == "bs":
        n_inner = len(values["knots"] or ())
        if values["df"] is not None:
            n_inner = values["df"] - values["degree"] - values["include_intercept"]
        if len(knots) != n_inner + 2 + 2 * values["degree"] or (gaps < 0).any():
            raise TypeError
        return {**read, "knots": knots}
    cyclic, constraints = state["cyclic"], state["constraints"]
    if not isinstance(cyclic, bool) or (gaps <= 0).any() or len(knots) < 3:
        raise TypeError
    if constraints is not None:
        constraints = np.array([_numbers(row) for row in constraints])
        if constraints.shape != (1, len(knots) - cyclic):
            raise TypeError
    n_inner = len(set(values["knots"] or ()))
    if values["df"] is not None:
        n_inner = values["df"] - 2 + cyclic + (constraints is not None)
    if len(knots) != n_inner + 2:
        raise TypeError
    return {**read, "knots": knots, "cyclic": cyclic, "constraints": constraints}
