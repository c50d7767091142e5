"""The algebra of terms: ``a*b``, ``a:b``, ``a/b``, ``(a + b)**2`` and ``- a`` become a list of products of factors."""

from dataclasses import dataclass
from typing import Any, NoReturn

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.data.formula.expressions import Column, Node, factor_name, from_data, text, to_data, walk
from bayes_softmax.data.formula.hints import group_effect, misplaced_word
from bayes_softmax.data.formula.parsing import Reader, Token, shortened
from bayes_softmax.data.formula.transforms import check_factor

MAX_TERMS = 10_000  # of a formula
MAX_ORDER = 8  # factors in one term: its coding looks at every subset of them
MAX_POWER = 100


@dataclass(frozen=True)
class Term:
    """A product of factors, none for the intercept, times a number."""

    factors: tuple[Node, ...] = ()
    scale: float = 1.0

    @property
    def key(self) -> frozenset[str]:
        """What makes two terms the same: their factors in any order."""
        return frozenset(map(factor_name, self.factors))

    @property
    def name(self) -> str:
        """Its factors as they are written."""
        return ":".join(map(factor_name, self.factors))


Terms = dict[frozenset[str], Term]
INTERCEPT = Term()


def parse_terms(right: str, *, older: bool = False) -> tuple[Term, ...]:
    """The terms of a right-hand side, ordered by their number of factors; the intercept is among them."""
    return read_terms(Reader(right, older=older))


def read_terms(reader: Reader) -> tuple[Term, ...]:
    """The terms of the formula of a reader."""
    terms = _sum(reader, {INTERCEPT.key: INTERCEPT}, 0)
    if reader.next.kind != "end":
        _unfinished(reader)
    for term in terms.values():
        for factor in term.factors:
            check_factor(factor)
    return tuple(sorted(terms.values(), key=lambda term: len(term.factors)))


def _unfinished(reader: Reader) -> NoReturn:
    """Raise with the reason why reading stopped before the end."""
    token, before = reader.next, reader.tokens[reader.at - 1]
    if token.text == "|":
        raise _bar(reader)
    if token.text == "~":
        raise ValueError(f"formula: {shortened(reader.formula)!r} has a second '~'; one is enough, as in 'y ~ x + z'")
    if token.kind == "symbol":
        raise reader.error(f"unexpected {shown(token.text)}; {reader.misplaced()}")
    column = token.text if token.kind == "name" else "b"
    hint = f"; {misplaced_word(before.text, token.text, column)}" if before.kind == token.kind == "name" else ""
    raise reader.error(f"an operator is expected before {shown(token.text)}{hint}")


def _bar(reader: Reader) -> ValueError:
    """The error for ``(1 | g)``, which asks for effects of groups."""
    group = next((t.text for t in reader.tokens[reader.at :] if t.kind in ("name", "quoted")), "g")
    return ValueError(f"formula: {shortened(reader.formula)!r} cannot be read: {group_effect(group)}")


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
        if adds:
            _add(reader, terms, found)
        else:
            _take_away(reader, terms, found)
        _check_size(reader, len(terms))
    return terms


def _add(reader: Reader, terms: Terms, found: Terms) -> None:
    """Add terms to others; the same one twice is one."""
    for key, term in found.items():
        if not key and term.scale != 1.0:
            raise reader.error(f"{term.scale:g} is not a term; a column times a number is I({term.scale:g} * x)")
        known = terms.setdefault(key, term)
        if known.scale != term.scale:
            scales = f"times {known.scale:g} and times {term.scale:g}"
            raise reader.error(f"the term {term.name} appears twice, {scales}")


def _take_away(reader: Reader, terms: Terms, found: Terms) -> None:
    """Take terms away; a column that is not among them is an error, for its name may be misspelt."""
    used = frozenset() if reader.others is None else reader.others.used
    for key, term in found.items():
        alone = len(key) == 1 or len(found) == 1
        if alone and key and key not in terms and not key <= used and not reader.older:
            hint = did_you_mean(term.name, [t.name for t in terms.values() if t.factors])
            raise ValueError(f"formula: there is no term {shown(term.name)} to take away{hint}")
        terms.pop(key, None)


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
    single = reader.next.text not in ("(", ".")
    base = _atom(reader, depth)
    if not reader.comes("**", "^"):
        return base
    symbol = reader.take().text
    token = reader.take()
    power = reader.number(token) if token.kind == "number" else 0
    if not isinstance(power, int) or not 1 <= power <= MAX_POWER:
        reader.at -= 1
        raise reader.error(
            f"a power of terms must be a whole number from 1 to {MAX_POWER}, as in (a + b)**2; "
            "the power of a column is I(x ** 2)"
        )
    if single and power > 1 and not reader.older:  # in R it is the column itself: the power is lost silently
        _refuse_power(next(iter(base.values())), f"{symbol}{power}")
    result = base
    for _ in range(power - 1):
        before, result = result, _crossed(reader, result, base)
        if result.keys() == before.keys():
            break
    return result


def _refuse_power(term: Term, power: str) -> None:
    """Raise for the power of one column, which is no interaction."""
    for factor in term.factors:
        hint = f"the power of a column is I({text(factor)} ** {power.lstrip('*^')})"
        if not isinstance(factor, Column):
            hint = f"leave {power!r} out"
        raise ValueError(
            f"formula: {term.name}{power} would be {term.name} itself, as powers of terms are interactions; {hint}"
        )


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
            raise _bar(reader)
        if not reader.comes(")") and reader.next.text:
            _unfinished(reader)
        reader.expect(")")
        return terms
    reader.nodes = 0
    token = reader.take()
    if token.text == ".":
        return _others(reader)
    if token.kind == "number":
        term = Term(scale=float(reader.number(token)))
        return {term.key: term}
    term = Term((_factor(reader, token),))
    return {term.key: term}


def _others(reader: Reader) -> Terms:
    """The terms that ``.`` stands for."""
    if reader.others is None:
        raise ValueError(f"formula: '.' in {shortened(reader.formula)!r} needs the data whose columns it stands for")
    if not reader.others.columns:
        raise ValueError("formula: '.' stands for the other columns of the data, but there are none")
    terms = [Term((Column(name),)) for name in reader.others.columns]
    return {term.key: term for term in terms}


def _factor(reader: Reader, token: Token) -> Node:
    found: Node | None = None
    if token.kind == "quoted":
        found = Column(token.text[1:-1])
    elif token.kind == "name":
        found = reader.call(token, 1) if reader.comes("(") else Column(token.text)
    elif token.text == "{":
        found = reader.expression()
        reader.expect("}")
    if found is not None:
        reader.named |= {part.name for part in walk(found) if isinstance(part, Column)}
        return found
    reader.at -= 1
    if token.kind == "end":
        raise reader.error("a term is missing at its end")
    hint = "; a column is named without quotes, or in backticks" if token.kind == "string" else ""
    raise reader.error(f"unexpected {shown(token.text)}{hint}")


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
