"""The interfaces between rooms: rows, densities and inference; logits and all that is computed from them."""

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

    A part falls into blocks ``0 <= b < n_blocks``, and what is summed is asked for ``first <= b < end``, in parallel:
    by any number of threads at once.  Coefficients ``V`` are (K, q).  Softmax sees them less the last class's, so a
    part's log-likelihood is

    .. math:: \ell(V) = c + \langle V - V_K, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki} - \eta_{Ki}},

    of which ``constant`` and ``linear`` hold the first two terms, and the methods give the third.
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
        """Numbers held in memory for the features."""
        ...

    @property
    def total_weight(self) -> float:
        """Observations of all rows."""
        ...

    @property
    def linear(self) -> FloatArray:
        """``Y'Z`` (K, q)."""
        ...

    @property
    def constant(self) -> float:
        """What offsets add to the log-likelihood, whatever the coefficients are."""
        ...

    def log_likelihood_gradient(self, V: FloatArray, first: int, end: int) -> tuple[float, FloatArray]:
        """Value and gradient (K, q) of the third term, the last row of the gradient being left zero."""
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
        """Features and expected counts, some rows at a time; what is yielded may be overwritten by the next."""
        ...

    def native(self) -> IntArray | None:
        """Numbers by which compiled code finds the rows in memory, or None if they are not there."""
        ...


class PartCurvature(Protocol):
    """The Hessian of one part at one point: what it keeps of it, if anything, lives as long as one set of products."""

    def prepare(self, first: int, end: int) -> None:
        """Compute what products with these blocks have in common; called once for every block, before any product."""
        ...

    def product(self, D: FloatArray, first: int, end: int) -> FloatArray:
        """The Hessian's product (K, q) with a direction (K, q)."""
        ...


class LogDensity(Protocol):
    """An unnormalised log density on ``R^dimension``: all that an inference algorithm may know.

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
        """Number of observed units; turns sums into per-unit numbers."""
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
        """What ``block_metric`` is, where there are more features than rows; None elsewhere."""
        ...

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        """Cheap approximation of ``metric(theta)``, to precondition and to whiten with; None if there is none."""
        ...

    def native(self, whitening: Whitening) -> NativeDensity | None:
        """C callbacks for the density of ``z`` with ``theta = mode + T z``, or None if there are none."""
        ...


class WhitenedDensity(Protocol):
    """A log density in coordinates in which it is near a standard normal: what NUTS needs to know."""

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
    """Logits of rows as a function of parameters: all that the answers know of a model.

    A row is its features: ``X`` (n, p), encoded.  Offsets and choice sets come on top of what a function gives, and
    are no part of it.  Derivatives and covariances are in the flat order of :class:`Parameters`, d numbers in all.
    What has ``parameters`` and no draws beside it takes one draw, an estimate.  Where a function has no derivatives of
    its own, :mod:`bayes_softmax.core.parameters` makes them of its Jacobian, or by differences.
    """

    @property
    def kind(self) -> str:
        """What the function is called in a file."""
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
        """Names of the dimensions of each; ``feature`` and ``category`` are labelled by the names of the model."""
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
        """Logits (K, n, S) of features (n, p) for all draws, as a function; its arrays are the caller's to change."""
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
        """Derivative (K, n, S) of the logits as features change by ``change`` (n, p) per unit of something.

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
        """What must be known beside ``kind`` to make the function again, as plain JSON."""
        ...
