"""Forecast of the cost of a run: a few timed evaluations, and the sizes of its arrays."""

import os

from bayes_softmax.core.parameters import size_of
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fits.forecast import Forecast, draws_bytes
from bayes_softmax.fitting.group_forecast import group_forecast
from bayes_softmax.fitting.network_forecast import network_forecast
from bayes_softmax.fitting.sampling import compiled_problem
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.fitting.streamed_forecast import streamed_forecast
from bayes_softmax.inference import independence, nuts
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.inference.cost import measure
from bayes_softmax.spec.specification import Specification

NUTS_OVERHEAD = 0.1  # seconds that nutpie takes to start and to return its draws


def forecast(spec: Specification, settings: SamplerSettings) -> Forecast:
    """Time and memory of a run, from a few timed evaluations."""
    if spec.learns_scales:
        raise ValueError("forecast() cannot predict runs with learned scales; try sample() with few draws")
    if spec.groups:
        return group_forecast(spec, settings)
    return _linear(spec, settings) if spec.hidden is None else network_forecast(spec, settings, _linear)


def _linear(spec: Specification, settings: SamplerSettings) -> Forecast:
    """The forecast of linear logits."""
    if spec.streamed is not None:
        return streamed_forecast(spec, spec.streamed, settings)
    problem, compiled = compiled_problem(spec)
    density = problem.density
    cost = measure(density)
    chains, draws = settings.chains, settings.draws
    cores = settings.cores or os.cpu_count() or 1
    tune = nuts.DEFAULT_TUNE if settings.tune is None else settings.tune
    rounds = -(-chains // cores)
    proposals = chains * (draws + (independence.DEFAULT_TUNE if settings.tune is None else settings.tune))
    seconds = {
        "nuts": NUTS_OVERHEAD + rounds * (tune + draws) * cost.leapfrogs * cost.gradient,
        "independence": proposals * cost.value / min(cores, chains),
        "laplace": chains * draws * cost.value / cores,
    }
    memory = _memory(spec, density, chains * draws)
    return Forecast(draws, tune, chains, cores, cost.dimension, compiled, cost.mode, seconds, cost.leapfrogs, memory)


def _memory(spec: Specification, density: SoftmaxPosterior, n_draws: int) -> float:
    """Bytes beyond the data: packed features, expected counts, Hessian and factor, and three copies of the draws."""
    K, q = density.coordinates.n_classes, density.coordinates.n_columns
    d, pairs = density.dimension, K * (K - 1) // 2
    hessian = 3 * d**2 + pairs * q**2 if d <= DENSE_DIMENSION else 3 * (K - 1) * q**2
    draws = draws_bytes(n_draws, d, size_of(spec.logits.shapes))
    return 8.0 * float(density.likelihood.size + density.likelihood.n_obs * K + hessian) + draws
