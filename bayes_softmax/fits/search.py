"""How the optimum of a log density with several modes was searched for."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.layers import layers_in_words
from bayes_softmax.core.checks import counted
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.network.logits import NetworkLogits

MAXIMISED = {"mle": "log-likelihood", "map": "log posterior"}
SAME = 1e-3  # nats: starts that end within it of the best value reached it


class Search(NamedTuple):
    """Random starts, and where they ended.

    Attributes
    ----------
    values
        (R,) log densities where the starts ended, the best first.
    curvature
        What is known of the Hessian at the best, in words.
    effective
        Effective number of parameters, by name of the parameter; empty where it is not known.
    """

    values: FloatArray
    curvature: str
    effective: Mapping[str, float] = {}

    def in_words(self, of_what: str) -> str:
        """How many starts reached the best value of ``of_what``, and how far the others are from it.

        >>> Search(np.array([-10.0, -10.0, -12.5]), "positive definite").in_words("log posterior")
        '3 starts: 2 reached the best log posterior, the other ended 2.5 below'
        """
        n = len(self.values)
        gaps = self.values[0] - self.values
        best = int((gaps <= SAME).sum())
        if n == 1:
            return "1 start: whether others end better is not known (restarts=)"
        if best == n:
            return f"{n} starts: all reached the same {of_what}, within {np.max(gaps):.1g}"
        others = gaps[gaps > SAME]
        if not np.isfinite(others).all():
            return f"{n} starts: {best} reached the best {of_what}, {counted(n - best, 'other')} did not end"
        if len(others) == 1:
            return f"{n} starts: {best} reached the best {of_what}, the other ended {others[0]:.2g} below"
        ends = f"{others.min():.2g} to {others.max():.2g}"
        return f"{n} starts: {best} reached the best {of_what}, the others ended {ends} below"


def search_lines(search: Search | None, logits: Logits, kind: str) -> tuple[str, ...]:
    """What an estimate of a network says of its layers and of the search; nothing of linear logits."""
    if search is None or not isinstance(logits, NetworkLogits):
        return ()
    return search.in_words(MAXIMISED[kind]), layers_in_words(logits)
