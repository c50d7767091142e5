"""Forecast of the cost of a run of rows that are read in passes: two passes are timed, and work on the sample."""

import os
import time
from collections.abc import Callable

import numpy as np

from bayes_softmax.core.parameters import size_of
from bayes_softmax.data.sources.partitions import frame_rows
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density.building import build_posterior
from bayes_softmax.fits.forecast import Forecast, draws_bytes
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.refusals import refuse_jeffreys
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.fitting.streamed import PASS_POINTS
from bayes_softmax.fitting.subsampled import CHECKED, FIRST_ROWS
from bayes_softmax.inference.cost import seconds_per_call
from bayes_softmax.inference.independence import DEFAULT_TUNE, PILOT
from bayes_softmax.spec.specification import Specification

MODE_PASSES = 3.0  # as a rule, from the mode of the sample
SAMPLE_STEPS = 8.0  # to that mode


def streamed_forecast(spec: Specification, rows: StreamedRows, settings: SamplerSettings) -> Forecast:
    """Time and memory of a run."""
    refuse_jeffreys(spec)
    d, rng = spec.coordinates.dimension, np.random.default_rng(0)
    points = rng.normal(size=(CHECKED, d)) / np.sqrt(max(d, 1))
    sample, density = build_posterior(rows.sample, spec.coordinates, spec.priors), density_of(spec)
    compiled = _seconds(lambda: (sample.value_gradient(points[0]), sample.hessian(points[0]), sample.values(points)))
    one, many = _seconds(lambda: density.value_gradient(points[0])), _seconds(lambda: density.values(points))
    step = seconds_per_call(lambda: (sample.value_gradient(points[0]), sample.hessian(points[0])))
    chains, draws, cores = settings.chains, settings.draws, settings.cores or os.cpu_count() or 1
    tune = DEFAULT_TUNE if settings.tune is None else settings.tune
    proposals = chains * (draws + tune) + PILOT
    of_sample = seconds_per_call(lambda: sample.values(points)) / CHECKED * FIRST_ROWS / rows.sample.n_obs
    subsampled = one + many + proposals * of_sample / cores  # a pass for the rows, and one that checks
    seconds = {
        "subsampled": subsampled,
        "laplace": subsampled,
        "independence": max(proposals / CHECKED * many, -(-proposals // PASS_POINTS) * one),
    }
    mode = MODE_PASSES * one + SAMPLE_STEPS * step
    memory = _memory(spec, rows, cores) + draws_bytes(chains * draws, d, size_of(spec.logits.shapes))
    return Forecast(draws, tune, chains, cores, d, compiled, mode, seconds, 0.0, memory)


def _seconds(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _memory(spec: Specification, rows: StreamedRows, cores: int) -> float:
    """Bytes: a frame of each thread as given, encoded and packed, the sample twice, and matrices of coefficients."""
    K, q, d = spec.summary.n_classes, spec.coordinates.n_columns, spec.coordinates.dimension
    frames = cores * frame_rows(len(rows.reader.columns)) * (3 * q + 2 * K)
    return 8.0 * float(frames + 2 * rows.sample.n_obs * q + cores * (3 * d**2 + K**2 * q**2))
