"""A model with its priors made wider or narrower: between a posterior that the prior rules, and the likelihood."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.spec.families.registry import FamilyPrior, family_of
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
    choice = priors.choice if factor == 1 else None
    return _with_priors(spec, replace(_with_scaled_weights(priors, factor), intercept=intercept, choice=choice))


def with_chosen_scale(spec: Specification, choice: ScaleChoice) -> Specification:
    """The same model with the scales of the weights' priors that were chosen; the intercept's stays as it is.

    The choice is relative to the scales as they were given: of a model whose scales were chosen before, to those.
    """
    before = 1.0 if spec.priors.choice is None else spec.priors.choice.factor
    return _with_priors(spec, replace(_with_scaled_weights(spec.priors, choice.factor / before), choice=choice))


def refuse_unscaled(priors: PriorTable) -> None:
    """Raise if no weight has a proper prior with a fixed scale."""
    if priors.is_jeffreys or not (priors.fixed & ~priors.flat_features).any():
        which = "Jeffreys()" if priors.is_jeffreys else "flat" if priors.flat_features.any() else "of no fixed scale"
        raise ValueError(f"the priors of the weights are {which}, so there is no scale to change; give proper ones")


def _with_scaled_weights(priors: PriorTable, factor: float) -> PriorTable:
    """The priors with the scales of all weights multiplied."""
    with np.errstate(over="ignore", under="ignore"):
        scale = priors.features.scale * factor
    if not ((scale > 0) & (scale < np.inf)).all():
        raise ValueError(f"scales: {shown(factor)} times the scale of a prior is not a positive finite number")
    return replace(priors, features=priors.features._replace(scale=scale))


def _with_priors(spec: Specification, priors: PriorTable) -> Specification:
    sds = prior_sds(priors, spec.design.standardisation.centre, spec.design.n_classes)
    schema = replace(spec.schema, prior_sd=sds, chosen_scale=priors.choice is not None)
    return replace(spec, priors=priors, schema=schema)


def _scaled(prior: FamilyPrior, factor: float) -> FamilyPrior:
    family = family_of(prior)
    scale, df = family.numbers(prior)
    scaled: FamilyPrior = family.from_numbers(scale * factor, df)
    return scaled
