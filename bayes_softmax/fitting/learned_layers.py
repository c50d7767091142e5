"""NUTS over all weights of a network and the scales of its layers that are learned."""

import time
from collections.abc import Mapping

import numpy as np

from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.network.learned import LearnedScalesPosterior, build_learned_posterior
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.networks import random_starts
from bayes_softmax.fitting.refusals import refuse_improper_network
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.inference.nuts_by_chain import nuts_by_chain
from bayes_softmax.inference.restarts import lbfgs_restarts
from bayes_softmax.spec.network.logits import NetworkLogits
from bayes_softmax.spec.specification import Specification

TITLE = "nuts over all layers and the scales of their priors (non-centred, nutpie)"
TUNE = 400  # besides the step size, the spreads of scales and of weights that the data determine are adapted
TARGET_ACCEPT = 0.8
START_STREAM = 6  # random numbers of the starts must not repeat those of the draws
STEPS = 200  # of L-BFGS from a random start: the tuning steps move away from the mode again
BESIDE = 0.1  # prior standard deviations from the mode, since nutpie refuses a start where a gradient is zero


def learned_density(spec: Specification) -> LearnedScalesPosterior:
    """The compiled joint density of the distinct rows."""
    assert isinstance(spec.logits, NetworkLogits)
    return build_learned_posterior(spec.distinct, spec.network_coordinates, spec.logits.activation, spec.priors)


def sample_learned_layers(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw all weights and scales by NUTS, each chain from a start of its own."""
    with blas_on_one_thread():
        refuse_improper_network(spec)
        tune = TUNE if settings.tune is None else settings.tune
        refuse_too_many(spec, "sample", settings.chains, settings.draws, tune, whole_network=True)
        began = time.perf_counter()
        density = learned_density(spec)
        density.value_gradient(np.zeros(density.dimension))
        compiled = time.perf_counter()
        starts = starting_points(density, settings.chains, settings.seed)
        found = time.perf_counter()
        drawn, _ = nuts_by_chain(
            [density] * settings.chains,
            starts,
            draws=settings.draws,
            tune=tune,
            cores=settings.cores,
            seed=settings.seed,
            target_accept=TARGET_ACCEPT if settings.target_accept is None else settings.target_accept,
            progressbar=settings.progressbar,
        )
        timings = {"compile": compiled - began, "mode": found - compiled, "sampling": time.perf_counter() - found}
        return despite_interrupts(drawn, lambda: _labelled(spec, density, drawn, timings))


def starting_points(density: LearnedScalesPosterior, chains: int, seed: int) -> FloatArray:
    """Points (chains, d + R) beside modes of the weights at scales in the middle of their prior."""
    rng, h, d = np.random.default_rng([seed, START_STREAM]), density.initial, density.n_weights
    scale_of = density.learned.scale_of
    factors = np.where(scale_of >= 0, np.exp(h)[scale_of], 1.0)

    def given_scales(z: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = density.value_gradient(np.concatenate([z, h]))
        return value, gradient[:d]

    starts = random_starts(density.base.coordinates, chains, rng) / factors
    modes = lbfgs_restarts(given_scales, starts, density.base.total_weight, STEPS).points
    points = np.column_stack([modes, np.tile(h, (chains, 1))])
    return points + BESIDE * rng.normal(size=points.shape)


def _labelled(
    spec: Specification, density: LearnedScalesPosterior, drawn: Draws, timings: Mapping[str, float]
) -> PosteriorDraws:
    """Draws of the density as a posterior of the network's parameters and named scales."""
    shape = drawn.points.shape[:2]
    thetas, h = density.unpack(drawn.points.reshape(-1, density.dimension))
    parameters = in_chains(spec.network_coordinates.to_parameters(thetas), shape)
    hyper = density.constrain(h.reshape(*shape, -1))
    return labelled_posterior(spec, parameters, drawn, TITLE, timings, hyper=hyper)
