"""The log posterior of a model: likelihood kernel x coding x prior, as a ``LogDensity``."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import eigh

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.records import BlockMetric, FloatArray, LowRankMetric, NativeDensity, Penalty, Whitening
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.data.design import Design
from bayes_softmax.density import callbacks, curvature, kernel
from bayes_softmax.density.log_prior import FLAT, log_prior_gradient
from bayes_softmax.density.lowrank import low_rank_metric
from bayes_softmax.density.native import kernel_addresses
from bayes_softmax.density.packing import aligned, pack_counts, pack_features, pack_mask, pack_offset, pack_rows
from bayes_softmax.density.prior import PriorCurvature, PriorRows, penalty_of, prior_rows, rounded, rows_that_are
from bayes_softmax.separation.choice_sets import connected_classes
from bayes_softmax.spec.coding import Coordinates, free_vectors
from bayes_softmax.spec.log_prior import log_prior_constant
from bayes_softmax.spec.priors import PriorTable

COMPILE_NOTICE = "compiling the likelihood for this machine (once; later runs load it from disk)"
# Of the diagonal, added to an approximate precision: directions without data or prior stay where they are.
RIDGE = 1e-9
NOISE = 16 * np.finfo(float).eps  # relative, of a contrast of curvatures
SPREAD_FLOOR = 1e-8  # of the largest variance of a class contrast


@dataclass(frozen=True, eq=False)
class SoftmaxPosterior:
    """Log posterior of a softmax regression in free coordinates.

    ``value`` is the log-likelihood without multinomial coefficients, plus the log prior density of the raw free
    coordinates with its normalising constant (zero for flat priors).  Make it with :func:`build_posterior`.

    With priors that have kinks it has them too: ``smooth_part`` and ``penalty`` are what a mode is found with, and the
    ``surrogate``, whose Hessian is then the one that ``definite`` is about, is what whitening is found with.
    """

    data: kernel.KernelData
    coordinates: Coordinates
    total_weight: float
    offset_term: float
    log_prior_constant: float
    definite: bool

    def __post_init__(self) -> None:
        """Vector loops read the data through bare addresses: nothing of another dtype or layout gets that far."""
        kernel_addresses(self.data)
        rows_that_are(self.data.family, "proper")  # nor a code that is of no family

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.coordinates.dimension

    @property
    def work(self) -> float:
        """Multiplications of one evaluation: N q K."""
        return float(self.data.n_obs * self.data.YZ.size)

    @property
    def hessian_work(self) -> float:
        """Multiplications of one Hessian: N q^2 for each pair of classes, half of them for its symmetry."""
        K, q = self.data.YZ.shape
        return float(self.data.n_obs * q * q * K * (K - 1) / 4)

    def value(self, theta: FloatArray) -> float:
        """Log posterior at ``theta`` (d,)."""
        return float(self.values(theta[None])[0])

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior and its gradient (d,)."""
        theta = _contiguous(theta)
        V, gradient = self._engine(theta), np.empty(self.dimension)

        def part(first: int, end: int) -> tuple[float, FloatArray]:
            G = np.empty_like(V)
            return kernel.log_likelihood_gradient(self.data, V, G, first, end), G

        parts = in_parallel(part, self._parts(self.work))
        G = sum(g for _, g in parts)
        value = sum(v for v, _ in parts) + kernel.linear_term(self.data, V, G)
        kernel.free_gradient(self.data, G, gradient)
        value += log_prior_gradient(self.data, theta, gradient)
        return value + self.offset_term + self.log_prior_constant, gradient

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log posterior at many points (S, d), in one pass over the data for a stack of them."""
        out = np.empty(thetas.shape[0])
        kernel.log_posterior_values(self.data, _contiguous(thetas), out)
        return out + (self.offset_term + self.log_prior_constant)

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density at ``theta`` (d,)."""
        unused = np.zeros(self.dimension)
        return float(log_prior_gradient(self.data, _contiguous(theta), unused)) + self.log_prior_constant

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Hessian (d, d) of minus the log posterior."""
        return self._curvature(theta, convex=False)

    def metric(self, theta: FloatArray) -> FloatArray:
        """The Hessian without the terms that can make it indefinite (a Student-t prior far from zero)."""
        return self._curvature(theta, convex=True)

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """Product of the metric, or of the Hessian, at ``theta`` with a vector; each costs about one gradient."""
        P = self.expected_counts(theta)
        prior = PriorCurvature(self.prior_rows, self.coordinates, theta, convex=convex)
        parts = self._parts(self.work)

        def product(vector: FloatArray) -> FloatArray:
            D, image = self._engine(_contiguous(vector)), np.empty(self.dimension)

            def part(first: int, end: int) -> FloatArray:
                out = np.zeros_like(D)
                curvature.hessian_product(self.data, P, D, out, first, end)
                return out

            kernel.free_gradient(self.data, sum(in_parallel(part, parts)), image)
            return image + prior @ vector

        return product

    def low_rank_metric(self, theta: FloatArray) -> LowRankMetric | None:
        """The same approximation as :meth:`block_metric`, for more features than rows."""
        prior = PriorCurvature(self.prior_rows, self.coordinates, theta, convex=True).column_diagonal()
        return low_rank_metric(self, theta, prior)

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        r"""Kronecker approximation of the likelihood's curvature, plus the prior.

        With row i's class covariance :math:`S_i`, the sum :math:`\sum_i S_i \otimes z_i z_i'` is approximated by
        :math:`A \otimes G`, ``A`` the sum of the covariances in free columns and ``G`` the mean of :math:`z_i z_i'`
        weighted by their traces.  In the eigenvectors of ``A`` it falls into one block per column.
        """
        if not self.coordinates.is_matrix:
            return None
        P, (K, q) = self.expected_counts(theta), self.data.YZ.shape

        def part(first: int, end: int) -> tuple[FloatArray, FloatArray]:
            G, A = np.zeros((q, q)), np.zeros((K, K))
            curvature.weighted_gram(self.data, P, G, A, first, end)
            return G, A

        parts = in_parallel(part, self._parts(0.5 * self.data.n_obs * q * q))
        G, A = -sum(g for g, _ in parts), sum(a for _, a in parts)
        G = (np.triu(G) + np.triu(G, 1).T) / max(float(np.trace(A)), np.finfo(float).tiny)
        spread, mixing = eigh(self.data.Cw.T @ A @ self.data.Cw)
        prior = PriorCurvature(self.prior_rows, self.coordinates, theta, convex=True).column_matrix()
        spread = np.maximum(spread, SPREAD_FLOOR * spread[-1])  # none of a class that is never on offer
        precisions = spread[:, None, None] * G + prior
        for matrix in precisions:
            matrix += np.diag(RIDGE * np.diag(matrix) + np.finfo(float).tiny)
        return BlockMetric(precisions, np.ascontiguousarray(mixing))

    @cached_property
    def penalty(self) -> Penalty | None:
        """The Laplace priors' part, which has kinks; None for a density that is smooth."""
        return penalty_of(self.prior_rows, self.coordinates)

    @property
    def smooth_part(self) -> Self:
        """The density without its :attr:`penalty`."""
        family = np.where(rows_that_are(self.data.family, "kinked"), FLAT, self.data.family)
        return replace(self, data=self.data._replace(family=family), definite=False)

    @property
    def surrogate(self) -> Self:
        """The density with its kinks rounded off, to find a centre and a metric with; itself where it has none.

        It differs from the log density by a bounded amount, so the one is proper where the other is.
        """
        if self.penalty is None:
            return self
        return replace(self, data=self.data._replace(df=rounded(self.prior_rows, self.coordinates)))

    def native(self, whitening: Whitening) -> NativeDensity:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``."""
        pointers = callbacks.pack_pointers(self.data, whitening)
        logp, expand = callbacks.native_addresses()
        return NativeDensity(logp, expand, int(pointers.ctypes.data), (self.data, whitening, pointers))

    def _parts(self, work: float) -> list[tuple[int, int]]:
        """Ranges of blocks to be worked on in parallel."""
        return ranges(self.data.Z.shape[0], work)

    def _engine(self, theta: FloatArray) -> FloatArray:
        V = np.empty_like(self.data.YZ)
        kernel.engine_coefficients(self.data, theta, V)
        return V

    def expected_counts(self, theta: FloatArray) -> FloatArray:
        """Expected counts (n, K, B) of each row and class, in the kernel's blocks."""
        V = self._engine(_contiguous(theta))
        n_blocks, _, B = self.data.Z.shape
        P = aligned((n_blocks, V.shape[0], B))
        in_parallel(
            lambda first, end: curvature.expected_counts(self.data, V, P, first, end), self._parts(0.5 * self.work)
        )
        return P

    def _curvature(self, theta: FloatArray, *, convex: bool) -> FloatArray:
        P, (K, q) = self.expected_counts(theta), self.data.YZ.shape

        def part(first: int, end: int) -> FloatArray:
            S = np.zeros((K * (K - 1) // 2, q, q))
            curvature.pair_hessians(self.data, P, S, first, end)
            return S

        H = np.zeros((K, q, K, q))
        curvature.assemble(sum(in_parallel(part, self._parts(self.hessian_work))), H)
        return self._without_noise(H) + self._prior_matrix(theta, convex=convex)

    def _without_noise(self, H: FloatArray) -> FloatArray:
        """Free curvature (d, d) of engine curvature ``H`` (K, q, K, q), exactly zero where it is a rounding error.

        A contrast that no row sees, as of a class that is never on offer, has the curvature 0 as a difference of equal
        numbers.  Of what is left of these a Newton step would be made.
        """
        free = self.coordinates.pull_back_matrix(H)
        if np.diag(free).min(initial=np.inf) > NOISE * H.max(initial=0.0):  # as nearly always
            return free
        k_b, k_w = self.data.Cb.shape[1], self.data.Cw.shape[1]
        largest = np.einsum("kjkj->kj", H).max(axis=0)
        of_weights = largest[min(k_b, 1) :]
        floor = NOISE * free_vectors(np.repeat(largest[:1], k_b), np.tile(of_weights, (k_w, 1)))
        noise = np.diag(free) <= floor
        free[noise] = 0.0
        free[:, noise] = 0.0
        return free

    def _prior_matrix(self, theta: FloatArray, *, convex: bool) -> FloatArray:
        """Curvature (d, d) of minus the log prior."""
        if self._quadratic_prior is not None:
            return self._quadratic_prior
        return PriorCurvature(self.prior_rows, self.coordinates, theta, convex=convex).matrix()

    @cached_property
    def _quadratic_prior(self) -> FloatArray | None:
        """The prior's curvature where it is the same everywhere."""
        if not rows_that_are(self.data.family, "quadratic").all():
            return None
        return PriorCurvature(self.prior_rows, self.coordinates, np.zeros(self.dimension), convex=True).matrix()

    @property
    def prior_rows(self) -> PriorRows:
        """The priors as the kernel reads them."""
        return PriorRows(self.data.family, self.data.scale, self.data.df, self.data.centre)


def build_posterior(design: Design, coordinates: Coordinates, priors: PriorTable) -> SoftmaxPosterior:
    """Compose the log posterior and load (the first time on a machine: compile) the kernel."""
    totals = design.totals
    rows = np.flatnonzero(totals > 0)  # a row of weight zero says nothing
    K = coordinates.n_classes
    Z = pack_features(design, rows)
    B = Z.shape[2]
    offset, offset_term = pack_offset(design, rows, B)
    available = None if design.available is None else design.available[rows]
    data = kernel.KernelData(
        Z=Z,
        n_obs=len(rows),
        YZ=_response_products(Z, pack_counts(design, rows, B)),
        totals=np.empty((0, B)) if (totals[rows] == 1).all() else pack_rows(totals[rows][:, None], B)[:, 0].copy(),
        offset=offset,
        available=pack_mask(available, K, B),
        Cb=np.ascontiguousarray(coordinates.intercept_contrast),
        Cw=np.ascontiguousarray(coordinates.weights_contrast),
        **prior_rows(priors, coordinates)._asdict(),
    )
    linked = available is None or len(connected_classes(available)) == 1
    intercept_held = not priors.flat_intercept or bool((design.class_counts() > 0).all() and linked)
    curved = rows_that_are(data.family, "log_concave", "proper")
    definite = bool(curved[int(design.has_intercept) :].all()) and intercept_held
    posterior = SoftmaxPosterior(
        data, coordinates, design.total_weight, offset_term, log_prior_constant(priors, coordinates), definite
    )
    if not kernel.is_compiled():
        LOGGER.info(COMPILE_NOTICE)
    return posterior


def _response_products(Z: FloatArray, Y: FloatArray) -> FloatArray:
    """``Y'Z`` (K, q) of packed counts and features."""

    def part(first: int, end: int) -> FloatArray:
        out = np.zeros((Y.shape[1], Z.shape[1]))
        curvature.response_products(Z, Y, out, first, end)
        return out

    parts = in_parallel(part, ranges(len(Z), float(Z.size * Y.shape[1])))
    total: FloatArray = -np.sum(parts, axis=0)
    return total


def _contiguous(a: FloatArray) -> FloatArray:
    return np.require(a, dtype=np.float64, requirements=["C", "A", "W"])
