"""What the user writes for a neural network: ``MLP(hidden=(50,), activation="tanh", skip=False)``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import check_choice, check_flags, shown
from bayes_softmax.spec.network.activations import ACTIVATIONS

MOST_UNITS = 100_000  # in one layer: a matrix between two such layers would need 75 GiB


@dataclass(frozen=True, repr=False)
class MLP:
    """Logits of a multilayer perceptron, fully connected.

    Parameters
    ----------
    hidden
        Number of units in each hidden layer, from the features on; a single number is one layer.  ``()`` is the linear
        model, to which ``skip`` adds nothing.
    activation
        ``"tanh"`` (default), ``"relu"``, ``"gelu"`` (the exact one) or ``"softplus"``, of every hidden unit.
    skip
        Whether the linear logits are added: a linear model plus a correction.
    common_unit
        Whether the prior of the first layer measures all features in one unit, the root mean square of their standard
        deviations, instead of each in its own: for features of one kind, such as pixels, where those that hardly vary
        say little.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used; the message names it, its value and what is allowed.

    Examples
    --------
    >>> MLP(hidden=[20, 10], activation="relu")
    MLP(hidden=(20, 10), activation='relu', skip=False)
    >>> MLP(hidden=50).hidden
    (50,)
    """

    hidden: Sequence[int] | int = (50,)
    activation: str = "tanh"
    skip: bool = False
    common_unit: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", _sizes(self.hidden))
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_flags(skip=self.skip, common_unit=self.common_unit)
        object.__setattr__(self, "skip", bool(self.skip))
        object.__setattr__(self, "common_unit", bool(self.common_unit))

    def __repr__(self) -> str:
        """Return the call that makes it; ``common_unit`` only where it is used."""
        common = ", common_unit=True" if self.common_unit else ""
        return f"MLP(hidden={self.hidden!r}, activation={self.activation!r}, skip={self.skip!r}{common})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return _sizes(self.hidden)


def _sizes(hidden: Any) -> tuple[int, ...]:
    """Units of each layer; raises for what is no number of units."""
    given = (hidden,) if _is_whole(hidden) else hidden
    if isinstance(given, str | bytes | set | frozenset | dict) or not isinstance(given, Sequence | np.ndarray):
        raise TypeError(
            f"hidden={shown(hidden)} must be the number of units in each hidden layer, such as (50,) or (20, 10)"
        )
    for size in given:
        if not _is_whole(size):
            raise TypeError(f"hidden={shown(hidden)}: {shown(size)} is not a whole number of units")
        if not 1 <= size <= MOST_UNITS:
            raise ValueError(
                f"hidden={shown(hidden)}: a layer of {shown(size)} units; from 1 to {MOST_UNITS} are possible, and () "
                "is the linear model"
            )
    return tuple(int(size) for size in given)


def _is_whole(value: Any) -> bool:
    """Whether a value is a whole number and not a boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
