"""The Laplace approximation of a large last layer, given the hidden ones, from two Kronecker factors of its curvature.

No matrix of the size of its coefficients is formed, and draws are made a few at a time, so that memory is that of the
draws themselves.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.errors import ImproperPosteriorError, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws, FloatArray
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.last_layer import last_layer_specification
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.progress import progress_bar
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.inference.importance import FEWEST_PROPOSALS, Resampled, resample
from bayes_softmax.inference.laplace import DENSE_DIMENSION
from bayes_softmax.inference.normals import Normal, layered_normal
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.logits import SKIP
from bayes_softmax.spec.specification import Specification

NUMBERS = 2**22  # of free vectors that exist at a time
DRAW_STREAM, RESAMPLING_STREAM = 3, 4  # random numbers of draws must not repeat those of the starts
TITLE = (
    "last layer by laplace (normal with Kronecker factors of its curvature, whose matrix is formed up to "
    f"{DENSE_DIMENSION} coefficients); hidden layers are held at the MAP"
)


class _Filled(NamedTuple):
    """Intercepts (S, K), weights (S, H, K), log weights (S,), how many are finished, and whether Ctrl-C stopped it."""

    intercept: FloatArray
    weights: FloatArray
    log_weights: FloatArray
    finished: int
    interrupted: bool


def kronecker_last_layer(
    spec: Specification, hidden: Mapping[str, FloatArray], theta: FloatArray, settings: LaplaceSettings
) -> PosteriorDraws:
    """Draw the last layer, given the hidden ones by name, around its own free vector ``theta`` at the MAP."""
    linear = last_layer_specification(spec, hidden)
    size = 16.0 * settings.draws * (linear.design.n_features + 1) * spec.design.n_classes
    refuse_beyond_memory(f"the draws of laplace(draws={settings.draws})", size, "ask for fewer draws")
    start, density = time.perf_counter(), density_of(linear)
    normal = _normal_at(density, theta)
    filled = _fill(density, normal, theta, settings)
    notes: tuple[str, ...] = ()
    if filled.finished < settings.draws:
        notes = (f"{INTERRUPTED}: {filled.finished} of {settings.draws} draws were finished",)
        warn_caller(notes[0])
    filled, found = _resampled(filled, settings.seed)
    evidence = density.value(theta) + 0.5 * len(theta) * float(np.log(2 * np.pi)) + normal.log_determinant
    if found.pareto_k <= RELIABLE_PARETO_K:
        evidence = found.log_evidence
    made = Draws(np.empty(0), {}, 0, notes, filled.interrupted)
    timings = {"sampling": time.perf_counter() - start}
    posterior = despite_interrupts(made, partial(_labelled, spec, hidden, filled, made, timings))
    evidence += density.coordinates.log_jacobian
    return replace(posterior, pareto_k=found.pareto_k, ess=found.ess, log_evidence=evidence)


def _normal_at(density: SoftmaxPosterior, theta: FloatArray) -> Normal:
    factors = density.layer_factors(theta)
    if factors is None:
        raise ValueError(
            f"laplace(): the last layer has {len(theta):,} coefficients, too many for a matrix of their curvature, and "
            "with coding='full' and a flat intercept there are no Kronecker factors of it: give the intercept a proper "
            "prior, or use coding='zero-sum'"
        )
    try:
        return layered_normal([factors])
    except ValueError as error:
        raise ImproperPosteriorError(f"laplace(): {error}; give the last layer a proper prior") from error


def _fill(density: SoftmaxPosterior, normal: Normal, theta: FloatArray, settings: LaplaceSettings) -> _Filled:
    """Draws with their log weights; after Ctrl-C those that are finished."""
    S, d, (K, p) = settings.draws, len(theta), (density.coordinates.n_classes, density.coordinates.n_features)
    rng, step = np.random.default_rng([settings.seed, DRAW_STREAM]), max(1, NUMBERS // d)
    intercept, weights, log_weights, finished = np.empty((S, K)), np.empty((S, p, K)), np.empty(S), 0
    try:
        with progress_bar(settings.progressbar) as progress:
            for first in range(0, S, step):
                z = rng.normal(size=(min(step, S - first), d))
                thetas, some = theta + normal.coloured(z), slice(first, first + len(z))
                log_q = -0.5 * (np.einsum("sd,sd->s", z, z) + d * np.log(2 * np.pi)) - normal.log_determinant
                log_weights[some] = _values(density, thetas) - log_q
                intercept[some], weights[some] = density.coordinates.to_raw(thetas)
                finished += len(z)
                if progress is not None:
                    progress(finished, S)
    except KeyboardInterrupt:
        if finished < FEWEST_PROPOSALS:
            raise
        return _Filled(intercept[:finished], weights[:finished], log_weights[:finished], finished, True)
    return _Filled(intercept, weights, log_weights, finished, False)


def _values(density: SoftmaxPosterior, thetas: FloatArray) -> FloatArray:
    """Log density (S,) at points (S, d), on all cores."""
    parts = ranges(len(thetas), density.work * len(thetas))
    return np.concatenate(in_parallel(lambda first, end: density.values(thetas[first:end]), parts))


def _resampled(filled: _Filled, seed: int) -> tuple[_Filled, Resampled]:
    """The draws, resampled by their weights if these are reliable."""
    found = resample(filled.log_weights, filled.finished, np.random.default_rng([seed, RESAMPLING_STREAM]))
    if found.pareto_k <= RELIABLE_PARETO_K:
        chosen = found.chosen
        filled = filled._replace(intercept=filled.intercept[chosen], weights=filled.weights[chosen])
    return filled, found


def _labelled(
    spec: Specification, hidden: Mapping[str, FloatArray], filled: _Filled, made: Draws, timings: Mapping[str, float]
) -> PosteriorDraws:
    """The draws as those of the network."""
    assert spec.hidden is not None
    n_units = spec.hidden.n_units
    last = {INTERCEPT: filled.intercept, WEIGHTS: filled.weights[:, :n_units]}
    if spec.hidden.skip:
        last[SKIP] = filled.weights[:, n_units:]
    draws = in_chains(last, (1, filled.finished))
    return labelled_posterior(spec, draws, made, TITLE, timings, held=hidden)
