r"""Hidden layers of a model: their sizes, the priors of their weights, and their coordinates.

The last layer is linear in its inputs, hidden units and with ``skip`` the features, and has the coordinates and priors
of a linear model with these columns (:mod:`bayes_softmax.spec.coding`): units are neither centred nor scaled.  A free
vector is

====================  ========================================================================================
``[h_1, W_1], ...``   of each hidden layer a matrix (H_l, 1 + H_{l-1}), unit by unit: bias, then weights, on
                      standardised features or on the units of the layer before
``theta_last``        the last layer's own free vector: column by column, intercept, H_L units, p features
====================  ========================================================================================
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Standardisation
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.learned import LearnedLayer
from bayes_softmax.spec.network.logits import SKIP, hidden_names


@dataclass(frozen=True, eq=False)
class HiddenLayers:
    """Sizes and priors of hidden layers.

    Attributes
    ----------
    sizes
        Number of features p, then of the units of each layer.
    scales
        For each layer (1 + fan-in,) the standard deviations of the normal priors of a unit's bias and weights; infinite
        for a flat prior.
    skip
        Whether the features are inputs of the last layer too.
    inputs
        Centre and scale of the features as inputs of the first layer, centred also in a model without an intercept.
    by_default
        Which layers take the default prior.
    learned
        Layers whose scale is learned, the last one's among them; ``scales`` and the prior table have their units.
    """

    sizes: tuple[int, ...]
    scales: tuple[FloatArray, ...]
    skip: bool
    inputs: Standardisation
    by_default: tuple[bool, ...]
    learned: tuple[LearnedLayer, ...] = ()

    @property
    def n_units(self) -> int:
        """Units of the last hidden layer."""
        return self.sizes[-1]

    @cached_property
    def dimension(self) -> int:
        """Number of hidden weights and biases."""
        return sum(units * (1 + fan_in) for fan_in, units in itertools.pairwise(self.sizes))

    @property
    def n_inputs(self) -> int:
        """Inputs of the last layer."""
        return self.n_units + (self.sizes[0] if self.skip else 0)

    def of_last_layer(self, features: Standardisation) -> Standardisation:
        """Centre and scale of the last layer's inputs, given those of the features."""
        centre, scale = np.zeros(self.n_units), np.ones(self.n_units)
        if not self.skip:
            return Standardisation(centre, scale)
        return Standardisation(np.concatenate([centre, features.centre]), np.concatenate([scale, features.scale]))

    def with_scale(self, scale: float) -> "HiddenLayers":
        """The same layers with one scale for all priors."""
        return replace(self, scales=tuple(np.full_like(scales, scale) for scales in self.scales))

    def with_flat_priors(self) -> "HiddenLayers":
        """The same layers under flat priors."""
        return replace(self.with_scale(np.inf), learned=())

    @property
    def log_prior_constant(self) -> float:
        """Log density of the normal priors at zero; flat ones count zero."""
        total = 0.0
        for units, scale in zip(self.sizes[1:], self.scales, strict=True):
            proper = scale[np.isfinite(scale)]
            total -= units * (0.5 * math.log(2 * math.pi) * len(proper) + float(np.log(proper).sum()))
        return total


@dataclass(frozen=True, eq=False)
class NetworkCoordinates:
    """Maps between free vectors and the parameters by name.

    ``last`` are the coordinates of the last layer, whose features are its inputs.
    """

    hidden: HiddenLayers
    last: Coordinates

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.hidden.dimension + self.last.dimension

    def to_parameters(self, thetas: FloatArray) -> dict[str, FloatArray]:
        """Parameters (S, *shape) of free vectors (S, d)."""
        found: dict[str, FloatArray] = {}
        start, n_units = 0, self.hidden.n_units
        for layer, (fan_in, units) in enumerate(itertools.pairwise(self.hidden.sizes), 1):
            end = start + units * (1 + fan_in)
            rows = thetas[:, start:end].reshape(len(thetas), units, 1 + fan_in)
            weights, bias = hidden_names(layer)
            found |= {weights: np.ascontiguousarray(rows[:, :, 1:].transpose(0, 2, 1)), bias: rows[:, :, 0].copy()}
            start = end
        intercept, weights_of_last = self.last.to_raw(thetas[:, start:])
        found |= {INTERCEPT: intercept, WEIGHTS: weights_of_last[:, :n_units]}
        return found | ({SKIP: weights_of_last[:, n_units:]} if self.hidden.skip else {})

    def from_parameters(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """The free vector (d,) of parameters of these shapes, whose last layer lies in the coding."""
        parts = []
        for layer in range(1, len(self.hidden.sizes)):
            weights, bias = (parameters[name] for name in hidden_names(layer))
            parts.append(np.column_stack([bias, weights.T]).ravel())
        weights_of_last = parameters[WEIGHTS]
        if self.hidden.skip:
            weights_of_last = np.concatenate([weights_of_last, parameters[SKIP]])
        return np.concatenate([*parts, self.last.from_raw(parameters[INTERCEPT], weights_of_last)])
