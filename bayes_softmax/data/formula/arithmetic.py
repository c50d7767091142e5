"""Arithmetic and comparisons of a formula, on arrays of floats and booleans: overflow is infinite, never a big int."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bayes_softmax.data.formula.expressions import COMPARISONS, LOGICAL, Call, Column, Node, Operation

_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide, "%": np.mod,
    "**": np.power, "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater,
    ">=": np.greater_equal, "&": np.logical_and, "|": np.logical_or, "^": np.logical_xor,
}  # fmt: skip
_SIGNS: dict[str, Callable[..., Any]] = {"-": np.negative, "+": np.positive, "~": np.logical_not}


def operate(symbol: str, operands: list[Any]) -> Any:
    """An operator applied to arrays or numbers; truth values are 0 and 1 in arithmetic."""
    logical = symbol in LOGICAL or symbol == "~"
    if logical and not all(np.asarray(value).dtype == bool for value in operands):
        raise ValueError(joins(symbol))
    if not logical:
        operands = [np.asarray(value, dtype=np.float64) for value in operands]
    return (_SIGNS if len(operands) == 1 else _OPERATORS)[symbol](*operands)


def joins(symbol: str) -> str:
    """The message for a logical operator between numbers."""
    power = "; a power is I(a ** 2)" if symbol == "^" else ""
    return f"formula: '{symbol}' takes comparisons, (a > 1) {symbol} (b > 1), not numbers{power}"


def inner(node: Node) -> Node:
    """The expression inside ``I()``."""
    while isinstance(node, Call) and node.function == "I" and node.arguments:
        node = node.arguments[0]
    return node


def is_logical(node: Node, booleans: frozenset[str]) -> bool:
    """Whether the values of an expression are True and False."""
    node = inner(node)
    if isinstance(node, Operation):
        return node.symbol in COMPARISONS | LOGICAL | {"~"}
    return isinstance(node, Column) and node.name in booleans
