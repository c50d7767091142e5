"""The log posterior of all rows, with remainders estimated from a sample of them."""

from dataclasses import dataclass

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.subsample.remainders import remainder_errors
from bayes_softmax.density.subsample.rows import RowProbabilities, SampledRows, sample_of
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import PriorTable


@dataclass(frozen=True, eq=False)
class Expansion:
    """Log posterior of all rows at ``point`` (d,): value, gradient (d,), and Hessian (d, d) of minus it."""

    point: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray


@dataclass(frozen=True, eq=False)
class SubsampledPosterior:
    """Log posterior that is exact to second order at a point; the rest is that of weighted rows of a sample.

    Attributes
    ----------
    sample
        The rows that were drawn.
    estimated
        Their log posterior, weighted for all rows, with the model's prior.
    centre, constant, slope, curvature
        What is added to it at ``centre + d``: ``constant + slope'd - d' curvature d / 2``.
    """

    sample: SampledRows
    estimated: SoftmaxPosterior
    centre: FloatArray
    constant: float
    slope: FloatArray
    curvature: FloatArray

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.estimated.dimension

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation."""
        return self.estimated.work

    @property
    def coordinates(self) -> Coordinates:
        """Those of the model."""
        return self.estimated.coordinates

    def values(self, thetas: FloatArray) -> FloatArray:
        """Estimated log posterior at many points (S, d)."""
        steps = thetas - self.centre
        quadratic = np.einsum("si,si->s", steps @ self.curvature, steps)
        found: FloatArray = self.estimated.values(thetas) + self.constant + steps @ self.slope - 0.5 * quadratic
        return found

    def errors(self, thetas: FloatArray) -> FloatArray:
        """Standard errors (S,) of the values at some points, apart from a constant that they share."""
        at = self.coordinates.to_engine(self.centre[None])[0]
        return remainder_errors(self.sample, at, self.coordinates.to_engine(thetas) - at)


def subsampled_posterior(
    rows: RowProbabilities, n: int, expansion: Expansion, priors: PriorTable, coordinates: Coordinates,
    rng: np.random.Generator,
) -> SubsampledPosterior:  # fmt: skip
    """The log posterior with remainders from ``n`` rows, exact to second order at the expansion's point."""
    return posterior_from(sample_of(rows, rows.draw(n, rng)), expansion, priors, coordinates)


def posterior_from(
    sample: SampledRows, expansion: Expansion, priors: PriorTable, coordinates: Coordinates
) -> SubsampledPosterior:
    """The log posterior with remainders from a sample, exact to second order at the expansion's point."""
    estimated = build_posterior(sample.weighted, coordinates, priors)
    value, gradient = estimated.value_gradient(expansion.point)
    return SubsampledPosterior(
        sample,
        estimated,
        expansion.point,
        expansion.value - value,
        expansion.gradient - gradient,
        expansion.hessian - estimated.hessian(expansion.point),
    )
