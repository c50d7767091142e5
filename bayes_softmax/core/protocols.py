"""The interfaces between rooms: rows, densities and inference; logits and everything computed from them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from bayes_softmax.core.parameters import Parameters, Shapes
from bayes_softmax.core.records import (
    BlockMetric,
    ExpectedRows,
    FloatArray,
    IntArray,
    LowRankMetric,
    NativeDensity,
    Whitening,
)


class Part(Protocol):
    r"""A subset of the rows of a likelihood, which is the sum over its parts.

    A part is divided into blocks ``0 <= b < n_blocks``.  Sums are requested over ranges of blocks ``first <= b < end``,
    by any number of threads at once.  Coefficients ``V`` are (K, q); softmax depends only on their differences from
    the last class's, so a part's log-likelihood is

    .. math:: \ell(V) = c + \langle V - V_K, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki} - \eta_{Ki}},

    ``constant`` and ``linear`` hold the first two terms; the methods return the third.
    """

    @property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        ...

    @property
    def n_blocks(self) -> int:
        """Number of blocks of rows, 0 without rows."""
        ...

    @property
    def size(self) -> int:
        """Number of feature values held in memory."""
        ...

    @property
    def total_weight(self) -> float:
        """Number of observations, summed over the rows with their weights or counts."""
        ...

    @property
    def linear(self) -> FloatArray:
        """``Y'Z`` (K, q)."""
        ...

    @property
    def constant(self) -> float:
        """The offsets' term of the log-likelihood, which does not depend on the coefficients."""
        ...

    def log_likelihood_gradient(self, V: FloatArray, first: int, end: int) -> tuple[float, FloatArray]:
        """Value and gradient (K, q) of the third term; the gradient's last row is left zero."""
        ...

    def log_likelihoods(self, Vs: FloatArray, first: int, end: int) -> FloatArray:
        """Values (S,) of the third term at S coefficient matrices (S, K, q), in one pass over the rows."""
        ...

    def pair_hessians(self, V: FloatArray, first: int, end: int) -> FloatArray:
        """``-Z' diag(n p_k p_l) Z`` (pairs, q, q) for classes k < l, upper triangles."""
        ...

    def metric_sums(self, V: FloatArray, first: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Minus ``sum_i w_i z_i z_i'`` (q, q), upper triangle, and the sum (K, K) of the rows' class covariances.

        ``w_i`` is the trace of row i's class covariance.
        """
        ...

    def curvature_at(self, V: FloatArray) -> "PartCurvature":
        """The Hessian of minus the log-likelihood at ``V``, for products with directions."""
        ...

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts, some rows at a time; the arrays may be overwritten by the next ones."""
        ...

    def native(self) -> IntArray | None:
        """Addresses and sizes by which compiled code finds the rows, or None if they are not in memory."""
        ...


class PartCurvature(Protocol):
    """The Hessian of one part at one point; anything it caches lives as long as one set of products."""

    def prepare(self, first: int, end: int) -> None:
        """Compute the quantities shared by products with these blocks; called once per block, before any product."""
        ...

    def product(self, D: FloatArray, first: int, end: int) -> FloatArray:
        """Product (K, q) of the Hessian with a direction (K, q)."""
        ...


class LogDensity(Protocol):
    """An unnormalised log density on ``R^dimension``: everything an inference algorithm may use.

    Anything that offers these operations (in memory, in chunks, distributed) is fitted by the same code.
    ``hessian`` and ``metric`` are of minus the log density; ``metric`` is always positive semi-definite and
    equals ``hessian`` wherever the density is log-concave.
    """

    @property
    def dimension(self) -> int:
        """Number of free coordinates ``d``."""
        ...

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights; turns sums into means per observation."""
        ...

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation, for choosing an engine without timing it."""
        ...

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian, for choosing between Cholesky and conjugate gradients."""
        ...

    @property
    def definite(self) -> bool:
        """Whether the Hessian is known to be positive definite everywhere, whatever the responses."""
        ...

    def value(self, theta: FloatArray) -> float:
        """Log density at ``theta`` (d,), up to a constant."""
        ...

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log density and its gradient (d,)."""
        ...

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log density at many points (S, d) in one pass over the data."""
        ...

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Second derivative (d, d) of minus the log density."""
        ...

    def metric(self, theta: FloatArray) -> FloatArray:
        """Positive semi-definite approximation (d, d) of the Hessian."""
        ...

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a vector by ``metric(theta)``, or by ``hessian(theta)`` if not ``convex``."""
        ...

    def low_rank_metric(self, theta: FloatArray) -> LowRankMetric | None:
        """Counterpart of ``block_metric`` for more features than rows; None otherwise."""
        ...

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        """Cheap approximation of ``metric(theta)``, for preconditioning and whitening; None if there is none."""
        ...

    def native(self, whitening: Whitening) -> NativeDensity | None:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``, or None if there are none."""
        ...


class WhitenedDensity(Protocol):
    """A log density in coordinates in which it is nearly standard normal, as NUTS needs it."""

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        ...

    def value_gradient(self, z: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``z`` and its gradient."""
        ...

    def callbacks(self) -> NativeDensity | None:
        """C callbacks for the same density, or None if there are none."""
        ...


class NetworkDensity(Protocol):
    """The log density of a network on ``R^dimension``, which is not log-concave; ``metric`` is Gauss-Newton's."""

    @property
    def dimension(self) -> int:
        """Number of free coordinates."""
        ...

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        ...

    def value(self, theta: FloatArray) -> float:
        """Log density at ``theta`` (d,)."""
        ...

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log density and its gradient (d,)."""
        ...

    def values(self, thetas: FloatArray) -> FloatArray:
        """Log density at many points (S, d)."""
        ...

    def metric(self, theta: FloatArray) -> FloatArray:
        """Positive semi-definite approximation (d, d) of the Hessian of minus the log density."""
        ...


@runtime_checkable
class Logits(Protocol):
    """Logits of rows as a function of parameters: everything the answers use of a model.

    A row is given by its encoded features, ``X`` (n, p).  Offsets and choice sets are applied afterwards and are not
    part of the function.  Derivatives and covariances are in the flat order of :class:`Parameters`, of length d.
    ``covariance``, ``pull_back`` and ``pull_back_slope`` take a single draw, such as an estimate.  For a function
    without derivatives of its own, :mod:`bayes_softmax.core.parameters` computes them from its Jacobian, or by finite
    differences.
    """

    @property
    def kind(self) -> str:
        """Name of the function in a file."""
        ...

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        ...

    @property
    def shapes(self) -> Shapes:
        """Names and shapes of the parameters."""
        ...

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Dimension names of each parameter; ``feature`` and ``category`` are labelled by the model's names."""
        ...

    @property
    def is_linear(self) -> bool:
        """Whether a given change of the features changes the logits of every row by the same amount."""
        ...

    @property
    def compiled(self) -> str | None:
        """Name of its compiled implementation, None if there is none."""
        ...

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """A function from features (n, p) to the logits (K, n, S) of all draws; the caller may modify its arrays."""
        ...

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Bounds (n,) of the absolute logits over classes and draws, non-decreasing in the size of each feature."""
        ...

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """Covariance (n, K, K) of the logits of each row, from that of the parameters (d, d)."""
        ...

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Derivatives (m, d) of m sums over rows in the parameters, from those in the logits (n, m, K)."""
        ...

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """Directional derivative (K, n, S) of the logits along ``change`` (n, p) in the features.

        With ``change`` (1, p) all rows change alike; for a linear function the slope is then (K, 1, S).
        """
        ...

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """Derivatives (m, d) of m sums over rows in the parameters, from those in the slopes (n, m, K)."""
        ...

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The logits (n, K) as a PyTensor expression; a parameter absent from the model is not in ``variables``."""
        ...

    def to_data(self) -> dict[str, Any]:
        """The data needed besides ``kind`` to rebuild the function, as plain JSON."""
        ...
