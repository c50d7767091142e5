"""A model with all its priors made wider or narrower: between a posterior that the prior rules, and the likelihood."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.checks import shown
from bayes_softmax.spec.families.registry import FamilyPrior, family_of
from bayes_softmax.spec.prior_draws import prior_sds
from bayes_softmax.spec.specification import Specification


def with_scaled_priors(spec: Specification, factor: float) -> Specification:
    """The same model with the scale of every prior multiplied by ``factor``; flat priors stay flat.

    Raises
    ------
    ValueError
        If no prior has a fixed scale, or a scale leaves the range of positive finite numbers.
    """
    priors, features = spec.priors, spec.priors.features
    if priors.is_jeffreys or not (priors.fixed & ~priors.flat_features).any():
        which = "Jeffreys()" if priors.is_jeffreys else "flat" if priors.flat_features.any() else "of no fixed scale"
        raise ValueError(f"the priors of the weights are {which}, so there is no scale to change; give proper ones")
    with np.errstate(over="ignore", under="ignore"):
        scale = features.scale * factor
    intercept = None if priors.intercept is None else _scaled(priors.intercept, factor)
    if not ((scale > 0) & (scale < np.inf)).all():
        raise ValueError(f"scales: {shown(factor)} times the scale of a prior is not a positive finite number")
    scaled = replace(priors, features=features._replace(scale=scale), intercept=intercept)
    sds = prior_sds(scaled, spec.design.standardisation.centre, spec.design.n_classes)
    return replace(spec, priors=scaled, schema=replace(spec.schema, prior_sd=sds))


def _scaled(prior: FamilyPrior, factor: float) -> FamilyPrior:
    family = family_of(prior)
    scale, df = family.numbers(prior)
    scaled: FamilyPrior = family.from_numbers(scale * factor, df)
    return scaled
