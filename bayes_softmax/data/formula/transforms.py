"""The functions a formula may call: a fixed table, looked up by name, with checked and bounded arguments.

Elementwise functions are NumPy's.  Splines and orthogonal polynomials are formulaic's transforms, called directly with
a state that they fill when a model is made and use for new data.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from bayes_softmax.data.formula.arguments import SEVERAL_COLUMNS, TRANSFORM_ARGUMENTS, arguments_of
from bayes_softmax.data.formula.arithmetic import inner, joins
from bayes_softmax.data.formula.contrasts import check_contrast
from bayes_softmax.data.formula.expressions import (
    COMPARISONS,
    LOGICAL,
    MAX_NODES,
    Call,
    Column,
    Constant,
    Node,
    Operation,
    columns_of,
    quoted,
    text,
    walk,
)
from bayes_softmax.data.formula.hints import said_of, unknown_function

_NUMPY = "log log1p log2 log10 exp expm1 exp2 sqrt cbrt square abs sin cos tan tanh arcsinh".split()
PLAIN: dict[str, Callable[..., Any]] = {name: getattr(np, name) for name in _NUMPY}
PLAIN["exp10"] = lambda x: np.power(10.0, x)
ELEMENTWISE = PLAIN | {f"np.{name}": getattr(np, name) for name in [*_NUMPY, "power"]}
KNOWN = (*PLAIN, "poly", *(name for name in TRANSFORM_ARGUMENTS if name != "poly"), "C", "I")


def key_of(call: Call) -> str:
    """Name under which the state of a call is kept."""
    return text(call)


def transforms_in(node: Node) -> list[Call]:
    """Calls in an expression that keep a state."""
    return [part for part in walk(node) if isinstance(part, Call) and part.function in TRANSFORM_ARGUMENTS]


# ---------------------------------------------------------------------- checks


def check_factor(node: Node) -> None:
    """Raise unless a factor is a column, ``C()`` of one, or an expression of known functions with bounded arguments."""
    if sum(1 for _ in walk(node)) > MAX_NODES:
        raise ValueError(f"formula: an expression of more than {MAX_NODES} parts; make it a column of the data first")
    if isinstance(node, Call) and node.function == "C":
        _check_coding(node)
    else:
        _check_expression(node, within=inner(node))
    if not columns_of(node):
        raise ValueError(f"formula: {quoted(node)} reads no column of the data")


def _check_coding(node: Call) -> None:
    """``C()`` takes a column and perhaps a contrast; given levels, it would merge the others into the baseline."""
    contrast = [*node.arguments[1:], *(value for name, value in node.keywords if name == "contrasts")]
    named = bool(node.arguments) and isinstance(node.arguments[0], Column)
    if not named or len(contrast) > 1 or len(node.arguments) + len(node.keywords) > 1 + len(contrast):
        raise ValueError(
            f"formula: {quoted(node)}: C() takes the name of a column, and perhaps a contrast such as contr.sum; "
            f"{_other_coding(node)}"
        )
    if contrast:
        check_contrast(contrast[0], quoted(node))


def _other_coding(node: Call) -> str:
    """What to write instead of an argument that ``C()`` does not take."""
    words = dict(node.keywords)
    column = text(node.arguments[0]) if node.arguments else "x"
    for word in ("base", "ref", "reference"):
        if word in words:
            return f"the first level is chosen by C({column}, contr.treatment({text(words[word])}))"
    if "levels" in words:
        return "the order of levels is that of a pd.Categorical with categories=[...]"
    return "make other categories as a column of the data first"


def _check_expression(node: Node, within: Node) -> None:
    """Raise unless an expression is numeric; ``within`` is the part that may make several columns."""
    if isinstance(node, Constant) and isinstance(node.value, int | float) and isfinite(node.value):
        return
    if isinstance(node, Operation):
        sides = node.operands
        compares_text = any(isinstance(side, Constant) and isinstance(side.value, str) for side in sides)
        if compares_text and node.symbol in COMPARISONS - {"==", "!="}:
            raise ValueError(f"formula: {quoted(node)}: levels have no order; compare them by == or !=")
        for side in sides:
            if not (node.symbol in ("==", "!=") and isinstance(side, Constant) and len(columns_of(node)) == 1):
                _check_expression(side, within)
        if node.symbol in LOGICAL | {"~"} and any(isinstance(side, Constant) for side in sides):
            raise ValueError(joins(node.symbol))
    elif isinstance(node, Call):
        _check_call(node, within)
        _check_expression(node.arguments[0], within)
    elif not isinstance(node, Column):
        raise ValueError(f"formula: {quoted(node)} is not a number, or an expression of columns{said_of(node)}")


def _check_call(node: Call, within: Node) -> None:
    """Raise unless the function is known and its arguments are valid."""
    name, n_given = node.function, len(node.arguments)
    if name in TRANSFORM_ARGUMENTS:
        arguments_of(node)
        if name in SEVERAL_COLUMNS and node is not within:
            raise ValueError(f"formula: {quoted(node)} makes several columns, and cannot be part of an expression")
    elif name == "I" or name in ELEMENTWISE:
        takes = 2 if name == "np.power" else 1
        if n_given != takes or node.keywords:
            several = "two arguments" if takes == 2 else "one argument"
            hint = "; a comparison is I(x == 1)" if name == "I" and node.keywords else ""
            if name in ("log", "np.log") and n_given + len(node.keywords) == 2:
                hint = "; other bases are log2(x), log10(x) and I(log(x) / log(3))"
            raise ValueError(f"formula: {quoted(node)}: {name}() takes {several}, without a name{hint}")
        for argument in node.arguments[1:]:
            _check_expression(argument, within)
    elif name == "C":
        raise ValueError(f"formula: {quoted(node)} is a factor, and cannot be part of an expression")
    else:
        raise ValueError(f"formula: {unknown_function(node, KNOWN)}")
