"""Forecast of the cost of sampling a model with group-level effects: a timed gradient, and the whitening itself."""

import os
import time

import numpy as np

from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.groups.reference import at_reference
from bayes_softmax.fits.forecast import Forecast, draws_bytes
from bayes_softmax.fitting.group_sampling import TUNE
from bayes_softmax.fitting.groups import grouped_density
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.inference.cost import seconds_per_call
from bayes_softmax.spec.specification import Specification

# Gradients per draw: 15 with one grouping (7 to 31 were seen), 31 where several are whitened level by level.
LEAPFROGS, LEAPFROGS_OF_SEVERAL = 15.0, 31.0
MODE_GRADIENTS = 2000.0  # of the search and of the whitening where several groupings are large, which is not run


def group_forecast(spec: Specification, settings: SamplerSettings) -> Forecast:
    """Time and memory of ``sample()``."""
    start = time.perf_counter()
    density = grouped_density(spec).density
    z = np.zeros(density.dimension)
    with blas_on_one_thread():
        density.value_gradient(z)
        compiled, exact = time.perf_counter() - start, density.layout.exact
        gradient, start = seconds_per_call(lambda: density.value_gradient(z)), time.perf_counter()
        if exact:
            at_reference(density)
        mode = time.perf_counter() - start if exact else MODE_GRADIENTS * gradient
    cores = settings.cores or os.cpu_count() or 1
    tune = TUNE if settings.tune is None else settings.tune
    leapfrogs = LEAPFROGS if exact else LEAPFROGS_OF_SEVERAL
    seconds = -(-settings.chains // cores) * (tune + settings.draws) * leapfrogs * gradient
    n_draws, d = settings.chains * settings.draws, density.dimension
    memory = draws_bytes(n_draws, d, size_of(spec.logits.shapes)) + settings.chains * tune * 8.0 * d
    return Forecast(
        settings.draws, tune, settings.chains, cores, d, compiled, mode, {"nuts": seconds}, leapfrogs, memory
    )
