r"""Effective numbers of a network's parameters: how many of them the data determine, layer by layer.

With the Hessian ``H`` of minus the log posterior at a mode, and ``P`` that of minus the log prior, it is
:math:`\gamma = d - \mathrm{tr}(H^{-1} P)` (MacKay, *Neural Computation* 4, 1992), a sum over coordinates whose terms
are added up by parameter.
"""

import itertools
from collections.abc import Mapping

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.hidden import HiddenLayers
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.specification import Specification

LARGEST_FACTOR = 1500  # of the curvature of one layer: beyond, its eigenvectors take minutes


def effective_by_hessian(spec: Specification, H: FloatArray, prior: FloatArray) -> dict[str, float]:
    """By the Hessian ``H`` (d, d), positive definite, and that of the prior."""
    determined = 1.0 - np.einsum("ij,ji->i", np.linalg.inv(H), prior)
    return {name: float(determined[at].sum()) for name, at in _positions(spec).items()}


def effective_by_layers(spec: Specification, theta: FloatArray) -> Mapping[str, float]:
    """By Kronecker factors of the Gauss-Newton curvature of each layer; empty if a factor is too large.

    Curvature between layers is left out.
    """
    hidden, last = spec.hidden, spec.coordinates
    assert hidden is not None
    if max(*hidden.sizes, last.n_classes) > LARGEST_FACTOR:
        return {}
    density, determined = network_density(spec), np.empty(len(theta))
    start = 0
    for factors, metric in zip(density.layer_factors(theta), density.layer_metrics(theta), strict=True):
        k, m = metric.precisions.shape[:2]
        shares = 1.0 - np.einsum("eij,ji->ei", np.linalg.inv(metric.precisions), factors.prior)
        determined[density.layer_order[start : start + k * m]] = shares.ravel()
        start += k * m
    return {name: float(determined[at].sum()) for name, at in _positions(spec).items()}


def _positions(spec: Specification) -> dict[str, IntArray]:
    """Positions of each parameter in the free vector, by name."""
    hidden, last = spec.hidden, spec.coordinates
    assert hidden is not None
    found = _of_hidden_layers(hidden)
    return found | _of_last_layer(hidden, last)


def _of_hidden_layers(hidden: HiddenLayers) -> dict[str, IntArray]:
    """Of weights and biases of the hidden layers."""
    found: dict[str, IntArray] = {}
    start = 0
    for layer, (fan_in, units) in enumerate(itertools.pairwise(hidden.sizes), 1):
        weights, bias = hidden_names(layer)
        rows = np.arange(start, start + units * (1 + fan_in)).reshape(units, 1 + fan_in)
        found |= {weights: rows[:, 1:].ravel(), bias: rows[:, 0]}
        start += rows.size
    return found


def _of_last_layer(hidden: HiddenLayers, last: Coordinates) -> dict[str, IntArray]:
    """Of the last layer's intercept and weights."""
    intercept, weights = last.split(hidden.dimension + np.arange(last.dimension))
    found = {WEIGHTS: weights[:, : hidden.n_units].ravel()}
    if hidden.skip:
        found[SKIP] = weights[:, hidden.n_units :].ravel()
    return found | ({INTERCEPT: intercept} if last.has_intercept else {})
