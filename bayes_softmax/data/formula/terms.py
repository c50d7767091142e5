"""The algebra of terms: ``a*b``, ``a:b``, ``a/b``, ``(a + b)**2`` and ``- a`` become a list of products of factors."""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from bayes_softmax.data.formula.expressions import Column, Node, factor_name, from_data, to_data
from bayes_softmax.data.formula.parsing import Reader, Token, shortened
from bayes_softmax.data.formula.transforms import check_factor

MAX_TERMS = 10_000  # of a formula
MAX_ORDER = 8  # factors in one term: its coding looks at every subset of them
MAX_POWER = 100

_BAR = "(1 | g) asks for effects that vary by group, which formulas do not have; use g as a factor, 'y ~ x + g'"


@dataclass(frozen=True)
class Term:
    """A product of factors, none for the intercept, times a number."""

    factors: tuple[Node, ...] = ()
    scale: float = 1.0

    @property
    def key(self) -> frozenset[str]:
        """What makes two terms the same: their factors in any order."""
        return frozenset(map(factor_name, self.factors))


Terms = dict[frozenset[str], Term]
INTERCEPT = Term()


def split_formula(formula: str) -> tuple[tuple[str, ...], str]:
    """Response columns and right-hand side of ``"y ~ x + z"``; several responses (``"a + b + c ~ x"``) are counts."""
    if not isinstance(formula, str):
        raise TypeError(f"formula={formula!r} must be a string such as 'y ~ x + z'")
    shown = shortened(formula)
    sides = re.match(r"((?:`[^`]*`|[^`~])*)~(.*)", formula, re.DOTALL)
    if sides is None:
        raise ValueError(f"formula={shown!r} must have one '~', as in 'y ~ x + z'")
    left, right = (side.strip() for side in sides.groups())
    if not left or not right:
        raise ValueError(f"formula={shown!r} needs a response on the left and terms on the right of '~'")
    return tuple(_response(part.strip(), shown) for part in re.findall(r"(?:`[^`]*`|[^`+])+|(?<=\+)$", left)), right


def _response(part: str, shown: str) -> str:
    """The column that a part of the left-hand side names."""
    if len(part) > 2 and part[0] == part[-1] == "`":
        return part[1:-1]
    if called := re.match(r"(\w+)\s*\((.*)\)$", part, re.DOTALL):
        name, inner = called.groups()
        hint = f"labels of any type are classes as they are: '{inner} ~ ...'"
        if name == "cbind":
            hint = f"columns of counts are joined by '+': '{' + '.join(p.strip() for p in inner.split(','))} ~ ...'"
        raise ValueError(f"formula={shown!r}: the response is the name of a column, not {part!r}; {hint}")
    if not part or "`" in part:
        raise ValueError(f"formula={shown!r} needs a response on the left and terms on the right of '~'")
    return part


def parse_terms(right: str) -> tuple[Term, ...]:
    """The terms of a right-hand side, ordered by their number of factors; the intercept is among them."""
    reader = Reader(right)
    terms = _sum(reader, {INTERCEPT.key: INTERCEPT}, 0)
    if reader.next.kind != "end":
        _unfinished(reader)
    for term in terms.values():
        for factor in term.factors:
            check_factor(factor)
    return tuple(sorted(terms.values(), key=lambda term: len(term.factors)))


def _unfinished(reader: Reader) -> NoReturn:
    """Raise with the reason why reading stopped before the end."""
    token = reader.next
    if token.text == "|":
        raise ValueError(
            f"formula: {reader.formula!r} has several parts ('|' or '~'); give one right-hand side. {_BAR}"
        )
    if token.text == "~":
        raise ValueError(f"formula={shortened(reader.formula)!r} must have one '~', as in 'y ~ x + z'")
    raise reader.error(f"an operator is expected before {token.text!r}")


def _sum(reader: Reader, terms: Terms, depth: int) -> Terms:
    """Terms added and taken away; ``0`` is ``-1``."""
    terms, first = dict(terms), True
    while first or reader.comes("+", "-"):
        adds = True
        while reader.comes("+", "-"):
            adds ^= reader.take().text == "-"
        first = False
        if reader.next.text == "0" and reader.after.text not in ("*", "/", ":", "**", "^", "%in%"):
            reader.take()
            found, adds = {INTERCEPT.key: INTERCEPT}, not adds
        else:
            found = _products(reader, depth)
        for key, term in found.items():
            if not adds:
                terms.pop(key, None)
            elif terms.setdefault(key, term).scale != term.scale:
                raise reader.error(f"the term {':'.join(map(factor_name, term.factors))} appears with two factors")
        _check_size(reader, len(terms))
    return terms


def _products(reader: Reader, depth: int) -> Terms:
    """Terms joined by ``*``, ``/`` and ``%in%``."""
    left = _interactions(reader, depth)
    while reader.comes("*", "/", "%in%"):
        symbol = reader.take().text
        right = _interactions(reader, depth)
        if symbol == "*":
            left = _joined(left, right, _crossed(reader, left, right))
            continue
        parents, nested = (left, right) if symbol == "/" else (right, left)
        whole: Terms = {INTERCEPT.key: INTERCEPT}
        for key, parent in parents.items():
            whole = _crossed(reader, whole, {key: parent})
        left = _joined(parents, _crossed(reader, whole, nested))
    return left


def _joined(*several: Terms) -> Terms:
    """All terms, each where it first appears."""
    found: Terms = {}
    for terms in several:
        for key, term in terms.items():
            found.setdefault(key, term)
    return found


def _interactions(reader: Reader, depth: int) -> Terms:
    """Terms joined by ``:``."""
    left = _powers(reader, depth)
    while reader.comes(":"):
        reader.take()
        left = _crossed(reader, left, _powers(reader, depth))
    return left


def _powers(reader: Reader, depth: int) -> Terms:
    """``(a + b)**2``: interactions of up to so many of the terms."""
    base = _atom(reader, depth)
    if not reader.comes("**", "^"):
        return base
    reader.take()
    token = reader.take()
    power = reader.number(token) if token.kind == "number" else 0
    if not isinstance(power, int) or not 1 <= power <= MAX_POWER:
        reader.at -= 1
        raise reader.error(
            f"a power of terms must be a whole number from 1 to {MAX_POWER}, as in (a + b)**2; "
            "the power of a column is I(x ** 2)"
        )
    result = base
    for _ in range(power - 1):
        before, result = result, _crossed(reader, result, base)
        if result.keys() == before.keys():
            break
    return result


def _crossed(reader: Reader, left: Terms, right: Terms) -> Terms:
    """Every product of a term on the left with a term on the right."""
    _check_size(reader, len(left) * len(right) // MAX_POWER)  # most may be the same: the result is checked again
    found: Terms = {}
    for a in left.values():
        for b in right.values():
            names = {factor_name(factor) for factor in a.factors}
            factors = (*a.factors, *(factor for factor in b.factors if factor_name(factor) not in names))
            if len(factors) > MAX_ORDER:
                raise reader.error(f"an interaction of more than {MAX_ORDER} factors")
            product = Term(factors, a.scale * b.scale)
            found.setdefault(product.key, product)
        _check_size(reader, len(found))
    return found


def _check_size(reader: Reader, n_terms: int) -> None:
    if n_terms > MAX_TERMS:
        raise ValueError(f"formula: {shortened(reader.formula)!r} has more than {MAX_TERMS:,} terms")


def _atom(reader: Reader, depth: int) -> Terms:
    """A column, an expression, a number, or terms in parentheses."""
    if reader.comes("("):
        reader.take()
        terms = _sum(reader, {}, reader.nested(depth))
        if reader.comes("|"):
            raise ValueError(f"formula: {shortened(reader.formula)!r} cannot be read: {_BAR}")
        reader.expect(")")
        return terms
    reader.nodes = 0
    token = reader.take()
    if token.kind == "number":
        term = Term(scale=float(reader.number(token)))
        return {term.key: term}
    term = Term((_factor(reader, token),))
    return {term.key: term}


def _factor(reader: Reader, token: Token) -> Node:
    if token.kind == "quoted":
        return Column(token.text[1:-1])
    if token.kind == "name" and reader.comes("("):
        return reader.call(token, 1)
    if token.text == ".":
        raise ValueError(f"formula: '.' in {shortened(reader.formula)!r} is not supported; name the columns")
    if token.kind == "name":
        return Column(token.text)
    if token.text == "{":
        inner = reader.expression()
        reader.expect("}")
        return inner
    reader.at -= 1
    if token.kind == "end":
        raise reader.error("a term is missing at its end")
    raise reader.error(f"unexpected {token.text!r}")


def terms_to_data(terms: tuple[Term, ...]) -> list[Any]:
    """Plain lists for a file."""
    return [[term.scale, [to_data(factor) for factor in term.factors]] for term in terms]


def terms_from_data(data: Any) -> tuple[Term, ...]:
    """The terms of :func:`terms_to_data`, checked like those of a formula; a ValueError where they are none."""
    terms = []
    for item in data if isinstance(data, list) else [data]:
        match item:
            case [float(scale) | int(scale), list(factors)] if len(factors) <= MAX_ORDER:
                terms.append(Term(tuple(map(from_data, factors)), float(scale)))
            case _:
                raise ValueError(f"{str(item)[:80]} is not a term of a formula")
    for term in terms:
        for factor in term.factors:
            check_factor(factor)
    if len(terms) > MAX_TERMS or len({term.key for term in terms}) < len(terms):
        raise ValueError("the terms of the formula are too many, or appear twice")
    return tuple(terms)
