"""The mode of rows that are read in passes: few of them, since the search starts at the mode of a sample of the rows.

A pass gives value, gradient and Hessian at a point.  Distances to the mode are of the order of one over the root of
the number of rows in the sample, and Newton's method squares them.  What it leaves is of third order, and most of that
is known from the sample (:func:`refined`): the search ends after two steps as a rule.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.streamed import StreamedLikelihood
from bayes_softmax.density.tails import with_bounds
from bayes_softmax.fitting.checkpoint import Checkpoint, checkpoint_of
from bayes_softmax.fitting.solvers import Solver, SolverOptions, given_by, has_heavy_tails, solve, suited
from bayes_softmax.inference.block_metric import preconditioner_at
from bayes_softmax.inference.certificate import DECREMENT_TOLERANCE, GRADIENT_TOLERANCE, cheap_hessian, newton_step
from bayes_softmax.inference.conjugate import conjugate_gradients
from bayes_softmax.inference.newton import Stop, Trial, ascend, newton
from bayes_softmax.inference.proximal import DENSE_DIMENSION, proximal_newton
from bayes_softmax.inference.rays import search_ray, search_segment
from bayes_softmax.inference.saddles import away_from_saddles
from bayes_softmax.spec.specification import Specification

# A tenth of what the certificate asks for: another pass would only change digits that no answer shows.
STOP = Stop(0.1 * GRADIENT_TOLERANCE, 0.1 * DECREMENT_TOLERANCE)
REFINEMENTS = 4
SHRINKS = 0.5  # of a refinement, relative to the one before it; else they end
ACCURACY = 1e-6  # of the refined step
INNER = 1e-3  # accuracy of a step by conjugate gradients
SOLVE_ACCURACY = 1e-6  # of the preconditioner, a system with the curvature of the sample
# Scales in logits of normal priors where the sample is fitted, in place of flat and of wider ones.
FARTHEST_LEVEL = 0.5  # from the mean of a column with two values to the rarer one
FARTHEST = 10.0  # per sd of another feature
WIDE_INTERCEPT = 10.0


def mode_of(spec: Specification, objective: SoftmaxPosterior | JeffreysPosterior, options: SolverOptions) -> Mode:
    """The optimum of an objective of a specification, wherever its rows are."""
    if spec.streamed is None:
        return solve(objective, options)
    if isinstance(objective, JeffreysPosterior):
        raise ValueError(
            "prior=Jeffreys() needs the rows in memory, since the gradient of its penalty is not a sum over rows like "
            f"the likelihood's, and those of {spec.streamed.source_name} are read in passes; use prior=None"
        )
    return streamed_mode(spec, spec.streamed, objective, options)


def streamed_mode(spec: Specification, rows: StreamedRows, density: SoftmaxPosterior, options: SolverOptions) -> Mode:
    """The mode of a density over rows that are read in passes; one that was found before is known."""
    key = _described(spec, density, options)
    if key not in rows.modes:
        mode = _search(spec, rows, density, options)
        if not mode.converged:
            return mode
        rows.modes[key] = mode
    return rows.modes[key]


def _described(spec: Specification, density: SoftmaxPosterior, options: SolverOptions) -> tuple[object, ...]:
    """What is maximised, and how."""
    return (spec.schema.coding, *(rows.tobytes() for rows in density.prior_rows), options)


def _search(spec: Specification, rows: StreamedRows, density: SoftmaxPosterior, options: SolverOptions) -> Mode:
    """The mode, from a checkpoint if there is one, else from that of the sample."""
    given, chosen = given_by(options), _suited(spec, rows, density, options.solver)
    checkpoint, before = checkpoint_of(spec), len(rows.log)
    start = None if checkpoint is None else checkpoint.point()
    if start is None:
        start = start_of(spec, rows)
    density = _watched(density, checkpoint)

    def run(start: FloatArray) -> Mode:
        return chosen(density, start, **given)

    try:
        with blas_on_one_thread(), np.errstate(all="ignore"):
            mode = run(start)
            climbs = has_heavy_tails(density) and density.penalty is None
            return away_from_saddles(density, run, mode) if climbs else mode
    except KeyboardInterrupt:
        n = max(len(rows.log) - before, 1)
        raise KeyboardInterrupt(f"interrupted in pass {n} of the search for the mode; {_kept(checkpoint)}") from None
    except Exception as error:
        error.add_note(_kept(checkpoint))
        raise


def _kept(checkpoint: Checkpoint | None) -> str:
    """What is left of a search that was cut."""
    if checkpoint is not None:
        return checkpoint.said
    return "nothing of it was kept; with checkpoint='fit.json' the same fit goes on from its last complete pass"


def start_of(spec: Specification, rows: StreamedRows) -> FloatArray:
    """The mode (d,) of the sample of the rows, the best of several where there may be more than one.

    What the sample says of a rare level is mostly noise, and a step from a large coefficient to a small one overshoots:
    coefficients of columns with two values are held near zero, as far as all rows would not tell the difference.
    """
    sample = build_posterior(rows.sample, spec.coordinates, spec.priors)
    known = rows.summary
    extremes = np.abs((known.moments.values - known.standardisation.centre) / known.standardisation.scale)
    scales = np.where(known.moments.has_two_values, FARTHEST_LEVEL / extremes.max(axis=0, initial=1.0), FARTHEST)
    if known.has_intercept:
        scales = np.append(WIDE_INTERCEPT, scales)
    theta = solve(with_bounds(sample, scales), SolverOptions()).theta
    return theta if np.isfinite(theta).all() else np.zeros(len(theta))


def _watched(density: SoftmaxPosterior, checkpoint: Checkpoint | None) -> SoftmaxPosterior:
    """The density, with a checkpoint that keeps the best point of every pass."""
    likelihood = density.likelihood
    if checkpoint is None or not isinstance(likelihood, StreamedLikelihood):
        return density
    return replace(density, likelihood=replace(likelihood, watch=partial(checkpoint.keep, density)))


def _suited(spec: Specification, rows: StreamedRows, density: SoftmaxPosterior, solver: str) -> Solver:
    """The solver of a name, with as few passes as it can make do with."""
    if solver not in ("newton", "newton-cg"):
        return suited(density, solver)
    if density.penalty is not None:
        return _proximal(density, solver)
    sample = build_posterior(rows.sample, spec.coordinates, spec.priors)
    if solver == "newton" and cheap_hessian(density):
        return partial(newton, stop=STOP, search=partial(search_refined, sample))
    return partial(newton_by_products, sample)


def _proximal(density: SoftmaxPosterior, solver: str) -> Solver:
    """The proximal Newton method, with a Hessian at each point."""
    suited(density, solver)  # raises unless this is what Newton's method stands for
    smooth, penalty = density.smooth_part, density.penalty
    assert penalty is not None
    if density.dimension > DENSE_DIMENSION:
        raise ValueError(
            f"a Laplace prior of {density.dimension:,} coefficients needs the rows in memory: in passes the whole "
            f"Hessian is formed, of at most {DENSE_DIMENSION:,}; use a Normal prior"
        )
    target, search = STOP.gradient, search_segment
    return lambda _, start, **given: proximal_newton(smooth, penalty, start, target=target, search=search, **given)


def search_refined(
    sample: SoftmaxPosterior,
    density: LogDensity,
    theta: FloatArray,
    value: float,
    gradient: FloatArray,
    step: FloatArray,
) -> Trial | None:
    """The line search along a step that a sample of the rows refines."""
    return search_ray(density, theta, value, gradient, refined(sample, density, theta, gradient, step))


def refined(
    sample: SoftmaxPosterior, density: LogDensity, theta: FloatArray, gradient: FloatArray, step: FloatArray
) -> FloatArray:
    r"""A Newton step with what a sample knows of the higher orders.

    It solves :math:`g - Hs + (g_s(\theta + s) - g_s(\theta) + H_s s) = 0` for the step, with the gradient and the
    Hessian of all rows and, with index s, of the sample: steps with ``H`` to a fixed point, as long as they shrink.
    """
    H = density.hessian(theta)
    of_sample = sample.hessian_vector(theta, convex=False)
    at_theta = sample.value_gradient(theta)[1]
    found, last = step, float(step @ (H @ step))
    enough = ACCURACY**2 * last
    for _ in range(REFINEMENTS):
        higher = sample.value_gradient(theta + found)[1] - at_theta + of_sample(found)
        change = newton_step(H, gradient - H @ found + higher)
        size = np.inf if change is None else float(change @ (H @ change))
        if change is None or not size <= max(SHRINKS**2 * last, enough):
            break
        found, last = found + change, size
        if size <= enough:
            break
    return found if float(gradient @ found) > 0 else step


def newton_by_products(
    sample: SoftmaxPosterior, density: SoftmaxPosterior, start: FloatArray, max_iterations: int = 200
) -> Mode:
    """Newton steps by conjugate gradients with a pass for each product, preconditioned by the curvature of a sample."""
    block, of_sample = preconditioner_at(sample, start), sample.hessian_vector(start)

    def solve_sample(r: FloatArray) -> FloatArray:
        return conjugate_gradients(of_sample, r, SOLVE_ACCURACY, block)

    def direction(theta: FloatArray, gradient: FloatArray, damping: float) -> FloatArray:
        enough = 0.1 * STOP.gradient * density.total_weight / float(np.linalg.norm(gradient))
        of_all, shift = density.hessian_vector(theta, convex=False), damping * density.total_weight
        return conjugate_gradients(lambda v: of_all(v) + shift * v, gradient, max(INNER, enough), solve_sample)

    return ascend(density, start, direction, max_iterations, STOP, solve=solve_sample, search=search_ray)
