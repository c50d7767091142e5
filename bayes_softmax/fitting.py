"""Fitting a specification: densities, estimates and draws, made into labelled results."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, NotReliableWarning
from bayes_softmax.core.records import Draws, FloatArray, LaplaceApproximation, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.posterior import Posterior, build_idata
from bayes_softmax.results.storage import label_coefficients
from bayes_softmax.spec.coding import Coordinates, build_coordinates
from bayes_softmax.spec.design import Design, Label
from bayes_softmax.spec.identification import check_separation, explain
from bayes_softmax.spec.priors import PriorTable, flat_table
from bayes_softmax.spec.pymc_model import build_pymc_model, free_variables
from bayes_softmax.spec.schema import Schema

if TYPE_CHECKING:
    from bayes_softmax.density.posterior import SoftmaxPosterior

ENGINE_TITLES = {
    "nuts": "nuts (whitened by the Laplace approximation, nutpie)",
    "independence": "independence (Metropolis-Hastings with Laplace proposals)",
    "pymc": "pymc (pm.sample on the pm.Model)",
    "laplace": "laplace (importance resampling of the Laplace approximation)",
}
SOLVERS = ("newton", "newton-cg", "lbfgs", "gradient-descent")


class Specification(NamedTuple):
    """What is modelled: data, names, priors."""

    design: Design
    schema: Schema
    priors: PriorTable


class SolverOptions(NamedTuple):
    """How to optimise; None takes the solver's default."""

    solver: str = "newton"
    max_iterations: int | None = None
    learning_rate: float | None = None


class SamplerSettings(NamedTuple):
    """How to sample; None takes the engine's default."""

    draws: int
    tune: int | None
    chains: int
    cores: int | None
    seed: int
    target_accept: float | None
    progressbar: bool


def coordinates_of(spec: Specification) -> Coordinates:
    """Linear maps between free, engine and raw coordinates."""
    return build_coordinates(
        spec.schema.coding,
        spec.design.n_classes,
        *spec.design.standardisation,
        has_intercept=spec.design.has_intercept,
        flat_intercept=spec.priors.flat_intercept,
    )


def density_of(spec: Specification) -> "SoftmaxPosterior":
    """The compiled log posterior."""
    from bayes_softmax.density.posterior import build_posterior

    return build_posterior(spec.design, coordinates_of(spec), spec.priors)


def without_priors(spec: Specification) -> Specification:
    """The same data under flat priors; full coding, not identified then, becomes zero-sum."""
    coding = "zero-sum" if spec.schema.coding == "full" else spec.schema.coding
    return spec._replace(priors=flat_table(spec.priors), schema=replace(spec.schema, coding=coding))


def point_estimate(spec: Specification, kind: str, options: SolverOptions) -> PointEstimate:
    """Maximise the log posterior of ``spec`` and label the result; warns where no optimum is certified."""
    density = density_of(spec)
    mode = solve(density, options)
    status = mode.status.value
    if not mode.converged:
        advice = "raise max_iterations, or use solver='newton'"
        if not np.isfinite(mode.value):
            advice = "the steps diverged: lower learning_rate"
        status += f"; {why_uncertified(spec) or advice}"
        warnings.warn(f"{kind}(solver={options.solver!r}) {status}", NotConvergedWarning, stacklevel=3)
    intercept, weights = density.coordinates.to_raw(mode.theta[None])
    labelled = label_coefficients(intercept[0], weights[0], spec.schema)
    log_prior = density.log_prior(mode.theta)
    return PointEstimate(
        kind=kind,
        intercept=labelled[0],
        weights=labelled[1],
        log_likelihood=mode.value - log_prior,
        log_prior=log_prior,
        total_weight=spec.design.total_weight,
        n_obs=spec.design.n_obs,
        converged=mode.converged,
        status=status,
        gradient_norm=mode.gradient_norm,
        newton_decrement=mode.newton_decrement,
        n_iterations=mode.n_iterations,
        history=-mode.history / spec.design.total_weight,
        schema=spec.schema,
        covariance_of=lambda: _raw_covariance(density, mode),
        notes=notes_of(spec),
    )


class Prepared(NamedTuple):
    """A density with its Laplace approximation, and the seconds they took."""

    density: "SoftmaxPosterior"
    laplace: LaplaceApproximation
    timings: dict[str, float]


def prepare(spec: Specification) -> Prepared:
    """Find the mode and the normal approximation there; refuses improper posteriors."""
    from bayes_softmax.inference.laplace import laplace_approximation

    start = time.perf_counter()
    density = density_of(spec)
    ready = time.perf_counter()
    mode = solve(density, SolverOptions())
    refuse_improper(spec, mode)
    laplace = laplace_approximation(density, mode)
    return Prepared(density, laplace, {"compile": ready - start, "mode": time.perf_counter() - ready})


def sample(spec: Specification, settings: SamplerSettings, engine: str) -> Posterior:
    """Draw by NUTS or by the independence sampler; ``"auto"`` decides by a pilot."""
    from bayes_softmax.inference.independence import choose, independence_chains
    from bayes_softmax.inference.nuts import whitened_nuts

    prepared = prepare(spec)
    density, laplace, timings = prepared
    cores = settings.cores or os.cpu_count() or 1
    start = time.perf_counter()
    thin, reason = 1, ""
    if engine == "auto":
        rng = np.random.default_rng(settings.seed)
        with blas_on_one_thread():
            suitable, thin, reason = choose(density, laplace, rng, cores)
        engine, reason = "independence" if suitable else "nuts", f"; {reason}"
        timings["pilot"] = time.perf_counter() - start
    start = time.perf_counter()
    if engine == "independence":
        options = {k: getattr(settings, k) for k in ("draws", "tune", "chains", "seed")}
        with progress_bar(settings.progressbar) as progress:
            drawn = independence_chains(density, laplace, cores=cores, thin=thin, progress=progress, **options)
    else:
        drawn = whitened_nuts(density, laplace, **settings._asdict())
    timings["sampling"] = time.perf_counter() - start
    return _labelled(spec, density, drawn, f"{ENGINE_TITLES[engine]}{reason}", timings)


def _labelled(
    spec: Specification, density: "SoftmaxPosterior", drawn: Draws, engine: str, timings: dict[str, float]
) -> Posterior:
    """Free draws as a posterior of raw coefficients."""
    shape = drawn.points.shape[:2]
    raw = density.coordinates.to_raw(drawn.points.reshape(-1, density.dimension))
    intercept, weights = (a.reshape(*shape, *a.shape[1:]) for a in raw)
    return _posterior(spec, intercept, weights, drawn._replace(notes=notes_of(spec) + drawn.notes), engine, timings)


def _posterior(
    spec: Specification,
    intercept: FloatArray,
    weights: FloatArray,
    drawn: Draws,
    engine: str,
    timings: dict[str, float],
) -> Posterior:
    """Raw draws, intercept (chain, draw, K) and weights (chain, draw, p, K), as a posterior."""
    free = free_variables(spec.priors, coordinates_of(spec), intercept, weights)
    idata = build_idata(intercept, weights, free, drawn.stats, spec.design, spec.schema, engine)
    return Posterior(idata, spec.schema, engine, drawn.tune, drawn.notes, timings)


def sample_laplace(spec: Specification, draws: int, seed: int, progressbar: bool) -> Posterior:
    """Equal-weight draws from the Laplace approximation, corrected and judged by importance weights."""
    from bayes_softmax.inference.importance import RELIABLE_K, importance_sample, propose

    density, laplace, timings = prepare(spec)
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    with progress_bar(progressbar) as progress:
        proposals = propose(density, laplace, draws, rng, cores=os.cpu_count() or 1, progress=progress)
    if proposals.finished < 25:  # too few for a tail to be fitted
        raise KeyboardInterrupt("interrupted before enough draws were weighed")
    found = importance_sample(proposals, proposals.finished, rng)
    timings["sampling"] = time.perf_counter() - start
    notes: tuple[str, ...] = ()
    if proposals.finished < draws:
        notes = (f"interrupted: {proposals.finished} of {draws} draws were finished",)
        warnings.warn(notes[0], stacklevel=3)
    drawn = Draws(found.points[None], {}, 0, notes)
    posterior = _labelled(spec, density, drawn, ENGINE_TITLES["laplace"], timings)
    if found.pareto_k > RELIABLE_K:
        warnings.warn(
            f"laplace() is not reliable here: Pareto k is {found.pareto_k:.2f}, above {RELIABLE_K}; "
            "run model.sample() instead",
            NotReliableWarning,
            stacklevel=3,
        )
    return replace(
        posterior,
        pareto_k=found.pareto_k,
        ess=found.ess,
        log_evidence=found.log_evidence + density.coordinates.log_jacobian,
    )


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar in terminal or notebook, or None when it is not wanted."""
    if not show:
        yield None
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("evaluating proposals", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def sample_pymc(spec: Specification, settings: SamplerSettings) -> Posterior:
    """``pm.sample`` on a new copy of the PyMC model, labelled like every other posterior."""
    import pymc as pm

    if not spec.priors.is_proper:
        refuse_improper(spec, solve(density_of(spec), SolverOptions()))
    options = {k: v for k, v in settings._asdict().items() if v is not None and k not in ("seed", "tune")}
    tune = 1000 if settings.tune is None else settings.tune
    start = time.perf_counter()
    with build_pymc_model(spec.design, coordinates_of(spec), spec.priors, spec.schema):
        tree = pm.sample(tune=tune, random_seed=settings.seed, compute_convergence_checks=False, **options)
    posterior = tree["posterior"]
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    K, p = spec.design.n_classes, spec.design.n_features
    intercept = posterior["intercept"].values if spec.schema.has_intercept else np.zeros((*shape, K))
    weights = posterior["weights"].values if p else np.zeros((*shape, 0, K))
    stats = {str(k): v.values for k, v in tree["sample_stats"].data_vars.items() if v.dims == ("chain", "draw")}
    drawn = Draws(np.empty(0), stats, tune, notes_of(spec))
    return _posterior(spec, intercept, weights, drawn, ENGINE_TITLES["pymc"], {"sampling": time.perf_counter() - start})


def why_uncertified(spec: Specification) -> str | None:
    """In words, why there is no finite optimum under these priors, if that is so."""
    intercept = [spec.priors.flat_intercept] if spec.design.has_intercept else []
    return explain(spec.design, np.array(intercept + list(spec.priors.flat_features), dtype=bool))


def refuse_improper(spec: Specification, mode: Mode) -> None:
    """Raise if the posterior cannot be normalised.

    For a log-concave density a finite stationary point with a positive definite Hessian proves that it can.
    """
    if spec.priors.is_proper:
        if not mode.converged:
            warnings.warn(f"the mode: {mode.status.value}", NotConvergedWarning, stacklevel=4)
        return
    if mode.converged and not spec.priors.has_heavy_tails:
        return
    if mode.converged:  # polynomial tails beside flat directions: finite mode, perhaps infinite mass
        separation = check_separation(spec.design)
        if not separation.separated:
            return
        raise ImproperPosteriorError(
            f"the posterior may be improper: {separation!r}, and Student-t tails are too heavy to make up for the flat "
            "prior; use Normal priors, or none that is flat"
        )
    raise ImproperPosteriorError(
        "the posterior is improper, there is nothing to sample: "
        f"{why_uncertified(spec) or 'no finite mode could be certified'}. Give the coefficients a proper prior "
        "(prior=None is the autoscaled default)"
    )


def notes_of(spec: Specification) -> tuple[str, ...]:
    """What a reader of a result should know about the data."""
    notes = []
    if spec.schema.unused_classes:
        notes.append(f"no observation of {named(spec.schema.unused_classes)}: only the prior speaks about it")
    if spec.design.n_dropped:
        notes.append(f"{spec.design.n_dropped} rows with missing values were dropped")
    dropped = [n for n in spec.schema.encoder.feature_names if n not in spec.schema.feature_names]
    if dropped:
        notes.append(f"columns that do not vary were dropped: {', '.join(map(repr, dropped))}")
    return tuple(notes)


def named(labels: Sequence[Label]) -> str:
    """``class 'a'`` or ``classes 'a', 'b'``."""
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}"


def solve(density: "SoftmaxPosterior", options: SolverOptions) -> Mode:
    """Run a solver by name, with BLAS on one thread so that results repeat to the last bit."""
    from bayes_softmax.inference import first_order, newton

    solvers: dict[str, Any] = {
        "newton": newton.newton,
        "newton-cg": newton.newton_cg,
        "lbfgs": first_order.lbfgs,
        "gradient-descent": first_order.gradient_descent,
    }
    solver, max_iterations, learning_rate = options
    if solver not in solvers:
        raise ValueError(f"solver={solver!r} is not known; use one of {', '.join(map(repr, SOLVERS))}")
    given: dict[str, Any] = {}
    if max_iterations is not None:
        check_counts(max_iterations=max_iterations)
        given["max_iterations"] = max_iterations
    if learning_rate is not None:
        if solver != "gradient-descent":
            raise ValueError(f"learning_rate is for solver='gradient-descent', not {solver!r}")
        given["learning_rate"] = learning_rate
    with blas_on_one_thread():
        mode: Mode = solvers[solver](density, np.zeros(density.dimension), **given)
    return mode


def _raw_covariance(density: "SoftmaxPosterior", mode: Mode) -> FloatArray:
    """Covariance of the raw coefficients; NaN where the optimum is not certified."""
    from bayes_softmax.inference.laplace import covariance, laplace_approximation

    raw_map = density.coordinates.raw_map
    if not mode.converged:
        return np.full((raw_map.shape[0],) * 2, np.nan)
    result: FloatArray = raw_map @ covariance(laplace_approximation(density, mode)) @ raw_map.T
    return result


def check_counts(**counts: int | None) -> None:
    """Raise unless every argument is None or a whole number of at least one."""
    for name, value in counts.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name}={value!r} must be a whole number")
        if value < 1:
            raise ValueError(f"{name}={value!r} must be at least 1")


def integer_seed(random_seed: int | np.random.Generator | None) -> int:
    """One integer for samplers that take no Generator."""
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**31))
    if random_seed is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_seed, bool) or not isinstance(random_seed, int | np.integer):
        raise TypeError(f"random_seed={random_seed!r} must be a whole number, a numpy Generator or None")
    if random_seed < 0:
        raise ValueError(f"random_seed={random_seed!r} must not be negative")
    if random_seed >= 2**64:
        raise ValueError(f"random_seed={random_seed!r} must be below 2**64")
    return int(random_seed)
