"""What is kept of chains that were interrupted, and how that is said."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.errors import warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.records import IntArray

NOTHING_YET = "sampling was interrupted before a chain had a draw after tuning"


class KeptChains(NamedTuple):
    """Chains that are kept (indices), the draws kept of each, and what to say where that is not all of them."""

    chains: IntArray
    draws: int
    notes: tuple[str, ...]


def keep_chains(lengths: Sequence[int], draws: int) -> KeptChains:
    """Which chains to keep, equally long, so that most draws are; a warning says what is missing.

    ``lengths`` are the draws that each chain has, of ``draws`` wanted.  As ``pm.sample`` has it: a chain that had
    hardly begun is left out rather than all others cut to its length.  Where that is equal, more chains are better
    than longer ones.
    """
    finished = np.asarray(lengths)
    order = np.sort(finished)[::-1]
    totals = order * np.arange(1, len(order) + 1)
    n = len(order) - int(np.argmax(totals[::-1]))
    length = int(order[n - 1])
    if length == 0:
        raise KeyboardInterrupt(NOTHING_YET)
    # The longest chains; of equally long ones the first.
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
