"""Fitting a specification: its density and its point estimates, with what they need to be told in words."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.storage import label_coefficients
from bayes_softmax.spec.coding import Coordinates, build_coordinates
from bayes_softmax.spec.design import Design, Label
from bayes_softmax.spec.hyperpriors import ShrinkagePrior
from bayes_softmax.spec.identification import check_separation, explain
from bayes_softmax.spec.priors import PriorTable, flat_table
from bayes_softmax.spec.schema import Schema

if TYPE_CHECKING:
    from bayes_softmax.density.posterior import SoftmaxPosterior

SOLVERS = ("newton", "newton-cg", "lbfgs", "gradient-descent")


class Specification(NamedTuple):
    """What is modelled: data, names, priors."""

    design: Design
    schema: Schema
    priors: PriorTable
    collapsed: Design | None = None  # the same data with equal rows made one

    @property
    def distinct(self) -> Design:
        """The data that is fitted: collapsed where that helps."""
        return self.collapsed or self.design


class SolverOptions(NamedTuple):
    """How to optimise; None takes the solver's default."""

    solver: str = "newton"
    max_iterations: int | None = None
    learning_rate: float | None = None


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
    return spec._replace(priors=flat_table(spec.priors), schema=replace(spec.schema, coding=coding))


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
    mode = solve(problem.density, options)
    theta = problem.lift(mode.theta[None], None)[0]
    status = mode.status.value
    if not mode.converged:
        advice = "raise max_iterations, or use solver='newton'"
        if not np.isfinite(mode.value):
            advice = "the steps diverged: lower learning_rate"
        status += f"; {why_uncertified(spec) or advice}"
        warnings.warn(f"{kind}(solver={options.solver!r}) {status}", NotConvergedWarning, stacklevel=3)
    intercept, weights = problem.coordinates.to_raw(theta[None])
    labelled = label_coefficients(intercept[0], weights[0], spec.schema)
    log_prior = problem.density.log_prior(mode.theta)
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
        covariance_of=lambda: _raw_covariance(spec, mode._replace(theta=theta)),
        notes=notes_of(spec),
    )


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
    if spec.collapsed is not None:
        notes.append(f"{spec.design.n_obs} rows were collapsed to {spec.collapsed.n_obs} distinct ones, without loss")
    kept = set(spec.schema.feature_names)
    dropped = [n for n in spec.schema.encoder.feature_names if n not in kept]
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


def _raw_covariance(spec: Specification, mode: Mode) -> FloatArray:
    """Covariance of the raw coefficients; NaN where the optimum is not certified."""
    from bayes_softmax.inference.laplace import covariance, laplace_approximation

    raw_map = coordinates_of(spec).raw_map
    if not mode.converged:
        return np.full((raw_map.shape[0],) * 2, np.nan)
    result: FloatArray = raw_map @ covariance(laplace_approximation(density_of(spec), mode)) @ raw_map.T
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
