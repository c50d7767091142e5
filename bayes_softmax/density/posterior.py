"""The log posterior of a model: likelihood kernel x coding x prior, as a ``LogDensity``."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from bayes_softmax.core.records import FloatArray, LaplaceApproximation, NativeDensity
from bayes_softmax.density import curvature, kernel
from bayes_softmax.density.prior import PriorCurvature, PriorRows, log_prior_constant, prior_rows
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.design import Design
from bayes_softmax.spec.priors import PriorTable

COMPILE_NOTICE = "bayes_softmax: compiling the likelihood for this machine (once; later runs load it from disk)"


@dataclass(frozen=True, eq=False)
class SoftmaxPosterior:
    """Log posterior of a softmax regression in free coordinates.

    ``value`` is the log-likelihood without multinomial coefficients, plus the log prior density of the raw free
    coordinates with its normalising constant (zero for flat priors).  Make it with :func:`build_posterior`.
    """

    data: kernel.KernelData
    coordinates: Coordinates
    total_weight: float
    offset_term: float
    log_prior_constant: float

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.coordinates.dimension

    @property
    def work(self) -> float:
        """Multiplications of one evaluation: N q K."""
        return float(self.data.Z.size * self.data.YZ.shape[0])

    def value(self, theta: FloatArray) -> float:
        """Log posterior at ``theta`` (d,)."""
        return float(self.values(theta[None])[0])

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior and its gradient (d,)."""
        gradient = np.empty(self.dimension)
        value = kernel.log_posterior_gradient(self.data, _contiguous(theta), gradient)
        return value + self.offset_term + self.log_prior_constant, gradient

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log posterior at many points (S, d), in one pass over the data for a stack of them."""
        out = np.empty(thetas.shape[0])
        kernel.log_posterior_values(self.data, _contiguous(thetas), out)
        return out + (self.offset_term + self.log_prior_constant)

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density at ``theta`` (d,)."""
        unused = np.zeros(self.dimension)
        return float(kernel.log_prior_gradient(self.data, _contiguous(theta), unused)) + self.log_prior_constant

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Hessian (d, d) of minus the log posterior."""
        return self._curvature(theta, convex=False)

    def metric(self, theta: FloatArray) -> FloatArray:
        """The Hessian without the terms that can make it indefinite (a Student-t prior far from zero)."""
        return self._curvature(theta, convex=True)

    def hessian_vector(self, theta: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """Product of the metric at ``theta`` with a vector; each costs about one gradient."""
        P = self._expected_counts(theta)
        prior = PriorCurvature(self._prior_rows, self.coordinates, theta, convex=True)

        def product(vector: FloatArray) -> FloatArray:
            D, out = np.empty_like(self.data.YZ), np.zeros_like(self.data.YZ)
            kernel.engine_coefficients(self.data, _contiguous(vector), D)
            curvature.hessian_product(self.data.Z, self.data.totals, P, D, out)
            return self.coordinates.pull_back(out) + prior @ vector

        return product

    def native(self, whitening: LaplaceApproximation) -> NativeDensity:
        """C callbacks for the density of ``z`` with ``theta = mode + L^-T z``."""
        inverse = solve_triangular(whitening.factor, np.eye(self.dimension), lower=True, trans="T")
        M, mode = np.ascontiguousarray(inverse), _contiguous(whitening.mode)
        pointers = kernel.pack_pointers(self.data, mode, M)
        logp, expand = kernel.native_addresses()
        return NativeDensity(logp, expand, int(pointers.ctypes.data), (self.data, mode, M, pointers))

    def _expected_counts(self, theta: FloatArray) -> FloatArray:
        V = np.empty_like(self.data.YZ)
        kernel.engine_coefficients(self.data, _contiguous(theta), V)
        P = np.empty((V.shape[0], self.data.Z.shape[0]))
        kernel.expected_counts(self.data, V, P)
        return P

    def _curvature(self, theta: FloatArray, *, convex: bool) -> FloatArray:
        K, q = self.data.YZ.shape
        H = np.zeros((K, q, K, q))
        curvature.class_hessian(self.data.Z, self.data.totals, self._expected_counts(theta), H)
        prior = PriorCurvature(self._prior_rows, self.coordinates, theta, convex=convex)
        return self.coordinates.pull_back_matrix(H) + prior.matrix()

    @property
    def _prior_rows(self) -> PriorRows:
        return PriorRows(self.data.family, self.data.scale, self.data.df, self.data.centre)


def build_posterior(design: Design, coordinates: Coordinates, priors: PriorTable) -> SoftmaxPosterior:
    """Compose the log posterior and load (the first time on a machine: compile) the kernel."""
    totals = design.totals
    used = totals > 0  # a row of weight zero says nothing, and the pairwise Hessian divides by the weight
    Z = design.standardised()
    offset = np.empty((0, 0))
    offset_term = 0.0
    if design.offset is not None:
        offset = np.ascontiguousarray(design.offset[used].T)
        offset_term = float((design.dense_counts() * design.offset).sum())
    data = kernel.KernelData(
        Z=np.ascontiguousarray(Z if used.all() else Z[used]),
        YZ=np.ascontiguousarray(design.response_times(Z)),
        totals=np.empty(0) if (totals[used] == 1).all() else np.ascontiguousarray(totals[used]),
        offset=offset,
        Cb=np.ascontiguousarray(coordinates.intercept_contrast),
        Cw=np.ascontiguousarray(coordinates.weights_contrast),
        **prior_rows(priors, coordinates)._asdict(),
    )
    constant = log_prior_constant(priors, coordinates)
    posterior = SoftmaxPosterior(data, coordinates, design.total_weight, offset_term, constant)
    if not kernel.is_compiled():
        print(COMPILE_NOTICE, file=sys.stderr, flush=True)
    posterior.value_gradient(np.zeros(posterior.dimension))
    return posterior


def _contiguous(a: FloatArray) -> FloatArray:
    return np.require(a, dtype=np.float64, requirements=["C", "A", "W"])
