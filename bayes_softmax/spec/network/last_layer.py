"""The last layer of a network whose hidden layers are held: linear logits of its inputs, the hidden units.

Hidden units are computed once for all draws that share their hidden layers, so answers cost what linear ones do.
"""

from collections.abc import Callable, Iterable

import numpy as np

from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS, LinearLogits

type OfHidden = Callable[[Parameters], FloatArray]


def last_layer(parameters: Parameters, skip: str | None) -> tuple[LinearLogits, Parameters]:
    """The last layer as linear logits, with its draws; ``skip`` names the weights of features, if it has them."""
    weights = parameters[WEIGHTS]
    if skip is not None:
        weights = np.concatenate([weights, parameters[skip]], axis=1)
    _, n_inputs, n_classes = weights.shape
    return LinearLogits(n_inputs, n_classes), Parameters({INTERCEPT: parameters[INTERCEPT], WEIGHTS: weights})


def logits_of_parts(
    parameters: Parameters, skip: str | None, inputs: Callable[[Parameters, FloatArray], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """A function from features to the logits (K, n, S) of all draws, with the inputs (n, H) of each part's layer."""
    parts = [(some, last_layer(some, skip)) for _, some in parameters.parts()]
    layers = [(some, last.at(of_last)) for some, (last, of_last) in parts]

    def logits(X: FloatArray) -> FloatArray:
        return _side_by_side((of(inputs(some, X)) for some, of in layers), len(layers))

    return logits


def slope_of_parts(parameters: Parameters, skip: str | None, change: OfHidden) -> FloatArray:
    """Slopes (K, n, S) of the logits, with the change (n, H) of the inputs of each part's layer."""
    slopes = []
    for _, some in parameters.parts():
        last, of_last = last_layer(some, skip)
        moved = change(some)
        slopes.append(last.slope(of_last, moved, moved))
    return _side_by_side(slopes, len(slopes))


def _side_by_side(parts: Iterable[FloatArray], n_parts: int) -> FloatArray:
    """Arrays (K, n, S / parts) of the parts of the draws in one."""
    whole: FloatArray | None = None
    for i, part in enumerate(parts):
        if n_parts == 1:
            return part
        K, n, size = part.shape
        if whole is None:
            whole = np.empty((K, n, n_parts * size))
        whole[:, :, i * size : (i + 1) * size] = part
    assert whole is not None
    return whole
