"""Selection of the draws to keep from interrupted chains, with a message."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.errors import warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.records import IntArray

NOTHING_YET = "sampling was interrupted before a chain had a draw after tuning"


class KeptChains(NamedTuple):
    """Indices of the chains kept, the number of draws kept per chain, and notes if any are missing."""

    chains: IntArray
    draws: int
    notes: tuple[str, ...]


def keep_chains(lengths: Sequence[int], draws: int) -> KeptChains:
    """Choose the chains to keep, cut to equal length, that retain most draws; warns of missing draws.

    ``lengths`` are the draws of each chain, out of ``draws`` requested.  As in ``pm.sample``, a chain that has hardly
    begun is left out instead of cutting all others to its length.  Ties are resolved in favour of more chains.
    """
    finished = np.asarray(lengths)
    order = np.sort(finished)[::-1]
    totals = order * np.arange(1, len(order) + 1)
    n = len(order) - int(np.argmax(totals[::-1]))
    length = int(order[n - 1])
    if length == 0:
        raise KeyboardInterrupt(NOTHING_YET)
    # The longest chains, the first among equals.
    chosen = np.sort(np.argsort(-finished, kind="stable")[:n])
    if length == draws and n == len(order):
        return KeptChains(chosen, length, ())
    text = f"{INTERRUPTED}: {length} of {draws} draws per chain were finished"
    if n < len(order):
        left = np.delete(finished, chosen).tolist()
        text += f" in {n} of {len(order)} chains; the other {_counted(left)} left out"
    warn_caller(text)
    return KeptChains(chosen, length, (text,))


def _counted(left: list[int]) -> str:
    if len(left) == 1:
        return f"one, with {left[0]}, is"
    return f"{len(left)}, with at most {max(left)}, are"
