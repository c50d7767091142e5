"""Fitting a specification: its density and its point estimates, with what they need to be told in words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.labels import label_coefficients
from bayes_softmax.answers.limits import Limits
from bayes_softmax.answers.training import training_data
from bayes_softmax.core.checks import counted, listed
from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, warn_caller
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray, Mode, Penalty, Status
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.unused_classes import unused_notes
from bayes_softmax.density.by_row import without_rounding
from bayes_softmax.fits.estimate import PointEstimate
from bayes_softmax.fitting.solvers import SolverOptions as SolverOptions
from bayes_softmax.fitting.solvers import may_have_modes
from bayes_softmax.fitting.solvers import solve as solve
from bayes_softmax.separation.diagnosis import check_separation, diagnose
from bayes_softmax.separation.directions import (
    deciding_directions,
    open_directions,
    recession_rays,
    unseen_directions,
)
from bayes_softmax.separation.examination import Examination, flat_columns, what_is_open
from bayes_softmax.separation.rank import near_collinearity
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.specification import Specification

if TYPE_CHECKING:
    from bayes_softmax.density.jeffreys import JeffreysPosterior
    from bayes_softmax.density.posterior import SoftmaxPosterior
    from bayes_softmax.density.rowspace import RowSpace

# Free coordinates up to which a covariance of all of them is formed when it is asked for: 0.2 GB, a few times over.
MANY_COORDINATES = 5000
POLISHING = 20  # Newton steps in the full problem after one in fewer coordinates: none but where that lost something

# What fitting needs, Numba among it: imported whole before any work begins.
COMPILED = ("bayes_softmax.density.jeffreys", "bayes_softmax.density.rowspace", "bayes_softmax.inference.laplace")


def density_of(spec: Specification) -> "SoftmaxPosterior":
    """The compiled log posterior, in the free coordinates of the model."""
    load_in_full(*COMPILED)
    from bayes_softmax.density.posterior import build_posterior

    return build_posterior(spec.distinct, spec.coordinates, spec.priors)


def objective_of(spec: Specification, density: "SoftmaxPosterior") -> "SoftmaxPosterior | JeffreysPosterior":
    """What is maximised: the density, with Jeffreys' prior of all coefficients where that is the model's."""
    from bayes_softmax.density.jeffreys import JeffreysPosterior

    return JeffreysPosterior(density) if spec.priors.is_jeffreys else density


@dataclass(frozen=True)
class Problem:
    """The density that is optimised and sampled, which may be smaller than the model, and the way back.

    ``coordinates`` are the model's; ``log_prior_shift`` is what its log prior has beyond the density's, a constant.
    """

    spec: Specification
    density: "SoftmaxPosterior"
    coordinates: Coordinates
    reduced: "RowSpace | None" = None
    log_prior_shift: float = 0.0

    @cached_property
    def full(self) -> "SoftmaxPosterior":
        """The model's own density, built when it is first needed."""
        return self.density if self.reduced is None else density_of(self.spec)

    def lift(self, thetas: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """Free vectors (S, d) of the model; with ``rng`` what the density leaves out is drawn, without it is zero."""
        return thetas if self.reduced is None else self.reduced.lift(thetas, rng)


def problem_of(spec: Specification) -> Problem:
    """The density of a specification, on distinct rows only, and in their row space if there are more features."""
    load_in_full(*COMPILED)
    from bayes_softmax.density.posterior import build_posterior
    from bayes_softmax.density.rowspace import row_space
    from bayes_softmax.spec.log_prior import log_prior_constant

    coordinates = spec.coordinates
    reduced = row_space(spec.distinct, spec.priors, spec.schema.coding)
    if reduced is None:
        return Problem(spec, build_posterior(spec.distinct, coordinates, spec.priors), coordinates)
    density = build_posterior(reduced.design, reduced.coordinates, reduced.priors)
    shift = log_prior_constant(spec.priors, coordinates) - density.log_prior_constant
    return Problem(spec, density, coordinates, reduced, shift)


def certified(spec: Specification, problem: Problem, mode: Mode, *, max_iterations: int = POLISHING) -> Mode:
    """The mode in the coordinates of the model, with the certificate of the model's own density.

    Where the problem was reduced, gradient and Newton step are computed anew in the full one, and Newton steps there
    would repair what the reduction lost: what is said of the optimum does not rest on the reduction.
    """
    if problem.reduced is None:
        return mode
    from bayes_softmax.inference.blocks import preconditioner
    from bayes_softmax.inference.newton import newton_cg

    if spec.priors.flat_features.all():  # what is left out of the reduction, nothing determines
        return mode._replace(
            theta=problem.lift(mode.theta[None])[0],
            status=Status.SINGULAR if mode.converged else mode.status,
        )
    solve = preconditioner(problem.density.block_metric(mode.theta), lambda: problem.density.metric(mode.theta))
    full, start = problem.full, problem.lift(mode.theta[None])[0]
    with blas_on_one_thread(), np.errstate(all="ignore"):
        # No steps of its own where the solver ran out of those it was allowed.
        lifted = problem.reduced.lifted_solver(problem.coordinates, solve)
        found = newton_cg(full, start, max_iterations if mode.converged else 0, lifted)
    status = found.status if mode.converged or found.converged else mode.status
    history = np.concatenate([mode.history[:-1] + problem.log_prior_shift, found.history])
    return found._replace(n_iterations=mode.n_iterations + found.n_iterations, status=status, history=history)


def refuse_learned_scales(spec: Specification, method: str) -> None:
    """Raise where a scale is learned: a mode, or a normal approximation around one, says nothing there."""
    if not spec.priors.learns_scales:
        return
    family = spec.priors.learned[0].prior
    raise ValueError(
        f"{method} needs priors with fixed scales, but {family} learns its scale: the joint mode of scale and weights "
        "depends on how the scale is written, and with weights at zero the density grows without limit as the scale "
        "falls to zero. Run sample(), or fix the scale, for example at its posterior mean: prior=Normal(<scale>)"
    )


def point_estimate(spec: Specification, kind: str, options: SolverOptions) -> PointEstimate:
    """Maximise the log posterior of ``spec`` and label the result; warns where no optimum is certified."""
    refuse_learned_scales(spec, f"{kind}()")
    problem = problem_of(spec)
    objective = objective_of(spec, problem.density)
    solved = solve(objective, options)
    mode = certified(spec, problem, solved)
    if problem.reduced is not None:
        objective = problem.full
    status, found = mode.status.value, None
    if not mode.converged:
        found = what_is_open(spec.design, spec.priors)
        status = f"{status}; {_advice(mode, kind, found, options.solver)}"
        warn_caller(f"{kind}(solver={options.solver!r}) {status}", NotConvergedWarning)
    intercept, weights = problem.coordinates.to_raw(mode.theta[None])
    labelled = label_coefficients(intercept[0], weights[0], spec.schema)
    log_prior = objective.log_prior(mode.theta)
    return PointEstimate(
        kind=kind,
        intercept=labelled[0],
        weights=labelled[1],
        log_likelihood=without_rounding(mode.value - log_prior, spec.distinct, problem.coordinates, mode.theta),
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
        covariance_of=lambda: _raw_covariance(spec, mode, found),
        notes=notes_of(spec)
        + collinearity_notes(spec, found)
        + _kink_notes(problem.density.penalty, mode.theta)
        + _mode_notes(objective, mode)
        + _size_notes(problem, mode),
        training=training_data(spec.design, spec.collapsed),
        limits_of=None if found is None else lambda: _limits(found),
        variance_of=_variances_of(problem, solved, mode),
    )


def _advice(mode: Mode, kind: str, found: Examination, solver: str) -> str:
    """What is wrong with an optimum that is not certified, and what to do."""
    advice = diagnose(found).advice
    if advice is not None:
        return advice + ("; map() has a prior to decide" if kind == "mle" else "")
    if not np.isfinite(mode.value):
        if solver == "gradient-descent":
            return "the steps diverged: lower learning_rate"
        return "the log density is not finite at zero, where large offsets make all probabilities 0 or 1"
    remedies = {
        Status.MAX_ITERATIONS: "raise max_iterations",
        Status.SADDLE: "sample() sees all modes, or use Normal priors",
    }
    other = [] if solver == "newton" else ["use solver='newton'"]
    then = [remedies[mode.status]] if mode.status in remedies else []
    return (
        ", or ".join(then + other)
        or "features are nearly collinear, the prior is nearly flat, or offsets are very large"
    )


def _limits(found: Examination) -> Limits:
    """What the data leave open, for the answers of an estimate."""
    rows, lines = deciding_directions(found), unseen_directions(found)
    if not found.design.has_intercept:
        rows, lines = (np.insert(directions, 0, 0.0, axis=2) for directions in (rows, lines))
    return Limits(recession_rays(found), rows, lines, *found.design.standardisation)


def collinearity_notes(spec: Specification, found: Examination | None) -> tuple[str, ...]:
    """Columns that hardly determine their coefficients, though an optimum exists."""
    if found is not None and not found.is_determined:
        return ()
    near = near_collinearity(spec.distinct, flat_columns(spec.design, spec.priors))
    return () if near is None else (str(near),)


def why_uncertified(spec: Specification) -> str | None:
    """In words, why there is no finite optimum under these priors, if that is so."""
    return "; ".join(diagnose(what_is_open(spec.design, spec.priors)).reasons) or None


def refuse_improper(spec: Specification, mode: Mode) -> None:
    """Raise if the posterior cannot be normalised; a mode that was not certified is a warning.

    For a log-concave density a finite stationary point with a positive definite Hessian proves that it can.  A solver
    that stopped before proves nothing: there the linear programs decide.
    """
    reasons = None if mode.converged or spec.priors.is_proper else why_uncertified(spec)
    if reasons is not None:
        raise ImproperPosteriorError(
            f"the posterior is improper, there is nothing to sample: {reasons}. Give the coefficients a proper prior "
            "(prior=None is the autoscaled default)"
        )
    if not mode.converged:
        warn_caller(f"the mode: {mode.status.value}", NotConvergedWarning)
    if spec.priors.is_proper or not spec.priors.has_heavy_tails:
        return
    # Polynomial tails beside flat directions: finite mode, perhaps infinite mass.
    separation = check_separation(spec.design)
    if separation.separated:
        raise ImproperPosteriorError(
            f"the posterior may be improper: {separation!r}, and Student-t tails are too heavy to make up for the flat "
            "prior; use Normal priors, or none that is flat"
        )


def refuse_jeffreys(spec: Specification) -> None:
    """Raise if the prior is one that is for estimates only."""
    if spec.priors.is_jeffreys:
        raise ValueError(
            "prior=Jeffreys() is for map(): it reduces the bias of an estimate, and says nothing about plausible "
            "coefficients; for a posterior use prior=None (autoscaled) or a proper prior such as Normal"
        )


def refuse_kink(spec: Specification, problem: Problem, mode: Mode) -> None:
    """Raise where the mode has weights that a Laplace prior holds at exactly zero."""
    held = held_at_kink(problem.density.penalty, mode.theta)
    if not held.any():
        return
    rows = problem.coordinates.split(held)[1]
    names = [spec.schema.feature_names[j] for j in np.flatnonzero(rows.any(axis=0))]
    raise ValueError(
        f"laplace(): the mode is at the kink of the Laplace prior, with weights of {listed(names)} "
        "exactly zero, and there no normal distribution is near the posterior; run model.sample() instead"
    )


def notes_of(spec: Specification) -> tuple[str, ...]:
    """What a reader of a result should know about the data."""
    notes = unused_notes(spec.design)
    if spec.design.n_dropped:
        were = "was" if spec.design.n_dropped == 1 else "were"
        notes.append(f"{counted(spec.design.n_dropped, 'row')} with missing values {were} dropped")
    if spec.design.available is not None:
        forced = int((spec.design.available.sum(axis=1) == 1).sum())
        if forced:
            notes.append(f"{counted(forced, 'row')} with a single class on offer count for nothing")
    if spec.collapsed is not None:
        distinct = counted(spec.distinct.n_obs, "distinct one")
        notes.append(f"{spec.design.n_obs} rows were collapsed to {distinct}, without loss")
    dropped = list(spec.schema.dropped_names)
    if isinstance(spec.schema.encoder, FormulaEncoder):
        dropped += spec.schema.encoder.one_level
    if dropped:
        notes.append(f"columns that do not vary were dropped: {listed(dropped)}")
    return tuple(notes)


def _raw_covariance(spec: Specification, mode: Mode, found: Examination | None) -> FloatArray:
    """Covariance of the raw coefficients, of those that do not move where the optimum is at infinity; else NaN."""
    from bayes_softmax.inference.laplace import DENSE_DIMENSION, covariance_without
    from bayes_softmax.inference.limiting import complement_covariance

    coordinates, density = spec.coordinates, density_of(spec)
    raw_map, free = coordinates.raw_map, None
    held = held_at_kink(density.penalty, mode.theta)
    if mode.converged:
        free = covariance_without(density, mode, held)
    elif found is not None and not found.is_determined and coordinates.dimension <= DENSE_DIMENSION:
        open_ = np.array([coordinates.from_raw(raw[0], raw[1:]) for raw in open_directions(found)])
        free = complement_covariance(density, mode, open_)
    if free is None:
        return np.full((raw_map.shape[0],) * 2, np.nan)
    result: FloatArray = raw_map @ free @ raw_map.T
    # Of the weights that are held at zero nothing is known; the intercept's errors hold them there.
    unknown = raw_map[:, held].any(axis=1)
    unknown[: coordinates.n_classes] = False
    result[unknown] = np.nan
    result[:, unknown] = np.nan
    return result


def _many(problem: Problem) -> bool:
    """Whether the model has so many coefficients that the covariance of all is not formed."""
    from bayes_softmax.inference.laplace import DENSE_DIMENSION

    return problem.coordinates.dimension > (DENSE_DIMENSION if problem.reduced else MANY_COORDINATES)


def _variances_of(problem: Problem, solved: Mode, mode: Mode) -> Callable[[], FloatArray] | None:
    """Where there are many coefficients, the covariance of each row of them alone: exact, or NaN."""
    from bayes_softmax.inference.laplace import covariance, laplace_approximation

    if not _many(problem):
        return None
    # Not the problem itself: that would keep the model's own density as long as the estimate.
    coordinates, reduced, density = problem.coordinates, problem.reduced, problem.density
    if reduced is None or not mode.converged or density.dimension > MANY_COORDINATES:
        K = coordinates.n_classes
        return lambda: np.full((1 + coordinates.n_features, K, K), np.nan)

    def exact() -> FloatArray:
        try:
            inside = covariance(laplace_approximation(density, solved))
        except ValueError:  # so little prior in some direction that only rounding is seen of it
            inside = np.full((density.dimension,) * 2, np.nan)
        return reduced.variances(coordinates, inside)

    return exact


def _size_notes(problem: Problem, mode: Mode) -> tuple[str, ...]:
    """That there are no standard errors, and what to do."""
    if not (mode.converged and _many(problem)):
        return ()
    if problem.reduced is not None and problem.density.dimension <= MANY_COORDINATES:
        return ()
    return (
        f"standard errors are NaN: those of {problem.coordinates.dimension} free coefficients would need a matrix of "
        f"all of them, which is formed up to {MANY_COORDINATES}; sample() gives posterior standard deviations",
    )


def held_at_kink(penalty: Penalty | None, theta: FloatArray) -> NDArray[np.bool_]:
    """Which free coordinates (d,) are exactly zero because of a Laplace prior."""
    held = np.zeros(len(theta), dtype=bool)
    if penalty is not None:
        held[penalty.groups[penalty.norms(theta) == 0]] = True
    return held


def _mode_notes(objective: "SoftmaxPosterior | JeffreysPosterior", mode: Mode) -> tuple[str, ...]:
    """What a certificate does not say where the posterior is not log-concave."""
    note = may_have_modes(objective) if mode.converged else None
    return () if note is None else (note,)


def _kink_notes(penalty: Penalty | None, theta: FloatArray) -> tuple[str, ...]:
    """What zeros mean for the standard errors."""
    held = held_at_kink(penalty, theta)
    if penalty is None or not held.any():
        return ()
    return (
        f"{held.sum()} of {penalty.groups.size} free weights with a Laplace prior are exactly zero: their standard "
        "errors are NaN, and those of the others hold them at zero; sample() gives their posterior",
    )
