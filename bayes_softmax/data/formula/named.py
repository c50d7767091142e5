"""The terms of a fitted formula by name, and the features that each makes."""

from typing import NamedTuple

from bayes_softmax.data.formula.terms import parse_terms


class NamedTerm(NamedTuple):
    """A term: its name, its factors in any order, the columns of the data it reads, and its features."""

    name: str
    key: frozenset[str]
    columns: frozenset[str]
    features: tuple[str, ...]


def key_of_term(written: str) -> frozenset[str] | None:
    """The key of the one term that a text is, as a formula writes it: ``"bs(age,df=4)"``, ``"b:a"``; else None."""
    try:
        keys = [term.key for term in parse_terms(f"0 + {written}")]
    except ValueError:  # not the text of terms
        return None
    return keys[0] if len(keys) == 1 else None
