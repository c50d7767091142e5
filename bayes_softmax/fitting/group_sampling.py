"""NUTS for models with group-level effects, in coordinates whitened given the hyperparameters."""

import time
from dataclasses import replace

import numpy as np

from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.groups.reference import at_reference
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.groups import GroupedDensity, grouped_density, named_draws
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.sampling import prepare
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.inference.nuts import nuts
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.specification import Specification

TITLE = "nuts (whitened given the covariances of the groups, nutpie)"
TUNE = 400  # besides the step size, the scales of the hyperparameters have to be adapted
TARGET_ACCEPT = 0.8
# Where the prior has nearly all of the precision of a level's effects, as with levels of one row: at 0.8 two draws in
# 4000 diverge there, at 0.9 none.
WEAK_SHARE, WEAK_TARGET = 0.9, 0.9


def sample_groups(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw weights, effects and hyperparameters by NUTS."""
    settings = settings._replace(tune=TUNE if settings.tune is None else settings.tune)
    with blas_on_one_thread():
        refuse_too_many(spec, "sample", settings.chains, settings.draws, settings.tune or TUNE)
        _refuse_improper_weights(spec)
        grouped, timings = prepare_groups(spec)
        start = time.perf_counter()
        drawn = nuts(grouped.density, spread=grouped.density.spread, **_with_target(settings, grouped)._asdict())
        timings["sampling"] = time.perf_counter() - start

        def label() -> PosteriorDraws:
            named = named_draws(spec, grouped, drawn.points.reshape(-1, grouped.density.dimension))
            parameters = in_chains(named.parameters, drawn.points.shape[:2])
            hyper = in_chains(named.hyper, drawn.points.shape[:2])
            return labelled_posterior(spec, parameters, drawn, TITLE, timings, hyper=hyper)

        return despite_interrupts(drawn, label)


def _refuse_improper_weights(spec: Specification) -> None:
    """Raise if flat priors leave the weights without a proper posterior, whatever the effects are.

    Separation does not depend on what is added to the logits, so that of the model without effects decides.
    """
    if not spec.priors.is_proper:
        logits = LinearLogits(spec.design.n_features, spec.design.n_classes)
        schema = replace(spec.schema, groups=())
        prepare(replace(spec, logits=logits, schema=schema, groups=()))


def prepare_groups(spec: Specification) -> tuple[GroupedDensity, dict[str, float]]:
    """The density whitened about its mode, and the seconds spent on it."""
    start = time.perf_counter()
    grouped = grouped_density(spec)
    grouped.density.value_gradient(np.zeros(grouped.density.dimension))
    compiled = time.perf_counter() - start
    reference = at_reference(grouped.density)
    seconds = {"compile": compiled, "mode": time.perf_counter() - start - compiled}
    return grouped._replace(density=reference), seconds


def _with_target(settings: SamplerSettings, grouped: GroupedDensity) -> SamplerSettings:
    """Settings with the default target of the acceptance rate."""
    if settings.target_accept is not None:
        return settings
    return settings._replace(target_accept=WEAK_TARGET if grouped.density.share > WEAK_SHARE else TARGET_ACCEPT)
