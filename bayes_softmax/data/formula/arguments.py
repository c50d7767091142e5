"""Arguments of the transforms of a formula: kinds and bounds, checked before anything is called."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.data.formula.arithmetic import operate
from bayes_softmax.data.formula.expressions import Call, Constant, Items, Node, Operation, columns_of, quoted
from bayes_softmax.data.formula.hints import said_of

MAX_DEGREE = 30  # of a polynomial: a higher one is lost to rounding
MAX_SPLINE_DEGREE = 10
MAX_KNOTS = 1000


class TransformArgument(NamedTuple):
    """An argument after the first: its kind, its default and its range."""

    kind: str
    default: Any = None
    low: float = -np.inf
    high: float = np.inf


_OUTSIDE = ("raise", "clip", "na", "zero", "extend")
_BOUNDS = {"lower_bound": TransformArgument("number"), "upper_bound": TransformArgument("number")}
_CUBIC = {
    "df": TransformArgument("count", None, 1, MAX_KNOTS),
    "knots": TransformArgument("numbers", None, 1, MAX_KNOTS),
    **_BOUNDS,
    "constraints": TransformArgument("center"),
    "cyclic": TransformArgument("flag"),
    "extrapolation": TransformArgument("outside", "extend"),
}
_SCALE = {"center": TransformArgument("flag or number", True), "scale": TransformArgument("flag or number", True)}
_DDOF = TransformArgument("number", 1.0, 0, 1e6)
TRANSFORM_ARGUMENTS: dict[str, dict[str, TransformArgument]] = {
    "poly": {"degree": TransformArgument("count", 1, 1, MAX_DEGREE), "raw": TransformArgument("flag", False)},
    "bs": {
        "df": TransformArgument("count", None, 1, MAX_KNOTS),
        "knots": TransformArgument("numbers", None, 0, MAX_KNOTS),
        "degree": TransformArgument("count", 3, 0, MAX_SPLINE_DEGREE),
        "include_intercept": TransformArgument("flag", False),
        **_BOUNDS,
        "extrapolation": TransformArgument("outside", "raise"),
    },
    **dict.fromkeys(("cs", "cr", "cc"), _CUBIC),
    "scale": {**_SCALE, "ddof": _DDOF},
    "center": {},
    "standardize": {"center": _SCALE["center"], "rescale": _SCALE["scale"], "ddof": _DDOF._replace(default=0.0)},
}
SPLINES = frozenset(("bs", "cs", "cr", "cc"))
SEVERAL_COLUMNS = SPLINES | {"poly"}


def arguments_of(call: Call) -> dict[str, Any]:
    """Checked values of the arguments after the first, defaults filled in."""
    name, parameters = call.function, TRANSFORM_ARGUMENTS[call.function]
    if not call.arguments or len(call.arguments) > len(parameters) + 1:
        takes = f", and perhaps {', '.join(parameters)}" if parameters else ""
        raise ValueError(f"formula: {quoted(call)}: {name}() takes a column or an expression{takes}")
    given = dict(zip(parameters, call.arguments[1:], strict=False))
    for word, value in call.keywords:
        if word not in parameters or word in given:
            wrong = f"has {word!r} twice" if word in given else f"has no argument {word!r}"
            raise ValueError(
                f"formula: {quoted(call)}: {name}() {wrong} (arguments: {', '.join(parameters) or 'none'})"
            )
        given[word] = value
    values = {}
    for word, parameter in parameters.items():
        value = parameter.default if word not in given else _constant(given[word], call)
        values[word] = _checked(value, parameter, f"formula: {quoted(call)}: {word}")
    _check_together(call, values)
    return values


def _constant(node: Node, call: Call) -> Any:
    """The value of an argument that is no column: a number, a list of them, a string, True, False or None."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Items):
        return [_constant(value, call) for value in node.values]
    if isinstance(node, Operation) and not columns_of(node) and node.symbol in ("+", "-", "*", "/"):
        numbers = [_constant(side, call) for side in node.operands]
        if all(isinstance(number, int | float) for number in numbers):
            with np.errstate(all="ignore"):
                result = float(operate(node.symbol, [np.float64(number) for number in numbers]))
            return int(result) if result.is_integer() and abs(result) < 2**53 else result
    raise ValueError(
        f"formula: {quoted(call)}: {quoted(node)} must be a number, a list of numbers, a string, True or False"
        f"{said_of(node)}"
    )


def _checked(value: Any, parameter: TransformArgument, what: str) -> Any:
    """The value of one argument, if it is of its kind and in its range."""
    kind, low, high = parameter.kind, parameter.low, parameter.high
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if value is None and parameter.default is None:
        return None
    if kind == "count":
        if not number or value != int(value) or not low <= value <= high:
            raise ValueError(f"{what}={shown(value)} must be a whole number from {low} to {high}")
        return int(value)
    if kind in ("number", "flag or number") and number and low <= value <= high:
        return float(value)
    if kind in ("flag", "flag or number") and isinstance(value, bool):
        return value
    if kind == "center" and value == "center":
        return value
    if kind == "outside" and value in _OUTSIDE:
        return value
    if kind == "numbers" and isinstance(value, list) and low <= len(value) <= high:
        return [_checked(v, TransformArgument("number", 0.0), what) for v in value]
    allowed = {
        "numbers": f"a list of {low} to {high} numbers",
        "center": "'center' or None",
        "outside": f"one of {', '.join(map(repr, _OUTSIDE))}",
        "flag": "True or False",
        "number": "a number" + (f" from {low} to {high}" if isfinite(low) else ""),
        "flag or number": "True, False or a number",
    }
    raise ValueError(f"{what}={shown(value)} must be {allowed[kind]}")


def _check_together(call: Call, values: Mapping[str, Any]) -> None:
    """Raise where arguments that are valid one by one do not fit together."""
    if call.function not in SPLINES:
        return
    what, df, knots = f"formula: {quoted(call)}", values["df"], values["knots"]
    if df is not None and knots is not None:
        raise ValueError(f"{what}: give df or knots, not both")
    if knots is not None:
        low, high = values["lower_bound"], values["upper_bound"]
        if any(k < (-np.inf if low is None else low) or k > (np.inf if high is None else high) for k in knots):
            raise ValueError(f"{what}: knots must lie between lower_bound and upper_bound")
    if call.function == "bs":
        least = max(1, values["degree"] + values["include_intercept"])
        if df is not None and df < least:
            raise ValueError(
                f"{what}: df={df} must be at least {least} for degree={values['degree']}; give a lower degree as well"
            )
        return
    if df is None and knots is None:
        raise ValueError(f"{what}: give df (the number of columns) or knots")
    cyclic = call.function == "cc" or bool(values["cyclic"])
    least = 3 - cyclic - (values["constraints"] is not None)  # an inner knot at least
    if df is not None and df < least:
        raise ValueError(
            f"{what}: df={df} must be a whole number from {least} to {MAX_KNOTS}; there is a knot inside at least"
        )
