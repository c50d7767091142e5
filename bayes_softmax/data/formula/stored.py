"""Formulas from files: checked like those that a user wrote."""

import re
from collections.abc import Mapping
from typing import Any

from bayes_softmax.data.formula.columns import column_type_from_data
from bayes_softmax.data.formula.encoder import EDITION, FormulaEncoder, columns_in, stateful_calls
from bayes_softmax.data.formula.expressions import Call
from bayes_softmax.data.formula.states import read_state
from bayes_softmax.data.formula.terms import parse_terms, terms_from_data
from bayes_softmax.data.formula.transforms import key_of


def encoder_from_data(data: Mapping[str, Any]) -> FormulaEncoder:
    """The encoder of :meth:`FormulaEncoder.to_data`, or of a file of an older version, which held the formula as text.

    Raises
    ------
    ValueError
        Data not of this form: terms, functions and arguments are checked like those of a formula, states and levels
        for their sizes.
    """
    formula, given, states = data.get("formula"), data.get("variables"), data.get("state")
    if not (isinstance(formula, str) and isinstance(given, Mapping) and isinstance(states, Mapping)):
        raise ValueError("the formula in the file is damaged")
    edition = data.get("edition", EDITION) if "terms" in data else 1
    if isinstance(edition, bool) or edition not in range(1, EDITION + 1):
        raise ValueError(f"the formula in the file is of edition {edition!r}; this version reads up to {EDITION}")
    terms = terms_from_data(data["terms"]) if "terms" in data else parse_terms(formula, older=True)
    variables = {name: column_type_from_data(name, fields) for name, fields in given.items() if isinstance(name, str)}
    if set(variables) != columns_in(terms):
        raise ValueError("the terms of the formula in the file do not fit its columns")
    state = {}
    for call in stateful_calls(terms):
        key = key_of(call)
        state[key] = read_state(call, states[key] if key in states else states.get(_older_key(call)))
    encoder = FormulaEncoder(formula, variables, state, terms, edition)
    _ = encoder.layout  # a mismatch raises here
    return encoder


def _older_key(call: Call) -> str:
    """Name of a state in files of versions 1 and 2: names in backticks had other signs replaced."""

    def plain(match: re.Match[str]) -> str:
        name = re.sub(r"\W", "_", match.group(1))
        return f"_{name}" if name[0].isdigit() else name

    return re.sub(r"`([^`]*)`", plain, key_of(call))
