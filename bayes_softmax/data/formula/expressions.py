"""Expressions of a formula as data: a small tree of columns, constants, operations and calls.  Nothing here executes.

A tree is written as text the way Python's ``ast.unparse`` does: that text names the features made of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

MAX_NODES = 300  # of one expression
MAX_DEPTH = 200
SHOWN_LENGTH = 120  # characters of a formula that a message shows

# Precedence, as Python has it; comparisons do not chain.
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
LOGICAL = frozenset("|^&")
BINARY = {**dict.fromkeys(COMPARISONS, 1), "|": 2, "^": 3, "&": 4, "+": 5, "-": 5}
BINARY |= {**dict.fromkeys(("*", "/", "//", "%"), 6), "**": 8}
UNARY = 7
SIGNS = frozenset("+-~")


@dataclass(frozen=True)
class Column:
    """A column of the data; ``quoted`` if it was written in backticks inside an expression."""

    name: str
    quoted: bool = False


@dataclass(frozen=True)
class Constant:
    """A number, a string, True, False or None."""

    value: int | float | str | bool | None


@dataclass(frozen=True)
class Items:
    """A list of constants, ``[1, 2]``, or a tuple of them."""

    values: tuple["Node", ...]
    is_tuple: bool = False


@dataclass(frozen=True)
class Reference:
    """The name of a contrast, ``contr.sum``."""

    name: str


@dataclass(frozen=True)
class Operation:
    """A sign with one operand, or an operator between two."""

    symbol: str
    operands: tuple["Node", ...]


@dataclass(frozen=True)
class Call:
    """A function of the table with its arguments."""

    function: str
    arguments: tuple["Node", ...]
    keywords: tuple[tuple[str, "Node"], ...] = ()


Node = Column | Constant | Items | Reference | Operation | Call


def children(node: Node) -> tuple[Node, ...]:
    """The children of a node."""
    if isinstance(node, Items):
        return node.values
    if isinstance(node, Operation):
        return node.operands
    if isinstance(node, Call):
        return (*node.arguments, *(value for _, value in node.keywords))
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, from the top."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def columns_of(node: Node) -> set[str]:
    """Columns that an expression reads; the second argument of ``C()`` names a contrast."""
    if isinstance(node, Call) and node.function == "C":
        node = node.arguments[0]
    return {part.name for part in walk(node) if isinstance(part, Column)}


def text(node: Node, at_least: int = 0) -> str:
    """The expression as text, in parentheses where it binds less tightly than ``at_least``."""
    if isinstance(node, Column):
        plain = node.name.isidentifier() and not iskeyword(node.name)
        return node.name if plain and not node.quoted else f"`{node.name}`"
    if isinstance(node, Constant):
        return repr(node.value)
    if isinstance(node, Reference):
        return node.name
    if isinstance(node, Items):
        inner = ", ".join(text(value) for value in node.values)
        return f"({inner}{',' * (len(node.values) == 1)})" if node.is_tuple else f"[{inner}]"
    if isinstance(node, Call):
        named = [f"{name}={text(value)}" for name, value in node.keywords]
        return f"{node.function}({', '.join([text(value) for value in node.arguments] + named)})"
    if len(node.operands) == 1:
        written, binds = f"{node.symbol}{text(node.operands[0], UNARY)}", UNARY
    else:
        binds = BINARY[node.symbol]
        sides = (binds + 1, binds) if node.symbol == "**" else (binds, binds + 1)
        if node.symbol in COMPARISONS:
            sides = (binds + 1, binds + 1)
        left, right = (text(side, least) for side, least in zip(node.operands, sides, strict=True))
        written = f"{left} {node.symbol} {right}"
    return f"({written})" if binds < at_least else written


def brief(node: Node) -> str:
    """The expression as text, not longer than a message shows it."""
    written = text(node)
    return written if len(written) <= SHOWN_LENGTH else f"{written[:SHOWN_LENGTH]} ..."


def quoted(node: Node) -> str:
    """The same in quotation marks."""
    return repr(brief(node))


def factor_name(node: Node) -> str:
    """The name of a factor: that of a column as it is, or the text of an expression."""
    return node.name if isinstance(node, Column) else text(node)


# ---------------------------------------------------------------------- as plain data, for a file


def to_data(node: Node) -> list[Any]:
    """Nested lists that JSON can hold."""
    if isinstance(node, Column):
        return ["column", node.name, node.quoted]
    if isinstance(node, Constant):
        return ["constant", node.value]
    if isinstance(node, Reference):
        return ["reference", node.name]
    if isinstance(node, Items):
        return ["items", [to_data(value) for value in node.values], node.is_tuple]
    if isinstance(node, Operation):
        return ["operation", node.symbol, [to_data(operand) for operand in node.operands]]
    named = [[name, to_data(value)] for name, value in node.keywords]
    return ["call", node.function, [to_data(value) for value in node.arguments], named]


def from_data(data: Any, depth: int = 0) -> Node:
    """The node of :func:`to_data`; anything else is a ValueError."""
    if depth > MAX_DEPTH or not (isinstance(data, list) and data and isinstance(data[0], str)):
        raise ValueError(f"{str(data)[:80]} is not an expression of a formula")
    kind, *rest = data
    match kind, rest:
        case "column", [str(name), bool(quoted)]:
            return Column(name, quoted)
        case "constant", [value] if value is None or isinstance(value, str | int | float):
            return Constant(value)
        case "reference", [str(name)]:
            return Reference(name)
        case "items", [list(values), bool(is_tuple)]:
            return Items(tuple(from_data(value, depth + 1) for value in values), is_tuple)
        case "operation", [str(symbol), list(operands)]:
            known = BINARY if len(operands) == 2 else SIGNS if len(operands) == 1 else ()
            if symbol in known:
                return Operation(symbol, tuple(from_data(operand, depth + 1) for operand in operands))
        case "call", [str(function), list(arguments), list(named)]:
            keywords = tuple((_word(name), from_data(value, depth + 1)) for name, value in named)
            return Call(function, tuple(from_data(value, depth + 1) for value in arguments), keywords)
    raise ValueError(f"{str(data)[:80]} is not an expression of a formula")


def _word(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not the name of an argument")
    return name
