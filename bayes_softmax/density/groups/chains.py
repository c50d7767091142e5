"""Groupings of which one is nested in the other: every level in one level of the next."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import IntArray
from bayes_softmax.density.groups.packing import LevelRows


class Chain(NamedTuple):
    """Nested groupings by number, inner ones first, and for each but the last the levels (G,) of the next."""

    groupings: tuple[int, ...]
    parents: tuple[IntArray, ...]


def chain_of(levels: Sequence[LevelRows]) -> Chain:
    """The chain of nested groupings with equal terms that begins with the most levels; empty if there is none."""
    order = sorted(range(len(levels)), key=lambda j: -levels[j].n_levels)
    for first in order:
        chain: list[int] = [first]
        parents: list[IntArray] = []
        for j in order:
            inner = levels[chain[-1]]
            if j in chain or not np.array_equal(levels[j].terms, inner.terms):
                continue
            found = containing(inner, levels[j])
            if found is not None:
                chain.append(j)
                parents.append(found)
        if parents:
            return Chain(tuple(chain), tuple(parents))
    return Chain((), ())


def containing(inner: LevelRows, outer: LevelRows) -> IntArray | None:
    """The outer level (G,) of each inner one, None if they are not nested; any will do for a level without rows."""
    parents = np.zeros(inner.n_levels, dtype=np.int64)
    parents[inner.codes] = outer.codes
    return parents if inner.n_levels > outer.n_levels and bool((parents[inner.codes] == outer.codes).all()) else None
