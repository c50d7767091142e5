"""Point estimates of models with group-level effects: the maximum of the marginal likelihood or posterior."""

from functools import partial
from typing import NamedTuple

from bayes_softmax.answers.labels import label_parameters
from bayes_softmax.answers.training import Cells, training_data
from bayes_softmax.core.checks import check_choice, check_counts, listed
from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.records import FloatArray, Status
from bayes_softmax.density.groups.marginal import MarginalPosterior, signed
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fitting.advice import collinearity_notes, limits_of
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.group_covariance import joint_covariance, row_variances, to_classes
from bayes_softmax.fitting.group_marginal import (
    hyperprior_constant,
    marginal_density,
    maximum,
    quadrature_error,
    refuse_unsuited,
    rule_of,
)
from bayes_softmax.fitting.group_status import boundary, single_notes, status_of
from bayes_softmax.fitting.notes import notes_of
from bayes_softmax.fitting.solvers import SolverOptions, may_have_modes
from bayes_softmax.inference.redundant import RedundantMode
from bayes_softmax.separation.examination import Examination, what_is_open
from bayes_softmax.spec.specification import Specification

SOLVERS = ("newton", "lbfgs")
# Parameters, levels' effects among them, up to which their joint covariance is kept: 72 MB.
MANY_PARAMETERS = 3000


SMALLEST = 1e-10  # error of a log-likelihood that is told
ACCURATE = 1e-2  # error of the log-likelihood by quadrature, above which a maximum of it is none of the likelihood


class GroupOptimum(NamedTuple):
    """The marginal density, its maximum, and the error of the log-likelihood there by quadrature."""

    density: MarginalPosterior
    mode: RedundantMode
    error: float


def group_estimate(spec: Specification, kind: str, options: SolverOptions) -> Estimate:
    """Maximise the marginal likelihood or posterior and label the result; warns if no maximum is certified."""
    density, mode, error = group_optimum(spec, kind, options)
    found = None if mode.converged else what_is_open(spec.design, spec.priors)
    status = status_of(spec, density, mode, found, kind)
    if not mode.converged:
        warn_caller(f"{kind}() {status}", NotConvergedWarning)
    log_prior = 0.0 if kind == "mle" else density.log_prior(mode.theta) + hyperprior_constant(spec, density)
    own_prior = 0.0 if kind == "mle" else density.log_prior(mode.theta)
    many = size_of(spec.logits.shapes) > MANY_PARAMETERS
    n = spec.design.total_weight
    return Estimate(
        kind=kind,
        values=label_parameters(spec.logits, _parameters(spec, density, mode.theta), spec.schema),
        log_likelihood=mode.value - own_prior,
        log_prior=log_prior,
        total_weight=n,
        n_obs=spec.design.n_obs,
        converged=mode.converged,
        status=status,
        gradient_norm=mode.gradient_norm,
        newton_decrement=mode.newton_decrement,
        n_iterations=mode.n_iterations,
        history=-mode.history / n,
        schema=spec.schema,
        logits=spec.logits,
        covariance_of=partial(joint_covariance, spec, density, mode, found),
        notes=_notes(spec, density, mode, found, options, error=error),
        training=training_data(spec.design, spec.collapsed),
        limits_of=None if found is None else partial(limits_of, found),
        variance_of=partial(row_variances, spec, density, mode, found) if many else None,
        refit_cells=partial(_again, spec, kind, options),
    )


def group_optimum(spec: Specification, kind: str, options: SolverOptions) -> GroupOptimum:
    """The maximum of the marginal likelihood (``kind="mle"``), or of the marginal posterior (``"map"``)."""
    _check(spec, kind, options)
    rule = rule_of(spec)
    density = marginal_density(spec, signed, rule.n_nodes, priors=kind == "map")
    refuse_unsuited(density, f"{kind}()")
    mode = maximum(spec, density, options, rule.n_nodes)
    error = quadrature_error(spec, density, mode, rule.n_nodes)
    if not error <= ACCURATE:
        mode = mode._replace(status=Status.UNBOUNDED)
    return GroupOptimum(density, mode, error)


def _parameters(spec: Specification, density: MarginalPosterior, point: FloatArray) -> dict[str, FloatArray]:
    """The parameters by name: weights, effects at their conditional modes, and their covariances."""
    theta, K = point[: density.n_weights], spec.design.n_classes
    found = {name: draws[0] for name, draws in spec.coordinates.to_parameters(theta[None]).items()}
    modes = density.normals(point).modes
    for effects, own, sigma in zip(spec.groups, modes, density.sigmas(point), strict=True):
        T, q = to_classes(effects), effects.n_terms
        found[effects.name] = effects.effects(own)
        found[effects.covariance_name] = (T @ sigma @ T.T).reshape(q, K, q, K)
    return found


def _notes(
    spec: Specification,
    density: MarginalPosterior,
    mode: RedundantMode,
    found: Examination | None,
    options: SolverOptions,
    *,
    error: float,
) -> tuple[str, ...]:
    """How the levels were integrated out, and what the certificate does not cover."""
    rule = rule_of(spec)
    notes = [f"{rule.words} (error about {max(error, SMALLEST):.0e})" if rule.n_nodes > 1 else rule.words]
    notes += [*boundary(spec, density, mode.theta), *single_notes(spec, density)]
    modes = may_have_modes(density.base) if density.priors and mode.converged else None
    if modes is not None:
        notes.append(modes)
    if options.restarts not in (None, 1):
        notes.append(
            f"restarts={options.restarts} is for networks: the marginal likelihood is maximised from one start"
        )
    return (*notes, *notes_of(spec), *collinearity_notes(spec, found))


def _check(spec: Specification, kind: str, options: SolverOptions) -> None:
    """Raise for what is not for models with groups."""
    check_choice("solver", options.solver, ("newton", "newton-cg", "lbfgs", "gradient-descent"))
    if options.solver not in SOLVERS:
        raise ValueError(
            f"solver={options.solver!r} is for models without groups; with groups, L-BFGS is followed by Newton steps: "
            f"{listed(SOLVERS)} are the same"
        )
    if options.learning_rate is not None:
        raise ValueError("learning_rate is for solver='gradient-descent', which is for models without groups")
    if options.max_iterations is not None:
        check_counts(max_iterations=options.max_iterations)
    if kind == "map":
        refuse_unbounded_priors(spec)


def refuse_unbounded_priors(spec: Specification) -> None:
    """Raise for priors under which there is no mode."""
    for effects in spec.groups:
        eta = effects.prior.correlation.eta
        if eta < 1.0 and effects.n_correlations:
            raise ValueError(
                f"map(): the density of {effects.prior.correlation} is unbounded at correlations of one, so that "
                f"{effects.name} has no mode; use LKJ(1) or more, or sample()"
            )


def _again(spec: Specification, kind: str, options: SolverOptions, cells: Cells, seed: int) -> Estimate:
    """The same kind of estimate from other numbers of the observations; nothing in it is random."""
    return group_estimate(with_cells(spec, cells), kind, options)
