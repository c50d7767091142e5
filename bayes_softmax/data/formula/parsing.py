"""From the text of a formula to tokens and expressions: a parser of its own, which builds data and calls nothing.

What else Python's parser would accept (attributes, subscripts, lambdas, f-strings, comprehensions) has no form here
and cannot be expressed.
"""

import re
from math import isfinite
from typing import NamedTuple

from bayes_softmax.core.checks import shown
from bayes_softmax.data.formula.expressions import (
    BINARY,
    COMPARISONS,
    MAX_NODES,
    SHOWN_LENGTH,
    SIGNS,
    UNARY,
    Call,
    Column,
    Constant,
    Items,
    Node,
    Operation,
    Reference,
)
from bayes_softmax.data.formula.hints import CHARACTERS, misplaced

MAX_LENGTH = 1_000_000  # characters of a formula
MAX_NESTING = 40  # parentheses within parentheses
MAX_DIGITS = 300

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`[^`]+`)
    |(?P<name>[\w.]+)
    |(?P<symbol>\*\*|//|==|!=|<=|>=|%in%|[-+*/:^%&|~<>=,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_NO_NAME = ("end", "symbol")
_WORDS = {"True": True, "False": False, "None": None}


class Token(NamedTuple):
    """A piece of a formula: ``kind`` is the name of its group in the pattern, or ``"end"``."""

    kind: str
    text: str
    start: int


def tokens_of(formula: str) -> list[Token]:
    """The pieces of a formula without the space between them, and an end."""
    if len(formula) > MAX_LENGTH:
        raise ValueError(f"formula has {len(formula):,} characters; at most {MAX_LENGTH:,} are read")
    found, start = [], 0
    while start < len(formula):
        match = _TOKEN.match(formula, start)
        if match is None:
            hint = CHARACTERS.get(formula[start])
            raise unreadable(formula, f"unexpected {formula[start]!r}{f' ({hint})' if hint else ''}", start)
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), start))
        start = match.end()
    return [*found, Token("end", "", len(formula))]


def unreadable(formula: str, reason: str, start: int) -> ValueError:
    """The error for text that is not a formula, with the place."""
    around = formula[max(0, start - 30) : start + 30].strip()
    where = f" near {around!r}" if len(formula) > 80 else ""
    return ValueError(f"formula: {shortened(formula)!r} cannot be read: {reason}{where}")


def shortened(formula: str) -> str:
    """A formula as a message shows it."""
    return formula if len(formula) <= SHOWN_LENGTH else f"{formula[:SHOWN_LENGTH]} ..."


class Others(NamedTuple):
    """What ``.`` stands for: columns that the formula does not use on its left, nor the model in another way.

    ``used`` are the columns that they use.
    """

    columns: tuple[str, ...]
    used: frozenset[str] = frozenset()


class Reader:
    """A position in the tokens of a formula, and the expressions that begin there.

    ``others`` is what ``.`` stands for, None where there are no data; ``named`` are the columns that the terms name.
    The text of an ``older`` file may hold what is refused today because it had no effect.
    """

    def __init__(self, formula: str, others: Others | None = None, *, older: bool = False) -> None:
        self.formula = formula
        self.others = others
        self.older = older
        self.named: set[str] = set()
        self.tokens = tokens_of(formula)
        self.at = 0
        self.nodes = 0

    @property
    def next(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    @property
    def after(self) -> Token:
        """The token after the next."""
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def comes(self, *symbols: str) -> bool:
        """Whether one of these symbols comes next."""
        return self.next.kind == "symbol" and self.next.text in symbols

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.next
        self.at += 1
        return token

    def error(self, reason: str) -> ValueError:
        """The error at the current position."""
        return unreadable(self.formula, reason, self.next.start)

    def expect(self, symbol: str) -> None:
        """Consume a symbol that must come next."""
        if not self.comes(symbol):
            if not self.next.text:
                raise self.error(f"{symbol!r} is missing at its end")
            raise self.error(f"{symbol!r} expected, found {shown(self.next.text)}")
        self.at += 1

    def misplaced(self) -> str:
        """What to write instead of the symbol that comes next, in terms of what stands around it."""
        before, after = self.tokens[self.at - 1], self.after
        left, right = ("a" if before.kind in _NO_NAME else before.text, "b" if after.kind in _NO_NAME else after.text)
        return misplaced(self.next.text, left, right)

    def nested(self, depth: int) -> int:
        """One level deeper, within the limit."""
        if depth >= MAX_NESTING:
            raise self.error(f"more than {MAX_NESTING} nested parentheses or signs")
        return depth + 1

    def expression(self, depth: int = 0, at_least: int = 0) -> Node:
        """An expression of operators that bind at least so tightly."""
        left = self._signed(self.nested(depth))
        while self.next.kind == "symbol" and at_least <= BINARY.get(self.next.text, -1) < UNARY:
            symbol = self.take().text
            right = self.expression(depth + 1, BINARY[symbol] + 1)
            left = self._counted(Operation(symbol, (left, right)))
            if symbol in COMPARISONS and self.next.text in COMPARISONS:
                raise self.error("comparisons do not chain: write (a < b) & (b < c)")
        return left

    def _counted(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.error(f"an expression of more than {MAX_NODES} parts; make it a column of the data first")
        return node

    def _signed(self, depth: int) -> Node:
        if self.next.kind == "symbol" and self.next.text in SIGNS:
            symbol = self.take().text
            return self._counted(Operation(symbol, (self._signed(self.nested(depth)),)))
        base = self._atom(depth)
        if self.comes("**"):
            self.at += 1
            return self._counted(Operation("**", (base, self._signed(self.nested(depth)))))
        return base

    def _atom(self, depth: int) -> Node:
        token = self.take()
        if token.kind == "number":
            return self._counted(Constant(self.number(token)))
        if token.kind == "string":
            return self._counted(Constant(self._string(token)))
        if token.kind == "quoted":
            return self._counted(Column(token.text[1:-1], quoted=True))
        if token.kind == "name":
            return self._counted(self._named(token, depth))
        if token.text == "(":
            inner = self.expression(depth)
            if not self.comes(","):
                self.expect(")")
                return inner
            return self._counted(Items((inner, *self._rest(depth, ")")), is_tuple=True))
        if token.text == "[":
            values = () if self.comes("]") else (self.expression(depth),)
            return self._counted(Items((*values, *self._rest(depth, "]"))))
        self.at -= 1
        raise self.error(f"unexpected {shown(token.text)}" if token.text else "it ends where something is expected")

    def _rest(self, depth: int, closing: str) -> tuple[Node, ...]:
        """What follows the first of several values, up to the closing bracket."""
        values = []
        while self.comes(","):
            self.at += 1
            if not self.comes(closing):
                values.append(self.expression(depth))
        self.expect(closing)
        return tuple(values)

    def _named(self, token: Token, depth: int) -> Node:
        if self.comes("("):
            return self.call(token, depth)
        if token.text in _WORDS:
            return Constant(_WORDS[token.text])
        if token.text.isidentifier():
            return Column(token.text)
        if token.text.startswith("contr."):
            return Reference(token.text)
        if token.text == ".":
            raise ValueError(
                "formula: '.' stands for the other columns as terms, and cannot be part of an expression; write a term "
                "for each, as in log(x) + log(z)"
            )
        raise ValueError(
            f"formula: {shown(token.text)} is not known; inside an expression a column with such a name is written in "
            f"backticks, `{token.text}`"
        )

    def call(self, name: Token, depth: int) -> Call:
        """The call of a function whose name has been read."""
        self.expect("(")
        arguments: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        while not self.comes(")"):
            if self.next.kind == "name" and self.after.text == "=":
                word = self.take().text
                self.at += 1
                if word in dict(keywords):
                    raise self.error(f"argument {shown(word)} appears twice")
                keywords.append((word, self.expression(self.nested(depth))))
            elif keywords:
                raise self.error("an argument without a name follows one with a name")
            else:
                arguments.append(self.expression(self.nested(depth)))
            if not self.comes(")"):
                self._next_argument(name)
        self.at += 1
        return Call(name.text, tuple(arguments), tuple(keywords))

    def _next_argument(self, function: Token) -> None:
        """Consume the comma between two arguments of a call."""
        if self.comes(","):
            self.at += 1
        elif not self.next.text:
            raise self.error(f"')' is missing after '{function.text}('")
        elif self.comes("%in%") or self.next.text == "in":
            raise self.error("one of several levels is I((g == 'a') | (g == 'b'))")
        elif self.tokens[self.at - 1].text == "not":
            raise self.error("'not' is written ~: I(~(x > 0))")
        else:
            raise self.error(f"',' or ')' expected, found {shown(self.next.text)}")

    def number(self, token: Token) -> int | float:
        """The value of a number."""
        digits = token.text.replace("_", "")
        if len(digits) > MAX_DIGITS:
            raise self.error(f"a number of {len(digits):,} digits")
        value = int(digits) if digits.isdigit() else float(digits)
        if not isfinite(value):
            raise self.error(f"the number {digits} is too large")
        return value

    def _string(self, token: Token) -> str:
        def plain(match: re.Match[str]) -> str:
            if match.group(1) not in _ESCAPES:
                raise self.error(f"unknown escape {match.group()!r} in a string")
            return _ESCAPES[match.group(1)]

        return re.sub(r"\\(.)", plain, token.text[1:-1], flags=re.DOTALL)
