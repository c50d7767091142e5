"""Features from terms: which columns each term makes, so that none is redundant, and their values.

A factor in a term is coded with all its levels, or without what lower terms already span: the rule of R and patsy
(Chambers and Hastie, *Statistical Models in S*, 1992, section 2.4; patsy's manual, "Redundancy and categorical
factors").  A product of factors with l1 and l2 columns has l1 l2, the first running fastest.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.formula.contrasts import FactorColumns, factor_columns
from bayes_softmax.data.formula.expressions import Node, factor_name
from bayes_softmax.data.formula.terms import Term

MAX_COLUMNS = 200_000


class Factor(NamedTuple):
    """A factor of a term, described by the columns it can make.

    ``levels`` are those of a categorical factor, else None and ``fields`` name its numeric columns; ``spans`` says
    whether these add up to a constant, so that the first can be left out.
    """

    node: Node
    levels: tuple[Any, ...] | None
    fields: tuple[str, ...] = ()
    spans: bool = False

    @property
    def name(self) -> str:
        """Its name, with which the names of its columns begin."""
        return factor_name(self.node)

    def columns(self, *, reduced: bool) -> FactorColumns:
        """The columns it makes."""
        if self.levels is not None:
            return factor_columns(self.node, self.name, self.levels, reduced=reduced)
        shown = tuple(range(int(reduced), len(self.fields)))
        return FactorColumns(None, shown, tuple(self.fields[j] for j in shown))


class TermColumns(NamedTuple):
    """Neighbouring features that a term makes: products of the columns of some factors, times ``scale``.

    ``key`` is that of the term, which may make several such products.
    """

    factors: tuple[Factor, ...]
    columns: tuple[FactorColumns, ...]
    scale: float
    start: int
    key: frozenset[str]

    @property
    def size(self) -> int:
        """Its number of features."""
        return prod(len(coding.fields) for coding in self.columns)

    def names(self) -> list[str]:
        """Names of its features."""
        return [":".join(reversed(fields)) for fields in product(*(c.fields for c in reversed(self.columns)))]


class Layout(NamedTuple):
    """All features of a formula; ``vanished`` are factors of one level that left a term without features."""

    has_intercept: bool
    terms: tuple[TermColumns, ...]
    names: tuple[str, ...]
    vanished: tuple[str, ...]


# ---------------------------------------------------------------------- which columns


CodedFactor = tuple[str, bool]  # a factor, and whether it is reduced
CodedFactors = tuple[CodedFactor, ...]


def lay_out(terms: Sequence[Term], factors: Mapping[str, Factor]) -> Layout:
    """The features that terms make."""
    spanned: set[frozenset[CodedFactor]] = set()
    found: list[TermColumns] = []
    names: list[str] = []
    vanished: dict[str, None] = {}
    has_intercept, start = False, 0
    for term in terms:
        spans = {frozenset(parts): parts for parts in _spanned_by(term, factors)}
        new = [parts for key, parts in spans.items() if key not in spanned]
        spanned |= spans.keys()
        for parts in _simplified(new):
            if not parts:
                has_intercept = True
                continue
            used = tuple(factors[name] for name, _ in parts)
            columns = tuple(factors[name].columns(reduced=reduced) for name, reduced in parts)
            made = TermColumns(used, columns, term.scale, start, term.key)
            start += made.size
            if start > MAX_COLUMNS:
                raise ValueError(f"formula: its terms make more than {MAX_COLUMNS:,} features")
            if not made.size:
                vanished |= {f.name: None for f, c in zip(used, columns, strict=True) if not c.fields}
                continue
            found.append(made)
            names += made.names()
    return Layout(has_intercept, tuple(found), tuple(names), tuple(vanished))


def _spanned_by(term: Term, factors: Mapping[str, Factor]) -> list[CodedFactors]:
    """The span of a term: factors whose columns add up to a constant are present, reduced, or absent."""
    choices: list[tuple[CodedFactor | None, ...]] = []
    for node in term.factors:
        factor = factors[factor_name(node)]
        free = factor.spans or factor.levels is not None
        choices.append(((factor.name, True), None) if free else ((factor.name, False),))
    return [tuple(part for part in parts if part is not None) for parts in product(*choices)]


def _simplified(several: Sequence[CodedFactors]) -> list[CodedFactors]:
    """The fewest products with the same span: ``b:(reduced a) + b`` is ``b:a``."""
    found: list[CodedFactors] = []
    for parts in sorted(several, key=len):
        merged = False
        for other in found:
            extra = set(parts) - set(other)
            if len(parts) != len(other) + 1 or len(extra) != 1:
                continue
            (name, reduced) = extra.pop()
            if reduced:
                whole = tuple((name, False) if part == (name, True) else part for part in parts)
                rest = [known for known in found if known != other]
                found = _simplified([*rest, *([] if _among(whole, rest) else [whole])])
                merged = True
                break
        if not merged and not _among(parts, found):
            found.append(parts)
    return found


def _among(parts: CodedFactors, several: Sequence[CodedFactors]) -> bool:
    return any(set(parts) == set(other) for other in several)


# ---------------------------------------------------------------------- their values


class Indicators(NamedTuple):
    """Columns with at most one nonzero entry per row: ``value`` at ``position`` (-1: none)."""

    position: IntArray
    value: FloatArray | None
    size: int


def fill(X: FloatArray, terms: Sequence[TermColumns], values: Callable[[Factor], np.ndarray[Any, Any]]) -> bool:
    """Write the features of terms into ``X`` (N, p), zero so far; whether all are finite.

    Indicators write their nonzero entries only: a factor with thousands of levels leaves most of the memory untouched.
    """
    finite = True
    for term in terms:
        made: Indicators | FloatArray | None = None
        for factor, coding in zip(term.factors, term.columns, strict=True):
            made = _times(made, _coded(factor, coding, values(factor)))
        target = X[:, term.start : term.start + term.size]
        if isinstance(made, Indicators):
            rows = np.flatnonzero(made.position >= 0)
            ones = np.ones(1) if made.value is None else made.value[rows]
            target[rows, made.position[rows]] = term.scale * ones
        else:
            assert made is not None
            ones = made if term.scale == 1.0 else term.scale * made
            target[:] = ones
        finite &= bool(np.isfinite(ones).all())
    return finite


def _coded(factor: Factor, coding: FactorColumns, values: np.ndarray[Any, Any]) -> Indicators | FloatArray:
    """The columns of a factor."""
    if factor.levels is None:
        columns = values[:, None] if values.ndim == 1 else values
        return columns if len(coding.shown) == columns.shape[1] else columns[:, list(coding.shown)]
    if coding.matrix is not None:
        taken: FloatArray = coding.matrix[values]
        return taken
    place = np.full(len(factor.levels), -1)
    place[list(coding.shown)] = np.arange(len(coding.shown))
    return Indicators(place[values], None, len(coding.shown))


def _times(left: Indicators | FloatArray | None, right: Indicators | FloatArray) -> Indicators | FloatArray:
    """All products of a column of the one with a column of the other, the left one running fastest."""
    if left is None:
        return right
    if isinstance(left, Indicators) and isinstance(right, Indicators):
        position = np.where((left.position < 0) | (right.position < 0), -1, left.position + left.size * right.position)
        known = [v for v in (left.value, right.value) if v is not None]
        value = known[0] * known[1] if len(known) == 2 else known[0] if known else None
        return Indicators(position, value, left.size * right.size)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Indicators) and not isinstance(other, Indicators) and other.shape[1] == 1:
            value = other[:, 0] if one.value is None else one.value * other[:, 0]
            return one._replace(value=value)
    a, b = _dense(left), _dense(right)
    return (b[:, :, None] * a[:, None, :]).reshape(len(a), a.shape[1] * b.shape[1])


def _dense(columns: Indicators | FloatArray) -> FloatArray:
    if not isinstance(columns, Indicators):
        return columns
    dense = np.zeros((len(columns.position), columns.size))
    rows = np.flatnonzero(columns.position >= 0)
    dense[rows, columns.position[rows]] = 1.0 if columns.value is None else columns.value[rows]
    return dense
