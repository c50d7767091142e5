"""Fitting a specification: its density and its point estimates, with what they need to be told in words."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning
from bayes_softmax.core.records import FloatArray, Mode, Penalty
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.labels import label_coefficients
from bayes_softmax.results.limits import Limits
from bayes_softmax.results.training import training_data
from bayes_softmax.solvers import SolverOptions as SolverOptions
from bayes_softmax.solvers import check_counts as check_counts
from bayes_softmax.solvers import solve as solve
from bayes_softmax.spec.coding import Coordinates, build_coordinates
from bayes_softmax.spec.collapse import Collapsed
from bayes_softmax.spec.design import Design, Label
from bayes_softmax.spec.hyperpriors import ShrinkagePrior
from bayes_softmax.spec.identification import (
    Examination,
    check_separation,
    deciding_directions,
    describe,
    flat_columns,
    open_directions,
    recession_rays,
    unseen_directions,
    what_is_open,
)
from bayes_softmax.spec.priors import PriorTable, flat_table
from bayes_softmax.spec.rank import near_collinearity
from bayes_softmax.spec.schema import Schema

if TYPE_CHECKING:
    from bayes_softmax.density.jeffreys import JeffreysPosterior
    from bayes_softmax.density.posterior import SoftmaxPosterior


class Specification(NamedTuple):
    """What is modelled: data, names, priors."""

    design: Design
    schema: Schema
    priors: PriorTable
    collapsed: Collapsed | None = None  # the same data with equal rows made one

    @property
    def distinct(self) -> Design:
        """The data that is fitted: collapsed where that helps."""
        return self.design if self.collapsed is None else self.collapsed.design


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
    """The compiled log posterior, in the free coordinates of the model."""
    from bayes_softmax.density.posterior import build_posterior

    return build_posterior(spec.distinct, coordinates_of(spec), spec.priors)


def objective_of(spec: Specification, density: "SoftmaxPosterior") -> "SoftmaxPosterior | JeffreysPosterior":
    """What is maximised: the density, with Jeffreys' prior of all coefficients where that is the model's."""
    from bayes_softmax.density.jeffreys import JeffreysPosterior

    return JeffreysPosterior(density) if spec.priors.is_jeffreys else density


@dataclass(frozen=True)
class Problem:
    """The density that is optimised and sampled, which may be smaller than the model, and the way back.

    ``coordinates`` are the model's; ``log_prior_shift`` is what its log prior has beyond the density's, a constant.
    """

    density: "SoftmaxPosterior"
    coordinates: Coordinates
    lift: Callable[[FloatArray, np.random.Generator | None], FloatArray]
    log_prior_shift: float = 0.0


def problem_of(spec: Specification) -> Problem:
    """The density of a specification, on distinct rows only, and in their row space if there are more features."""
    from bayes_softmax.density.posterior import build_posterior
    from bayes_softmax.density.prior import log_prior_constant
    from bayes_softmax.density.rowspace import row_space

    coordinates = coordinates_of(spec)
    reduced = row_space(spec.distinct, spec.priors, spec.schema.coding)
    if reduced is None:
        return Problem(
            build_posterior(spec.distinct, coordinates, spec.priors), coordinates, lambda thetas, _rng: thetas
        )
    density = build_posterior(reduced.design, reduced.coordinates, reduced.priors)
    shift = log_prior_constant(spec.priors, coordinates) - density.log_prior_constant
    return Problem(density, coordinates, reduced.lift, shift)


def without_priors(spec: Specification) -> Specification:
    """The same data under flat priors; full coding, not identified then, becomes zero-sum."""
    coding = "zero-sum" if spec.schema.coding == "full" else spec.schema.coding
    return spec._replace(
        priors=flat_table(spec.priors), schema=replace(spec.schema, coding=coding, prior_sd=(), dropped_flat=True)
    )


def refuse_learned_scales(spec: Specification, method: str) -> None:
    """Raise where a scale is learned: a mode, or a normal approximation around one, says nothing there."""
    if not spec.priors.learns_scales:
        return
    family = next(str(f) for f in spec.priors.weights if isinstance(f, ShrinkagePrior))
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
    mode = solve(objective, options)
    theta = problem.lift(mode.theta[None], None)[0]
    status, found = mode.status.value, None
    if not mode.converged:
        found = what_is_open(spec.design, spec.priors)
        status = f"{status}; {_advice(mode, kind, found)}"
        warnings.warn(f"{kind}(solver={options.solver!r}) {status}", NotConvergedWarning, stacklevel=3)
    at = mode._replace(theta=theta)
    intercept, weights = problem.coordinates.to_raw(theta[None])
    labelled = label_coefficients(intercept[0], weights[0], spec.schema)
    log_prior = objective.log_prior(mode.theta)
    return PointEstimate(
        kind=kind,
        intercept=labelled[0],
        weights=labelled[1],
        log_likelihood=mode.value - log_prior,
        log_prior=log_prior + problem.log_prior_shift,
        total_weight=spec.design.total_weight,
        n_obs=spec.design.n_obs,
        converged=mode.converged,
        status=status,
        gradient_norm=mode.gradient_norm,
        newton_decrement=mode.newton_decrement,
        n_iterations=mode.n_iterations,
        history=-(mode.history + problem.log_prior_shift) / spec.design.total_weight,
        schema=spec.schema,
        covariance_of=lambda: _raw_covariance(spec, at, found),
        notes=notes_of(spec) + collinearity_notes(spec, found) + _kink_notes(problem.density.penalty, theta),
        training=training_data(spec.design, spec.collapsed),
        limits_of=None if found is None else lambda: _limits(found),
    )


def _advice(mode: Mode, kind: str, found: Examination) -> str:
    """What is wrong with an optimum that is not certified, and what to do."""
    advice = describe(found).advice
    if advice is not None:
        return advice + ("; map() has a prior to decide" if kind == "mle" else "")
    if not np.isfinite(mode.value):
        return "the steps diverged: lower learning_rate"
    return "raise max_iterations, or use solver='newton'"


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
    return "; ".join(describe(what_is_open(spec.design, spec.priors)).reasons) or None


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
        warnings.warn(f"the mode: {mode.status.value}", NotConvergedWarning, stacklevel=4)
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
    rows = held[problem.coordinates.n_free_intercept :].reshape(-1, problem.coordinates.n_features)
    names = [repr(spec.schema.feature_names[j]) for j in np.flatnonzero(rows.any(axis=0))]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    raise ValueError(
        f"laplace(): the mode is at the kink of the Laplace prior, with weights of {', '.join(names[:5])}{more} "
        "exactly zero, and there no normal distribution is near the posterior; run model.sample() instead"
    )


def notes_of(spec: Specification) -> tuple[str, ...]:
    """What a reader of a result should know about the data."""
    notes = []
    if spec.schema.unused_classes:
        notes.append(f"no observation of {named(spec.schema.unused_classes)}: only the prior speaks about it")
    if spec.design.n_dropped:
        notes.append(f"{spec.design.n_dropped} rows with missing values were dropped")
    if spec.collapsed is not None:
        notes.append(f"{spec.design.n_obs} rows were collapsed to {spec.distinct.n_obs} distinct ones, without loss")
    dropped = spec.schema.dropped_names
    if dropped:
        notes.append(f"columns that do not vary were dropped: {', '.join(map(repr, dropped))}")
    return tuple(notes)


def named(labels: Sequence[Label]) -> str:
    """``class 'a'`` or ``classes 'a', 'b'``."""
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}"


def _raw_covariance(spec: Specification, mode: Mode, found: Examination | None) -> FloatArray:
    """Covariance of the raw coefficients, of those that do not move where the optimum is at infinity; else NaN."""
    from bayes_softmax.inference.laplace import DENSE_DIMENSION, covariance_without
    from bayes_softmax.inference.limiting import complement_covariance

    coordinates, density = coordinates_of(spec), density_of(spec)
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


def held_at_kink(penalty: Penalty | None, theta: FloatArray) -> NDArray[np.bool_]:
    """Which free coordinates (d,) are exactly zero because of a Laplace prior."""
    held = np.zeros(len(theta), dtype=bool)
    if penalty is not None:
        held[penalty.groups[penalty.norms(theta) == 0]] = True
    return held


def _kink_notes(penalty: Penalty | None, theta: FloatArray) -> tuple[str, ...]:
    """What zeros mean for the standard errors."""
    held = held_at_kink(penalty, theta)
    if penalty is None or not held.any():
        return ()
    return (
        f"{held.sum()} of {penalty.groups.size} free weights with a Laplace prior are exactly zero: their standard "
        "errors are NaN, and those of the others hold them at zero; sample() knows more",
    )


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
