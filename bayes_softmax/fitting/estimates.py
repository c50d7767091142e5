"""Point estimates of a specification: the optimum, its certificate, and its labels."""

from collections.abc import Callable
from functools import partial

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.training import Cells
from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.by_row import without_rounding
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fitting.advice import advice, limits_of, notes_on_optimum, status_of
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.covariance import raw_covariance, variances_of
from bayes_softmax.fitting.group_estimates import group_estimate
from bayes_softmax.fitting.intercept_alone import warn_if_intercept_alone
from bayes_softmax.fitting.network_estimates import network_estimate
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.problem import Problem, certified, objective_of, problem_of
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.fitting.streamed import examined, notes_on_passes, passes_so_far, training_of_model
from bayes_softmax.fitting.streamed_mode import mode_of
from bayes_softmax.spec.linear import GROUPS, LINEAR
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import Specification


def point_estimate(spec: Specification, kind: str, options: SolverOptions) -> Estimate:
    """Maximise the log posterior of ``spec`` and label the result; warns if no optimum is certified."""
    return ESTIMATES.get(spec.logits.compiled or LINEAR, linear_estimate)(spec, kind, options)


def linear_estimate(spec: Specification, kind: str, options: SolverOptions) -> Estimate:
    """The estimate of a model with linear logits; it has no random starts."""
    refuse_learned_scales(spec, f"{kind}()")
    before = passes_so_far(spec)
    with blas_on_one_thread():  # its threads wait for each other longer than these matrices take
        problem = problem_of(spec)
        objective = objective_of(spec, problem.density)
        solved = mode_of(spec, objective, options)
        mode = certified(spec, problem, solved)
    if problem.reduced is not None:
        objective = problem.full
    status, found = mode.status.value, None
    if not mode.converged:
        found = examined(spec)
        status = status_of(mode, advice(mode, kind, found, options.solver))
        warn_caller(f"{kind}(solver={options.solver!r}) {status}", NotConvergedWarning)
    alone = warn_if_intercept_alone(spec) if mode.converged else ()
    parameters = problem.coordinates.to_parameters(mode.theta[None])
    values = {name: draws[0] for name, draws in parameters.items()}
    log_prior = objective.log_prior(mode.theta)
    on_passes, optimum = notes_on_passes(spec, before), (problem, objective, mode, found)
    # Rows in memory are packed anew if it is asked for: an estimate does not keep them.
    kept = problem.full if spec.streamed is not None else None
    return Estimate(
        kind=kind,
        values=label_parameters(spec.logits, values, spec.schema),
        log_likelihood=_log_likelihood(problem, mode.value - log_prior, mode.theta),
        log_prior=log_prior,
        total_weight=spec.summary.total_weight,
        n_obs=spec.rows.n_obs,
        converged=mode.converged,
        status=status,
        gradient_norm=mode.gradient_norm,
        newton_decrement=mode.newton_decrement,
        n_iterations=mode.n_iterations,
        history=-mode.history / spec.summary.total_weight,
        schema=spec.schema,
        logits=spec.logits,
        covariance_of=lambda: raw_covariance(spec, mode, found, kept),
        notes=alone + _without_restarts(options) + notes_of(spec) + on_passes + notes_on_optimum(*optimum),
        training=training_of_model(spec),
        limits_of=None if found is None else lambda: limits_of(found),
        variance_of=variances_of(problem, solved, mode),
        refit_cells=partial(_again, spec, kind, options),
    )


def _log_likelihood(problem: Problem, value: float, theta: FloatArray) -> float:
    """The log-likelihood at the optimum; near zero it is summed row by row, where rows are in memory."""
    spec = problem.spec
    if spec.streamed is not None:
        return value
    return without_rounding(value, spec.distinct, problem.coordinates, theta)


def _without_restarts(options: SolverOptions) -> tuple[str, ...]:
    """The note that restarts which were asked for were not made."""
    if options.restarts is None or options.restarts == 1:
        return ()
    return (f"restarts={options.restarts} is for networks: linear logits are fitted from one start, not at random",)


def _again(spec: Specification, kind: str, options: SolverOptions, cells: Cells, seed: int) -> Estimate:
    """The same kind of estimate from other numbers of the observations; nothing in it is random."""
    return point_estimate(with_cells(spec, cells), kind, options)


# By the name of the compiled part of a logit function; others are refused where their density is built.
ESTIMATES: dict[str, Callable[[Specification, str, SolverOptions], Estimate]] = {
    LINEAR: linear_estimate,
    GROUPS: group_estimate,
    NETWORK: network_estimate,
}
