"""Records passed between rooms: NamedTuples of arrays and numbers, without behaviour.

All log densities are *sums* over observations, never means, and larger values are better; ``precision`` and Hessians
are of *minus* the log density (positive definite at a mode).
"""

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
AnyArray = np.ndarray[Any, Any]  # of labels, or of values not yet known to be numbers

RELIABLE_PARETO_K = 0.7  # importance weights with a heavier tail cannot be trusted (Vehtari et al., JMLR 25, 2024)


class Status(Enum):
    """How an optimisation ended; the value is the message shown to the user."""

    CONVERGED = "converged: the gradient and the Newton step vanish at a finite point"
    MAX_ITERATIONS = "stopped at the iteration limit before the gradient vanished"
    NO_PROGRESS = "stopped: no step along the search direction raised the log density"
    UNBOUNDED = "not certified: the log density keeps rising towards infinity"
    SINGULAR = "not certified: the Hessian is singular"
    SADDLE = "not certified: a saddle point, where the log density rises along some direction"


class Penalty(NamedTuple):
    r"""The non-smooth part of minus a log density: :math:`\sum_g s_g |\theta_g|`.

    ``groups`` (n, size) are disjoint groups of coordinates of the free vector, and ``strengths`` (n,) are the
    :math:`s_g > 0`.  The norms are Euclidean; groups of one coordinate give the lasso.
    """

    groups: IntArray
    strengths: FloatArray

    def value(self, theta: FloatArray) -> float:
        """The penalty at ``theta`` (d,)."""
        return float(self.strengths @ self.norms(theta))

    def norms(self, theta: FloatArray) -> FloatArray:
        """Norm (n,) of each group; exactly zero at its kink."""
        lengths: FloatArray = np.linalg.norm(theta[self.groups], axis=1)
        return lengths


class Mode(NamedTuple):
    """The point where an optimiser stopped, with a certificate of its optimality.

    ``gradient_norm`` is the largest absolute entry of the gradient divided by the total weight of the
    data; on the engine's standardised features it is dimensionless.  ``newton_decrement`` is
    ``sqrt(g' H^-1 g)``; half its square estimates the gap to the maximum of the log density (Boyd and
    Vandenberghe, *Convex Optimization*, 2004, section 9.5.1).  ``newton_step`` is the largest absolute
    entry of ``H^-1 g``: it stays near 1 where the optimum lies at infinity, however small the gradient.
    """

    theta: FloatArray
    value: float
    gradient_norm: float
    newton_decrement: float
    newton_step: float
    n_iterations: int
    status: Status
    history: FloatArray

    @property
    def converged(self) -> bool:
        """Whether the certificate holds."""
        return self.status is Status.CONVERGED


class LaplaceApproximation(NamedTuple):
    """Normal approximation ``N(mode, H^-1)`` of a density; ``factor`` is the lower Cholesky factor of ``H``."""

    mode: FloatArray
    factor: FloatArray
    value: float


class BlockMetric(NamedTuple):
    """Positive definite approximation of a metric, block diagonal after an orthonormal mixing of the classes.

    The vector is reshaped to ``k`` columns of ``m`` coordinates, ``(k, m)``.  With ``mixing`` (k, k)
    orthonormal the metric is ``(mixing x I) diag(precisions[0], ..., precisions[k-1]) (mixing x I)'``.
    """

    precisions: FloatArray
    mixing: FloatArray


class LayerFactors(NamedTuple):
    """Kronecker factors of a curvature: of the coefficients of some inputs in some outputs, ``outputs x inputs``.

    The vector is reshaped to (h, m), output by output: ``outputs`` (h, h) is the outputs' curvature, summed over the
    rows, and ``inputs`` (m, m) the mean of the products of inputs.  ``prior`` (m, m) is the precision of the prior of
    one output's coefficients.
    """

    inputs: FloatArray
    outputs: FloatArray
    prior: FloatArray


class LowRankMetric(NamedTuple):
    """Like :class:`BlockMetric`, with ``precisions[e] = diag(diagonal) + spread[e] rows' rows``, rows (n, m), n < m."""

    rows: FloatArray
    spread: FloatArray
    diagonal: FloatArray
    mixing: FloatArray


class Whitening(NamedTuple):
    """Linear change of variables ``theta = mode + T z`` after which a density is nearly standard normal.

    ``T`` has the structure of :class:`BlockMetric`: column c of ``theta`` is ``sum_e mixing[c, e] blocks[e] z[e]``,
    with ``blocks`` (k, m, m) upper triangular, in single precision.  One block of the full dimension is the Laplace
    approximation itself.  ``log_determinant`` is that of ``T``.
    """

    mode: FloatArray
    blocks: NDArray[np.float32]
    mixing: FloatArray
    log_determinant: float


class LayerWhitening(NamedTuple):
    """Change of variables ``theta[order] = mode[order] + T z``, with one block of ``T`` after the other.

    Each of ``blocks`` (k, m, m), with its ``mixings`` (k, k), is a block with the structure of :class:`Whitening`, on
    the next k m coordinates.  Without blocks ``T`` is the identity.
    """

    mode: FloatArray
    order: IntArray
    blocks: tuple[NDArray[np.float32], ...]
    mixings: tuple[FloatArray, ...]
    log_determinant: float


class ExpectedRows(NamedTuple):
    """Some rows, one per column: features ``Z`` (q, n), expected counts (K, n) and totals (n,)."""

    Z: FloatArray
    counts: FloatArray
    totals: FloatArray


class NativeDensity(NamedTuple):
    """A density as C callbacks on whitened coordinates, for samplers that run without Python's global lock.

    ``logp_address`` has the signature ``int64 (uint64 d, double* x, double* gradient, double* logp, void* user)``,
    ``expand_address`` ``int64 (uint64 d, uint64 n, double* x, double* out, void* user)``.  ``keep_alive`` owns
    every array the callbacks read through ``user_address``.
    """

    logp_address: int
    expand_address: int
    user_address: int
    keep_alive: Any


class Draws(NamedTuple):
    """Result of a sampler: points (chain, draw, dimension) and statistics per draw (chain, draw)."""

    points: FloatArray
    stats: dict[str, NDArray[Any]]
    tune: int
    notes: tuple[str, ...] = ()
    interrupted: bool = False
