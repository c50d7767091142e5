"""Which solver maximises a density: chosen by name, and by what the density needs."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_softmax.core.checks import check_between, check_choice, check_counts
from bayes_softmax.core.records import Mode
from bayes_softmax.core.threads import blas_on_one_thread

if TYPE_CHECKING:
    from bayes_softmax.density.jeffreys import JeffreysPosterior
    from bayes_softmax.density.posterior import SoftmaxPosterior

SOLVERS = ("newton", "newton-cg", "lbfgs", "gradient-descent")


class SolverOptions(NamedTuple):
    """How to optimise; None takes the solver's default."""

    solver: str = "newton"
    max_iterations: int | None = None
    learning_rate: float | None = None


def solve(density: "SoftmaxPosterior | JeffreysPosterior", options: SolverOptions) -> Mode:
    """Run a solver by name, with BLAS on one thread so that results repeat to the last bit."""
    solver, max_iterations, learning_rate = options
    check_choice("solver", solver, SOLVERS)
    given: dict[str, Any] = {}
    if max_iterations is not None:
        check_counts(max_iterations=max_iterations)
        given["max_iterations"] = max_iterations
    if learning_rate is not None:
        if solver != "gradient-descent":
            raise ValueError(f"learning_rate is for solver='gradient-descent', not {solver!r}")
        given["learning_rate"] = check_between("learning_rate", learning_rate, 0.0, np.inf)
    run = _solvers(density, solver)[solver]
    with blas_on_one_thread():
        mode: Mode = run(density, np.zeros(density.dimension), **given)
    return mode


def _solvers(density: "SoftmaxPosterior | JeffreysPosterior", chosen: str) -> dict[str, Any]:
    """Functions by name; ``"newton"`` is the variant that suits the density."""
    from bayes_softmax.density.jeffreys import JeffreysPosterior
    from bayes_softmax.inference import first_order, newton
    from bayes_softmax.inference.proximal import proximal_newton
    from bayes_softmax.inference.scoring import scoring

    solvers: dict[str, Any] = {
        "newton": newton.newton,
        "newton-cg": newton.newton_cg,
        "lbfgs": first_order.lbfgs,
        "gradient-descent": first_order.gradient_descent,
    }
    if isinstance(density, JeffreysPosterior):
        return solvers | {"newton": scoring}
    if density.penalty is None:
        return solvers
    if chosen != "newton":
        raise ValueError(
            f"solver={chosen!r} needs a smooth density, and Laplace priors have a kink at zero; use solver='newton', "
            "which is a proximal Newton method there"
        )
    smooth, penalty = density.smooth_part, density.penalty
    return {"newton": lambda _, start, **given: proximal_newton(smooth, penalty, start, **given)}
