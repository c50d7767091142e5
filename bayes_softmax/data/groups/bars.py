"""Bars of a formula, ``(1 + x | person)``: terms whose coefficients vary over the levels of a grouping."""

from typing import NamedTuple

from bayes_softmax.core.checks import shown
from bayes_softmax.data.formula.parsing import Token, shortened, tokens_of

_EXAMPLE = "as in 'y ~ x + (1 | person)'"


class Bar(NamedTuple):
    """Terms, the columns that together are the grouping, and whether effects of different terms are correlated.

    ``source`` says in messages where its columns are: in the data, or in the argument ``groups``.
    """

    terms: str
    columns: tuple[str, ...]
    coupled: bool
    source: str = "data"


class Sides(NamedTuple):
    """A right-hand side without its bars, and these."""

    terms: str
    bars: tuple[Bar, ...]


def split_bars(right: str) -> Sides:
    """Take the bars out of a right-hand side; ``(1 | a/b)`` are those of ``a`` and of ``a:b``.

    Raises
    ------
    ValueError
        A bar that is not in parentheses of its own, is no sum with the other terms, or names no grouping.
    """
    tokens, bars, kept, at = tokens_of(right), list[Bar](), list[str](), 0
    for opening, closing in _parentheses(tokens):
        inner = tokens[opening + 1 : closing]
        if "|" not in _outer(inner):
            continue
        before, after = (tokens[opening - 1] if opening else None), tokens[closing + 1]
        if (before is not None and before.text != "+") or after.text not in ("", "+", "-"):
            raise _unreadable(right, "a bar is added to the other terms")
        start = tokens[opening].start if before is None else before.start
        kept.append(right[at:start])
        at = tokens[closing].start + 1
        bars += _bars_of(right, inner, tokens[closing].start)
    kept.append(right[at:])
    terms = "".join(kept).strip()
    if terms.startswith("+"):  # what stood before it was a bar
        terms = terms[1:].strip()
    return Sides(terms or "1", tuple(bars))


def _parentheses(tokens: list[Token]) -> list[tuple[int, int]]:
    """Places of parentheses around terms, outermost ones; those of a call hold arguments."""
    found, depth, opening, is_call = [], 0, 0, False
    for i, token in enumerate(tokens):
        if token.kind != "symbol":
            continue
        if token.text == "(":
            if depth == 0:
                opening, is_call = i, i > 0 and tokens[i - 1].kind == "name"
            depth += 1
        elif token.text == ")" and depth:
            depth -= 1
            if depth == 0 and not is_call:
                found.append((opening, i))
    return found


def _outer(tokens: list[Token]) -> list[str]:
    """The symbols outside parentheses, an empty text for others: place by place."""
    found, depth = [], 0
    for token in tokens:
        if token.kind == "symbol" and token.text == ")":
            depth -= 1
        found.append(token.text if depth == 0 and token.kind == "symbol" else "")
        if token.kind == "symbol" and token.text == "(":
            depth += 1
    return found


def _bars_of(right: str, inner: list[Token], end: int) -> list[Bar]:
    """The bars that one pair of parentheses holds."""
    places = [i for i, text in enumerate(_outer(inner)) if text == "|"]
    first, last = places[0], places[-1]
    if len(places) > 2 or (len(places) == 2 and last - first > 1):
        raise _unreadable(
            right, "parentheses hold one bar; effects of all classes and terms of a grouping are correlated as it is"
        )
    if first == 0:
        raise _unreadable(right, "terms are missing before the bar; (1 | g) has an intercept for each level")
    terms = right[inner[0].start : inner[first].start].strip()
    group, coupled = inner[last + 1 :], len(places) == 1
    parts: list[tuple[str, ...]] = [()]
    for i, token in enumerate(group):
        if i % 2 == 0 and token.kind in ("name", "quoted"):
            parts[-1] += (token.text.strip("`"),)
        elif i % 2 == 1 and token.text == "/":
            parts.append(())
        elif not (i % 2 == 1 and token.text == ":"):
            parts = [()]
            break
    if not all(parts) or len(group) % 2 == 0:
        written = right[inner[last].start + 1 : end].strip()
        raise _unreadable(
            right, f"after the bar a grouping is named, 'g', 'a:b' or 'a/b' (a, and b within a), not {shown(written)}"
        )
    nested = [tuple(name for part in parts[: i + 1] for name in part) for i in range(len(parts))]
    return [Bar(terms, columns, coupled) for columns in nested]


def _unreadable(right: str, reason: str) -> ValueError:
    return ValueError(f"formula: {shortened(right)!r} cannot be read: {reason}, {_EXAMPLE}")
