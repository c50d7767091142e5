"""The parameters of a network in its ``pm.Model``: hidden layers, and a last layer with priors as of linear logits."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.hidden import HiddenLayers
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.pymc_priors import (
    PriorBlock,
    intercept_block,
    intercept_variable,
    weights_blocks,
    weights_variable,
)
from bayes_softmax.spec.scales.non_centred import scaled_rows
from bayes_softmax.spec.specification import Specification


def network_variables(spec: Specification) -> dict[str, Any]:
    """All parameters by name; those that the model does not have are left out."""
    hidden, coordinates = spec.hidden, spec.coordinates
    assert hidden is not None
    scales = {layer.name: layer.random_variable() for layer in hidden.learned}
    variables, inputs = _hidden_variables(hidden, scales)
    of_units = np.arange(hidden.n_inputs) < hidden.n_units
    blocks = blocks_of_inputs(spec.priors, coordinates, of_units)
    if WEIGHTS in scales:
        variables[WEIGHTS] = _scaled_block(_renamed(blocks[0], WEIGHTS, inputs), scales[WEIGHTS])
    else:
        variables[WEIGHTS] = weights_variable([_renamed(block, WEIGHTS, inputs) for block in blocks], ())
    if hidden.skip and spec.design.n_features:
        skips = blocks_of_inputs(spec.priors, coordinates, ~of_units)
    if hidden.skip and spec.design.n_features and SKIP in scales:
        variables[SKIP] = _scaled_block(skips[0]._replace(name=SKIP), scales[SKIP])
    elif hidden.skip and spec.design.n_features:
        renamed = [block._replace(name=block.name.replace(WEIGHTS, SKIP, 1)) for block in skips]
        variables[SKIP] = weights_variable(renamed, spec.schema.feature_names, SKIP)
    block = intercept_block(spec.priors, coordinates)
    if block is not None:
        variables[INTERCEPT] = intercept_variable(block, skip_coordinates(hidden, coordinates), variables.get(SKIP))
    return variables


def _scaled_block(block: PriorBlock, scale: Any) -> Any:
    """Coefficients of a layer as standard normal variables times its scale."""
    dims = (block.dims[0], block.free_dim)
    return scaled_rows(block.name, dims, block.contrast, block.spherical, scale * block.scale)


def _hidden_variables(hidden: HiddenLayers, scales: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Weights and biases of the hidden layers, and the name of the dimension of the last units."""
    import pymc as pm

    variables: dict[str, Any] = {}
    inputs = "feature"
    for layer, ((_, n_units), scale) in enumerate(zip(itertools.pairwise(hidden.sizes), hidden.scales, strict=True), 1):
        weights, bias = hidden_names(layer)
        units = f"unit_{layer}"
        pm.modelcontext(None).add_coord(units, np.arange(n_units))
        for name, sd, dims in ((weights, scale[1:, None], (inputs, units)), (bias, scale[:1], (units,))):
            if weights in scales:
                z = pm.Normal(f"{name}_z", 0.0, 1.0, dims=dims)
                variables[name] = pm.Deterministic(name, scales[weights] * sd * z, dims=dims)
            else:
                variables[name] = _normal(name, sd, dims)
        inputs = units
    return variables, inputs


def _normal(name: str, scale: FloatArray, dims: tuple[str, ...]) -> Any:
    """Independent normals, or a flat prior if the scales are infinite."""
    import pymc as pm

    if scale.size and np.isinf(scale).all():
        return pm.Flat(name, dims=dims)
    return pm.Normal(name, 0.0, scale, dims=dims)


def skip_coordinates(hidden: HiddenLayers, coordinates: Coordinates) -> Coordinates:
    """The coordinates of the features in the last layer; of none without ``skip``."""
    return _columns(coordinates, np.arange(hidden.n_inputs) >= hidden.n_units)


def blocks_of_inputs(priors: PriorTable, coordinates: Coordinates, inputs: NDArray[np.bool_]) -> list[PriorBlock]:
    """Blocks of priors of some inputs of the last layer."""
    return weights_blocks(priors.of(inputs), _columns(coordinates, inputs))


def _columns(coordinates: Coordinates, inputs: NDArray[np.bool_]) -> Coordinates:
    """The coordinates of some inputs of the last layer."""
    return replace(coordinates, centre=coordinates.centre[inputs], scale=coordinates.scale[inputs])


def _renamed(block: PriorBlock, name: str, inputs: str) -> PriorBlock:
    """The block of all units, which share one prior, over their own dimension."""
    return block._replace(name=name, dims=(inputs,))
