"""Laplace approximations of all weights of a network, around its MAP, with the Gauss-Newton curvature."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.probabilities import HasLogits, ThinnedDraws
from bayes_softmax.answers.training import Cells
from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws, FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells, without_one
from bayes_softmax.fitting.beside_map import (
    SAMPLES,
    Approximation,
    Beside,
    held_out,
    leave_one_out,
    with_note,
)
from bayes_softmax.fitting.kronecker_layer import DRAW_STREAM, RESAMPLING_STREAM
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.network_estimates import certified_optimum
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.progress import progress_bar
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.inference.importance import FEWEST_PROPOSALS, Proposals, importance_sample, weigh
from bayes_softmax.inference.normals import Normal, dense_normal, layered_normal
from bayes_softmax.spec.network.linearised import LinearisedNetwork
from bayes_softmax.spec.network.logits import NetworkLogits
from bayes_softmax.spec.specification import Specification

LARGEST_DENSE = 10_000  # coefficients whose curvature is formed: 0.8 GB, and a minute
STEP = 2**22  # numbers of draws that are computed at a time


class Structure(NamedTuple):
    """A structure of the curvature: what makes the normal, the name of the curvature, and whether it is formed."""

    normal: Callable[[NetworkPosterior, FloatArray], Normal]
    words: str
    is_dense: bool


class Mode(NamedTuple):
    """The MAP of a network: its density, its free vector, and the parameters as one draw."""

    density: NetworkPosterior
    theta: FloatArray
    parameters: Parameters


class Weighed(NamedTuple):
    """Draws (S, d) with what their importance weights say; they are resampled by these only where they are reliable."""

    points: FloatArray
    pareto_k: float | None
    ess: float
    log_evidence: float
    notes: tuple[str, ...] = ()
    interrupted: bool = False


class _Run(NamedTuple):
    """Draws of all weights, the mode and the normal around it."""

    posterior: PosteriorDraws
    mode: Mode
    normal: Normal


def _dense(density: NetworkPosterior, theta: FloatArray) -> Normal:
    return dense_normal(density.metric(theta))


def _layered(density: NetworkPosterior, theta: FloatArray) -> Normal:
    return layered_normal(density.layer_factors(theta), density.layer_order)


STRUCTURES = {
    "full": Structure(_dense, "the Gauss-Newton curvature of all weights", is_dense=True),
    "kron": Structure(_layered, "Kronecker factors of the Gauss-Newton curvature of each layer", is_dense=False),
}
LINEARISED_AT = "the MAP around which logits are linearised was found from all rows"
PREDICTIVES = {"glm": "logits linearised around it", "mc": "draws go through the network"}


def sample_all_layers(spec: Specification, settings: LaplaceSettings, *, measured: bool = True) -> PosteriorDraws:
    """Draw all weights from the normal approximation at the MAP.

    With ``measured`` the result notes its log loss beside that of the MAP.
    """
    call = f"laplace(structure={settings.structure!r}, predictive={_predictive(settings)!r})"
    with blas_on_one_thread():
        run = _run(spec, settings)
        posterior = run.posterior
        if measured:
            posterior = with_note(posterior, _measured(spec, run, settings), call)
    if posterior.pareto_k is not None and not posterior.pareto_k <= RELIABLE_PARETO_K:
        warn_caller(_not_corrected(call, posterior.pareto_k), NotReliableWarning)
    refit = partial(_without, spec, settings)
    return replace(posterior, refit=refit, refit_cells=partial(_again, spec, settings))


def _predictive(settings: LaplaceSettings) -> str:
    """The predictive distribution: linearised unless asked otherwise."""
    return settings.predictive or "glm"


def _run(spec: Specification, settings: LaplaceSettings) -> _Run:
    """Mode, normal and draws, with what would not do refused."""
    assert settings.structure is not None
    structure, predictive = STRUCTURES[settings.structure], _predictive(settings)
    _refuse(spec, structure, settings.draws)
    start = time.perf_counter()
    mode = find_mode(spec, settings.starts)
    at_mode = time.perf_counter()
    normal = _normal_at(structure, mode)
    drawn = DRAW[predictive](mode, normal, settings)
    timings = {"mode": at_mode - start, "sampling": time.perf_counter() - at_mode}
    title = f"laplace (normal with {structure.words}, at the MAP; {PREDICTIVES[predictive]})"
    logits, seen = (linearised_at(spec, mode), LINEARISED_AT) if predictive == "glm" else (spec.logits, "")
    posterior = _labelled(spec, drawn, title, timings)
    return _Run(replace(posterior, logits=logits, seen=seen), mode, normal)


def _measured(spec: Specification, run: _Run, settings: LaplaceSettings) -> Beside | None:
    """Log loss beside the MAP's: by leave-one-out, or where the curvature is approximate on rows held out."""
    assert settings.structure is not None
    if not STRUCTURES[settings.structure].is_dense:

        def refit(without: Specification) -> tuple[HasLogits, HasLogits]:
            again = _run(without, settings._replace(progressbar=False))
            return again.posterior, ThinnedDraws(spec.logits, again.mode.parameters)

        return held_out(spec, refit, settings.seed)
    thinned = run.posterior.parameters.thinned(SAMPLES, 1)
    draws = ThinnedDraws(spec.logits, thinned) if _predictive(settings) == "mc" else None
    linearised = ThinnedDraws(linearised_at(spec, run.mode), thinned)
    return leave_one_out(spec, Approximation(run.mode.parameters, run.normal, linearised, draws), settings.seed)


def _not_corrected(call: str, pareto_k: float) -> str:
    """What a large Pareto k means for draws of a network."""
    return (
        f"{call}: the draws are those of the normal approximation, not of the posterior: Pareto k of their importance "
        f"weights is {pareto_k:.2f}, above {RELIABLE_PARETO_K}, so they were left as they are; sample() draws the "
        "posterior"
    )


def find_mode(spec: Specification, seed: int) -> Mode:
    """The mode that ``map(random_seed=seed)`` finds; warns if it is none."""
    found, verdict = certified_optimum(spec, "map", SolverOptions(seed=seed))
    if not verdict.converged:
        warn_caller(f"laplace() is around where the search for a mode ended: {verdict.status}", NotConvergedWarning)
    theta = found.mode.theta
    return Mode(network_density(spec), theta, Parameters(spec.network_coordinates.to_parameters(theta[None])))


def _again(spec: Specification, settings: LaplaceSettings, cells: Cells, seed: int) -> PosteriorDraws:
    """The same approximation of the posterior of other numbers of the observations."""
    own = settings._replace(seed=seed, progressbar=False)
    return complete(sample_all_layers(with_cells(spec, cells), own, measured=False))


def _without(spec: Specification, settings: LaplaceSettings, row: int, code: int) -> PosteriorDraws:
    """The same approximation of the posterior without one observation."""
    own = settings._replace(progressbar=False)
    return complete(sample_all_layers(without_one(spec, row, code), own, measured=False))


def _refuse(spec: Specification, structure: Structure, draws: int) -> None:
    """Raise for flat priors, and for what would not fit into memory."""
    assert spec.hidden is not None
    flat = [f"hidden_{i}" for i, scale in enumerate(spec.hidden.scales, 1) if np.isinf(scale).any()]
    flat += ["weights"] if spec.priors.flat_features.any() else []
    if flat:
        raise ImproperPosteriorError(
            f"laplace(): the posterior of all weights is improper under a flat prior of {' and '.join(flat)}: units "
            "can grow without end. Give them a proper prior (prior=None is the default)"
        )
    d = spec.network_coordinates.dimension
    if structure.is_dense and d > LARGEST_DENSE:
        raise ValueError(
            f"laplace(structure='full') forms the curvature of {d:,} coefficients as a matrix, possible up to "
            f"{LARGEST_DENSE:,}; structure='kron' needs two factors for each layer, 'last-layer' the last one alone"
        )
    size = 8.0 * (3.0 * draws * d + 4.0 * d * d * structure.is_dense)
    refuse_beyond_memory(f"the draws of laplace({draws=})", size, "ask for fewer draws, or structure='last-layer'")


def _normal_at(structure: Structure, mode: Mode) -> Normal:
    try:
        return structure.normal(mode.density, mode.theta)
    except ValueError as error:
        raise ImproperPosteriorError(f"laplace(): {error}; give the weights a proper, narrower prior") from error


def _points(mode: Mode, normal: Normal, settings: LaplaceSettings) -> tuple[FloatArray, FloatArray]:
    """Points (S, d) of the normal, and the squared norms (S,) of the standard normal ones behind them."""
    d, rng = normal.dimension, np.random.default_rng([settings.seed, DRAW_STREAM])
    points, squares, step = np.empty((settings.draws, d)), np.empty(settings.draws), max(1, STEP // d)
    for start in range(0, settings.draws, step):
        some = slice(start, start + step)
        z = rng.normal(size=points[some].shape)
        squares[some] = np.einsum("sd,sd->s", z, z)
        points[some] = mode.theta + normal.coloured(z)
    return points, squares


def _plain(mode: Mode, normal: Normal, settings: LaplaceSettings) -> Weighed:
    """Draws of the linearised network, whose log evidence is that of the Laplace approximation."""
    points, _ = _points(mode, normal, settings)
    return Weighed(points, None, float(settings.draws), _log_evidence(mode, normal))


def _weighed(mode: Mode, normal: Normal, settings: LaplaceSettings) -> Weighed:
    """Draws with importance weights, by which they are resampled if these are reliable."""
    points, squares = _points(mode, normal, settings)
    log_q = -0.5 * (squares + normal.dimension * np.log(2 * np.pi)) - normal.log_determinant
    with progress_bar(settings.progressbar) as progress:
        proposals = weigh(mode.density.values, points, log_q, cores=os.cpu_count() or 1, progress=progress)
    if proposals.finished < FEWEST_PROPOSALS:
        raise KeyboardInterrupt("interrupted before enough draws were weighted")
    notes: tuple[str, ...] = ()
    if proposals.finished < settings.draws:
        notes = (f"{INTERRUPTED}: {proposals.finished} of {settings.draws} draws were finished",)
        warn_caller(notes[0])
    return _resampled(mode, normal, proposals, notes, settings.seed)


def _resampled(mode: Mode, normal: Normal, proposals: Proposals, notes: tuple[str, ...], seed: int) -> Weighed:
    found = importance_sample(proposals, proposals.finished, np.random.default_rng([seed, RESAMPLING_STREAM]))
    kept = notes, proposals.interrupted
    if found.pareto_k <= RELIABLE_PARETO_K:
        shift = mode.density.coordinates.last.log_jacobian
        return Weighed(found.points, found.pareto_k, found.ess, found.log_evidence + shift, *kept)
    return Weighed(proposals.points, found.pareto_k, found.ess, _log_evidence(mode, normal), *kept)


def _log_evidence(mode: Mode, normal: Normal) -> float:
    """Log integral of the posterior by Laplace's approximation, with the Gauss-Newton curvature."""
    size = 0.5 * normal.dimension * float(np.log(2 * np.pi)) + normal.log_determinant
    return mode.density.value(mode.theta) + size + mode.density.coordinates.last.log_jacobian


def _labelled(spec: Specification, drawn: Weighed, title: str, timings: dict[str, float]) -> PosteriorDraws:
    """The draws as a posterior of the network."""
    made = Draws(drawn.points, {}, 0, drawn.notes, drawn.interrupted)

    def label() -> PosteriorDraws:
        parameters = spec.network_coordinates.to_parameters(drawn.points)
        posterior = labelled_posterior(spec, in_chains(parameters, (1, len(drawn.points))), made, title, timings)
        return replace(posterior, pareto_k=drawn.pareto_k, ess=drawn.ess, log_evidence=drawn.log_evidence)

    return despite_interrupts(made, label)


def linearised_at(spec: Specification, mode: Mode) -> LinearisedNetwork:
    """The network's logits, linear in the parameters around the mode."""
    assert isinstance(spec.logits, NetworkLogits)
    return LinearisedNetwork(spec.logits, tuple(mode.parameters.flat()[0].tolist()))


DRAW: dict[str, Callable[[Mode, Normal, LaplaceSettings], Weighed]] = {"glm": _plain, "mc": _weighed}
