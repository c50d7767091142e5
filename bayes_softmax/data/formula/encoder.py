"""Formulas: from a string and a data frame to features, and again for new data.

What a formula or a file says is data, never code: the text becomes terms of columns, constants and calls
(:mod:`~bayes_softmax.data.formula.parsing`), whose functions are looked up by name in a fixed table with checked
arguments (:mod:`~bayes_softmax.data.formula.transforms`).  Nothing is evaluated by Python or by formulaic, whose
splines, polynomials and contrast matrices are called directly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.formula.columns import (
    Columns,
    ColumnType,
    as_frame,
    check_levels,
    column_type_of,
    read_columns,
)
from bayes_softmax.data.formula.evaluation import Evaluator, factor_values, make_factor, raise_not_finite
from bayes_softmax.data.formula.expressions import COMPARISONS, Call, Node, Operation, columns_of, factor_name, walk
from bayes_softmax.data.formula.features import Factor, Layout, fill, lay_out
from bayes_softmax.data.formula.named import NamedTerm
from bayes_softmax.data.formula.terms import Term, terms_to_data
from bayes_softmax.data.formula.transforms import key_of, transforms_in
from bayes_softmax.data.formula_data import formula_frame
from bayes_softmax.data.frames import raise_if_missing, require_columns

# How a formula is read.  1, that of files of versions 1 and 2: booleans and comparisons are numbers, exp10(x) is x**10.
# 2: booleans and comparisons are factors of two levels, as in R and patsy; exp10(x) is 10**x.
# 3: beside an intercept, a natural cubic spline without constraints leaves out its first column, as its columns add up
# to one.
EDITION = 3


class Encoded(NamedTuple):
    """Features (N, p), row index, and the columns that they were made of."""

    X: FloatArray
    index: Any
    columns: Columns


@dataclass(frozen=True)
class FormulaEncoder:
    """The right-hand side of a formula, fitted to data: encodes new data the same way.

    Attributes
    ----------
    formula
        Right-hand side, as it was written: for display only.
    variables
        The columns it reads.
    state
        State of stateful transforms (``center``, ``bs``, ...), by the text of the call.
    terms
        The terms of the right-hand side.
    edition
        Number of the rules by which it is read.
    """

    formula: str
    variables: Mapping[str, ColumnType]
    state: Mapping[str, dict[str, Any]]
    terms: tuple[Term, ...]
    edition: int = EDITION

    @cached_property
    def layout(self) -> Layout:
        """The features of each term."""
        factors: dict[str, Factor] = {}
        for node in _factors(self.terms):
            factors[factor_name(node)] = make_factor(node, self.variables, self.state, edition=self.edition)
        return lay_out(self.terms, factors)

    @property
    def has_intercept(self) -> bool:
        """Whether the formula has an intercept."""
        return self.layout.has_intercept

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of the features, without the intercept."""
        return self.layout.names

    @property
    def one_level(self) -> tuple[str, ...]:
        """Factors of one level, which make no feature where they would be coded against an intercept."""
        return self.layout.vanished

    @cached_property
    def named_terms(self) -> tuple[NamedTerm, ...]:
        """The terms but the intercept, with the features that each makes."""
        made: dict[frozenset[str], list[str]] = {term.key: [] for term in self.terms if term.factors}
        for part in self.layout.terms:
            made[part.key] += part.names()
        return tuple(
            NamedTerm(term.name, term.key, frozenset().union(*map(columns_of, term.factors)), tuple(made[term.key]))
            for term in self.terms
            if term.factors
        )

    def encode(self, data: Any, *, if_missing: str | None = None) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data; ``if_missing`` is the advice on missing values.

        Raises
        ------
        ValueError
            A missing column or value, or a level not seen when the model was made: named with its rows.
        TypeError
            A column of another kind than when the model was made.
        """
        encoded = self.encode_columns(data, if_missing)
        return encoded.X, encoded.index

    def encode_columns(self, data: Any, if_missing: str | None = None) -> Encoded:
        """Features as of :meth:`encode`, with the columns they were made of."""
        frame = formula_frame(data, tuple(self.variables)).rename(columns=str)
        require_columns(frame, self.variables)
        raise_if_missing(frame, self.variables, advice=if_missing or "fill it, or leave out such rows")
        columns = self.read(frame)
        if not self.variables:
            return Encoded(np.ones((len(frame), 0)), frame.index, columns)
        X = np.zeros((len(frame), len(self.feature_names)))
        self.write(X, columns, frame.index)
        return Encoded(X, frame.index, columns)

    def read(self, frame: pd.DataFrame) -> Columns:
        """The checked columns of a frame, in the form from which features are made."""
        return read_columns(self.variables, frame, truth=self.edition > 1)

    def write(self, X: FloatArray, columns: Columns, index: Any) -> None:
        """Write the features of columns into ``X`` (N, p), zero so far."""
        rows = Evaluator(columns, self.variables, self.state, index, older=self.edition == 1)
        known: dict[str, np.ndarray[Any, Any]] = {}

        def values(factor: Factor) -> np.ndarray[Any, Any]:
            if factor.name not in known:
                known[factor.name] = factor_values(factor, rows)
            return known[factor.name]

        with np.errstate(all="ignore"):
            finite = fill(X, self.layout.terms, values)
        if not finite:
            raise_not_finite(X, self.layout, rows)

    @cached_property
    def stepped(self) -> frozenset[str]:
        """Columns inside comparisons, ``I(x > 1)``: the features are step functions of them."""
        found: set[str] = set()
        for factor in _factors(self.terms):
            for node in walk(factor):
                if isinstance(node, Operation) and node.symbol in COMPARISONS:
                    found |= columns_of(node)
        return frozenset(found)

    def columns(self, data: pd.DataFrame) -> pd.DataFrame:
        """The columns of the formula as it was fitted to them: numbers, booleans, and categoricals with its levels."""
        return as_frame(self.variables, self.read(data), data.index)

    def to_data(self) -> dict[str, Any]:
        """What :func:`~bayes_softmax.data.formula.stored.encoder_from_data` reads: names, numbers and lists."""
        return {
            "formula": self.formula,
            "terms": terms_to_data(self.terms),
            "variables": {name: vars(v) for name, v in self.variables.items()},
            "state": self.state,
            "edition": self.edition,
        }


def fit_encoder(formula: str, terms: tuple[Term, ...], data: pd.DataFrame, constant: str = "error") -> FormulaEncoder:
    """Learn levels and transform states from the data, which have the columns that the terms of the formula read.

    A factor of one level is an error where it would be coded against an intercept, unless ``constant`` is ``"drop"``.
    """
    names = required_columns(terms)
    raise_if_missing(data, names, advice="fill it, or pass missing='drop' to leave out such rows")
    coded = coded_columns(terms)
    variables = {name: column_type_of(data[name], name, coded=name in coded) for name in names}
    _check_variables(variables, coded, len(data))
    states: dict[str, dict[str, Any]] = {}
    encoder = FormulaEncoder(formula, variables, states, terms)
    calls = stateful_calls(terms)
    if calls:
        evaluator = Evaluator(encoder.read(data), variables, states, data.index, fitting=True)
        with np.errstate(all="ignore"):
            for call in calls:
                evaluator.of(call)
    _check_features(encoder, constant)
    return encoder


def encoder_of_types(
    formula: str,
    terms: tuple[Term, ...],
    variables: Mapping[str, ColumnType],
    states: Mapping[str, dict[str, Any]],
    n_obs: int,
    constant: str,
) -> FormulaEncoder:
    """The encoder of columns of known types, with the states of its transforms; checked like one that was fitted."""
    _check_variables(variables, coded_columns(terms), n_obs)
    encoder = FormulaEncoder(formula, variables, states, terms)
    _check_features(encoder, constant)
    return encoder


def _check_variables(variables: Mapping[str, ColumnType], coded: set[str], n_obs: int) -> None:
    for name in variables:
        if name.lower() == "intercept":
            raise ValueError(f"data: column {name!r} has the name of the intercept; rename it")
    for name in sorted(coded):
        check_levels(variables[name], name, n_obs)


def coded_columns(terms: tuple[Term, ...]) -> set[str]:
    """Columns that terms read in ``C()``, where numbers are names of levels."""
    return columns_in(terms, within_c=True)


def _check_features(encoder: FormulaEncoder, constant: str) -> None:
    """Raise for a factor of one level, unless these are to be dropped, and for two features of one name."""
    if constant == "error" and encoder.one_level:
        name = encoder.one_level[0]
        raise ValueError(
            f"formula: factor {name!r} has one level: it is constant, which is what the intercept already is; "
            "leave it out, or pass constant='drop'"
        )
    names = encoder.feature_names
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"formula: two features would be called {name!r}; rename the column of that name")


def required_columns(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """Columns that the right-hand side of a formula reads."""
    return tuple(sorted(columns_in(terms)))


def _factors(terms: tuple[Term, ...]) -> list[Node]:
    return [factor for term in terms for factor in term.factors]


def columns_in(terms: tuple[Term, ...], *, within_c: bool = False) -> set[str]:
    """Columns that terms read, or those of them that they read in ``C()``."""
    read = [n for n in _factors(terms) if not within_c or (isinstance(n, Call) and n.function == "C")]
    return {name for node in read for name in columns_of(node)}


def stateful_calls(terms: tuple[Term, ...]) -> list[Call]:
    """Calls that keep a state, each once, inner ones first."""
    calls = {key_of(call): call for node in _factors(terms) for call in reversed(transforms_in(node))}
    return list(calls.values())
