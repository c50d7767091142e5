"""Levels that were perhaps not meant: numbers read as text, identifiers, and spellings of one name."""

import re
from collections.abc import Sequence
from typing import Any

from bayes_softmax.core.checks import counted, first_few, shown
from bayes_softmax.data.design import Label
from bayes_softmax.data.formula.columns import levels_of
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.formula.expressions import Call, columns_of, walk
from bayes_softmax.data.rows_in_short import RowsInShort
from bayes_softmax.data.schema import Encoder

MANY = 20  # levels, up to which a factor is taken as it is
FEW_ROWS = 5  # for each level of a factor, below which it is perhaps an identifier
FEW_ROWS_OF_NUMBERS = 10  # the same where all levels look like numbers; postal codes with more rows are let through
NAMED = 3  # groups of spellings in a note
NUMBER = re.compile(r"[-+]?[$€£]?\s*\d{1,3}(?:[,.' ]?\d{3})*(?:[.,]\d+)?(?:e[-+]?\d+)?\s*[%€$£]?", re.IGNORECASE)


def doubtful_factors(encoder: Encoder, design: RowsInShort) -> list[str]:
    """Warnings on factors of very many levels: text that looks like numbers, outside ``C()``, and identifiers."""
    if not isinstance(encoder, FormulaEncoder):
        return []
    found, rows = [], max(design.n_obs, design.total_weight)  # a row may stand for many by its weight
    for name, coded in _factors(encoder).items():
        levels = levels_of(encoder.variables[name])
        n = len(levels)
        many = f"column {shown(name)} has {n} levels in {counted(design.n_obs, 'row')}"
        if n > MANY and not coded and n * FEW_ROWS_OF_NUMBERS > rows and all(map(_looks_like_a_number, levels)):
            found.append(
                f"{many}, all of them text that looks like a number, such as {shown(levels[0])}; each is a feature of "
                "its own. Make numbers of it first (pd.to_numeric, after removing signs such as ','), or write C() "
                "around it if these are codes"
            )
        elif n > MANY and n * FEW_ROWS > rows:
            found.append(
                f"{many}, each a feature of its own, with fewer than {FEW_ROWS} rows a level: leave it out if it is "
                "an identifier, or group its levels first"
            )
    return found


def spelling_notes(encoder: Encoder, design: RowsInShort) -> list[str]:
    """Notes on classes, and on levels of a factor, whose names differ only in upper and lower case or in spaces."""
    counts = design.class_counts().tolist()
    notes = _alike(design.response.name, "classes", design.response.classes, counts)
    if isinstance(encoder, FormulaEncoder):
        for name in _factors(encoder):
            notes += _alike(name, "levels", levels_of(encoder.variables[name]), None)
    return notes


def _factors(encoder: FormulaEncoder) -> dict[str, bool]:
    """Factors among the columns, and whether the formula has them inside ``C()``."""
    coded = set()
    for term in encoder.terms:
        for node in (node for factor in term.factors for node in walk(factor)):
            if isinstance(node, Call) and node.function == "C":
                coded |= {str(name) for name in encoder.variables if name in columns_of(node)}
    return {
        name: name in coded
        for name, variable in encoder.variables.items()
        if variable.kind == "categorical" or name in coded
    }


def _looks_like_a_number(level: Any) -> bool:
    return isinstance(level, str) and NUMBER.fullmatch(level.strip()) is not None


def _alike(owner: str, what: str, labels: Sequence[Label], counts: Sequence[float] | None) -> list[str]:
    """The note on labels that are spellings of one name; none if there are none."""
    groups: dict[str, list[int]] = {}
    for k, label in enumerate(labels):
        if isinstance(label, str):
            groups.setdefault("".join(label.split()).casefold(), []).append(k)
    pairs = [
        " and ".join(shown(labels[k]) + ("" if counts is None else f" ({counts[k]:.10g})") for k in group)
        for group in groups.values()
        if len(group) > 1
    ]
    if not pairs:
        return []
    return [f"{what} of {shown(owner)} that differ only in case or spaces: {first_few(pairs[:NAMED], len(pairs))}"]
