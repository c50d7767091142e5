"""From the specification of a linear model to that of a network on the same rows."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.network.layer_scales import with_layer_sds
from bayes_softmax.spec.network.learned import LearnedLayer
from bayes_softmax.spec.network.logits import SKIP, NetworkLogits
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.priors import LayerPriors, hidden_layers, layer_names, layer_priors, rows_of_units
from bayes_softmax.spec.priors import FamilyRows, Jeffreys, Prior, PriorTable, repeated
from bayes_softmax.spec.scales.hyperpriors import R2D2
from bayes_softmax.spec.specification import Specification


def split_prior(prior: Any, logits: Any) -> tuple[Any, Any]:
    """The argument ``prior`` as that of the features in the last layer, and that of the layers with hidden units.

    A mapping may name both: layers come first where a feature has the name of one.  ``skip``, for the weights of all
    features, is left with the features (:func:`~bayes_softmax.spec.by_term.priors_by_feature`).
    """
    if logits is None:
        return prior, None
    if not isinstance(logits, MLP):
        raise TypeError(f"logits={shown(logits)} must be MLP(...), CustomLogits(...), or None for linear logits")
    if not logits.sizes:
        return prior, None
    if not isinstance(prior, Mapping):
        return (prior if logits.skip else None), prior
    if not logits.skip:
        return None, prior
    layers = layer_names(logits)
    return (
        {name: one for name, one in prior.items() if name not in layers} or None,
        {name: one for name, one in prior.items() if name in layers} or None,
    )


def names_beside_features(logits: MLP | None) -> tuple[str, ...]:
    """Names that a mapping of priors may have beside features and terms: of layers, and ``skip``."""
    return () if logits is None or not logits.sizes else (*layer_names(logits), SKIP)


def with_logits(linear: Specification, logits: MLP | None, prior: LayerPriors) -> Specification:
    """The model with the logits that were asked for; ``prior`` is that of layers with hidden units."""
    return linear if logits is None else network_specification(linear, logits, prior)


def network_specification(linear: Specification, network: MLP, prior: LayerPriors = None) -> Specification:
    """The model with a network's logits in place of linear ones.

    Parameters
    ----------
    linear
        The linear model of the same data: its rows, coding, intercept's prior, and with ``skip`` its weights' priors.
    network
        Sizes and activation.  Without hidden layers the result is ``linear`` itself.
    prior
        Priors of the layers with hidden units: one for all, or a mapping from layer; None is the default.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> linear = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])._spec
    >>> spec = network_specification(linear, MLP(hidden=(4,)))
    >>> spec.logits.shapes["weights"], spec.network_coordinates.dimension
    ((4, 2), 13)
    """
    if not network.sizes:
        return linear
    if linear.priors.is_jeffreys or isinstance(prior, Jeffreys):
        raise ValueError(
            "prior=Jeffreys() is for linear logits: of a network it has no simple form; use Normal or None"
        )
    design, given = linear.design, layer_priors(prior, network, _names(linear))
    own, of_skip = _learned_together(linear.priors, skip=network.skip)
    last = _of_last_layer(network, given["weights"], own)
    if linear.schema.coding == "full" and last.flat_features.any():
        raise ValueError(
            "coding='full' needs a proper prior of the last layer: with K free columns its weights are not identified; "
            "use coding='zero-sum' or 'reference'"
        )
    hidden = hidden_layers(network, design, given)
    hidden = replace(hidden, learned=(*hidden.learned, *of_skip))
    logits = NetworkLogits(
        design.n_features,
        design.n_classes,
        network.sizes,
        network.activation,
        network.skip,
        tuple(hidden.inputs.centre.tolist()),
        tuple(hidden.inputs.scale.tolist()),
    )
    schema = replace(linear.schema, dropped_flat=bool(np.isinf(hidden.scales[0]).any()))
    return with_layer_sds(replace(linear, priors=last, logits=logits, hidden=hidden, schema=schema))


def _learned_together(priors: PriorTable, *, skip: bool) -> tuple[PriorTable, tuple[LearnedLayer, ...]]:
    """The priors of the features with their unit in place of a learned scale, which all of them must share."""
    if not priors.learns_scales:
        return priors, ()
    shared = priors.learned[0]
    if not skip or isinstance(shared.prior, R2D2) or len(shared.features) < len(priors.by_default):
        raise ValueError(
            "logits=MLP(...): a network learns one scale for each layer, and with skip=True one for all features: "
            f"prior=Normal(scale=HalfNormal(1)), or a mapping from layers; {shared.prior} of some features is another"
        )
    fixed = replace(priors, features=repeated(Normal(1.0), len(shared.features)), learned=())
    return fixed, (LearnedLayer(SKIP, shared.prior.scale_prior),)


def _names(linear: Specification) -> tuple[str, ...]:
    """Names of features and terms."""
    return (*linear.schema.feature_names, *(term.name for term in linear.schema.encoder.named_terms))


def _of_last_layer(network: MLP, prior: Prior | None, linear: PriorTable) -> PriorTable:
    """The priors of the last layer's inputs: hidden units, and with ``skip`` the features."""
    units, n_features = rows_of_units(network, prior), len(linear.by_default)
    features = linear.of(np.full(n_features, network.skip))
    both = FamilyRows(*(np.concatenate(pair) for pair in zip(units, features.features, strict=True)))
    by_default = np.concatenate([np.full(len(units.family), prior is None), features.by_default])
    constant = linear.constant
    if prior is None and features.by_default.any():  # together they move a logit as either would alone
        both.scale[by_default] /= math.sqrt(2.0)
        constant /= math.sqrt(2.0)
    return replace(features, features=both, by_default=by_default, constant=constant)
