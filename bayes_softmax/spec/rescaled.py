"""A model with its priors made wider or narrower: between a posterior that the prior rules, and the likelihood."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.families.registry import FamilyPrior, family_of
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.network.layer_scales import with_layer_sds
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.prior_draws import prior_sds
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.scale_choice import ScaleChoice
from bayes_softmax.spec.specification import Specification


def with_scaled_priors(spec: Specification, factor: float) -> Specification:
    """The same model with the scale of every prior multiplied by ``factor``; flat priors stay flat.

    Raises
    ------
    ValueError
        If no prior has a fixed scale, or a scale leaves the range of positive finite numbers.
    """
    priors = spec.priors
    refuse_unscaled(priors)
    intercept = None if priors.intercept is None else _scaled(priors.intercept, factor)
    scaled = _with_scaled_layers(spec, dict.fromkeys(layer_names(spec), factor))
    choice = priors.choice if factor == 1 else None
    return _with_priors(scaled, replace(scaled.priors, intercept=intercept, choice=choice))


def with_chosen_scale(spec: Specification, choice: ScaleChoice) -> Specification:
    """The same model with the scales of the weights' priors that were chosen; the intercept's stays as it is.

    The choice is relative to the scales as they were given: of a model whose scales were chosen before, to those.
    """
    before = {} if spec.priors.choice is None else spec.priors.choice.factors
    scaled = _with_scaled_layers(spec, {name: f / before.get(name, 1.0) for name, f in choice.factors.items()})
    return _with_priors(scaled, replace(scaled.priors, choice=choice))


def refuse_unscaled(priors: PriorTable) -> None:
    """Raise if no weight has a proper prior with a fixed scale."""
    if priors.is_jeffreys or not (priors.fixed & ~priors.flat_features).any():
        which = "Jeffreys()" if priors.is_jeffreys else "flat" if priors.flat_features.any() else "of no fixed scale"
        raise ValueError(f"the priors of the weights are {which}, so there is no scale to change; give proper ones")


def layer_names(spec: Specification) -> tuple[str, ...]:
    """Names of the layers whose priors have scales: ``weights`` alone where logits are linear.

    Of a network ``hidden_1``, ... of weights and biases, ``weights`` of the last units, and ``skip`` of the features.
    """
    if spec.hidden is None:
        return (WEIGHTS,)
    hidden = [hidden_names(layer)[0] for layer in range(1, len(spec.hidden.sizes))]
    proper = ~spec.priors.flat_features
    n_units, names = spec.hidden.n_units, []
    names += [WEIGHTS] if proper[:n_units].any() else []
    names += [SKIP] if proper[n_units:].any() else []
    return (*hidden, *names)


def _with_scaled_layers(spec: Specification, factors: Mapping[str, float]) -> Specification:
    """The model with the scales of the weights' priors multiplied, layer by layer."""
    priors, hidden = spec.priors, spec.hidden
    factor = np.full(len(priors.features.scale), factors.get(WEIGHTS, 1.0))
    if hidden is not None:
        factor[hidden.n_units :] = factors.get(SKIP, 1.0)
        scales = [
            _times(scale, np.asarray(factors[hidden_names(layer)[0]])) for layer, scale in enumerate(hidden.scales, 1)
        ]
        hidden = replace(hidden, scales=tuple(scales))
    features = priors.features._replace(scale=_times(priors.features.scale, factor))
    return replace(spec, priors=replace(priors, features=features), hidden=hidden)


def _times(scale: FloatArray, factor: FloatArray) -> FloatArray:
    """Scales times their factors; infinite ones of flat priors stay."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = scale * factor
    bad = ~((scaled > 0) & (scaled < np.inf)) & np.isfinite(scale)
    if bad.any():
        worst = float(np.broadcast_to(factor, scale.shape)[bad][0])
        raise ValueError(f"scales: {shown(worst)} times the scale of a prior is not a positive finite number")
    return scaled


def _with_priors(spec: Specification, priors: PriorTable) -> Specification:
    schema = replace(spec.schema, chosen_scale=priors.choice is not None)
    if spec.hidden is None:
        sds = prior_sds(priors, spec.summary.standardisation.centre, spec.summary.n_classes)
        schema = replace(schema, prior_sd=sds)
    return with_layer_sds(replace(spec, priors=priors, schema=schema))


def _scaled(prior: FamilyPrior, factor: float) -> FamilyPrior:
    family = family_of(prior)
    scale, df = family.numbers(prior)
    scaled: FamilyPrior = family.from_numbers(scale * factor, df)
    return scaled
