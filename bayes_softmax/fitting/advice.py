"""Messages about an optimum: why there is none and what to do, and what its certificate does not cover."""

import numpy as np

from bayes_softmax.core.records import FloatArray, Mode, Penalty, Status
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting.covariance import held_at_kink
from bayes_softmax.fitting.problem import MANY_COORDINATES, Problem
from bayes_softmax.fitting.solvers import may_have_modes
from bayes_softmax.separation.diagnosis import diagnose_separation
from bayes_softmax.separation.directions import deciding_directions, recession_rays, unseen_directions
from bayes_softmax.separation.examination import Examination, flat_columns
from bayes_softmax.separation.limits import Limits
from bayes_softmax.separation.rank import collinearity_in, near_collinearity
from bayes_softmax.spec.specification import Specification


def advice(mode: Mode, kind: str, found: Examination, solver: str) -> str:
    """Why an optimum is not certified, and what to do."""
    separated = diagnose_separation(found).advice
    if separated is not None:
        return separated + ("; map() has a prior to decide" if kind == "mle" else "")
    if not np.isfinite(mode.value):
        if solver == "gradient-descent":
            return "the steps diverged: lower learning_rate"
        return "the log density is not finite at zero, where large offsets make all probabilities 0 or 1"
    remedies = {
        Status.MAX_ITERATIONS: "raise max_iterations (max_iter of SoftmaxClassifier)",
        Status.SADDLE: "sample() explores all modes, or use Normal priors",
    }
    other = [] if solver == "newton" else ["use solver='newton'"]
    then = [remedies[mode.status]] if mode.status in remedies else []
    return (
        ", or ".join(then + other)
        or "features are nearly collinear, the prior is nearly flat, or offsets are very large"
    )


def status_of(mode: Mode, told: str) -> str:
    """How an optimisation ended, and the advice; that the density keeps rising follows from the advice's reason."""
    return f"not certified: {told}" if mode.status is Status.UNBOUNDED else f"{mode.status.value}; {told}"


def limits_of(found: Examination) -> Limits:
    """What the data do not determine, for the answers of an estimate."""
    rows, lines = deciding_directions(found), unseen_directions(found)
    if not found.design.has_intercept:
        rows, lines = (np.insert(directions, 0, 0.0, axis=2) for directions in (rows, lines))
    return Limits(recession_rays(found), rows, lines, *found.design.standardisation)


def notes_on_optimum(
    problem: Problem, objective: SoftmaxPosterior | JeffreysPosterior, mode: Mode, found: Examination | None
) -> tuple[str, ...]:
    """What the certificate of ``mode`` does not cover; ``found`` is the examination of the data, if there was one.

    ``objective`` was maximised: the density of ``problem``, with Jeffreys' prior if that is the model's.
    """
    return (
        *collinearity_notes(problem.spec, found),
        *kink_notes(problem.density.penalty, mode.theta),
        *mode_notes(objective, mode),
        *size_notes(problem, mode),
    )


def collinearity_notes(spec: Specification, found: Examination | None) -> tuple[str, ...]:
    """Nearly collinear columns, which hardly determine their coefficients though an optimum exists."""
    if found is not None and not found.is_determined:
        return ()
    free = flat_columns(spec.summary, spec.priors)
    if spec.streamed is None:
        near = near_collinearity(spec.distinct, free)
    else:
        summary = spec.streamed.summary
        near = collinearity_in(summary.cross_products[np.ix_(free, free)] / summary.total_weight, summary, free)
    return () if near is None else (str(near),)


def kink_notes(penalty: Penalty | None, theta: FloatArray) -> tuple[str, ...]:
    """Consequences of exact zeros for the standard errors."""
    held = held_at_kink(penalty, theta)
    if penalty is None or not held.any():
        return ()
    return (
        f"{held.sum()} of {penalty.groups.size} free weights with a Laplace prior are exactly zero: their standard "
        "errors are NaN, and those of the others are conditional on these zeros; sample() gives their posterior",
    )


def mode_notes(objective: SoftmaxPosterior | JeffreysPosterior, mode: Mode) -> tuple[str, ...]:
    """What a certificate does not cover if the posterior is not log-concave."""
    note = may_have_modes(objective) if mode.converged else None
    return () if note is None else (note,)


def size_notes(problem: Problem, mode: Mode) -> tuple[str, ...]:
    """Why there are no standard errors with many coefficients, and what to do."""
    if not (mode.converged and problem.has_many_coefficients):
        return ()
    if problem.reduced is not None and problem.density.dimension <= MANY_COORDINATES:
        return ()
    return (
        f"standard errors are NaN: those of {problem.coordinates.dimension} free coefficients need their full "
        f"covariance matrix, which is formed up to {MANY_COORDINATES}; sample() gives posterior standard deviations",
    )
