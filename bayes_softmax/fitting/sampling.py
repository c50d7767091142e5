"""NUTS and the independence sampler, both in coordinates whitened by the Laplace approximation."""

import os
import time
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.records import Draws, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.problem import Problem, certified, problem_of
from bayes_softmax.fitting.progress import progress_bar
from bayes_softmax.fitting.refusals import refuse_improper, refuse_jeffreys, refuse_kink
from bayes_softmax.fitting.settings import SamplerSettings, refuse_too_many
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.fitting.streamed import NO_NUTS, batches_of, refuse_nuts
from bayes_softmax.fitting.streamed_mode import mode_of
from bayes_softmax.fitting.subsampled import refuse_subsampling, subsample_of, why_not_subsampled
from bayes_softmax.inference.importance import Target
from bayes_softmax.inference.independence import choose, independence_chains
from bayes_softmax.inference.laplace import laplace_whitening
from bayes_softmax.inference.nuts import DEFAULT_TUNE, whitened_nuts
from bayes_softmax.spec.specification import Specification

NUTS_TITLE = "nuts (whitened by the Laplace approximation, nutpie)"
SUBSAMPLED_TITLE = "subsampled (Metropolis-Hastings with Laplace proposals)"
MANY_ROWS = 200_000  # from which a sample of them is tried; with fewer its error asks for a large part of them
INDEPENDENCE_TITLE = "independence (Metropolis-Hastings with Laplace proposals)"
THIN = 8  # proposals for each draw that is kept, where a pilot finds them poor and there is nothing better
COMPLETION_STREAM = 1  # random numbers that complete the draws must not repeat those of the sampler
PILOT_STREAM = 2  # the pilot must not use the proposals of the run on which it decides


class Prepared(NamedTuple):
    """A density with the change of variables that whitens it, and the seconds spent on them."""

    problem: Problem
    whitening: Whitening
    timings: dict[str, float]


def compiled_problem(spec: Specification) -> tuple[Problem, float]:
    """The problem of a specification, compiled or loaded from disk, and the seconds spent on it."""
    refuse_jeffreys(spec)
    start = time.perf_counter()
    problem = problem_of(spec)
    if spec.streamed is None:  # a pass over the rows is not for this
        problem.density.value_gradient(np.zeros(problem.density.dimension))
    return problem, time.perf_counter() - start


def prepare(spec: Specification, *, rounded: bool = True) -> Prepared:
    """Find the mode and the normal approximation there; refuses improper posteriors.

    If ``rounded``, kinks of the density are rounded off for this; else a mode at a kink is refused.
    """
    problem, seconds = compiled_problem(spec)
    start = time.perf_counter()
    density = problem.density.surrogate if rounded else problem.density
    mode = mode_of(spec, density, SolverOptions())
    refuse_improper(spec, certified(spec, problem, mode, max_iterations=0))
    if not rounded:
        refuse_kink(spec, problem, mode)
    with blas_on_one_thread():
        whitening = laplace_whitening(density, mode)
    return Prepared(problem, whitening, {"compile": seconds, "mode": time.perf_counter() - start})


def sample_nuts(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw by NUTS."""
    # One thread throughout: computations before and after the sampler also affect the last bits of the draws.
    with blas_on_one_thread():
        refuse_nuts(spec)
        refuse_too_many(spec, "sample", settings.chains, settings.draws, settings.tune or DEFAULT_TUNE)
        return _by_nuts(spec, prepare(spec), settings, NUTS_TITLE)


def sample_independence(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw by the independence sampler or, if a pilot finds it unsuitable, by NUTS with a warning."""
    with blas_on_one_thread():
        return _by_pilot(spec, settings, asked_for=True)


def sample_subsampled(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw by the independence sampler, with the log density from a sample of the rows and an error it states."""
    with blas_on_one_thread():
        return _by_pilot(spec, settings, asked_for=True, subsampled=True)


def sample_auto(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Draw by the independence sampler if a pilot finds it suitable and faster, else by NUTS."""
    with blas_on_one_thread():
        return _by_pilot(spec, settings, asked_for=False)


def _by_pilot(
    spec: Specification, settings: SamplerSettings, *, asked_for: bool, subsampled: bool = False
) -> PosteriorDraws:
    """Draw by the sampler that a pilot selects; ``asked_for`` if the user named the independence sampler.

    Rows are sampled if that is what ``subsampled`` asks for, and where there are very many of them, unless the user
    named another engine.
    """
    refuse_too_many(spec, "sample", settings.chains, settings.draws, settings.tune or DEFAULT_TUNE)
    prepared = prepare(spec)
    if subsampled:
        refuse_subsampling(prepared.problem, "engine='subsampled'")
    cores = settings.cores or os.cpu_count() or 1
    start = time.perf_counter()
    rng = np.random.default_rng([settings.seed, PILOT_STREAM])
    target, title = _target(spec, prepared, settings.seed, asked_for=asked_for, subsampled=subsampled)
    cheap = target is not prepared.problem.density  # whatever its size, NUTS on all rows takes longer
    batches = batches_of(spec, cores, of_sample=cheap)
    wanted = asked_for or cheap or spec.streamed is not None
    suitable, thin, reason = choose(target, prepared.whitening, rng, **batches, asked_for=wanted)
    prepared.timings["pilot"] = time.perf_counter() - start
    if not suitable and spec.streamed is not None:
        warn_caller(f"sample() is not reliable here: {reason}; {NO_NUTS}", NotReliableWarning)
        suitable, thin = True, THIN
    if suitable:
        return _by_independence(spec, prepared, target, settings, thin, f"{title}; {reason}")
    if asked_for:
        named = "subsampled" if subsampled else "independence"
        warn_caller(f"engine={named!r} is not reliable here: {reason}; NUTS was run", NotReliableWarning)
        settings = settings._replace(tune=settings.tune and max(settings.tune, DEFAULT_TUNE))
    return _by_nuts(spec, prepared, settings, f"{NUTS_TITLE}; {reason}")


def _target(
    spec: Specification, prepared: Prepared, seed: int, *, asked_for: bool, subsampled: bool
) -> tuple[Target, str]:
    """The density that proposals are weighted for, and the title of the engine."""
    problem = prepared.problem
    many = not asked_for and (spec.streamed is not None or problem.density.likelihood.n_obs >= MANY_ROWS)
    if not subsampled and (not many or why_not_subsampled(problem) is not None):
        return problem.density, INDEPENDENCE_TITLE
    found = subsample_of(spec, problem, prepared.whitening, seed)
    words = found.in_words(problem.density.likelihood.n_obs)
    return found.density, f"{INDEPENDENCE_TITLE if found.uses_all else SUBSAMPLED_TITLE}; {words}"


def _by_nuts(spec: Specification, prepared: Prepared, settings: SamplerSettings, title: str) -> PosteriorDraws:
    start = time.perf_counter()
    drawn = whitened_nuts(prepared.problem.density, prepared.whitening, **settings._asdict())
    prepared.timings["sampling"] = time.perf_counter() - start
    return despite_interrupts(drawn, lambda: posterior_of(spec, prepared, drawn, settings.seed, title))


def _by_independence(
    spec: Specification, prepared: Prepared, target: Target, settings: SamplerSettings, thin: int, title: str
) -> PosteriorDraws:
    of_sample = target is not prepared.problem.density
    batches = batches_of(spec, settings.cores or os.cpu_count() or 1, of_sample=of_sample)
    options = {k: getattr(settings, k) for k in ("draws", "tune", "chains", "seed")}
    start = time.perf_counter()
    with progress_bar(settings.progressbar and (of_sample or spec.streamed is None)) as progress:
        drawn = independence_chains(target, prepared.whitening, thin=thin, progress=progress, **batches, **options)
    prepared.timings["sampling"] = time.perf_counter() - start
    return despite_interrupts(drawn, lambda: posterior_of(spec, prepared, drawn, settings.seed, title))


def posterior_of(spec: Specification, prepared: Prepared, drawn: Draws, seed: int, title: str) -> PosteriorDraws:
    """Draws of the density as a posterior of raw coefficients; components outside the density are drawn too."""
    problem, rng = prepared.problem, np.random.default_rng([seed, COMPLETION_STREAM])
    thetas = problem.lift(drawn.points.reshape(-1, problem.density.dimension), rng)
    parameters = in_chains(problem.coordinates.to_parameters(thetas), drawn.points.shape[:2])
    return labelled_posterior(spec, parameters, drawn, title, prepared.timings)
