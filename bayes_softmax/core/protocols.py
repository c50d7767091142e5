"""The interfaces between rooms: rows, densities and inference; logits, and what is computed from them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

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
    r"""Some of the rows of a likelihood, which is the sum over its parts.

    A part consists of blocks ``0 <= b < n_blocks``.  Its methods sum over ``first <= b < end`` and may be called by any
    number of threads at once.  Coefficients ``V`` are (K, q).  Softmax depends on them only less those of the last
    class, so a part's log-likelihood is

    .. math:: \ell(V) = c + \langle V - V_K, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki} - \eta_{Ki}},

    of which ``constant`` and ``linear`` hold the first two terms, and the methods compute the third.
    """

    @property
    def n_obs(self) -> int:
        """Rows that count."""
        ...

    @property
    def n_blocks(self) -> int:
        """Blocks of rows, 0 for none."""
        ...

    @property
    def size(self) -> int:
        """Number of feature values held in memory."""
        ...

    @property
    def total_weight(self) -> float:
        """Number of observations in all rows."""
        ...

    @property
    def linear(self) -> FloatArray:
        """``Y'Z`` (K, q)."""
        ...

    @property
    def constant(self) -> float:
        """The term of the log-likelihood that offsets add and that no coefficient changes."""
        ...

    def log_likelihood_gradient(self, V: FloatArray, first: int, end: int) -> tuple[float, FloatArray]:
        """Value and gradient (K, q) of the third term; the last row of the gradient stays zero."""
        ...

    def log_likelihoods(self, Vs: FloatArray, first: int, end: int) -> FloatArray:
        """Values (S,) of the third term at many coefficients (S, K, q), in one pass over the rows."""
        ...

    def pair_hessians(self, V: FloatArray, first: int, end: int) -> FloatArray:
        """``-Z' diag(n p_k p_l) Z`` (pairs, q, q) for classes k < l, upper triangles."""
        ...

    def metric_sums(self, V: FloatArray, first: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Minus ``sum_i w_i z_i z_i'`` (q, q), upper triangle, and the sum (K, K) of the rows' class covariances.

        ``w_i`` is the trace of row i's covariance.
        """
        ...

    def curvature_at(self, V: FloatArray) -> "PartCurvature":
        """Products of the Hessian of minus the log-likelihood at ``V`` with directions."""
        ...

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts, batch by batch; a batch may be overwritten by the next."""
        ...

    def native(self) -> IntArray | None:
        """Integers by which compiled code finds the rows in memory, or None if they are elsewhere."""
        ...


class PartCurvature(Protocol):
    """The Hessian of one part at one point; anything it stores lives as long as one set of products."""

    def prepare(self, first: int, end: int) -> None:
        """Compute the terms that all products share; called once for every block, before any product."""
        ...

    def product(self, D: FloatArray, first: int, end: int) -> FloatArray:
        """The Hessian's product (K, q) with a direction (K, q)."""
        ...


class LogDensity(Protocol):
    """An unnormalised log density on ``R^dimension``: all that an inference algorithm may rely on.

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
        """Number of observations; turns sums into values per observation."""
        ...

    @property
    def work(self) -> float:
        """Multiplications of one evaluation, for choosing an engine without timing it."""
        ...

    @property
    def hessian_work(self) -> float:
        """Multiplications of one Hessian, for choosing between Cholesky factors and conjugate gradients."""
        ...

    @property
    def definite(self) -> bool:
        """Whether the Hessian is known to be positive definite everywhere, whatever the responses were."""
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
        """Positive semi-definite stand-in (d, d) for the Hessian."""
        ...

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """Product of ``metric(theta)``, or of ``hessian(theta)``, with a vector, as a function; set up once."""
        ...

    def low_rank_metric(self, theta: FloatArray) -> LowRankMetric | None:
        """The counterpart of ``block_metric`` where there are more features than rows; None elsewhere."""
        ...

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        """Cheap approximation of ``metric(theta)``, to precondition and to whiten with; None if there is none."""
        ...

    def native(self, whitening: Whitening) -> NativeDensity | None:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``, or None if there are none."""
        ...


class WhitenedDensity(Protocol):
    """A log density in coordinates in which it is near a standard normal: the interface to NUTS."""

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        ...

    def value_gradient(self, z: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``z`` and its gradient."""
        ...

    def callbacks(self) -> NativeDensity | None:
        """C callbacks for the same, or None if there are none."""
        ...


class Logits(Protocol):
    """Logits of rows as a function of parameters: all that the answers use of a model.

    A row is its encoded features, ``X`` (n, p).  Offsets and choice sets are applied to the logits afterwards and are
    no part of the function.  Derivatives and covariances are in the flat order of :class:`Parameters`, d numbers in
    all.  Methods whose results have no axis of draws take ``parameters`` of one draw, an estimate.  For a function
    without derivatives of its own, :mod:`bayes_softmax.core.parameters` has them from its Jacobian, or by differences.
    """

    @property
    def kind(self) -> str:
        """Name of the function in a file."""
        ...

    @property
    def n_classes(self) -> int:
        """K."""
        ...

    @property
    def shapes(self) -> Shapes:
        """Names and shapes of the parameters."""
        ...

    @property
    def dims(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the dimensions of each parameter; the model's names label ``feature`` and ``category``."""
        ...

    @property
    def is_linear(self) -> bool:
        """Whether a change of the features moves the logits of every row alike."""
        ...

    @property
    def compiled(self) -> str | None:
        """Name of its compiled part, None where there is none."""
        ...

    def at(self, parameters: Parameters) -> Callable[[FloatArray], FloatArray]:
        """Logits (K, n, S) of features (n, p) for all draws, as a function; the caller may overwrite its arrays."""
        ...

    def bounds(self, parameters: Parameters, X: FloatArray) -> FloatArray:
        """Bounds (n,) of the absolute logits over classes and draws, that never fall as a feature grows in size."""
        ...

    def covariance(self, parameters: Parameters, X: FloatArray, covariance: FloatArray) -> FloatArray:
        """Covariance (n, K, K) of the logits of each row, from that of the parameters (d, d)."""
        ...

    def pull_back(self, parameters: Parameters, X: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Derivatives (m, d) in the parameters of m sums over rows, from those in the logits (n, m, K)."""
        ...

    def slope(self, parameters: Parameters, X: FloatArray, change: FloatArray) -> FloatArray:
        """Derivative (K, n, S) of the logits along ``change`` (n, p), a direction of the features.

        With ``change`` (1, p) all rows change alike; if the function is linear the slope is then (K, 1, S).
        """
        ...

    def pull_back_slope(
        self, parameters: Parameters, X: FloatArray, change: FloatArray, derivatives: FloatArray
    ) -> FloatArray:
        """Derivatives (m, d) in the parameters of m sums over rows, from those in the slopes (n, m, K)."""
        ...

    def expression(self, X: Any, variables: Mapping[str, Any]) -> Any:
        """The logits (n, K) as an expression of PyTensor; a parameter that the model lacks is not in ``variables``."""
        ...

    def to_data(self) -> dict[str, Any]:
        """The data that rebuild the function, given its ``kind``, as plain JSON."""
        ...
