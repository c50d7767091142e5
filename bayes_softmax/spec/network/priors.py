r"""Priors of a network, layer by layer.

By default every pre-activation has, over the rows of the data, the prior of a logit of a linear model:

* a unit of the first layer has the weights' default (:func:`~bayes_softmax.spec.autoscale.default_scales`), sd 2 over
  the rows, on standardised features (:math:`2/\sqrt p` each, less for rare flags), and the bias ``Normal(1.5)``;
* in every later layer, the last one too, weights are :math:`\mathrm{Normal}(2 / (r\sqrt{H}))` of ``H`` inputs, where
  ``r`` is the root mean square of a unit whose pre-activation has sd 2.5, and biases ``Normal(1.5)``.

With ``common_unit`` the sd of a first weight, explicit or by default, is multiplied by the feature's own standard
deviation over the root mean square of all of them: the prior is then on weights of features in one unit, and the prior
sd of a pre-activation over the rows stays.

So logits have a prior sd of 2.5, whatever the depth, the width and the activation.  With ``skip`` the weights of the
features have the linear model's priors; where these and those of the units take the default, each is divided by
:math:`\sqrt 2`, so that together they move a logit with sd 2.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.standardise import about_means
from bayes_softmax.spec.autoscale import (
    DEFAULT_INTERCEPT_SCALE,
    DEFAULT_TOTAL_SCALE,
    default_scales,
    feature_spread,
)
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.activations import unit_rms
from bayes_softmax.spec.network.hidden import HiddenLayers
from bayes_softmax.spec.network.learned import LearnedLayer
from bayes_softmax.spec.network.logits import SKIP
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.priors import FamilyRows, Prior, instead_of, repeated
from bayes_softmax.spec.scales.hyperpriors import ScalePrior

PRE_ACTIVATION_SD = float(np.hypot(DEFAULT_INTERCEPT_SCALE, DEFAULT_TOTAL_SCALE))

type LayerPriors = Prior | Mapping[str, Prior | None] | None


def layer_names(network: MLP) -> list[str]:
    """Names of the layers in a mapping of priors: those with hidden units, then the last one."""
    return [*(f"hidden_{layer}" for layer in range(1, len(network.sizes) + 1)), WEIGHTS]


def layer_priors(prior: LayerPriors, network: MLP, feature_names: Sequence[str] = ()) -> dict[str, Prior | None]:
    """The prior of each layer with hidden units, None for the default: one for all, or a mapping from layer.

    Layers are ``hidden_1``, ``hidden_2``, ... (weights and biases of their units) and ``weights``; the names of
    features are for messages.
    """
    names = layer_names(network)
    if not isinstance(prior, Mapping):
        return {name: _checked(name, prior, f"prior={shown(prior)}") for name in names}
    for name in prior:
        if name not in names:
            raise ValueError(f"prior: {shown(name)} {_instead(name, network, feature_names)}")
    return {name: _checked(name, prior.get(name), f"prior[{name!r}]={shown(prior.get(name))}") for name in names}


def _instead(name: Any, network: MLP, feature_names: Sequence[str]) -> str:
    """What a name is that is none of a layer, and what there is."""
    names = layer_names(network)
    if name == INTERCEPT:
        return "is no layer; the prior of the intercept is the argument intercept_prior"
    if name in feature_names:
        return (
            f"is a feature or term, and {network} has priors of layers, {listed(names)}; with skip=True features have "
            "weights of their own"
        )
    if name == SKIP:
        return f"is for skip=True, and this is {network}"
    return f"is no layer of {network}; it has {listed(names)}{did_you_mean(name, names)}"


def _checked(name: str, prior: Prior | None, argument: str) -> Prior | None:
    """The prior, if a layer can have it: hidden ones Normal or Flat, the last one any family."""
    possible = registry.is_family(prior) if name == WEIGHTS else isinstance(prior, Normal | Flat)
    if prior is not None and not possible and not isinstance(prior, Normal):
        what = registry.names() if name == WEIGHTS else "Normal, Flat"
        raise TypeError(f"{argument}: {name} of a network can have {what}, or None{instead_of(prior)}")
    return prior


def learned_layers(priors: Mapping[str, Prior | None]) -> tuple[LearnedLayer, ...]:
    """The layers with hidden units whose scale is learned."""
    return tuple(
        LearnedLayer(name, prior.scale)
        for name, prior in priors.items()
        if isinstance(prior, Normal) and isinstance(prior.scale, ScalePrior)
    )


def in_units(prior: Prior | None) -> Prior | None:
    """The prior at a scale of one, if its scale is learned."""
    return Normal(1.0) if isinstance(prior, Normal) and isinstance(prior.scale, ScalePrior) else prior


def hidden_layers(network: MLP, design: Design, priors: Mapping[str, Prior | None]) -> HiddenLayers:
    """The hidden layers with their priors, by default those on the first page of this module."""
    used = design.totals > 0
    X = design.X if used.all() else design.X[used]
    sizes, scales, inputs = (design.n_features, *network.sizes), [], about_means(design)
    for layer, fan_in in enumerate(sizes[:-1], 1):
        given = in_units(priors[f"hidden_{layer}"])
        if given is not None:
            sd = given.scale if isinstance(given, Normal) else np.inf
            scales.append(np.full(1 + fan_in, sd, dtype=np.float64))
            continue
        weights = _of_features(X, inputs) if layer == 1 else np.full(fan_in, _of_units(network.activation, fan_in))
        scales.append(np.append(DEFAULT_INTERCEPT_SCALE, weights))
    if network.common_unit:
        scales[0][1:] *= _in_common_unit(X, inputs)
    default = tuple(priors[f"hidden_{layer}"] is None for layer in range(1, len(sizes)))
    return HiddenLayers(sizes, tuple(scales), network.skip, inputs, default, learned_layers(priors))


def rows_of_units(network: MLP, prior: Prior | None) -> FamilyRows:
    """The priors of the last layer's weights of hidden units."""
    n_units, prior = network.sizes[-1], in_units(prior)
    return repeated(Normal(_of_units(network.activation, n_units)) if prior is None else prior, n_units)  # type: ignore[arg-type]


def _of_features(X: FloatArray, inputs: Standardisation) -> FloatArray:
    """Default scales (p,) of weights of standardised features; a constant one, centred, is no input at all."""
    varies = np.ptp(X, axis=0) > 0
    sd = inputs.scale[varies]
    constant, scales = default_scales(feature_spread(DenseFeatures(X[:, varies]), sd), sd)
    found = np.full(len(varies), constant)
    found[varies] = scales * sd
    return found


def _in_common_unit(X: FloatArray, inputs: Standardisation) -> FloatArray:
    """Each feature's sd (p,) in units of their root mean square; one for a column that does not vary."""
    varies = np.ptp(X, axis=0) > 0 if X.size else np.zeros(X.shape[1], dtype=np.bool_)
    sd = np.where(varies, inputs.scale, np.nan)
    largest = np.nanmax(sd) if varies.any() else 1.0  # squares must not overflow
    common = largest * np.sqrt(np.nanmean(np.square(sd / largest))) if varies.any() else 1.0
    unit: FloatArray = np.where(varies, sd / common, 1.0)
    return unit


def _of_units(activation: str, n_units: int) -> float:
    """Default scale of weights of hidden units."""
    return DEFAULT_TOTAL_SCALE / unit_rms(activation, PRE_ACTIVATION_SD) / math.sqrt(n_units)
