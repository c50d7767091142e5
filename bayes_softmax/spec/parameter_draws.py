"""The prior of draws of parameters, for each kind of logits: its density, and the random variables of the model."""

from collections.abc import Callable, Mapping

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.custom.logits import CUSTOM, OwnLogits
from bayes_softmax.spec.custom.prior import derived_values, log_prior
from bayes_softmax.spec.groups.pymc_variables import group_values
from bayes_softmax.spec.linear import GROUPS, INTERCEPT, WEIGHTS
from bayes_softmax.spec.log_prior import log_prior_draws
from bayes_softmax.spec.network.hidden import HiddenLayers
from bayes_softmax.spec.network.learned import scales_of
from bayes_softmax.spec.network.logits import NETWORK, SKIP, hidden_names
from bayes_softmax.spec.network.pymc_variables import blocks_of_inputs, skip_coordinates
from bayes_softmax.spec.pymc_priors import PriorBlock, free_values, free_variables, intercept_block
from bayes_softmax.spec.scales.non_centred import unscaled_values
from bayes_softmax.spec.specification import Specification

type Draws = Mapping[str, FloatArray]


def log_prior_of_draws(spec: Specification, parameters: Draws) -> FloatArray | None:
    """Normalised log prior density (S,) of draws of the parameters (S, *shape); flat priors count zero.

    None where it is not known, of a user's function with a prior that has no density.
    """
    if isinstance(spec.logits, OwnLogits):
        return log_prior(spec.logits, parameters)
    last = log_prior_draws(spec.priors, spec.coordinates, _of_last_layer(parameters))
    return last if spec.hidden is None else last + _hidden_log_prior(spec.hidden, parameters)


def random_variables_of_draws(
    spec: Specification, parameters: Draws, hyper: Draws | None = None
) -> dict[str, FloatArray]:
    """Values of the ``pm.Model``'s random variables that are not parameters, for draws (chain, draw, *shape) of these.

    ``hyper`` are the hyperparameters of learned scales and of groupings, by name.
    """
    of = OTHERS.get(spec.logits.kind)
    return of(spec, parameters, hyper or {}) if of else free_variables(spec.priors, spec.coordinates, parameters, hyper)


def _of_last_layer(parameters: Draws) -> dict[str, FloatArray]:
    """Intercept and weights of all inputs of the last layer."""
    weights = parameters[WEIGHTS]
    if SKIP in parameters:
        weights = np.concatenate([weights, parameters[SKIP]], axis=-2)
    return {INTERCEPT: parameters[INTERCEPT], WEIGHTS: weights}


def _hidden_log_prior(hidden: HiddenLayers, parameters: Draws) -> FloatArray:
    """Log density (S,) of the hidden weights and biases."""
    total: FloatArray = np.full(len(parameters[INTERCEPT]), hidden.log_prior_constant)
    for layer, scale in enumerate(hidden.scales, 1):
        weights, bias = (parameters[name] for name in hidden_names(layer))
        total -= 0.5 * np.square(weights / scale[1:, None]).sum(axis=(1, 2))
        total -= 0.5 * np.square(bias / scale[0]).sum(axis=1)
    return total


def _of_network(spec: Specification, parameters: Draws, hyper: Draws) -> dict[str, FloatArray]:
    """Free coordinates of the last layer, and of layers with a learned scale the weights over the scale."""
    hidden, priors = spec.hidden, spec.priors
    assert hidden is not None
    of_units = np.arange(hidden.n_inputs) < hidden.n_units
    scales = scales_of(hidden.learned, hyper)
    values = {**hyper, **_hidden_over_scales(hidden, parameters, scales)}
    for block in blocks_of_inputs(priors, spec.coordinates, of_units):
        values |= _values_of(block._replace(name=WEIGHTS), parameters[WEIGHTS], scales.get(WEIGHTS))
    intercept, at = intercept_block(priors, spec.coordinates), parameters[INTERCEPT]
    if hidden.skip:
        skip = parameters[SKIP]
        for block in blocks_of_inputs(priors, spec.coordinates, ~of_units):
            name = block.name.replace(WEIGHTS, SKIP, 1)
            values |= _values_of(block._replace(name=name), skip[..., list(block.members), :], scales.get(SKIP))
        at = at + np.einsum("p,...pk->...k", skip_coordinates(hidden, spec.coordinates).centre, skip)
    if intercept is not None:
        values |= free_values(intercept, at if intercept.name != INTERCEPT else parameters[INTERCEPT])
    return {name: value for name, value in values.items() if name not in parameters}


def _hidden_over_scales(hidden: HiddenLayers, parameters: Draws, scales: Draws) -> dict[str, FloatArray]:
    """Standard normal variables of hidden layers with a learned scale."""
    values: dict[str, FloatArray] = {}
    for layer, units in enumerate(hidden.scales, 1):
        weights, bias = hidden_names(layer)
        if weights in scales:
            values[f"{weights}_z"] = parameters[weights] / (scales[weights][..., None, None] * units[1:, None])
            values[f"{bias}_z"] = parameters[bias] / (scales[weights][..., None] * units[0])
    return values


def _values_of(block: PriorBlock, rows: FloatArray, scale: FloatArray | None) -> dict[str, FloatArray]:
    """Values of the random variables of a block of the last layer, whose scale may be learned."""
    if scale is None:
        return free_values(block, rows)
    sds = scale[..., None] * block.scale[:, 0]
    return unscaled_values(block.name, block.contrast, block.spherical, sds, rows)


def _of_own(spec: Specification, parameters: Draws, _: Draws) -> dict[str, FloatArray]:
    """No random variables, which are all parameters; but the deterministic ones that the function names."""
    assert isinstance(spec.logits, OwnLogits)
    return derived_values(spec.logits, parameters)


def _of_groups(spec: Specification, parameters: Draws, hyper: Draws) -> dict[str, FloatArray]:
    """Those of weights and intercept, and of each grouping."""
    values = free_variables(spec.priors, spec.coordinates, parameters)
    return values | group_values(spec.groups, parameters, hyper)


OTHERS: dict[str, Callable[[Specification, Draws, Draws], dict[str, FloatArray]]] = {
    NETWORK: _of_network,
    CUSTOM: _of_own,
    GROUPS: _of_groups,
}
