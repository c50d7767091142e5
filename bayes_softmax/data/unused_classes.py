"""Classes without an observation, in words: never seen, or seen only in rows of weight zero."""

from collections.abc import Sequence

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.data.design import Design, Label
from bayes_softmax.data.rows_in_short import RowsInShort


def unused_classes(design: RowsInShort) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
    """Classes that do not occur in the data, and classes that occur only in rows of weight zero."""
    codes, unused = design.response.codes, design.response.unused
    if codes is None or not unused:
        return unused, ()
    occurs = np.bincount(codes, minlength=design.n_classes) > 0
    weightless = tuple(c for c, seen in zip(design.response.classes, occurs, strict=True) if seen and c in unused)
    return tuple(c for c in unused if c not in weightless), weightless


def unused_notes(design: RowsInShort) -> list[str]:
    """Notes of a fit on classes without an observation."""
    absent, weightless = unused_classes(design)
    notes = []
    if weightless and isinstance(design, Design):
        notes.append(f"{_without_weight(design, weightless)}: only the prior informs {_them(weightless)}")
    if absent:
        notes.append(f"no observation of {_in_words(absent)}: only the prior informs {_them(absent)}")
    return notes


def unused_warning(design: Design) -> str | None:
    """The warning where the user did not declare the classes; counts declare theirs by their columns."""
    absent, weightless = unused_classes(design)
    if design.response.codes is None or not (absent or weightless):
        return None
    found = [_without_weight(design, weightless)] if weightless else []
    if absent:
        found.append(
            f"there is no observation of {_in_words(absent)}, kept because the categorical declares {_them(absent)}"
        )
    both = weightless + absent
    advice = f"only the prior informs {_them(both)}" + (" (pass classes=[...] to choose)" if absent else "")
    return f"{design.response.name}: {', and '.join(found)}; {advice}"


def _in_words(labels: Sequence[Label]) -> str:
    """``class 'a'`` or ``classes 'a', 'b'``."""
    return f"class{'es' if len(labels) > 1 else ''} {listed(labels)}"


def _without_weight(design: Design, labels: tuple[Label, ...]) -> str:
    """Why classes that occur hold no observation."""
    if design.available is not None and design.response.codes is not None:
        codes = [design.response.classes.index(label) for label in labels]
        rows = np.isin(design.response.codes, codes)
        if (design.available[rows].sum(axis=1) == 1).all():
            return f"{_in_words(labels)} {'were' if len(labels) > 1 else 'was'} only ever on offer alone"
    return f"all rows of {_in_words(labels)} have weight zero"


def _them(labels: Sequence[Label]) -> str:
    return "them" if len(labels) > 1 else "it"
