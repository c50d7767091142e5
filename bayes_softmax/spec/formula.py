"""Formulas: from a string and a data frame to features, and again for new data, by formulaic.

Three traps are closed here before formulaic sees the data: missing values (it drops the rows), unseen levels (it
encodes them as the baseline), and expressions outside a white list (a formula string can execute Python).
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.frames import (
    check_finite,
    describe_rows,
    is_frame,
    numeric_values,
    raise_if_missing,
    require_columns,
    to_pandas,
)

FUNCTIONS = frozenset("log log10 log2 exp exp10 exp2 bs cc cr cs center poly scale standardize C I".split())
NUMPY_FUNCTIONS = frozenset("log log1p log2 log10 exp expm1 sqrt cbrt square abs sin cos tan tanh power".split())
CONTRASTS = frozenset("treatment SAS sum helmert diff poly simple".split())
_NODES = (ast.Expression, ast.Call, ast.Name, ast.Load, ast.Attribute, ast.Constant, ast.BinOp, ast.UnaryOp)
_NODES += (ast.operator, ast.unaryop, ast.keyword, ast.List, ast.Tuple, ast.Compare, ast.cmpop)  # type: ignore[assignment]


@dataclass(frozen=True)
class Variable:
    """A column a formula reads: ``kind`` is ``"numeric"``, ``"boolean"`` or ``"categorical"``.

    ``levels`` are those of a categorical, or the distinct numbers of a column inside ``C()``; ``low`` and ``high``
    are the range of a numeric column.
    """

    kind: str
    levels: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0


def split_formula(formula: str) -> tuple[tuple[str, ...], str]:
    """Response columns and right-hand side of ``"y ~ x + z"``; several responses (``"a + b + c ~ x"``) are counts."""
    if not isinstance(formula, str):
        raise TypeError(f"formula={formula!r} must be a string such as 'y ~ x + z'")
    if formula.count("~") != 1:
        raise ValueError(f"formula={formula!r} must have one '~', as in 'y ~ x + z'")
    left, right = (side.strip() for side in formula.split("~"))
    names = tuple(part.strip().strip("`") for part in left.split("+")) if left else ()
    if not names or not all(names) or not right:
        raise ValueError(f"formula={formula!r} needs a response on the left and terms on the right of '~'")
    return names, right


@dataclass(frozen=True)
class FormulaEncoder:
    """The right-hand side of a formula, fitted to data: encodes new data the same way.

    Attributes
    ----------
    formula
        Right-hand side.
    variables
        The columns it reads.
    state
        State of stateful transforms (``center``, ``bs``, ...), as formulaic keeps it.
    """

    formula: str
    variables: Mapping[str, Variable]
    state: Mapping[str, Any]

    @cached_property
    def _spec(self) -> Any:
        """formulaic's model specification, rebuilt from a frame that shows every level."""
        n = 4 * max([len(v.levels) for v in self.variables.values()] + [8])
        columns = {
            name: np.resize(np.array(v.levels, dtype=object), n) if v.levels else np.linspace(v.low, v.high, n)
            for name, v in self.variables.items()
        }
        frame = self._typed(pd.DataFrame(columns, index=range(n)).infer_objects())
        with np.errstate(all="ignore"):
            matrix = _formulaic(self.formula).get_model_matrix(frame, context={}, na_action="ignore", output="pandas")
        return matrix.model_spec.update(transform_state=dict(self.state))

    @property
    def has_intercept(self) -> bool:
        """Whether the formula has an intercept."""
        return "Intercept" in self._spec.column_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of the features, without the intercept."""
        return tuple(name for name in self._spec.column_names if name != "Intercept")

    def encode(self, data: Any) -> tuple[FloatArray, Any]:
        """Features (N, p) and row index of new data.

        Raises
        ------
        ValueError
            A missing column or value, or a level not seen when the model was made: named with its rows.
        TypeError
            A column of another kind than when the model was made.
        """
        if not is_frame(data):
            raise TypeError(
                f"data must be a data frame with the columns {', '.join(map(repr, self.variables))}, "
                f"got {type(data).__name__}"
            )
        frame = to_pandas(data)
        require_columns(frame, self.variables)
        raise_if_missing(frame, self.variables, advice="fill it, or leave out such rows")
        typed = self._typed(frame)
        if not self.variables:
            return np.ones((len(frame), 0)), frame.index
        with np.errstate(all="ignore"):
            matrix = _evaluate(self._spec, typed, self.formula)
        X = np.ascontiguousarray(matrix[list(self.feature_names)].to_numpy(dtype=np.float64))
        check_finite(X, self.feature_names, frame.index, "formula")
        return X, frame.index

    @cached_property
    def stepped(self) -> frozenset[str]:
        """Columns inside comparisons, ``I(x > 1)``: what depends on them does so in steps."""
        inside: set[str] = set()
        for term in _formulaic(self.formula):
            for factor in term.factors:
                if factor.eval_method.value == "python":
                    tree, quoted = _parse(factor.expr)
                    comparisons = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
                    names = {n.id for c in comparisons for n in ast.walk(c) if isinstance(n, ast.Name)}
                    inside |= {quoted.get(name, name) for name in names}
        return frozenset(inside & set(self.variables))

    def columns(self, data: pd.DataFrame) -> pd.DataFrame:
        """The columns of the formula as it was fitted to them: numbers, booleans, and categoricals with its levels."""
        booleans = {name: bool for name, variable in self.variables.items() if variable.kind == "boolean"}
        return self._typed(data).astype(booleans)

    def _typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns of the formula in the types it was fitted with."""
        columns = {}
        for name, variable in self.variables.items():
            column = frame[name]
            if variable.kind == "categorical":
                columns[name] = _as_levels(column, name, variable.levels)
                continue
            columns[name] = pd.Series(numeric_values(column, name), index=frame.index)
            if variable.levels:
                _check_levels(columns[name], name, variable.levels)
        return pd.DataFrame(columns, index=frame.index)


def fit_encoder(formula: str, data: pd.DataFrame) -> FormulaEncoder:
    """Read the columns a formula needs, check them, and learn levels and transform states from the data."""
    names = required_columns(formula)
    require_columns(data, names)
    raise_if_missing(data, names, advice="fill it, or pass missing='drop' to leave out such rows")
    for name in names:
        if name.lower() == "intercept":
            raise ValueError(f"data: column {name!r} has the name of the intercept; rename it")
    coded = _coded_columns(formula)
    variables = {name: _read_variable(data[name], name, coded=name in coded) for name in names}
    encoder = FormulaEncoder(formula, variables, {})
    if not names:
        return encoder
    with np.errstate(all="ignore"):
        matrix = _evaluate(_formulaic(formula), encoder._typed(data), formula)
    return FormulaEncoder(formula, variables, dict(matrix.model_spec.transform_state))


def _evaluate(spec: Any, frame: pd.DataFrame, formula: str) -> Any:
    """formulaic's model matrix; what it cannot evaluate is a ValueError that names the formula."""
    from formulaic.errors import FormulaicError

    try:
        return spec.get_model_matrix(frame, context={}, na_action="ignore", output="pandas")
    except FormulaicError as error:
        raise ValueError(f"formula: {formula!r} cannot be evaluated: {_plain_text(error)}") from error


def _plain_text(error: Exception) -> str:
    """First line of a message, without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()[0]


def required_columns(formula: str) -> tuple[str, ...]:
    """Columns the right-hand side of a formula reads.

    Read off the expressions here, because formulaic 1.2 overlooks columns inside ``scale``, ``poly`` and the like.
    """
    columns: set[str] = set()
    for term in _formulaic(formula):
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                columns.add(str(factor.expr).strip("`"))
            elif factor.eval_method.value == "python":
                columns |= _expression_columns(factor.expr)
    return tuple(sorted(columns))


def _coded_columns(formula: str) -> set[str]:
    """Columns inside ``C()``, where numbers are names of levels."""
    factors = {factor for term in _formulaic(formula) for factor in term.factors}
    inside: set[str] = set()
    for factor in factors:
        if factor.eval_method.value == "python" and factor.expr.startswith("C("):
            inside |= _expression_columns(factor.expr)
    return inside


def _read_variable(column: pd.Series, name: str, *, coded: bool) -> Variable:
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = set(column.unique())
        found = tuple(level for level in column.cat.categories.tolist() if level in used)
        plain = all(isinstance(level, str | int | float | bool) for level in found)
        return Variable("categorical", found if plain else tuple(map(str, found)))  # pd.cut makes intervals
    if pd.api.types.is_bool_dtype(column):
        return Variable("boolean")
    if pd.api.types.is_numeric_dtype(column):
        values = numeric_values(column, name)
        levels = tuple(np.unique(values).tolist()) if coded else ()
        return Variable("numeric", levels, float(values.min()), float(values.max()))
    if pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column):
        kinds = sorted({type(v).__name__ for v in column.tolist()})
        if kinds != ["str"]:
            raise TypeError(
                f"data: column {name!r} has dtype object with values of type {', '.join(kinds)}; "
                "expected numbers, booleans, strings or a categorical"
            )
        return Variable("categorical", tuple(sorted(set(column.tolist()))))
    raise TypeError(
        f"data: column {name!r} has dtype {column.dtype}; expected numbers, booleans, strings or a categorical"
    )


def _as_levels(column: pd.Series, name: str, levels: tuple[Any, ...]) -> pd.Series:
    """A categorical with the fitted levels; anything else in the column is an error."""
    values = column.astype(object)
    if all(isinstance(level, str) for level in levels):
        values = values.map(lambda value: str(value) if isinstance(value, pd.Interval | pd.Timestamp) else value)
    _check_levels(values, name, levels)
    return pd.Series(pd.Categorical(values, categories=list(levels)), index=column.index)


def _check_levels(values: pd.Series, name: str, levels: tuple[Any, ...]) -> None:
    """Raise if a level was not seen when the model was made, naming its rows."""
    unseen = np.flatnonzero(~values.isin(levels).to_numpy())
    if unseen.size:
        raise ValueError(
            f"data: column {name!r} has level {values.iloc[unseen[0]]!r} in {describe_rows(values.index, unseen)}, "
            f"which the model was not fitted with (levels: {', '.join(map(repr, levels))})"
        )


def _formulaic(formula: str) -> Any:
    """Parse a right-hand side and check every expression in it against the white list."""
    from formulaic import Formula, SimpleFormula
    from formulaic.errors import FormulaicError

    if re.search(r"(^|[\s+*:~-])\.($|[\s+*:-])", formula):
        raise ValueError(f"formula: '.' in {formula!r} is not supported; name the columns")
    try:
        parsed = Formula(formula)
    except (FormulaicError, SyntaxError) as error:
        raise ValueError(f"formula: {formula!r} cannot be read: {_plain_text(error)}") from error
    if not isinstance(parsed, SimpleFormula):
        raise ValueError(f"formula: {formula!r} has several parts ('|' or '~'); give one right-hand side")
    for term in parsed:
        for factor in term.factors:
            if factor.eval_method.value == "python":
                _check_expression(factor.expr, formula)
    return parsed


def _parse(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    """Syntax tree of an expression, with names in backticks replaced by placeholders (returned with their names)."""
    quoted: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        return quoted.setdefault(match.group(1), f"quoted_{len(quoted)}")

    plain = re.sub(r"`([^`]*)`", placeholder, expression.strip("{}"))
    return ast.parse(plain, mode="eval"), {alias: name for name, alias in quoted.items()}


def _expression_columns(expression: str) -> set[str]:
    """Names an expression reads, without the functions it calls."""
    tree, quoted = _parse(expression)
    functions = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    owners = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in functions and n not in owners}
    return {quoted.get(name, name) for name in names}


def _check_expression(expression: str, formula: str) -> None:
    """Raise if an expression does more than arithmetic and the functions of the white list."""
    try:
        tree, _ = _parse(expression)
    except SyntaxError as error:
        raise ValueError(f"formula: {expression!r} in {formula!r} is not an expression") from error
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if not isinstance(node, _NODES):
            raise ValueError(f"formula: {expression!r} in {formula!r} uses {type(node).__name__}, which is not allowed")
        if isinstance(called, ast.Name) and called.id not in FUNCTIONS:
            raise ValueError(f"formula: function {called.id!r} is not known; {_allowed()}")
        if isinstance(called, ast.Name) and called.id == "C":
            _check_coding_call(node, expression)
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr not in {"np": NUMPY_FUNCTIONS, "contr": CONTRASTS}.get(owner, frozenset()):
                raise ValueError(f"formula: {ast.unparse(node)!r} is not known; {_allowed()}")


def _check_coding_call(node: ast.AST, expression: str) -> None:
    """``C()`` takes a column and perhaps a contrast; given levels, it would merge the others into the baseline."""
    assert isinstance(node, ast.Call)
    named = bool(node.args) and isinstance(node.args[0], ast.Name)
    if not named or len(node.args) > 2 or any(k.arg != "contrasts" for k in node.keywords):
        raise ValueError(
            f"formula: {expression!r}: C() takes the name of a column, and perhaps a contrast such as contr.sum; "
            "make other categories as a column of the data first"
        )


def _allowed() -> str:
    numpy_names = ", ".join(f"np.{name}" for name in sorted(NUMPY_FUNCTIONS))
    return f"use one of {', '.join(sorted(FUNCTIONS))}, {numpy_names}"
