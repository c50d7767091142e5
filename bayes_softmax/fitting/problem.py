"""From a specification to its compiled density, which is optimised and sampled, in as few coordinates as possible."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray, Mode, Status
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.design import Design
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.jeffreys import JeffreysPosterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.rowspace import RowSpace, row_space
from bayes_softmax.density.streamed import streamed_posterior
from bayes_softmax.inference.block_metric import preconditioner
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.inference.newton import newton_cg
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.linear import LINEAR
from bayes_softmax.spec.log_prior import log_prior_constant
from bayes_softmax.spec.priors import PriorTable
from bayes_softmax.spec.specification import Specification

type Builder = Callable[[Design, Coordinates, PriorTable], SoftmaxPosterior]

# Builders of the log density of linear models, by the name of the compiled part of a logit function
# (``Logits.compiled``); that of a network is not log-concave, and is fitted by functions of its own.
COMPILED: dict[str, Builder] = {LINEAR: build_posterior}
# Number of free coordinates up to which their full covariance is formed on request: a few times 0.2 GB.
MANY_COORDINATES = 5000
POLISHING = 20  # most Newton steps in the full problem after a reduced one; none unless the reduction lost digits


@dataclass(frozen=True)
class Problem:
    """The density that is optimised and sampled, which may be lower-dimensional than the model, and the map back.

    ``coordinates`` are the model's; ``log_prior_shift`` is the constant by which its log prior exceeds the density's.
    """

    spec: Specification
    density: SoftmaxPosterior
    coordinates: Coordinates
    reduced: RowSpace | None = None
    log_prior_shift: float = 0.0

    @cached_property
    def full(self) -> SoftmaxPosterior:
        """The model's own density, built when it is first needed."""
        return self.density if self.reduced is None else density_of(self.spec)

    @property
    def has_many_coefficients(self) -> bool:
        """Whether there are too many coefficients to form their full covariance."""
        return self.coordinates.dimension > (DENSE_DIMENSION if self.reduced else MANY_COORDINATES)

    def lift(self, thetas: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """Free vectors (S, d) of the model; components outside the density are drawn with ``rng``, else zero."""
        return thetas if self.reduced is None else self.reduced.lift(thetas, rng)


def density_of(spec: Specification) -> SoftmaxPosterior:
    """The compiled log posterior of the distinct rows, in the free coordinates of the model."""
    build = builder_of(spec)
    if spec.streamed is not None:
        return streamed_posterior(spec.streamed, spec.coordinates, spec.priors)
    return build(spec.distinct, spec.coordinates, spec.priors)


def builder_of(spec: Specification) -> Builder:
    """What builds the log density of rows for the logit function of ``spec``; raises where that is not compiled."""
    kind, compiled = spec.logits.kind, spec.logits.compiled
    if compiled in COMPILED:
        return COMPILED[compiled]
    has = "have no compiled part" if compiled is None else f"have a compiled part {compiled!r}, which is not known"
    raise ValueError(
        f"logits of kind {kind!r} {has} (there is {listed(COMPILED)}), so there is no compiled log density of them: "
        "with proper priors sample(engine='pymc') draws from their pm.Model"
    )


def objective_of(spec: Specification, density: SoftmaxPosterior) -> SoftmaxPosterior | JeffreysPosterior:
    """The objective of an optimum: the density, with Jeffreys' prior on all coefficients if that is the model's."""
    return JeffreysPosterior(density) if spec.priors.is_jeffreys else density


def problem_of(spec: Specification) -> Problem:
    """The density of a specification on distinct rows, in their row space if there are more features than rows."""
    build = builder_of(spec)
    linear = spec.logits.compiled == LINEAR and spec.streamed is None
    reduced = row_space(spec.distinct, spec.priors, spec.schema.coding) if linear else None
    if reduced is None:
        return Problem(spec, density_of(spec), spec.coordinates)
    density = build(reduced.design, reduced.coordinates, reduced.priors)
    shift = log_prior_constant(spec.priors, spec.coordinates) - density.log_prior_constant
    return Problem(spec, density, spec.coordinates, reduced, shift)


def certified(spec: Specification, problem: Problem, mode: Mode, *, max_iterations: int = POLISHING) -> Mode:
    """The mode in the coordinates of the model, with the certificate of the model's own density.

    If the problem was reduced, gradient and Newton step are recomputed in the full one, and Newton steps there correct
    any error of the reduction: the certificate does not depend on it.
    """
    if problem.reduced is None:
        return mode
    if spec.priors.flat_features.all():  # nothing determines the components outside the reduction
        return mode._replace(
            theta=problem.lift(mode.theta[None])[0],
            status=Status.SINGULAR if mode.converged else mode.status,
        )
    solve = preconditioner(problem.density.block_metric(mode.theta), lambda: problem.density.metric(mode.theta))
    full, start = problem.full, problem.lift(mode.theta[None])[0]
    with blas_on_one_thread(), np.errstate(all="ignore"):
        # No further steps if the solver reached its iteration limit.
        lifted = problem.reduced.lifted_solver(problem.coordinates, solve)
        found = newton_cg(full, start, max_iterations if mode.converged else 0, lifted)
    status = found.status if mode.converged or found.converged else mode.status
    history = np.concatenate([mode.history[:-1] + problem.log_prior_shift, found.history])
    return found._replace(n_iterations=mode.n_iterations + found.n_iterations, status=status, history=history)
