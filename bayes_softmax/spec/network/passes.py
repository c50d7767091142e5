r"""Passes through the hidden layers of a network, for some draws at a time: forwards, and back."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.activations import Activation

SKIP = "skip"


def hidden_names(layer: int) -> tuple[str, str]:
    """Names of the weights and biases of a hidden layer, counted from one."""
    return f"hidden_{layer}", f"hidden_{layer}_bias"


class Passes(NamedTuple):
    """Hidden layers of these sizes on features with this centre and scale (p,)."""

    hidden: tuple[int, ...]
    activation: Activation
    centre: FloatArray
    scale: FloatArray

    def units(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Units (1 or S, n, H_L) of the last hidden layer; slopes would cost more than they do."""
        units = self._standardised(X)
        for layer in range(1, len(self.hidden) + 1):
            units = self.activation.value(_before(parameters, layer, units))
        return units

    def slopes(self, parameters: Parameters, X: FloatArray) -> list[FloatArray]:
        """Slopes (1 or S, n, H_l) of the units of each hidden layer."""
        units, slopes = self._standardised(X), []
        for layer in range(1, len(self.hidden) + 1):
            before = _before(parameters, layer, units)
            slopes.append(self.activation.slope(before))
            if layer < len(self.hidden):
                units = self.activation.value(before)
        return slopes

    def back(
        self, parameters: Parameters, X: FloatArray, derivatives: FloatArray
    ) -> dict[str, tuple[FloatArray | None, FloatArray]]:
        """Back-propagation in one draw, from derivatives (n, m, K) in the logits.

        For each parameter the inputs (n, a), None for a bias, and the derivatives (n, m, b) in its outputs.
        """
        inputs, slopes = [self._standardised(X)], []
        for layer in range(1, len(self.hidden) + 1):
            before = _before(parameters, layer, inputs[-1])
            inputs.append(self.activation.value(before))
            slopes.append(self.activation.slope(before))
        found: dict[str, tuple[FloatArray | None, FloatArray]] = {
            INTERCEPT: (None, derivatives),
            WEIGHTS: (inputs[-1][0], derivatives),
        }
        deltas, onwards = derivatives, parameters[WEIGHTS][0]
        for layer in range(len(self.hidden), 0, -1):
            weights, bias = hidden_names(layer)
            deltas = (deltas @ onwards.T) * slopes[layer - 1][0][:, None]
            found |= {weights: (inputs[layer - 1][0], deltas), bias: (None, deltas)}
            onwards = parameters[weights][0]
        return found

    def _standardised(self, X: FloatArray) -> FloatArray:
        """Features (1, n, p)."""
        Z: FloatArray = ((X - self.centre) / self.scale)[None]
        return Z


def _before(parameters: Parameters, layer: int, inputs: FloatArray) -> FloatArray:
    """Pre-activations (1 or S, n, H_l) of a layer's units."""
    weights, bias = hidden_names(layer)
    before: FloatArray = inputs @ parameters[weights]
    before += parameters[bias][:, None]
    return before


def summed_gradients(passes: Passes, some: Parameters, X: FloatArray, P: FloatArray, w: FloatArray) -> FloatArray:
    r"""Sums over rows of the gradients of the class probabilities in the features: (S, p, K) for some draws.

    With probabilities ``P`` (S, n, K) and weights of the rows ``w`` (n,):
    :math:`\sum_n w_n \, \partial P_{nk} / \partial x_n`, by back-propagation of one class after the other.
    """
    slopes, V, S, K = passes.slopes(some, X), some[WEIGHTS], len(P), P.shape[2]
    mean = P @ V.transpose(0, 2, 1)  # (S, n, H): what the logits' weights are on average
    out = np.empty((S, len(passes.centre), K))
    for k in range(K):
        deltas = (V[:, None, :, k] - mean) * slopes[-1]
        deltas *= (w * P[:, :, k])[:, :, None]
        for layer in range(len(passes.hidden), 1, -1):
            deltas = deltas @ some[hidden_names(layer)[0]].transpose(0, 2, 1)
            deltas *= slopes[layer - 2]
        out[:, :, k] = np.matmul(some[hidden_names(1)[0]], deltas.sum(axis=1)[:, :, None])[:, :, 0]
    out /= passes.scale[:, None]
    if SKIP in some.arrays:
        skip = some[SKIP]  # (S, p, K)
        own = np.matmul(w, P)[:, None] * skip
        pairs = np.einsum("n,snk,snl->skl", w, P, P, optimize=True)
        out += own - skip @ pairs
    return out
