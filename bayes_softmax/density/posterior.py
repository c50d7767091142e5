"""The log posterior of a model: a sum over parts of rows, and the prior, in free coordinates, as a ``LogDensity``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from bayes_softmax.core.records import (
    BlockMetric,
    ExpectedRows,
    FloatArray,
    LayerFactors,
    LowRankMetric,
    NativeDensity,
    Penalty,
    Whitening,
)
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density import callbacks, fused, kernel, kronecker, linear
from bayes_softmax.density.likelihood import LogLikelihood
from bayes_softmax.density.log_prior import FLAT, log_prior_gradient
from bayes_softmax.density.native import kernel_addresses
from bayes_softmax.density.prior import PriorCurvature, PriorRows, penalty_of, rows_that_are, surrogate_df
from bayes_softmax.spec.coding import Coordinates, free_vectors


@dataclass(frozen=True, eq=False)
class SoftmaxPosterior:
    """Log posterior of a softmax regression in free coordinates: the sum over its parts, plus the log prior.

    ``value`` is the log-likelihood without multinomial coefficients, plus the log prior density of the raw free
    coordinates with its normalising constant (zero for flat priors).  It is put together in
    :mod:`bayes_softmax.density.building`.

    Under priors with kinks the mode is found from ``smooth_part`` and ``penalty``, and the whitening from the
    ``surrogate``; ``definite`` then refers to the surrogate's Hessian.
    """

    likelihood: LogLikelihood
    data: kernel.KernelData
    coordinates: Coordinates
    log_prior_constant: float
    definite: bool

    def __post_init__(self) -> None:
        """Check dtypes, layouts and codes, because vector loops read the data through bare addresses."""
        kernel_addresses(self.data)
        rows_that_are(self.data.family, "proper")  # raises for the code of no family

    @cached_property
    def _in_memory(self) -> bool:
        """Whether all rows are in memory, where compiled code reaches them."""
        return len(self.data.parts) > 0

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.coordinates.dimension

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        return self.likelihood.total_weight

    @property
    def offset_term(self) -> float:
        """The offsets' term of the log-likelihood, which does not depend on the coefficients."""
        return self.likelihood.constant

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation."""
        return self.likelihood.work

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian."""
        return self.likelihood.hessian_work

    def value(self, theta: FloatArray) -> float:
        """Log posterior at ``theta`` (d,)."""
        return float(self.values(theta[None])[0])

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior and its gradient (d,)."""
        theta, gradient = _contiguous(theta), np.empty(self.dimension)
        if self._in_memory and self.likelihood.is_small:
            value = kernel.log_posterior_gradient(self.data, theta, gradient)
            return value + self.offset_term + self.log_prior_constant, gradient
        value, G = self.likelihood.value_gradient(self._engine(theta))
        linear.free_gradient(self.data, G, gradient)
        value += log_prior_gradient(self.data, theta, gradient)
        return value + self.log_prior_constant, gradient

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log posterior at many points (S, d), with one pass over the data per stack of points."""
        if self._in_memory:
            out = np.empty(thetas.shape[0])
            kernel.log_posterior_values(self.data, _contiguous(thetas), out)
            return out + (self.offset_term + self.log_prior_constant)
        log_priors: FloatArray = np.array([self.log_prior(theta) for theta in thetas])
        log_likelihoods: FloatArray = self.likelihood.values(self.coordinates.to_engine(thetas))
        return log_likelihoods + log_priors

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density at ``theta`` (d,)."""
        unused = np.zeros(self.dimension)
        return float(log_prior_gradient(self.data, _contiguous(theta), unused)) + self.log_prior_constant

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Hessian (d, d) of minus the log posterior."""
        return self._curvature(theta, convex=False)

    def metric(self, theta: FloatArray) -> FloatArray:
        """The Hessian without the terms that can make it indefinite (under Student-t priors far from zero)."""
        return self._curvature(theta, convex=True)

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a vector by the metric or Hessian at ``theta``, at about a gradient's cost."""
        prior = self._prior_curvature(theta, convex=convex)
        if self._in_memory and len(self.data.parts) == 1 and self.likelihood.is_small:
            P = fused.counts_of_one(self.data, _contiguous(theta))

            def of_small(vector: FloatArray) -> FloatArray:
                image = np.empty(self.dimension)
                fused.product_of_one(self.data, P, _contiguous(vector), image)
                return image + prior @ vector

            return of_small
        of_likelihood = self.likelihood.hessian_product(self._engine(_contiguous(theta)))

        def product(vector: FloatArray) -> FloatArray:
            image = np.empty(self.dimension)
            linear.free_gradient(self.data, of_likelihood(self._engine(_contiguous(vector))), image)
            return image + prior @ vector

        return product

    def low_rank_metric(self, theta: FloatArray) -> LowRankMetric | None:
        """The approximation of :meth:`block_metric`, in the form for more features than rows."""
        if not self.coordinates.is_matrix or self.coordinates.n_columns <= self.likelihood.n_obs:
            return None
        prior = self._prior_curvature(theta, convex=True).column_diagonal()
        return kronecker.low_rank_metric(self.expected_rows(theta), self.data.Cw, prior)

    def layer_factors(self, theta: FloatArray) -> LayerFactors | None:
        """Kronecker approximation of the likelihood's curvature, beside the prior; None if vectors are no matrices."""
        if not self.coordinates.is_matrix:
            return None
        G, A = self.likelihood.metric_sums(self._engine(_contiguous(theta)))
        prior = self._prior_curvature(theta, convex=True).column_matrix()
        return kronecker.layer_factors(G, A, self.data.Cw, prior)

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        """The sum of :meth:`layer_factors`, one block for each eigenvector of the classes."""
        factors = self.layer_factors(theta)
        return None if factors is None else kronecker.mixed_metric(factors)

    @cached_property
    def penalty(self) -> Penalty | None:
        """The non-smooth part, from Laplace priors; None for a smooth density."""
        return penalty_of(self.prior_rows, self.coordinates)

    @property
    def smooth_part(self) -> Self:
        """The density without its :attr:`penalty`."""
        family = np.where(rows_that_are(self.data.family, "kinked"), FLAT, self.data.family)
        return replace(self, data=self.data._replace(family=family), definite=False)

    @property
    def surrogate(self) -> Self:
        """The density with its kinks rounded off, for a centre and a metric; the density itself if it is smooth.

        It differs from the log density by a bounded amount, so that one is proper if and only if the other is.
        """
        if self.penalty is None:
            return self
        return replace(self, data=self.data._replace(df=surrogate_df(self.prior_rows, self.coordinates)))

    def native(self, whitening: Whitening) -> NativeDensity | None:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``; None if rows are not in memory."""
        if not self._in_memory:
            return None
        pointers = callbacks.pack_pointers(self.data, whitening)
        logp, expand = callbacks.native_addresses()
        return NativeDensity(logp, expand, int(pointers.ctypes.data), (self.data, whitening, pointers))

    def expected_rows(self, theta: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts of all rows, some at a time."""
        return self.likelihood.expected_rows(self._engine(_contiguous(theta)))

    def _engine(self, theta: FloatArray) -> FloatArray:
        V = np.empty_like(self.data.YZ)
        linear.engine_coefficients(self.data, theta, V)
        return V

    def _curvature(self, theta: FloatArray, *, convex: bool) -> FloatArray:
        prior = self._prior_curvature(theta, convex=convex).matrix
        if self._in_memory and self.likelihood.has_small_hessian:
            free = np.empty((self.dimension,) * 2)
            fused.likelihood_hessian(self.data, _contiguous(theta), free)
            return free + prior
        with blas_on_one_thread():  # its threads would be in the way of ours
            return self._without_noise(self.likelihood.hessian(self._engine(_contiguous(theta)))) + prior

    def _without_noise(self, H: FloatArray) -> FloatArray:
        """Free curvature (d, d) of engine curvature ``H`` (K, q, K, q), with rounding errors set to exactly zero.

        A contrast on which no row depends, such as that of a class never on offer, has curvature 0 as the difference
        of equal numbers.  Its rounding error would otherwise produce a spurious Newton step.
        """
        free = self.coordinates.pull_back_matrix(H)
        if np.diag(free).min(initial=np.inf) > fused.NOISE * H.max(initial=0.0):  # the usual case
            return free
        k_b, k_w = self.data.Cb.shape[1], self.data.Cw.shape[1]
        largest = np.einsum("kjkj->kj", H).max(axis=0)
        of_weights = largest[min(k_b, 1) :]
        floor = fused.NOISE * free_vectors(np.repeat(largest[:1], k_b), np.tile(of_weights, (k_w, 1)))
        noise = np.diag(free) <= floor
        free[noise] = 0.0
        free[:, noise] = 0.0
        return free

    def _prior_curvature(self, theta: FloatArray, *, convex: bool) -> PriorCurvature:
        """Curvature of minus the log prior."""
        if self._quadratic_prior is not None:
            return self._quadratic_prior
        return PriorCurvature(self.prior_rows, self.coordinates, theta, convex=convex)

    @cached_property
    def _quadratic_prior(self) -> PriorCurvature | None:
        """The prior's curvature if it is constant, else None."""
        if not rows_that_are(self.data.family, "quadratic").all():
            return None
        return PriorCurvature(self.prior_rows, self.coordinates, np.zeros(self.dimension), convex=True)

    @property
    def prior_rows(self) -> PriorRows:
        """The priors, in the kernel's form."""
        return PriorRows(self.data.family, self.data.scale, self.data.df, self.data.centre)


def _contiguous(a: FloatArray) -> FloatArray:
    return np.require(a, dtype=np.float64, requirements=["C", "A", "W"])
