"""Draws of a posterior of many rows, at a price that does not depend on their number.

The log posterior is exact to second order at the mode, and the rest comes from a sample of the rows
(:mod:`bayes_softmax.density.subsample`).  The sample grows until the error of a log weight, averaged over the
posterior, is below a bound; then some draws are evaluated on all rows, and what that finds decides.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.records import FloatArray, Whitening
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.subsample.passes import PassSampler
from bayes_softmax.density.subsample.posterior import (
    Expansion,
    SubsampledPosterior,
    posterior_from,
    subsampled_posterior,
)
from bayes_softmax.density.subsample.rows import row_probabilities
from bayes_softmax.fitting.problem import Problem
from bayes_softmax.inference.certificate import DENSE_DIMENSION, forms_hessian
from bayes_softmax.inference.importance import propose
from bayes_softmax.spec.specification import Specification

MAX_ERROR = 0.01  # of a log weight: 4000 draws resolve a shift of .016 posterior standard deviations
FIRST_ROWS = 10_000
PILOT = 256  # proposals at which the error is estimated
CHECKED = 32  # draws that are evaluated on all rows
MARGIN = 1.2  # rows beyond those that the error asks for
FOUND_FACTOR = 1.5  # the error found on 32 draws is itself known to 13 %
LARGEST_SHARE = 0.25  # of the rows, above which all of them are used
LARGEST_BYTES = 2**29  # of the features of a sample, where rows are read in passes
ROUNDS = 6
MANY = "a sample would have to be a large part of them"
SAMPLE_STREAM, PILOT_STREAM = 7, 8  # random numbers that must not repeat those of the draws


class RowChoice(NamedTuple):
    """Rows of a sample to begin with, and the bound of the error of a log weight to which it grows."""

    rows: int = FIRST_ROWS
    max_error: float = MAX_ERROR


class Subsample(NamedTuple):
    """The density of which draws are made, and its error: of a log weight, as predicted and as found on all rows.

    ``density`` is that of all rows where a sample would have to be large; both errors are then zero, and ``why`` is the
    reason.
    """

    density: SubsampledPosterior | SoftmaxPosterior
    n_rows: int
    predicted: float
    found: float
    why: str = ""

    @property
    def uses_all(self) -> bool:
        """Whether all rows are used."""
        return isinstance(self.density, SoftmaxPosterior)

    def in_words(self, n_obs: int) -> str:
        """What was done, as the end of a title."""
        if self.uses_all:
            return f"all {n_obs:,} rows, since {self.why}"
        return (
            f"remainders from {self.n_rows:,} of {n_obs:,} rows: error of a log weight {self.predicted:.2g} predicted, "
            f"{self.found:.2g} found on all rows"
        )


def refuse_subsampling(problem: Problem, method: str) -> None:
    """Raise where the expansion is not that of the density, or does not fit."""
    reason = why_not_subsampled(problem)
    if reason is not None:
        raise ValueError(f"{method} cannot estimate from a sample of the rows here: {reason}")


def why_not_subsampled(problem: Problem) -> str | None:
    """Why a sample of the rows does not serve, or None if it does."""
    if problem.density.penalty is not None:
        return "a Laplace prior has a kink, at which there is no expansion; use Normal or StudentT"
    if problem.reduced is not None:
        return "there are more features than rows"
    if not forms_hessian(problem.density):
        d = problem.density.dimension
        most = f" (at most {DENSE_DIMENSION:,})" if problem.spec.streamed is None else ", since it is too large"
        return f"the Hessian of {d:,} coefficients is not formed{most}"
    return None


def subsample_of(
    spec: Specification,
    problem: Problem,
    whitening: Whitening,
    seed: int,
    choice: RowChoice | None = None,
) -> Subsample:
    """The log posterior with remainders from as many rows as its error asks for."""
    full = problem.density
    expansion = _expand(full, whitening.mode)
    n_obs = full.likelihood.n_obs
    rows, max_error = choice or RowChoice()
    wanted = min(rows, n_obs)
    drawn, largest = _sampler(spec, full, expansion, seed), _most_rows(spec, n_obs)
    if drawn is None or wanted > largest:
        why = "leverages of rows are not defined under this coding" if drawn is None else MANY
        return Subsample(full, n_obs, 0.0, 0.0, why)
    check, found = np.random.default_rng([seed, PILOT_STREAM]), 0.0
    for _ in range(ROUNDS):
        density = drawn(wanted)
        points = _typical(density, whitening, check)
        predicted = _size(density.errors(points))
        if predicted <= max_error:
            found = float(np.std(full.values(points[:CHECKED]) - density.values(points[:CHECKED])))
            if found <= FOUND_FACTOR * max_error:
                n_rows = wanted if spec.streamed is None else density.sample.design.n_obs
                return Subsample(density, n_rows, predicted, found)
            LOGGER.info(f"an error of {found:.2g} was found where {predicted:.2g} was predicted: more rows are drawn")
            predicted = max(predicted, found)
        wanted = int(np.ceil(MARGIN * wanted * max(predicted / max_error, FOUND_FACTOR) ** 2))
        if wanted > largest:
            break
    told = f"{MANY} (an error of {found:.2g} was found)" if found > FOUND_FACTOR * max_error else MANY
    return Subsample(full, n_obs, 0.0, 0.0, told)


def _most_rows(spec: Specification, n_obs: int) -> float:
    """Rows above which all are used: a share of them, and what fits into memory where they are read in passes."""
    if spec.streamed is None:
        return LARGEST_SHARE * n_obs
    return min(LARGEST_SHARE * n_obs, LARGEST_BYTES / (8.0 * (spec.summary.n_features + 1)))


def _sampler(
    spec: Specification, full: SoftmaxPosterior, expansion: Expansion, seed: int
) -> Callable[[int], SubsampledPosterior] | None:
    """The function that draws so many rows, and makes their density; None where there are no leverages."""
    factors = full.layer_factors(expansion.point)
    gram = None if factors is None else factors.inputs * np.trace(factors.outputs) + factors.prior
    if spec.streamed is not None:
        known = spec.streamed.summary.cross_products if gram is None else gram
        of_passes = PassSampler(spec.streamed, known, (seed, SAMPLE_STREAM))
        return lambda n: posterior_from(of_passes.draw(n), expansion, spec.priors, spec.coordinates)
    if gram is None:
        return None
    chances, rng = row_probabilities(spec.distinct, gram), np.random.default_rng([seed, SAMPLE_STREAM])
    return lambda n: subsampled_posterior(chances, n, expansion, spec.priors, spec.coordinates, rng)


def _expand(density: SoftmaxPosterior, point: FloatArray) -> Expansion:
    """The log posterior of all rows to second order."""
    value, gradient = density.value_gradient(point)
    return Expansion(point, value, gradient, density.hessian(point))


def _typical(density: SubsampledPosterior, whitening: Whitening, rng: np.random.Generator) -> FloatArray:
    """Points (PILOT, d) of the posterior, by the estimated weights of proposals."""
    proposals = propose(density, whitening, PILOT, rng)
    weights = np.exp(proposals.log_weights - proposals.log_weights.max())
    chosen = rng.choice(len(weights), size=PILOT, p=weights / weights.sum())
    return proposals.points[chosen]


def _size(errors: FloatArray) -> float:
    return float(np.sqrt(np.square(errors).mean()))
