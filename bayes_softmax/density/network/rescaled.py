"""The same network on the same rows under wider or narrower priors, layer by layer."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.density.prior import rows_that_are


class LayerPrior(NamedTuple):
    """Coordinates whose normal priors have one factor in common: those of a layer.

    ``members`` (n,) are positions in a free vector, and ``rows`` (n,) those of their priors among the rows of all
    hidden layers' ``precision`` and then the last layer's prior rows.
    """

    members: IntArray
    rows: IntArray


def layers_of(density: NetworkPosterior) -> tuple[LayerPrior, ...]:
    """Each hidden layer, weights and biases; the weights of the last units; with ``skip`` those of the features.

    Flat priors have no scale, and their coordinates are in no layer.
    """
    hidden, last, data = density.coordinates.hidden, density.coordinates.last, density.data
    layers, at, row = [], 0, 0
    for fan_in, units in itertools.pairwise(hidden.sizes):
        n, own = units * (1 + fan_in), np.arange(row, row + 1 + fan_in)
        layers.append(LayerPrior(np.arange(at, at + n), np.tile(own, units)))
        at, row = at + n, row + 1 + fan_in
    _, weights = last.split(np.arange(at, density.dimension))
    rows = row + int(last.has_intercept) + np.arange(hidden.n_inputs)
    proper = rows_that_are(data.last.family, "proper")[rows - row]
    for inputs in (slice(0, hidden.n_units), slice(hidden.n_units, hidden.n_inputs)):
        members, own = weights[:, inputs][:, proper[inputs]], rows[inputs][proper[inputs]]
        layers.append(LayerPrior(members.ravel(), np.tile(own, len(members))))
    return tuple(layer for layer in layers if len(layer.members))


def prior_precisions(density: NetworkPosterior) -> FloatArray:
    """Inverse variances of all rows of normal priors, in the order of :class:`LayerPrior`."""
    return np.concatenate([density.data.precision, np.square(1.0 / density.data.last.scale)])


def with_scaled_layers(
    density: NetworkPosterior, layers: Sequence[LayerPrior], log_factors: FloatArray
) -> NetworkPosterior:
    r"""The density with the scales of each layer's priors multiplied by a factor, in the same coordinates.

    As in :func:`bayes_softmax.density.rescaled.with_scaled_weights`, n coordinates whose scales are multiplied by f
    lower the log prior's constant by :math:`n \log f`.
    """
    data, constant = density.data, density.log_prior_constant
    precision, scale = data.precision.copy(), data.last.scale.copy()
    m = len(precision)
    for layer, x in zip(layers, log_factors.tolist(), strict=True):
        rows = np.unique(layer.rows)
        precision[rows[rows < m]] *= np.exp(-2.0 * x)
        scale[rows[rows >= m] - m] *= np.exp(x)
        constant -= len(layer.members) * x
    data = data._replace(precision=precision, last=data.last._replace(scale=scale))
    return replace(density, data=data, log_prior_constant=constant)
