"""The scale of the weights' priors at which the Laplace evidence of the data is highest."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from bayes_softmax.core.errors import NotConvergedWarning, warn_caller
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.rescaled import with_scaled_weights
from bayes_softmax.density.tails import heavy_tailed
from bayes_softmax.fitting.problem import MANY_COORDINATES, Problem, problem_of
from bayes_softmax.fitting.refusals import refuse_improper
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.laplace import laplace_log_evidence
from bayes_softmax.inference.newton import newton
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.rescaled import with_chosen_scale
from bayes_softmax.spec.scale_choice import ScaleChoice
from bayes_softmax.spec.specification import Specification

# Log factors of the first search, two for a power of ten from a thousandth to a thousand; 0 is among them.  The part
# of one direction in the evidence changes over a factor of about 3 in its scale, so that no maximum falls between.
GRID: FloatArray = np.log(10.0) * np.arange(-6, 7) / 2
# Tolerance of the log factor; the data determine it to about one over the root of the number of coefficients at best.
LOG_FACTOR_TOLERANCE = 1e-4
FLAT = 1e-6  # nats: a difference of log evidences that tells nothing


class Evaluation(NamedTuple):
    """A log factor, the mode of the density with scales multiplied by it, and its log evidence."""

    log_factor: float
    mode: Mode
    log_evidence: float


class EvidenceCurve:
    """The Laplace evidence as a function of the log factor; every value is kept, and its mode starts the next one."""

    def __init__(self, density: SoftmaxPosterior) -> None:
        self._density = density
        self._log_concave = not heavy_tailed(density)
        self.found: list[Evaluation] = []

    def __call__(self, log_factor: float) -> float:
        """Log evidence at a log factor, minus infinity where no mode is certified."""
        density = with_scaled_weights(self._density, float(np.exp(log_factor)))
        mode, value = self._mode(density, log_factor), -np.inf
        if mode.converged:
            value = laplace_log_evidence(density, mode) + density.coordinates.log_jacobian
        self.found.append(Evaluation(log_factor, mode, value))
        return value

    @property
    def best(self) -> Evaluation:
        """The highest value so far."""
        return max(self.found, key=lambda e: e.log_evidence)

    def _mode(self, density: SoftmaxPosterior, log_factor: float) -> Mode:
        """The mode, from the nearest known one; where there may be several, the best one that :func:`solve` finds."""
        if not self._log_concave:
            return solve(density, SolverOptions())
        near = min(self.found, key=lambda e: abs(e.log_factor - log_factor), default=None)
        start = np.zeros(density.dimension) if near is None or not near.mode.converged else near.mode.theta
        with np.errstate(all="ignore"):  # as in ``solve``
            return newton(density, start)


def choose_scale(spec: Specification) -> Specification:
    """The model with the scales of the weights' priors multiplied by the factor of the highest evidence.

    Warns if that is at an end of the range.
    """
    with blas_on_one_thread():
        problem = problem_of(spec)
        _refuse_many(problem)
        curve = EvidenceCurve(problem.density)
        values = np.array([curve(x) for x in GRID.tolist()])
        as_given = curve.found[len(GRID) // 2]
        refuse_improper(spec, curve.best.mode)
        at_end = _refine(curve, values)
    if not np.isfinite(curve.best.log_evidence):
        raise ValueError(
            "choose_prior_scale(): no mode is certified at any scale of the prior, so there is no evidence to compare; "
            "model.map() says why"
        )
    end = {-1: GRID[0], 1: GRID[-1]}.get(at_end)
    chosen = curve.best if end is None else next(e for e in curve.found if e.log_factor == end)
    choice = _relative_to_given(spec, chosen, as_given, at_end != 0, len(curve.found))
    if at_end:
        _warn_of_end(at_end, choice)
    return with_chosen_scale(spec, choice)


def _refine(curve: EvidenceCurve, values: FloatArray) -> int:
    """Search around each maximum of the grid; returns -1 or 1 if the evidence is highest at that end of it, else 0."""
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    peaks = np.isfinite(values) & (values >= padded[:-2]) & (values >= padded[2:])
    for i in np.flatnonzero(peaks).tolist():
        low, high = GRID[max(i - 1, 0)], GRID[min(i + 1, len(GRID) - 1)]
        minimize_scalar(
            lambda x: min(-curve(float(x)), np.finfo(float).max),
            bounds=(low, high),
            method="bounded",
            options={"xatol": LOG_FACTOR_TOLERANCE},
        )
    ends = {-1: values[0], 1: values[-1]}
    return next((side for side, value in ends.items() if value >= curve.best.log_evidence - FLAT), 0)


def _relative_to_given(
    spec: Specification, chosen: Evaluation, own: Evaluation, at_end: bool, n_fits: int
) -> ScaleChoice:
    """The choice in terms of the scales as they were given, if the model's own were chosen before."""
    before, factor = spec.priors.choice, float(np.exp(chosen.log_factor))
    as_given = own.log_evidence if own.mode.converged else np.nan
    if before is not None:
        factor, as_given = factor * before.factor, before.log_evidence_as_given
    return ScaleChoice({WEIGHTS: factor}, chosen.log_evidence, as_given, at_end, n_fits)


def _refuse_many(problem: Problem) -> None:
    """Raise if there are too many coefficients for the determinant of their Hessian."""
    d = problem.density.dimension
    if d > MANY_COORDINATES:
        raise ValueError(
            f"choose_prior_scale() needs the determinant of the Hessian of {d} free coefficients, and forms it up to "
            f"{MANY_COORDINATES}; choose the scale by cross-validation, or learn it: prior=Normal(scale=HalfNormal(1))"
        )


def _warn_of_end(at_end: int, choice: ScaleChoice) -> None:
    """Warn that no maximum was found, and say what that means."""
    side, advice = {
        -1: ("smallest", "The features may say nothing of the classes: drop them, or keep the prior as given"),
        1: ("largest", "Larger weights would suit the data better still: call it again on the result"),
    }[at_end]
    warn_caller(
        f"choose_prior_scale() found no maximum: the evidence is highest at the {side} scale that was tried, "
        f"{choice.factor:.4g} times as given. {advice}",
        NotConvergedWarning,
    )
