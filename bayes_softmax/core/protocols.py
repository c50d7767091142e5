"""The one interface between densities and inference."""

from collections.abc import Callable
from typing import Protocol

from bayes_softmax.core.records import BlockMetric, FloatArray, LowRankMetric, NativeDensity, Whitening


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
