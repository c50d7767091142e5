"""Contrasts of a factor: looked up by name, with checked arguments; the matrices are formulaic's."""

from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.formula.expressions import (
    Call,
    Column,
    Constant,
    Items,
    Node,
    Operation,
    Reference,
    brief,
    quoted,
    text,
)

MAX_LEVELS = 1000  # of a contrast with a full matrix

# Name of the class in formulaic, and its arguments.
_LEVEL, _FLAG, _SCORES = "level", "flag", "scores"
CONTRASTS: dict[str, tuple[str, dict[str, str]]] = {
    "contr.treatment": ("TreatmentContrasts", {"base": _LEVEL}),
    "contr.SAS": ("SASContrasts", {"base": _LEVEL}),
    "contr.sum": ("SumContrasts", {}),
    "contr.helmert": ("HelmertContrasts", {"reverse": _FLAG, "scale": _FLAG}),
    "contr.diff": ("DiffContrasts", {"backward": _FLAG}),
    "contr.poly": ("PolyContrasts", {"scores": _SCORES}),
    # patsy's names
    "Treatment": ("TreatmentContrasts", {"reference": _LEVEL}),
    "Sum": ("SumContrasts", {}),
    "Helmert": ("HelmertContrasts", {}),
    "Diff": ("DiffContrasts", {}),
    "Poly": ("PolyContrasts", {"scores": _SCORES}),
}


class FactorColumns(NamedTuple):
    """Columns made from a factor with L levels.

    ``matrix`` is (L, k), or None where column j is the indicator of level ``shown[j]``; ``fields`` name the columns.
    """

    matrix: FloatArray | None
    shown: tuple[int, ...]
    fields: tuple[str, ...]


def check_contrast(node: Node, where: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a contrast, ``contr.sum``, ``contr.treatment('b')``, ``Treatment(reference='b')``."""
    name = node.name if isinstance(node, Reference | Column) else node.function if isinstance(node, Call) else ""
    if name not in CONTRASTS:
        hint = did_you_mean(name or text(node), CONTRASTS, cutoff=0.5)  # "summ" is as near as that to contr.sum
        if isinstance(node, Constant):
            hint = f"; for {shown(node.value)} as the first level write contr.treatment({shown(node.value)})"
        raise ValueError(f"formula: {where}: {brief(node)} is not a contrast{hint} (contrasts: {', '.join(CONTRASTS)})")
    parameters = CONTRASTS[name][1]
    if not isinstance(node, Call):
        return name, {}
    given = list(zip(parameters, node.arguments, strict=False)) + list(node.keywords)
    words = [word for word, _ in given]
    if len(node.arguments) > len(parameters) or len(set(words)) < len(words) or not set(words) <= set(parameters):
        takes = f"perhaps {', '.join(parameters)}" if parameters else "no argument"
        raise ValueError(f"formula: {where}: {name}() takes {takes}")
    return name, {word: _argument(value, parameters[word], f"formula: {where}: {word}") for word, value in given}


def _argument(node: Node, kind: str, what: str) -> Any:
    value = _literal(node)
    if kind == _LEVEL and isinstance(value, str | int | float):
        return value
    if kind == _FLAG and isinstance(value, bool):
        return value
    if kind == _SCORES and isinstance(value, list) and 0 < len(value) <= MAX_LEVELS and len(set(value)) == len(value):
        return value
    allowed = {_LEVEL: "a level", _FLAG: "True or False", _SCORES: "a list of distinct numbers"}
    raise ValueError(f"{what}={brief(node)} must be {allowed[kind]}")


def _literal(node: Node) -> Any:
    """The value of a constant, of a number with a sign, or of a list of numbers; else None."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Operation) and node.symbol == "-" and len(node.operands) == 1:
        value = _literal(node.operands[0])
        return -value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(node, Items):
        values = [_literal(value) for value in node.values]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return values if numbers else None
    return None


def contrast_in(factor: Node) -> Node | None:
    """The contrast that ``C()`` names, if any."""
    if not (isinstance(factor, Call) and factor.function == "C"):
        return None
    return [*factor.arguments[1:], *(value for _, value in factor.keywords), None][0]


def factor_columns(factor: Node, name: str, levels: tuple[Any, ...], *, reduced: bool) -> FactorColumns:
    """Columns of a factor, with all levels or, ``reduced``, without what the intercept holds."""
    L, contrast = len(levels), contrast_in(factor)
    word, values = ("contr.treatment", {}) if contrast is None else check_contrast(contrast, quoted(factor))
    if not reduced:
        return FactorColumns(None, tuple(range(L)), tuple(f"{name}[{level}]" for level in levels))
    if L < 2:
        return FactorColumns(None, (), ())
    kind = CONTRASTS[word][0]
    if kind in ("TreatmentContrasts", "SASContrasts"):
        base = _position(next(iter(values.values())), levels, factor) if values else -(kind == "SASContrasts") % L
        shown = tuple(j for j in range(L) if j != base)
        return FactorColumns(None, shown, tuple(f"{name}[T.{levels[j]}]" for j in shown))
    if L > MAX_LEVELS:
        raise ValueError(f"formula: {quoted(factor)}: {word} is for at most {MAX_LEVELS} levels, there are {L:,}")
    if len(values.get("scores", levels)) != L:
        raise ValueError(f"formula: {quoted(factor)}: scores must have one number for each of the {L} levels")
    from formulaic.transforms import contrasts

    made = getattr(contrasts, kind)(**values)
    table = np.asarray(made.get_coding_matrix(list(levels), reduced_rank=True), dtype=np.float64)
    written = made.get_factor_format(list(levels), reduced_rank=True)
    fields = [written.format(name=name, field=f) for f in made.get_coding_column_names(list(levels), reduced_rank=True)]
    return FactorColumns(table, (), tuple(fields))


def _position(level: Any, levels: tuple[Any, ...], factor: Node) -> int:
    """Position of a reference level."""
    for j, known in enumerate(levels):
        if known == level and isinstance(known, bool) == isinstance(level, bool):
            return j
    hint = did_you_mean(level, levels)
    raise ValueError(f"formula: {quoted(factor)}: {shown(level)} is not a level{hint} (levels: {listed(levels)})")
