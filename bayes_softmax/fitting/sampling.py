"""Sampling a specification: NUTS, independence chains, Laplace with importance weights, PyMC; labelled results."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.training import training_data
from bayes_softmax.core.checks import check_between, check_choice, check_counts, check_counts_or_none, check_flags
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED, held_back, load_in_full
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws, FloatArray, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.observations import Observations
from bayes_softmax.fits.forecast import draws_bytes
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fits.tree import build_idata
from bayes_softmax.fitting.estimates import (
    Problem,
    SolverOptions,
    certified,
    notes_of,
    problem_of,
    refuse_improper,
    refuse_jeffreys,
    refuse_kink,
    refuse_learned_scales,
    solve,
)
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.spec.log_prior import log_prior_draws
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.pymc_model import build_pymc_model
from bayes_softmax.spec.pymc_priors import free_variables
from bayes_softmax.spec.scales.hyperpriors import R2D2
from bayes_softmax.spec.scales.shared import hyperparameter_dims
from bayes_softmax.spec.specification import Specification

ENGINE_TITLES = {
    "nuts": "nuts (whitened by the Laplace approximation, nutpie)",
    "independence": "independence (Metropolis-Hastings with Laplace proposals)",
    "hierarchy": "nuts (whitened given the learned scales, nutpie)",
    "pymc": "pymc (pm.sample on the pm.Model)",
    "prior": "prior (independent draws, no data)",
    "laplace": "laplace (importance resampling of the Laplace approximation)",
}

REFIT_SEED = 1
COMPLETION_STREAM = 1  # what completes the draws must not repeat what made them
PILOT_STREAM = 2  # the pilot must not see the proposals of the run it decides on
FEWEST_PROPOSALS = 25  # below, there is no tail to be fitted
STEP_BYTES = 280.0  # statistics that nutpie keeps of each step, tuning included; measured
# Step-size target where features have scales of their own.  On the penguins, separated, where R2 nears 1: at 0.9 eight
# draws in 40 000 diverge, at 0.95 two in 80 000, at 0.98 none in 120 000.
LOCAL_TARGET = 0.98
HIERARCHY_TUNE = 400  # tuning steps: beside the step size the scales of the hyperparameters are to be learned
FEWEST_WEIGHTS = 100
ENGINES = ("auto", "nuts", "independence", "pymc")


class SamplerSettings(NamedTuple):
    """How to sample; None takes the engine's default."""

    draws: int
    tune: int | None
    chains: int
    cores: int | None
    seed: int
    target_accept: float | None
    progressbar: bool


def refuse_too_many(spec: Specification, method: str, chains: int, draws: int, tune: int = 0) -> None:
    """Raise where the draws would not fit into memory."""
    coordinates, K = spec.coordinates, spec.design.n_classes
    # With more features than rows, the row space of the features is sampled.
    sampled = min(coordinates.dimension, (spec.distinct.n_obs + 1) * K)
    size = draws_bytes(chains * draws, coordinates.dimension, spec.design.n_features, K)
    size += chains * (tune + draws) * (8.0 * sampled + STEP_BYTES)
    asked = {"draws": draws, "chains": chains, "tune": tune}
    shown = ", ".join(f"{name}={n}" for name, n in asked.items() if name == "draws" or n > 1)
    refuse_beyond_memory(f"the draws of {method}({shown})", size, "ask for fewer draws, chains or tuning steps")


class Prepared(NamedTuple):
    """A density with the change of variables that whitens it, and the seconds they took."""

    problem: Problem
    whitening: Whitening
    timings: dict[str, float]


def prepare(spec: Specification, *, rounded: bool = True) -> Prepared:
    """Find the mode and the normal approximation there; refuses improper posteriors.

    Kinks of the density are rounded off for that if ``rounded``, else a mode at one is refused.
    """
    from bayes_softmax.inference.laplace import laplace_whitening

    problem, seconds = load(spec)
    start = time.perf_counter()
    density = problem.density.surrogate if rounded else problem.density
    mode = solve(density, SolverOptions())
    refuse_improper(spec, certified(spec, problem, mode, max_iterations=0))
    if not rounded:
        refuse_kink(spec, problem, mode)
    with blas_on_one_thread():
        whitening = laplace_whitening(density, mode)
    return Prepared(problem, whitening, {"compile": seconds, "mode": time.perf_counter() - start})


def load(spec: Specification) -> tuple[Problem, float]:
    """The density, compiled or loaded from disk, and the seconds that took."""
    refuse_jeffreys(spec)
    start = time.perf_counter()
    problem = problem_of(spec)
    problem.density.value_gradient(np.zeros(problem.density.dimension))
    return problem, time.perf_counter() - start


def check_run(draws: int, tune: int | None, chains: int, cores: int | None, *, progressbar: bool = False) -> None:
    """Raise for a run that cannot be: numbers of draws, chains and cores."""
    check_counts(draws=draws, chains=chains)
    check_counts_or_none(tune=tune, cores=cores)
    check_flags(progressbar=progressbar)


def check_weighted_run(draws: int, *, progressbar: bool) -> None:
    """Raise for numbers of draws whose importance weights could not be judged."""
    check_counts(draws=draws)
    check_flags(progressbar=progressbar)
    if draws < FEWEST_WEIGHTS:
        raise ValueError(f"draws={draws} must be at least {FEWEST_WEIGHTS}: fewer weights cannot be judged")


def check_engine(engine: str, target_accept: float | None) -> None:
    """Raise for an engine that does not exist, or a setting that it does not have."""
    check_choice("engine", engine, ENGINES)
    if target_accept is not None:
        check_between("target_accept", target_accept, 0.0, 1.0)
    if target_accept is not None and engine == "independence":
        raise ValueError("target_accept is for NUTS; engine='independence' has no step size")


def sample(spec: Specification, settings: SamplerSettings, engine: str) -> Posterior:
    """Draw by NUTS or, where a pilot finds it suitable, by the independence sampler."""
    # One thread throughout: what comes before and after the sampler decides the last bits of the draws too.
    with blas_on_one_thread():
        return _sample(spec, settings, engine)


def _sample(spec: Specification, settings: SamplerSettings, engine: str) -> Posterior:
    from bayes_softmax.inference.independence import choose, independence_chains
    from bayes_softmax.inference.nuts import DEFAULT_TUNE, whitened_nuts

    refuse_too_many(spec, "sample", settings.chains, settings.draws, settings.tune or DEFAULT_TUNE)
    if spec.priors.learns_scales:
        return sample_hierarchy(spec, settings)
    problem, whitening, timings = prepare(spec)
    density = problem.density
    cores = settings.cores or os.cpu_count() or 1
    start = time.perf_counter()
    thin, reason = 1, ""
    if engine != "nuts":
        rng = np.random.default_rng([settings.seed, PILOT_STREAM])
        asked_for = engine == "independence"
        suitable, thin, reason = choose(density, whitening, rng, cores, asked_for=asked_for)
        if asked_for and not suitable:
            warn_caller(f"engine='independence' is not reliable here: {reason}; NUTS was run", NotReliableWarning)
            settings = settings._replace(tune=settings.tune and max(settings.tune, DEFAULT_TUNE))
        engine, reason = "independence" if suitable else "nuts", f"; {reason}"
        timings["pilot"] = time.perf_counter() - start
    start = time.perf_counter()
    if engine == "independence":
        options = {k: getattr(settings, k) for k in ("draws", "tune", "chains", "seed")}
        with progress_bar(settings.progressbar) as progress:
            drawn = independence_chains(density, whitening, cores=cores, thin=thin, progress=progress, **options)
    else:
        drawn = whitened_nuts(density, whitening, **settings._asdict())
    timings["sampling"] = time.perf_counter() - start
    return _despite_interrupts(
        drawn, lambda: _labelled(spec, problem, drawn, settings.seed, f"{ENGINE_TITLES[engine]}{reason}", timings)
    )


def _despite_interrupts(drawn: Draws, label: Callable[[], Posterior]) -> Posterior:
    """Label draws that are finished: the first Ctrl-C while that lasts loses nothing."""
    with held_back(pressed_before=drawn.interrupted) as noted:
        posterior = label()
    late = (noted.times or drawn.interrupted) and not drawn.notes
    if not late:
        return posterior
    note = f"{INTERRUPTED} when all draws were finished"
    warn_caller(note)
    return replace(posterior, notes=(*posterior.notes, note))


def sample_hierarchy(spec: Specification, settings: SamplerSettings) -> Posterior:
    """Draw coefficients and hyperparameters by NUTS, the only engine for learned scales, whatever engine was named."""
    from bayes_softmax.inference.nuts import nuts

    density, timings = prepare_hierarchy(spec)
    start = time.perf_counter()
    tune = HIERARCHY_TUNE if settings.tune is None else settings.tune
    target = settings.target_accept
    if target is None and any(isinstance(scale.prior, R2D2) for scale in spec.priors.learned):
        target = LOCAL_TARGET
    drawn = nuts(density, **settings._replace(tune=tune, target_accept=target)._asdict())
    timings["sampling"] = time.perf_counter() - start

    def label() -> Posterior:
        shape = drawn.points.shape[:2]
        thetas, h = density.unpack(drawn.points.reshape(-1, density.dimension))
        intercept, weights = (a.reshape(*shape, *a.shape[1:]) for a in spec.coordinates.to_raw(thetas))
        hyper = density.constrain(h.reshape(*shape, -1))
        noted = drawn._replace(notes=notes_of(spec) + drawn.notes)
        return _posterior(spec, intercept, weights, noted, ENGINE_TITLES["hierarchy"], timings, hyper=hyper)

    return _despite_interrupts(drawn, label)


def _labelled(
    spec: Specification, problem: Problem, drawn: Draws, seed: int, engine: str, timings: dict[str, float]
) -> Posterior:
    """Draws of the density as a posterior of raw coefficients."""
    shape = drawn.points.shape[:2]
    rng = np.random.default_rng([seed, COMPLETION_STREAM])
    thetas = problem.lift(drawn.points.reshape(-1, problem.density.dimension), rng)
    intercept, weights = (a.reshape(*shape, *a.shape[1:]) for a in problem.coordinates.to_raw(thetas))
    return _posterior(spec, intercept, weights, drawn._replace(notes=notes_of(spec) + drawn.notes), engine, timings)


def _posterior(
    spec: Specification,
    intercept: FloatArray,
    weights: FloatArray,
    drawn: Draws,
    engine: str,
    timings: dict[str, float],
    group: str = "posterior",
    hyper: dict[str, FloatArray] | None = None,
) -> Posterior:
    """Raw draws, intercept (chain, draw, K) and weights (chain, draw, p, K), as a posterior."""
    coordinates, shape, learned = spec.coordinates, intercept.shape[:2], spec.priors.learned
    unknown = bool(learned) and not hyper  # the prior's own draws keep no hyperparameters
    free = {} if unknown else free_variables(spec.priors, coordinates, intercept, weights, hyper)
    stats = dict(drawn.stats)
    if not learned:  # with learned scales it would be that of the hyperparameters too
        flat = (a.reshape(shape[0] * shape[1], *a.shape[2:]) for a in (intercept, weights))
        stats["log_prior"] = log_prior_draws(spec.priors, coordinates, *flat).reshape(shape)
    training = training_data(spec.design, spec.collapsed)
    hyper_dims = hyperparameter_dims(learned, spec.schema.feature_names) if hyper else {}
    idata = build_idata(intercept, weights, free, stats, training, spec.schema, engine, group, hyper_dims)
    refit = partial(refit_without, spec) if group == "posterior" else None
    return Posterior(idata, spec.schema, engine, drawn.tune, drawn.notes, timings, training=training, refit=refit)


def sample_prior(spec: Specification, draws: int, seed: int) -> Posterior:
    """Independent draws of the coefficients from their priors, labelled like a posterior."""
    refuse_too_many(spec, "sample_prior", 1, draws)
    coordinates, rng = spec.coordinates, np.random.default_rng(seed)
    drawn = prior_draws(spec.priors, coordinates, draws, rng, feature_names=spec.schema.feature_names)
    intercept, weights = (a[None] for a in drawn)
    nothing = Draws(np.empty(0), {}, 0, notes_of(spec))
    return _posterior(spec, intercept, weights, nothing, ENGINE_TITLES["prior"], {}, "prior")


def refit_without(spec: Specification, row: int, code: int) -> Posterior:
    """Posterior of the same model, priors included, without one observation of class ``code`` in a distinct row."""
    design = spec.distinct
    counts = design.dense_counts().copy()
    counts[row, code] -= 1.0
    response = replace(design.response, codes=None, counts=counts)
    without = replace(spec, rows=Observations(replace(design, response=response, weights=None), collapse=False))
    settings = SamplerSettings(1000, None, 4, None, REFIT_SEED, None, False)
    posterior = sample(without, settings, "auto")
    if any(note.startswith(INTERRUPTED) for note in posterior.notes):
        raise KeyboardInterrupt("interrupted while an observation was left out")  # part of its draws is no answer
    return posterior


def sample_laplace(spec: Specification, draws: int, seed: int, progressbar: bool) -> Posterior:
    """Equal-weight draws from the Laplace approximation, corrected and judged by importance weights."""
    with blas_on_one_thread():
        return _sample_laplace(spec, draws, seed, progressbar)


def _sample_laplace(spec: Specification, draws: int, seed: int, progressbar: bool) -> Posterior:
    from bayes_softmax.inference.importance import importance_sample, propose

    refuse_learned_scales(spec, "laplace()")
    refuse_too_many(spec, "laplace", 1, draws)
    problem, whitening, timings = prepare(spec, rounded=False)
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    with progress_bar(progressbar) as progress:
        proposals = propose(problem.density, whitening, draws, rng, cores=os.cpu_count() or 1, progress=progress)
    if proposals.finished < FEWEST_PROPOSALS:
        raise KeyboardInterrupt("interrupted before enough draws were weighed")
    notes: tuple[str, ...] = ()
    if proposals.finished < draws:
        notes = (f"{INTERRUPTED}: {proposals.finished} of {draws} draws were finished",)
        warn_caller(notes[0])

    def label() -> Posterior:
        found = importance_sample(proposals, proposals.finished, rng)
        timings["sampling"] = time.perf_counter() - start
        points = Draws(found.points[None], {}, 0, notes)
        posterior = _labelled(spec, problem, points, seed, ENGINE_TITLES["laplace"], timings)
        log_evidence = found.log_evidence + problem.density.coordinates.log_jacobian
        return replace(posterior, pareto_k=found.pareto_k, ess=found.ess, log_evidence=log_evidence)

    drawn = Draws(proposals.points, {}, 0, notes, proposals.interrupted)
    posterior = _despite_interrupts(drawn, label)
    if posterior.pareto_k is not None and posterior.pareto_k > RELIABLE_PARETO_K:
        warn_caller(
            f"laplace() is not reliable here: Pareto k is {posterior.pareto_k:.2f}, above {RELIABLE_PARETO_K}; "
            "run model.sample() instead",
            NotReliableWarning,
        )
    return posterior


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar in terminal or notebook, or None when it is not wanted."""
    if not show:
        yield None
        return
    load_in_full("rich.progress")
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("evaluating proposals", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def sample_pymc(spec: Specification, settings: SamplerSettings) -> Posterior:
    """``pm.sample`` on a new copy of the PyMC model, labelled like every other posterior."""
    load_in_full("pymc", "nutpie")
    import pymc as pm

    from bayes_softmax.inference.interrupted import kept

    refuse_jeffreys(spec)
    tune = 1000 if settings.tune is None else settings.tune
    refuse_too_many(spec, "sample", settings.chains, settings.draws, tune)
    if not spec.priors.is_proper:
        if spec.priors.learns_scales:
            prepare_hierarchy(spec)
        else:
            refuse_improper(spec, solve(problem_of(spec).density.surrogate, SolverOptions()))
    options = {k: v for k, v in settings._asdict().items() if v is not None and k not in ("seed", "tune")}
    start = time.perf_counter()
    with build_pymc_model(spec.design, spec.coordinates, spec.priors, spec.schema):
        tree = pm.sample(
            tune=tune,
            random_seed=settings.seed,
            compute_convergence_checks=False,
            quiet=not settings.progressbar,
            **options,
        )
    timings = {"sampling": time.perf_counter() - start}
    # After Ctrl-C chains that did not finish are filled up with NaN, or missing.
    finished = _finished_draws(tree)
    left, length, notes = kept([*finished, *[0] * (settings.chains - len(finished))], settings.draws)

    def label() -> Posterior:
        part = {"chain": left, "draw": slice(length)}
        posterior, stats = (tree[group].to_dataset().isel(part) for group in ("posterior", "sample_stats"))
        K, p = spec.design.n_classes, spec.design.n_features
        intercept = posterior["intercept"].values if spec.schema.has_intercept else np.zeros((len(left), length, K))
        weights = posterior["weights"].values if p else np.zeros((len(left), length, 0, K))
        kept_stats = {str(k): v.values for k, v in stats.data_vars.items() if v.dims == ("chain", "draw")}
        hyper_dims = hyperparameter_dims(spec.priors.learned, spec.schema.feature_names)
        names = [name for name in hyper_dims if name in posterior]
        hyper = {name: posterior[name].values for name in names}
        drawn = Draws(np.empty(0), kept_stats, tune, notes_of(spec) + notes)
        return _posterior(spec, intercept, weights, drawn, ENGINE_TITLES["pymc"], timings, hyper=hyper)

    return _despite_interrupts(Draws(np.empty(0), {}, tune, notes, bool(notes)), label)


def _finished_draws(tree: Any) -> list[int]:
    """Draws of each chain up to the first that is not there."""
    missing = None
    for values in tree["posterior"].to_dataset().data_vars.values():
        empty = values.isnull().any([dim for dim in values.dims if dim not in ("chain", "draw")])
        missing = empty if missing is None else missing | empty
    if missing is None:
        return []
    return [int(np.argmax(chain)) if chain.any() else len(chain) for chain in missing.values]
