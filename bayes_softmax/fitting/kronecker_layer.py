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
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.inference.importance import FEWEST_PROPOSALS, Resampled, pareto_smooth, resample
from bayes_softmax.inference.normals import Normal, layered_normal
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.logits import SKIP
from bayes_softmax.spec.specification import Specification

NUMBERS = 2**22  # of free vectors that exist at a time
PILOT = 100  # draws are weighed; the others too, only if the weights of these are reliable
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
    """Draws with their log weights, some on each core; after Ctrl-C those that are finished."""
    S, d, (K, p) = settings.draws, len(theta), (density.coordinates.n_classes, density.coordinates.n_features)
    filled = _Filled(np.empty((S, K)), np.empty((S, p, K)), np.full(S, np.nan), 0, False)
    rng, step, weighed = np.random.default_rng([settings.seed, DRAW_STREAM]), max(1, NUMBERS // d), True
    try:
        with progress_bar(settings.progressbar) as progress:
            while filled.finished < S:
                first = filled.finished
                z = rng.normal(size=(min(step, S - first), d))
                fill = partial(_fill_some, density, normal, theta, z, filled, weighed)
                in_parallel(fill, ranges(len(z), float(d) * (K + p) * len(z)))
                filled = filled._replace(finished=first + len(z))
                if first < PILOT <= filled.finished:
                    weighed = pareto_smooth(filled.log_weights[: filled.finished])[1] <= RELIABLE_PARETO_K
                if progress is not None:
                    progress(filled.finished, S)
    except KeyboardInterrupt:
        if filled.finished < FEWEST_PROPOSALS:
            raise
        n = filled.finished
        return _Filled(filled.intercept[:n], filled.weights[:n], filled.log_weights[:n], n, True)
    return filled


def _fill_some(
    density: SoftmaxPosterior,
    normal: Normal,
    theta: FloatArray,
    z: FloatArray,
    filled: _Filled,
    weighed: bool,
    first: int,
    end: int,
) -> None:
    """Draws of standard normal points ``first`` to ``end`` of ``z``, with their log weights if ``weighed``."""
    z, some = z[first:end], slice(filled.finished + first, filled.finished + end)
    thetas = theta + normal.coloured(z)
    filled.intercept[some], filled.weights[some] = density.coordinates.to_raw(thetas)
    if weighed:
        squares = np.einsum("sd,sd->s", z, z)
        log_q = -0.5 * (squares + len(theta) * np.log(2 * np.pi)) - normal.log_determinant
        log_weights = density.values(thetas) - log_q
        filled.log_weights[some] = np.where(np.isfinite(log_weights), log_weights, -np.inf)


def _resampled(filled: _Filled, seed: int) -> tuple[_Filled, Resampled]:
    """The draws, resampled by their weights if these are reliable, and what those of the weighed ones say."""
    weighed = filled.log_weights[~np.isnan(filled.log_weights)]
    found = resample(weighed, filled.finished, np.random.default_rng([seed, RESAMPLING_STREAM]))
    if found.pareto_k <= RELIABLE_PARETO_K and len(weighed) == filled.finished:
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
