"""Forecast of the cost of runs of a network: timed gradients times assumed numbers of them, and the last layer's."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.fits.forecast import ALL_LAYERS, LAST_LAYER, Forecast, draws_bytes
from bayes_softmax.fitting.last_layer import hidden_of, last_layer_specification
from bayes_softmax.fitting.network_estimates import default_restarts
from bayes_softmax.fitting.network_sampling import TUNE
from bayes_softmax.fitting.networks import network_density, random_start
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.inference.cost import seconds_per_call
from bayes_softmax.spec.specification import Specification

# Gradients of a search for a mode from one start: 60 to 90 for a few units, 450 to 840 for 50 units on digits.
MODE_GRADIENTS = 500.0
# Gradients per draw of all weights: 31 to 127 for 5 to 20 units on moons and wine; up to 255 under wide priors.
LEAPFROGS = 63.0

type OfLinear = Callable[[Specification, SamplerSettings], Forecast]


def network_forecast(spec: Specification, settings: SamplerSettings, of_linear: OfLinear) -> Forecast:
    """Time and memory of ``sample(layers="all")``, ``sample(layers="last")`` and ``laplace()``.

    ``of_linear`` forecasts the last layer, given hidden layers at a random start.
    """
    start = time.perf_counter()
    density = network_density(spec)
    theta = random_start(density.coordinates, np.random.default_rng(0))
    with blas_on_one_thread():
        density.value_gradient_on_one_thread(theta)
        compiled = time.perf_counter() - start
        gradient = seconds_per_call(lambda: density.value_gradient_on_one_thread(theta))
    last = of_linear(last_layer_specification(spec, hidden_of(spec, theta)), settings)
    cores = settings.cores or os.cpu_count() or 1
    rounds = -(-settings.chains // cores)
    tune = TUNE if settings.tune is None else settings.tune
    starts = default_restarts(density)
    search = -(-starts // cores) * MODE_GRADIENTS * gradient
    n_draws, d = settings.chains * settings.draws, density.dimension
    seconds = {
        ALL_LAYERS: rounds * gradient * (MODE_GRADIENTS + (tune + settings.draws) * LEAPFROGS),
        LAST_LAYER: last.mode_seconds + last.sampling_seconds["nuts"],
        "laplace": last.mode_seconds + last.sampling_seconds["laplace"],
    }
    return replace(
        last,
        tune=tune,
        dimension=d,
        compile_seconds=compiled + last.compile_seconds,
        mode_seconds=search,
        sampling_seconds=seconds,
        leapfrogs=LEAPFROGS,
        memory_bytes=max(last.memory_bytes, draws_bytes(n_draws, d, size_of(spec.logits.shapes))),
    )
