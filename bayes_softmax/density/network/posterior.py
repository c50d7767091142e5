"""The log posterior of a network in free coordinates: value and gradient, in parallel or as a native callback."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.records import (
    BlockMetric,
    FloatArray,
    IntArray,
    LayerFactors,
    LayerWhitening,
    NativeDensity,
    Whitening,
)
from bayes_softmax.core.threads import ranges
from bayes_softmax.data.design import Design
from bayes_softmax.density import linear
from bayes_softmax.density.building import COMPILE_NOTICE
from bayes_softmax.density.kernel import PART_SIZE, KernelData
from bayes_softmax.density.kronecker import mixed_metric
from bayes_softmax.density.likelihood import each_range
from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.density.network import callbacks, kernel
from bayes_softmax.density.network.gauss_newton import Outputs, Point, gauss_newton, outputs_of, rows_at
from bayes_softmax.density.network.layers import kronecker_factors
from bayes_softmax.density.network.parts import NetworkPart, network_parts, part_tables, skip_at
from bayes_softmax.density.network.prior import NetworkPrior
from bayes_softmax.density.network.second_order import hessian, hessian_products
from bayes_softmax.density.prior import prior_rows, surrogate_df
from bayes_softmax.spec.log_prior import log_prior_constant
from bayes_softmax.spec.network.activations import code_of
from bayes_softmax.spec.network.hidden import NetworkCoordinates
from bayes_softmax.spec.priors import PriorTable

# Exponentials and their like of one hidden unit in one row, in multiplications of a product of matrices.
UNIT_WORK = 16.0


@dataclass(frozen=True, eq=False)
class NetworkPosterior:
    """Log posterior of a network in free coordinates: the sum over its parts, plus the log prior.

    As in :class:`~bayes_softmax.density.posterior.SoftmaxPosterior`, ``value`` is the log-likelihood without
    multinomial coefficients plus the log density of the priors with their normalising constants, zero for flat ones.
    It is not log-concave.  Construct it with :func:`build_network_posterior`.
    """

    parts: tuple[NetworkPart, ...]
    data: kernel.NetworkData
    coordinates: NetworkCoordinates
    log_prior_constant: float
    definite: bool = False

    def __post_init__(self) -> None:
        """Check dtypes and layouts, because vector loops read the data through bare addresses."""
        callbacks.network_addresses(self.data)

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.coordinates.dimension

    @cached_property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        return sum(part.total_weight for part in self.parts)

    @cached_property
    def work(self) -> float:
        """Number of multiplications of one evaluation, the activations included."""
        sizes, (K, q) = self.data.sizes, self.data.last.YZ.shape
        by_row = self.coordinates.hidden.dimension + K * q + UNIT_WORK * float(sizes[1:].sum())
        return float(sum(part.n_obs for part in self.parts) * by_row)

    def value(self, theta: FloatArray) -> float:
        """Log posterior at ``theta`` (d,)."""
        theta = _contiguous(theta)
        hidden, V = self._engine(theta)
        found = each_range(self.parts, self._n_blocks, lambda p, a, b: p.log_likelihood(hidden, V, self._layout, a, b),
                           self.work)  # fmt: skip
        return sum(found) + self.log_prior(theta)

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior and its gradient (d,)."""
        if len(ranges(sum(self._n_blocks), self.work)) == 1:
            return self.value_gradient_on_one_thread(theta)
        theta, gradient = _contiguous(theta), np.empty(self.dimension)
        hidden, V = self._engine(theta)

        def verb(part: NetworkPart, first: int, end: int) -> tuple[float, FloatArray, FloatArray]:
            return part.log_likelihood_gradient(hidden, V, self._layout, first, end)

        value, G = 0.0, np.zeros(V.shape)
        gradient[: len(hidden)] = 0.0
        for of_range, of_hidden, of_last in each_range(self.parts, self._n_blocks, verb, self.work):
            value += of_range
            gradient[: len(hidden)] += of_hidden
            G += of_last
        linear.close_rows(G)
        linear.free_gradient(self.data.last, G, gradient[len(hidden) :])
        return value + self._add_log_prior(theta, gradient), gradient

    def value_gradient_on_one_thread(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """The same in one compiled call, as samplers make it: for runs that are parallel themselves."""
        gradient = np.empty(self.dimension)
        value = kernel.log_posterior_gradient(self.data, _contiguous(theta), gradient)
        return value + self.log_prior_constant, gradient

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log posterior at many points (S, d)."""
        return np.array([self.value(theta) for theta in thetas])

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density at ``theta`` (d,)."""
        return self._add_log_prior(_contiguous(theta), np.zeros(self.dimension))

    def metric(self, theta: FloatArray) -> FloatArray:
        """Generalised Gauss-Newton curvature (d, d) of minus the log-likelihood, plus the prior's; never indefinite.

        The curvature of a prior that is not log-concave is replaced as in the linear model's metric.
        """
        return self.prior.add_to(self.likelihood_metric(theta), theta, convex=True)

    def prior_curvature(self, theta: FloatArray) -> FloatArray:
        """Hessian (d, d) of minus the log prior."""
        return self.prior.add_to(np.zeros((self.dimension, self.dimension)), theta, convex=False)

    def likelihood_metric(self, theta: FloatArray) -> FloatArray:
        """Generalised Gauss-Newton curvature (d, d) of minus the log-likelihood alone."""
        outputs = self._outputs
        return gauss_newton(rows_at(self.parts, self._point(theta), outputs.contrasts), outputs)

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian: products with every direction, of some three evaluations each."""
        return 3.0 * self.dimension * self.work

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Hessian (d, d) of minus the log posterior, exact up to rounding; at a kink of relu that of one side."""
        H = hessian(self.parts, self._point(theta), self.data.last, self.dimension)
        return self.prior.add_to(H, theta, convex=False)

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a vector by the metric or Hessian at ``theta``, at some three gradients' cost."""
        at, of_prior = self._point(theta), self.prior.product(theta, convex=convex)

        def product(vector: FloatArray) -> FloatArray:
            directions = _contiguous(vector)[None]
            images = hessian_products(self.parts, at, self.data.last, directions, self.work, full=not convex)
            image: FloatArray = images[0] + of_prior(vector)
            return image

        return product

    def block_metric(self, theta: FloatArray) -> None:
        """None: blocks of one size for all coordinates are for linear models; see :meth:`layer_metrics`."""

    def low_rank_metric(self, theta: FloatArray) -> None:
        """None."""

    def layer_factors(self, theta: FloatArray) -> tuple[LayerFactors, ...]:
        """Kronecker factors of :meth:`metric` without the curvature between layers, from the first layer to the last.

        See :mod:`bayes_softmax.density.network.layers`.  Where the last layer's intercept has another coding than its
        weights it comes before them, as a layer of its own.
        """
        groups, contrasts = self._outputs.groups, self._outputs.contrasts
        n_units = int(self.data.sizes[1:].sum())
        rows = rows_at(self.parts, self._point(theta), contrasts[:, :0])
        found = kronecker_factors(rows, groups, contrasts, n_units)
        return tuple(
            LayerFactors(*factors, prior) for factors, prior in zip(found, self.prior.of_layers(theta), strict=True)
        )

    def layer_metrics(self, theta: FloatArray) -> tuple[BlockMetric, ...]:
        """The curvature of :meth:`layer_factors` with the priors, in the eigenvectors of each layer's outputs.

        The prior is added exactly: ``outputs x inputs + I x prior`` is block diagonal there.  Layer by layer the
        coefficients are those of the free vector in the order of :attr:`layer_order`.
        """
        return tuple(mixed_metric(factors) for factors in self.layer_factors(theta))

    @property
    def layer_order(self) -> IntArray:
        """Positions (d,) in the free vector of the coefficients, layer by layer and output by output."""
        return self._outputs.order

    @property
    def surrogate(self) -> Self:
        """The density with the kinks of the last layer's priors rounded off, to find modes."""
        df = surrogate_df(self.prior.rows, self.coordinates.last)
        return replace(self, data=self.data._replace(last=self.data.last._replace(df=df)))

    def prior_scales(self, theta: FloatArray) -> FloatArray:
        """Standard deviations (d,) of normal priors with the curvature at ``theta``, one where it is flat."""
        n_outputs, precision = self._outputs.groups[:, 1].tolist(), np.empty(self.dimension)
        of_layers = [np.tile(np.diag(own), n) for own, n in zip(self.prior.of_layers(theta), n_outputs, strict=True)]
        precision[self._outputs.order] = np.concatenate(of_layers)
        scales: FloatArray = 1.0 / np.sqrt(np.where(precision > 0, precision, 1.0))
        return scales

    def native(self, whitening: Whitening | LayerWhitening) -> NativeDensity:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``."""
        arrays = callbacks.whitening_data(whitening)
        pointers = callbacks.pack_pointers(self.data, arrays, self.dimension)
        logp, expand = callbacks.native_addresses()
        return NativeDensity(logp, expand, int(pointers.ctypes.data), (self.data, self.parts, arrays, pointers))

    @cached_property
    def _n_blocks(self) -> tuple[int, ...]:
        return tuple(part.n_blocks for part in self.parts)

    @cached_property
    def prior(self) -> NetworkPrior:
        """The curvature of minus the log prior."""
        return NetworkPrior(self.data.sizes, self.data.precision, self.data.last, self.coordinates.last)

    @cached_property
    def _outputs(self) -> Outputs:
        return outputs_of(self.coordinates)

    @property
    def _layout(self) -> tuple[IntArray, IntArray]:
        return self.data.sizes, self.data.options

    def _engine(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Hidden weights, and coefficients (K, q) of the last layer."""
        n, V = self.coordinates.hidden.dimension, np.empty_like(self.data.last.YZ)
        linear.engine_coefficients(self.data.last, theta[n:], V)
        return theta[:n], V

    def _point(self, theta: FloatArray) -> Point:
        return Point(*self._engine(_contiguous(theta)), self._layout)

    def _add_log_prior(self, theta: FloatArray, gradient: FloatArray) -> float:
        """Log prior density; its gradient is added."""
        n = self.coordinates.hidden.dimension
        hidden = kernel.hidden_prior_gradient(theta[:n], self.data.sizes, self.data.precision, gradient[:n])
        last = log_prior_gradient(self.data.last, theta[n:], gradient[n:])
        return float(hidden + last) + self.log_prior_constant


def build_network_posterior(
    rows: Design | Sequence[Design],
    coordinates: NetworkCoordinates,
    activation: str,
    priors: PriorTable,
    parts: int = 1,
) -> NetworkPosterior:
    """Compose the log posterior of a network.

    Parameters
    ----------
    rows
        A design, or several with the same classes, features and standardisation, each of which becomes a part.
    coordinates
        With the hidden layers and their priors.
    activation
        Its name.
    priors
        Of the last layer's inputs.
    parts
        Number of parts, of consecutive rows, into which each design is split.
    """
    hidden, last = coordinates.hidden, coordinates.last
    packed = network_parts(rows, coordinates, parts)
    lines, responses = part_tables(packed)
    data = kernel.NetworkData(
        parts=lines,
        responses=responses,
        sizes=np.array(hidden.sizes, dtype=np.int64),
        options=np.array([code_of(activation), skip_at(coordinates)], dtype=np.int64),
        precision=np.concatenate([1.0 / np.square(scale) for scale in hidden.scales]),
        last=KernelData(
            parts=np.empty((0, PART_SIZE), dtype=np.int64),
            YZ=np.zeros((last.n_classes, last.n_columns)),
            Cb=np.ascontiguousarray(last.intercept_contrast),
            Cw=np.ascontiguousarray(last.weights_contrast),
            **prior_rows(priors, last)._asdict(),
        ),
    )
    constant = log_prior_constant(priors, last) + hidden.log_prior_constant
    if not kernel.log_posterior_gradient.signatures and not callbacks.is_kept():
        LOGGER.info(COMPILE_NOTICE)
    return NetworkPosterior(packed, data, coordinates, constant)


def _contiguous(a: FloatArray) -> FloatArray:
    return np.require(a, dtype=np.float64, requirements=["C", "A", "W"])
