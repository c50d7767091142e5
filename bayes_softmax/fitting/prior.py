"""Draws of the coefficients from their priors, labelled like a posterior; no density is needed for them."""

import numpy as np

from bayes_softmax.core.records import Draws
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting.labelling import labelled
from bayes_softmax.fitting.settings import refuse_too_many
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.specification import Specification

TITLE = "prior (independent draws, no data)"


def sample_prior(spec: Specification, draws: int, seed: int) -> Posterior:
    """Independent draws of the coefficients from their priors, labelled like a posterior."""
    refuse_too_many(spec, "sample_prior", 1, draws)
    coordinates, rng = spec.coordinates, np.random.default_rng(seed)
    drawn = prior_draws(spec.priors, coordinates, draws, rng, feature_names=spec.schema.feature_names)
    intercept, weights = (a[None] for a in drawn)
    return labelled(spec, intercept, weights, Draws(np.empty(0), {}, 0), TITLE, {}, group="prior")
