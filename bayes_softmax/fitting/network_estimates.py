"""Point estimates of a network: the best of several local optima, its certificate, and its labels."""

from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.training import Cells, training_data
from bayes_softmax.core.checks import check_choice, check_counts
from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fits.search import Search
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.network_effective import effective_by_hessian, effective_by_layers
from bayes_softmax.fitting.network_status import Verdict, separates, verdict_of
from bayes_softmax.fitting.networks import has_kinks, modes_from, random_starts, smooth_density
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.inference.conjugate import PROBE_STEPS
from bayes_softmax.inference.local_mode import Curvature, LocalMode, local_mode
from bayes_softmax.inference.restarts import MAX_ITERATIONS, Restarts
from bayes_softmax.spec.specification import Specification

# Most starts, and multiplications of one gradient up to which there are so many; with more work there are fewer.
MOST_STARTS = 8
CHEAP_WORK = 3e6
SOLVERS = ("newton", "lbfgs")
FEWEST_PRODUCTS = 10
ESCAPES = 5  # most saddle points that are left in succession
LENGTHS = np.geomspace(1e-3, 30.0, 24)  # of a step off a saddle point


class Optimum(NamedTuple):
    """Where the runs ended, and the best of them with its certificate."""

    found: Restarts
    mode: LocalMode
    log_prior: float
    n_iterations: int
    history: FloatArray
    effective: dict[str, float]


def network_estimate(spec: Specification, kind: str, options: SolverOptions) -> Estimate:
    """Maximise the log posterior of a network from several random starts and label the best result."""
    refuse_learned_scales(spec, f"{kind}()")
    best, verdict = certified_optimum(spec, kind, options)
    if not verdict.converged:
        warn_caller(f"{kind}() {verdict.status}", NotConvergedWarning)
    mode, parameters = best.mode, _parameters(spec, best.mode)
    n = spec.design.total_weight
    values = {name: draws[0] for name, draws in parameters.arrays.items()}
    return Estimate(
        kind=kind,
        values=label_parameters(spec.logits, values, spec.schema),
        log_likelihood=mode.value - best.log_prior,
        log_prior=best.log_prior,
        total_weight=n,
        n_obs=spec.design.n_obs,
        converged=verdict.converged,
        status=verdict.status,
        gradient_norm=mode.gradient_norm,
        newton_decrement=mode.newton_decrement,
        n_iterations=best.n_iterations,
        history=-best.history / n,
        schema=spec.schema,
        logits=spec.logits,
        notes=notes_of(spec),
        training=training_data(spec.design, spec.collapsed),
        refit_cells=partial(_again, spec, kind, options),
        search=Search(np.array([mode.value, *best.found.values[1:]]), mode.curvature.value, best.effective),
        effective_of=partial(effective_by_layers, spec, mode.theta) if verdict.converged else None,
    )


def certified_optimum(spec: Specification, kind: str, options: SolverOptions) -> tuple[Optimum, Verdict]:
    """The best of several local optima, and whether it is certified; ``kind`` is ``"mle"`` or ``"map"``."""
    _check(options)
    with blas_on_one_thread():
        best = optimum(spec, smooth_density(spec), options)
    at_limit, separated = bool(best.found.at_limit[0]), separates(spec, _parameters(spec, best.mode))
    return best, verdict_of(spec, kind, best.mode, at_limit=at_limit, separated=separated)


def _parameters(spec: Specification, mode: LocalMode) -> Parameters:
    """The mode as one draw of the parameters by name."""
    return Parameters(spec.network_coordinates.to_parameters(mode.theta[None]))


def optimum(spec: Specification, density: NetworkPosterior, options: SolverOptions) -> Optimum:
    """The best local optimum of several starts; where a run ended at a saddle point, it goes on from beside it."""
    rng, restarts = np.random.default_rng(options.seed), options.restarts or default_restarts(density)
    limit = MAX_ITERATIONS if options.max_iterations is None else options.max_iterations
    found = modes_from(spec, density, random_starts(density.coordinates, restarts, rng), limit)
    history, n_iterations, scale = found.history, int(found.n_iterations[0]), _scales(spec)

    def certified(theta: FloatArray) -> LocalMode:
        # The certificate takes at most half as many gradients as the search did: four for each of these.
        products = int(np.clip(n_iterations // 10, FEWEST_PRODUCTS, PROBE_STEPS))
        return local_mode(
            density.value_gradient, theta, density.total_weight, scale, kinked=has_kinks(spec), products=products
        )

    mode = certified(found.points[0])
    for _ in range(ESCAPES):
        if mode.direction is None or n_iterations >= limit:
            break
        points = mode.theta + np.concatenate([LENGTHS, -LENGTHS])[:, None] * mode.direction
        values = density.values(points)
        highest = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
        if not values[highest] > mode.value:
            break
        further = modes_from(spec, density, points[highest : highest + 1], limit - n_iterations)
        history, n_iterations = np.append(history, further.history), n_iterations + int(further.n_iterations[0])
        mode = certified(further.points[0])
    effective = {}
    if mode.curvature is Curvature.DEFINITE and mode.hessian is not None:
        effective = effective_by_hessian(spec, mode.hessian, density.prior_curvature(mode.theta))
    history = np.append(history, mode.value)
    return Optimum(found, mode, density.log_prior(mode.theta), n_iterations, history, effective)


def default_restarts(density: NetworkPosterior) -> int:
    """Number of starts: as many as a small network takes in a second, and one of a very large network."""
    return int(np.clip(MOST_STARTS * CHEAP_WORK / max(density.work, 1.0), 1, MOST_STARTS))


def _check(options: SolverOptions) -> None:
    """Raise for what is not for networks."""
    if options.solver in ("newton-cg", "gradient-descent"):
        raise ValueError(
            f"solver={options.solver!r} is for linear logits; a network is fitted by 'lbfgs' (or 'newton', the same "
            "with Newton steps at the end)"
        )
    check_choice("solver", options.solver, SOLVERS)
    if options.learning_rate is not None:
        raise ValueError("learning_rate is for solver='gradient-descent', and a network is fitted by 'lbfgs'")
    if options.max_iterations is not None:
        check_counts(max_iterations=options.max_iterations)


def _scales(spec: Specification) -> FloatArray:
    """Natural sizes (d,) of the free coordinates: prior scales of hidden weights, but at most one."""
    hidden, coordinates = spec.hidden, spec.network_coordinates
    assert hidden is not None
    parts = [np.tile(scale, units) for scale, units in zip(hidden.scales, hidden.sizes[1:], strict=True)]
    scales: FloatArray = np.minimum(np.concatenate([*parts, np.ones(coordinates.last.dimension)]), 1.0)
    return scales


def _again(spec: Specification, kind: str, options: SolverOptions, cells: Cells, seed: int) -> Estimate:
    """The same kind of estimate from other numbers of the observations, from the same starts."""
    return network_estimate(with_cells(spec, cells), kind, options)
