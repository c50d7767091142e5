"""Classes without an observation, in words: never seen, or seen only in rows of weight zero."""

from collections.abc import Sequence

from bayes_softmax.core.checks import listed
from bayes_softmax.data.design import Label
from bayes_softmax.data.rows_in_short import RowsInShort


def unused_classes(known: RowsInShort) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
    """Classes that do not occur in the data, and classes that occur only in rows of weight zero."""
    response = known.response
    return tuple(c for c in response.unused if c not in response.weightless), response.weightless


def unused_notes(known: RowsInShort) -> list[str]:
    """Notes of a fit on classes without an observation."""
    absent, weightless = unused_classes(known)
    notes = []
    if weightless:
        notes.append(f"{_without_weight(known, weightless)}: only the prior informs {_them(weightless)}")
    if absent:
        notes.append(f"no observation of {_in_words(absent)}: only the prior informs {_them(absent)}")
    return notes


def unused_warning(known: RowsInShort) -> str | None:
    """The warning where the user did not declare the classes; for labels, as columns of counts declare theirs."""
    absent, weightless = unused_classes(known)
    if not (absent or weightless):
        return None
    found = [_without_weight(known, weightless)] if weightless else []
    if absent:
        found.append(
            f"there is no observation of {_in_words(absent)}, kept because the categorical declares {_them(absent)}"
        )
    both = weightless + absent
    advice = f"only the prior informs {_them(both)}" + (" (pass classes=[...] to choose)" if absent else "")
    return f"{known.response.name}: {', and '.join(found)}; {advice}"


def _in_words(labels: Sequence[Label]) -> str:
    """``class 'a'`` or ``classes 'a', 'b'``."""
    return f"class{'es' if len(labels) > 1 else ''} {listed(labels)}"


def _without_weight(known: RowsInShort, labels: tuple[Label, ...]) -> str:
    """Why classes that occur hold no observation."""
    if set(labels) <= set(known.response.alone):
        return f"{_in_words(labels)} {'were' if len(labels) > 1 else 'was'} only ever on offer alone"
    return f"all rows of {_in_words(labels)} have weight zero"


def _them(labels: Sequence[Label]) -> str:
    return "them" if len(labels) > 1 else "it"
