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
# With few levels or about one trial a level the sds may be anywhere, near zero too, where the density is steep: of 8
# levels with 1000 rows each 2 to 7 of 2000 draws diverged at 0.8 and 0.85, none of 8000 at 0.95.
SMALL_STEPS, FEW_LEVELS, FEW_TRIALS = 0.95, 50, 2


def sample_groups(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw weights, effects and hyperparameters by NUTS."""
    settings = _with_defaults(spec, settings)
    with blas_on_one_thread():
        refuse_too_many(spec, "sample", settings.chains, settings.draws, settings.tune or TUNE)
        _refuse_improper_weights(spec)
        grouped, timings = prepare_groups(spec)
        start = time.perf_counter()
        drawn = nuts(grouped.density, spread=grouped.density.spread, **settings._asdict())
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


def _with_defaults(spec: Specification, settings: SamplerSettings) -> SamplerSettings:
    """Settings with the defaults that hyperparameters need."""
    return settings._replace(
        tune=TUNE if settings.tune is None else settings.tune,
        target_accept=_target_accept(spec) if settings.target_accept is None else settings.target_accept,
    )


def _target_accept(spec: Specification) -> float:
    """Smaller steps where the data say little about a standard deviation."""
    sizes, trials = [grouping.n_levels for grouping in spec.schema.groups], float(spec.distinct.totals.sum())
    return SMALL_STEPS if min(sizes) < FEW_LEVELS or trials < FEW_TRIALS * max(sizes) else TARGET_ACCEPT
