"""The Jacobian of a network's logits in its free coordinates, for some rows at a time."""

from collections.abc import Mapping

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import free_vectors
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.network.activations import ACTIVATIONS
from bayes_softmax.spec.network.hidden import NetworkCoordinates
from bayes_softmax.spec.network.logits import NetworkLogits, hidden_names


def free_jacobian(
    logits: NetworkLogits, coordinates: NetworkCoordinates, at: Mapping[str, FloatArray], X: FloatArray
) -> FloatArray:
    """Jacobian (n, K, d) of the logits of rows (n, p), at parameters (*shape) by name."""
    activation, last = ACTIVATIONS[logits.activation], coordinates.last
    units, slopes = [(X - logits.centre) / np.asarray(logits.scale)], []
    for layer in range(1, len(logits.hidden) + 1):
        weights, bias = (at[name] for name in hidden_names(layer))
        before = units[-1] @ weights + bias
        units.append(activation.value(before))
        slopes.append(activation.slope(before))
    inputs = np.concatenate([units[-1], units[0]], axis=1) if logits.skip else units[-1]
    parts = [_of_last(coordinates, inputs)]
    onwards = at[WEIGHTS].T
    deltas: FloatArray = np.broadcast_to(onwards, (len(X), *onwards.shape))
    for layer in range(len(logits.hidden), 0, -1):
        deltas = deltas * slopes[layer - 1][:, None]
        with_one = np.insert(units[layer - 1], 0, 1.0, axis=1)
        outer = deltas[:, :, :, None] * with_one[:, None, None]
        parts.insert(0, outer.reshape(len(X), last.n_classes, -1))
        deltas = deltas @ at[hidden_names(layer)[0]].T
    return np.concatenate(parts, axis=2)


def _of_last(coordinates: NetworkCoordinates, inputs: FloatArray) -> FloatArray:
    """Jacobian (n, K, d_last) in the last layer's free vector: contrasts times its inputs, on the engine's scale."""
    last, n = coordinates.last, len(inputs)
    weights = last.weights_contrast[None, :, :, None] * inputs[:, None, None]
    intercept = np.broadcast_to(last.intercept_contrast, (n, *last.intercept_contrast.shape))
    jacobian: FloatArray = free_vectors(intercept, weights)
    return jacobian
