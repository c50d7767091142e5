"""Which coefficients a table shows: features, terms of a formula and variables by name."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from bayes_softmax.answers.variables import by_position
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import IntArray
from bayes_softmax.data.formula.named import key_of_term
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.linear import INTERCEPT


def chosen_rows(schema: Schema, features: Any) -> IntArray:
    """Positions of the coefficients to show in the order of the model, the intercept's is 0; all where None is given.

    A name may be that of a feature, of a term (all its features, not those of its interactions), of a variable (the
    features that are made of it alone), or ``"intercept"``.
    """
    first = 0 if schema.has_intercept else 1
    names = [INTERCEPT, *schema.feature_names]
    if features is None:
        return np.arange(first, len(names))
    single = isinstance(features, str | int | np.integer)
    if not single and (not isinstance(features, Iterable) or isinstance(features, bytes)):
        raise TypeError(f"features={shown(features)} must be the name of a feature, or a sequence of names")
    given = [features] if single else list(features)
    if not given:
        raise ValueError("features is empty; name at least one")
    known = _known(schema, names[first:])
    found: set[str] = set()
    for one in given:
        name = by_position(schema, one)
        made = known.get(name) if isinstance(name, str) else None
        if made is None and isinstance(name, str):
            key = key_of_term(name)  # another way to write a term: `b:a`
            made = next((list(t.features) for t in schema.encoder.named_terms if t.key == key), None)
        if made is None:
            raise ValueError(f"features: {shown(one)} is not in the model{did_you_mean(one, known)} ({_listed(known)})")
        found.update(made)
    return np.array([j for j, name in enumerate(names) if j >= first and name in found], dtype=np.int64)


def _known(schema: Schema, names: list[str]) -> dict[str, list[str]]:
    """Features by each name that stands for some; a feature's own name comes first, then a term's."""
    terms, found = schema.encoder.named_terms, {name: [name] for name in names}
    for term in terms:
        found.setdefault(term.name, [name for name in term.features if name in found])
    for variable in dict.fromkeys(name for term in terms for name in sorted(term.columns)):
        if variable not in found:
            alone = [name for term in terms if term.columns == {variable} for name in term.features if name in names]
            if alone:
                found[variable] = alone
    return {name: made for name, made in found.items() if made}


def _listed(known: Iterable[str]) -> str:
    return f"names are {listed(known)}"
