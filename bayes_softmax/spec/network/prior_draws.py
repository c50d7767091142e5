"""The priors of a network before any data: draws of its weights and biases, layer by layer."""

import itertools
from typing import NoReturn

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.hidden import HiddenLayers
from bayes_softmax.spec.network.learned import drawn_scales
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.specification import Specification


def network_prior_draws(spec: Specification, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Independent draws from the prior, by name: (n, *shape) of each parameter, in the order of the logits.

    Raises
    ------
    ValueError
        If the prior of a layer is improper.
    """
    hidden, priors = spec.hidden, spec.priors
    assert hidden is not None
    units = np.arange(hidden.n_inputs) < hidden.n_units
    if (priors.flat_features & units).any():
        _refuse(f"{WEIGHTS}, the last layer,")
    drawn = _hidden_draws(hidden, n, rng)
    names = (*[""] * hidden.n_units, *spec.schema.feature_names)
    last = prior_draws(priors, spec.coordinates, n, rng, feature_names=names)
    drawn |= {INTERCEPT: last[INTERCEPT], WEIGHTS: last[WEIGHTS][:, : hidden.n_units]}
    drawn |= {SKIP: last[WEIGHTS][:, hidden.n_units :]} if hidden.skip else {}
    return _times_learned(spec, drawn, drawn_scales(hidden.learned, n, rng))


def _times_learned(
    spec: Specification, drawn: dict[str, FloatArray], scales: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """The draws (n, *shape) of layers with a learned scale times scales (n,), about the feature means."""
    found = dict(drawn)
    for name, scale in scales.items():
        found[name] = scale[:, None, None] * drawn[name]
        if name not in (WEIGHTS, SKIP):
            found[f"{name}_bias"] = scale[:, None] * drawn[f"{name}_bias"]
    if SKIP in scales and spec.priors.intercept_at == "means":
        m = spec.design.standardisation.centre
        found[INTERCEPT] = drawn[INTERCEPT] - np.einsum("p,npk->nk", m, found[SKIP] - drawn[SKIP])
    return found


def _hidden_draws(hidden: HiddenLayers, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Weights (n, fan-in, units) and biases (n, units) of each hidden layer."""
    drawn: dict[str, FloatArray] = {}
    for layer, ((fan_in, units), scale) in enumerate(zip(itertools.pairwise(hidden.sizes), hidden.scales, strict=True)):
        weights, bias = hidden_names(1 + layer)
        if not np.isfinite(scale).all():
            _refuse(weights)
        drawn[weights] = scale[1:, None] * rng.standard_normal((n, fan_in, units))
        drawn[bias] = scale[0] * rng.standard_normal((n, units))
    return drawn


def _refuse(layer: str) -> NoReturn:
    raise ValueError(f"the prior of {layer} is Flat(), from which nothing can be drawn; give it a proper one")
