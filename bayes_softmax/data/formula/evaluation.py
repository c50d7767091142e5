"""Values of the factors of a formula: a walk over checked trees that calls only the table of transforms."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import LISTED, describe_rows, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.formula.arguments import SEVERAL_COLUMNS, SPLINES, TRANSFORM_ARGUMENTS, arguments_of
from bayes_softmax.data.formula.arithmetic import inner, is_logical, operate
from bayes_softmax.data.formula.columns import TRUTH, Columns, ColumnType, levels_of, positions_of
from bayes_softmax.data.formula.expressions import Call, Column, Constant, Node, Operation, brief, columns_of, quoted
from bayes_softmax.data.formula.features import Factor, Layout
from bayes_softmax.data.formula.states import read_state
from bayes_softmax.data.formula.transforms import ELEMENTWISE, key_of

SAMPLE = 10_000  # values first searched for enough distinct ones

States = Mapping[str, dict[str, Any]]


def make_factor(node: Node, variables: Mapping[str, ColumnType], states: States, *, edition: int) -> Factor:
    """A factor with the columns that it makes, by the rules of an edition."""
    whole, node = node, inner(node)
    if isinstance(node, Call) and node.function == "C":
        column = node.arguments[0]
        assert isinstance(column, Column)
        return Factor(whole, levels_of(variables[column.name]))
    if isinstance(node, Column) and variables[node.name].kind == "categorical":
        return Factor(whole, variables[node.name].levels)
    booleans = frozenset(name for name, v in variables.items() if v.kind == "boolean")
    if edition > 1 and is_logical(node, booleans):
        return Factor(whole, TRUTH)
    name = Factor(whole, None).name
    if isinstance(node, Call) and node.function in SEVERAL_COLUMNS:
        fields, spans = fields_of(node, states.get(key_of(node), {}))
        # Whether a basis that adds up to a constant may lose a column: for natural splines since the third edition.
        free = spans and (edition > 2 or node.function == "bs")
        return Factor(whole, None, tuple(f"{name}[{field}]" for field in fields), free)
    return Factor(whole, None, (name,))


def fields_of(call: Call, state: Mapping[str, Any]) -> tuple[range, bool]:
    """Numbers of the columns of a polynomial or spline, and whether they add up to a constant."""
    values = arguments_of(call)
    if call.function == "poly":
        degree = values["degree"]
        return (range(degree) if values["raw"] else range(1, degree + 1)), False
    knots = len(state["knots"])
    if call.function == "bs":
        whole = values["include_intercept"]
        return range(0 if whole else 1, knots - values["degree"] - 1), whole
    constraints = state["constraints"]
    whole = constraints is None
    return range(1, knots - bool(state["cyclic"]) - (0 if whole else len(constraints)) + 1), whole


def factor_values(factor: Factor, rows: "Evaluator") -> np.ndarray[Any, Any]:
    """Positions of levels (N,), or numbers (N,) or (N, k)."""
    node = inner(factor.node)
    if isinstance(node, Call) and node.function == "C":
        node = node.arguments[0]
    if factor.levels is not None and isinstance(node, Column):
        return positions_of(rows.columns[node.name], rows.variables[node.name])
    found = rows.of(node)
    if factor.levels is not None:
        return np.asarray(found).astype(np.int64)
    return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class Evaluator:
    """The columns of some rows and the states of the transforms, from which expressions are computed.

    States are filled where ``fitting``, and only read otherwise.  ``older`` follows the rules of file versions 1 and 2.
    ``ends`` are the range of the values of a spline, by its text, where the rows are a sample of more.
    """

    columns: Columns
    variables: Mapping[str, ColumnType]
    states: States
    index: Any
    fitting: bool = False
    older: bool = False
    ends: Mapping[str, tuple[float, float]] = MappingProxyType({})

    def of(self, node: Node) -> Any:
        """The value of an expression: an array over the rows, or a number."""
        if isinstance(node, Constant):
            return np.float64(node.value)
        if isinstance(node, Column):
            variable = self.variables[node.name]
            if variable.kind == "categorical":
                raise ValueError(
                    f"formula: column {node.name!r} holds levels ({listed(variable.levels, 3)}), not numbers; "
                    f"compare it with one of them, I({node.name} == {shown(variable.levels[0])})"
                )
            return self.columns[node.name]
        if isinstance(node, Operation):
            if (level := self._is_level(node)) is not None:
                return level
            return operate(node.symbol, [self.of(operand) for operand in node.operands])
        assert isinstance(node, Call)
        if node.function == "I":
            return self.of(node.arguments[0])
        if node.function in TRANSFORM_ARGUMENTS:
            return self._transform(node)
        values = [np.asarray(self.of(argument), dtype=np.float64) for argument in node.arguments]
        if self.older and node.function == "exp10":
            return values[0] ** 10
        return ELEMENTWISE[node.function](*values)

    def _is_level(self, node: Operation) -> Any:
        """Where a categorical column has a level, ``g == 'a'``; None if the operation is not of this form."""
        sides = [inner(side) for side in node.operands]
        column = next((s for s in sides if isinstance(s, Column)), None)
        level = next((s for s in sides if isinstance(s, Constant)), None)
        if node.symbol not in ("==", "!=") or column is None or level is None:
            return None
        variable = self.variables[column.name]
        if variable.kind != "categorical":
            if isinstance(level.value, int | float):
                return None
            raise ValueError(f"formula: {quoted(node)}: column {column.name!r} holds numbers, not {shown(level.value)}")
        if level.value not in variable.levels:
            raise ValueError(
                f"formula: {quoted(node)}: {shown(level.value)} is not a level of {column.name!r} "
                f"(levels: {listed(variable.levels)})"
            )
        found = self.columns[column.name] == variable.levels.index(level.value)
        return found if node.symbol == "==" else ~found

    def _transform(self, call: Call) -> FloatArray:
        """A spline, a polynomial or a scaled column, with its state."""
        values, key, x = arguments_of(call), key_of(call), self.argument_of(call)
        if self.fitting and key not in self.states:
            state: dict[str, Any] = {}
            ends = dict(zip(("lower_bound", "upper_bound"), self.ends.get(key, ()), strict=False))
            values |= {word: end for word, end in ends.items() if values[word] is None}
            _check_rows(call, values, x)
            made = self._applied(call, values, x, state)
            try:
                self.states[key] = read_state(call, state)  # type: ignore[index]
            except ValueError as error:
                what = brief(call.arguments[0])
                raise ValueError(f"formula: {quoted(call)}: the values of {what} do not vary, or overflow") from error
            return made
        return self._applied(call, values, x, self.states[key])

    def argument_of(self, call: Call) -> FloatArray:
        """The finite values (N,) of which a transform is taken."""
        x = np.asarray(self.of(call.arguments[0]), dtype=np.float64)
        if x.ndim != 1:
            raise ValueError(f"formula: {quoted(call)} takes one column")
        finite = np.isfinite(x)
        if not finite.all():
            raise ValueError(
                f"data: {quoted(call.arguments[0])} is not a finite number in "
                f"{describe_rows(self.index, np.flatnonzero(~finite))}, which {call.function}() needs"
            )
        return x

    def _applied(self, call: Call, values: dict[str, Any], x: FloatArray, state: dict[str, Any]) -> FloatArray:
        if call.function in SPLINES and values["extrapolation"] == "raise":
            self._check_range(call, values, x, state)
        from formulaic import transforms

        function = {
            "poly": transforms.poly, "bs": transforms.basis_spline, "cc": transforms.cyclic_cubic_spline,
            "cs": transforms.natural_cubic_spline, "cr": transforms.natural_cubic_spline, "scale": transforms.scale,
            "center": transforms.center, "standardize": transforms.patsy_compat.standardize,
        }[call.function]  # fmt: skip
        options = {word: value for word, value in values.items() if word != "cyclic" or value is not None}
        known = state if self.fitting else dict(state)
        try:
            made = function(x, **options, _state=known)
        except ValueError as error:
            raise ValueError(f"formula: {quoted(call)}: {error}") from error
        if isinstance(getattr(made, "__wrapped__", made), dict):
            return np.column_stack(list(made.values()))
        return np.array(made, dtype=np.float64)

    def _check_range(self, call: Call, values: dict[str, Any], x: FloatArray, state: dict[str, Any]) -> None:
        """Raise where a spline would have to extrapolate beyond the data that it was made from."""
        given = {word: state.get(word, values[word]) for word in ("lower_bound", "upper_bound")}
        low, high = (np.inf * sign if v is None else v for v, sign in zip(given.values(), (-1, 1), strict=True))
        outside = np.flatnonzero((x < low) | (x > high))
        if outside.size:
            argument = call.arguments[0]
            what = f"column {argument.name!r}" if isinstance(argument, Column) else brief(argument)
            raise ValueError(
                f"data: {what} is {x[outside[0]]:g} in {describe_rows(self.index, outside)}, outside the range of "
                f"{brief(call)}, {low:g} to {high:g}; leave such rows out, or write {call.function}(..., "
                "extrapolation='clip') or 'extend'"
            )


def _check_rows(call: Call, values: dict[str, Any], x: FloatArray) -> None:
    """Raise where there are too few distinct values for the number of columns."""
    name = "degree" if call.function == "poly" else "df"
    wanted = values.get(name)
    for knot in values.get("knots") or ():
        low = x.min() if values["lower_bound"] is None else values["lower_bound"]
        high = x.max() if values["upper_bound"] is None else values["upper_bound"]
        if not low < knot < high:
            raise ValueError(
                f"formula: {quoted(call)}: the knot {knot:g} must lie within the range of {brief(call.arguments[0])}, "
                f"between {low:g} and {high:g}"
            )
    if wanted is None or call.function not in SEVERAL_COLUMNS:
        return
    distinct = len(pd.unique(x[:SAMPLE]))
    if distinct <= wanted:
        distinct = len(pd.unique(x))
    if distinct < wanted + (call.function == "poly"):
        what = ", ".join(sorted(columns_of(call)))
        raise ValueError(
            f"formula: {quoted(call)}: {name}={wanted} is too large for {distinct} distinct values of {what}"
        )


def raise_not_finite(X: FloatArray, layout: Layout, rows: Evaluator) -> None:
    """Raise for the first feature with a NaN or infinite value, with what it was made of."""
    numbers = {name for name, variable in rows.variables.items() if variable.kind == "numeric"}
    for term in layout.terms:
        made = X[:, term.start : term.start + term.size]
        for j in np.flatnonzero(~np.isfinite(made).all(axis=0)).tolist():
            where = np.flatnonzero(~np.isfinite(made[:, j]))
            first, name = int(where[0]), layout.names[term.start + j]
            read = sorted(set().union(*(columns_of(factor.node) for factor in term.factors)))
            values = [f"{column} is {float(rows.columns[column][first]):g}" for column in read if column in numbers]
            because = ""
            if values and read != [name]:
                because = f", but {' and '.join(values[:LISTED])} in {describe_rows(rows.index, [first])}"
            raise ValueError(
                f"{'data' if read == [name] else 'formula'}: column {name!r} is "
                f"{'NaN' if np.isnan(made[first, j]) else 'infinite'} in {describe_rows(rows.index, where)}; "
                f"expected finite numbers{because}"
            )
