"""Choice of the solver that maximises a density, by name and by the needs of the density."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from bayes_softmax.core.checks import check_between, check_choice, check_counts
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.tails import heavy_tailed, in_a_tail, with_normal_priors
from bayes_softmax.inference.first_order import gradient_descent, lbfgs
from bayes_softmax.inference.newton import newton, newton_cg
from bayes_softmax.inference.proximal import proximal_newton
from bayes_softmax.inference.saddles import away_from_saddles
from bayes_softmax.inference.scoring import scoring

# Starts of a search for other modes.  Each random start finds the best known mode in 15 to 60 % of the runs
# (Cauchy priors on iris and wine, all codings).
WIDENING = 10.0
RANDOM_STARTS = (0.3, 1.0, 3.0) * 3  # standard deviations, in logits per sd of a feature
FEW_COORDINATES = 300
SAME_MODE = 1e-10  # relative difference of log densities

type Solver = Callable[..., Mode]  # of a density, a start (d,) and options

SOLVERS: dict[str, Solver] = {
    "newton": newton,
    "newton-cg": newton_cg,
    "lbfgs": lbfgs,
    "gradient-descent": gradient_descent,
}


class SolverOptions(NamedTuple):
    """Settings of an optimisation; None stands for the solver's default.

    ``restarts`` and ``seed`` are those of a search for modes, as of networks.
    """

    solver: str = "newton"
    max_iterations: int | None = None
    learning_rate: float | None = None
    restarts: int | None = None
    seed: int = 0


def solve(density: SoftmaxPosterior | JeffreysPosterior, options: SolverOptions) -> Mode:
    """Run a solver by name, with BLAS on one thread so that results repeat to the last bit."""
    given = given_by(options)
    chosen = suited(density, options.solver)

    def run(start: FloatArray) -> Mode:
        return chosen(density, start, **given)

    # The line search rejects a step that overflows, or the status reports it: NumPy need not warn as well.
    with blas_on_one_thread(), np.errstate(all="ignore"):
        mode = run(np.zeros(density.dimension))
        return _best_mode(density, run, mode) if has_heavy_tails(density) else mode


def given_by(options: SolverOptions) -> dict[str, Any]:
    """The settings of a solver that were given, checked."""
    solver, max_iterations, learning_rate, *_ = options
    check_choice("solver", solver, tuple(SOLVERS))
    given: dict[str, Any] = {}
    if max_iterations is not None:
        check_counts(max_iterations=max_iterations)
        given["max_iterations"] = max_iterations
    if learning_rate is not None:
        if solver != "gradient-descent":
            raise ValueError(f"learning_rate is for solver='gradient-descent', not {solver!r}")
        given["learning_rate"] = check_between("learning_rate", learning_rate, 0.0, np.inf)
    return given


def may_have_modes(density: SoftmaxPosterior | JeffreysPosterior) -> str | None:
    """Why a certified optimum may be one of several, in words; None if the density is log-concave."""
    if not has_heavy_tails(density):
        return None
    return (
        f"a {' or '.join(heavy_tailed(density))} prior is not log-concave: the certificate is for a local mode, "
        "the best of those found, and others may exist"
    )


def has_heavy_tails(density: SoftmaxPosterior | JeffreysPosterior) -> TypeGuard[SoftmaxPosterior]:
    """Whether some coefficients have a prior that is not log-concave, such as Student-t."""
    return not isinstance(density, JeffreysPosterior) and bool(heavy_tailed(density))


def _best_mode(density: SoftmaxPosterior, run: Callable[[FloatArray], Mode], mode: Mode) -> Mode:
    """The best of the modes reached from several starts, of which the first, ``mode``, was reached from zero.

    If a coefficient is in the tail of its prior, the others are a wide normal prior's mode and fixed random points.
    """

    def climb(found: Mode) -> Mode:
        return found if density.penalty is not None else away_from_saddles(density, run, found)

    modes = [climb(mode)]
    if density.penalty is None and modes[0].converged and in_a_tail(density, modes[0].theta):
        starts = [newton(with_normal_priors(density, WIDENING), np.zeros(density.dimension)).theta]
        if density.dimension <= FEW_COORDINATES:
            rng = np.random.default_rng(0)
            starts += [size * rng.normal(size=density.dimension) for size in RANDOM_STARTS]
        modes += [climb(run(start)) for start in starts]
    best = max((m for m in modes if m.converged), key=lambda m: m.value, default=modes[0])
    return best if best.value > modes[0].value + SAME_MODE * abs(modes[0].value) else modes[0]


def suited(density: SoftmaxPosterior | JeffreysPosterior, solver: str) -> Solver:
    """The solver of a name; ``"newton"`` selects the variant that suits the density."""
    if isinstance(density, JeffreysPosterior):
        return scoring if solver == "newton" else SOLVERS[solver]
    if density.penalty is None:
        return SOLVERS[solver]
    if solver != "newton":
        raise ValueError(
            f"solver={solver!r} needs a smooth density, but Laplace priors have a kink at zero; use solver='newton', "
            "which is then a proximal Newton method"
        )
    smooth, penalty = density.smooth_part, density.penalty
    return lambda _, start, **given: proximal_newton(smooth, penalty, start, **given)
