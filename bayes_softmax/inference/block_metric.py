"""Uses of a block metric: preconditioning conjugate gradients, and whitening."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, lapack, solve_triangular

from bayes_softmax.core.errors import ImproperPosteriorError
from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import BlockMetric, FloatArray, LowRankMetric, Whitening

INVERSE_LIMIT = 400  # up to this size one batched product with inverses is faster than a solve per block


def preconditioner_at(density: LogDensity, theta: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Approximate solver with the metric at ``theta``, from whichever approximation the density offers."""
    low_rank = density.low_rank_metric(theta)
    return preconditioner(density.block_metric(theta)) if low_rank is None else _low_rank_solver(low_rank)


def _low_rank_solver(metric: LowRankMetric) -> Callable[[FloatArray], FloatArray]:
    """Solver by the Sherman-Morrison-Woodbury identity, with Cholesky factors of the order of the number of rows."""
    rows, spread, diagonal, mixing = metric
    inverse = 1.0 / diagonal
    # Symmetrised with the square root of the spread, which may be zero.
    roots = np.sqrt(spread)
    gram = (rows * inverse) @ rows.T
    factors = [_factor(np.eye(len(rows)) + s**2 * gram) for s in roots]

    def solve(r: FloatArray) -> FloatArray:
        mixed = mixing.T @ r.reshape(len(spread), -1) * inverse
        seen = mixed @ rows.T
        for e, (factor, s) in enumerate(zip(factors, roots, strict=True)):
            mixed[e] -= inverse * (rows.T @ (s**2 * lapack.dpotrs(factor, seen[e], lower=1)[0]))
        image: FloatArray = mixing @ mixed
        return image.ravel()

    return solve


def preconditioner(
    metric: BlockMetric | None, otherwise: Callable[[], FloatArray] | None = None
) -> Callable[[FloatArray], FloatArray]:
    """Solver with the metric, or with the matrix of ``otherwise`` if there is none.

    It is the identity if there is neither, or no Cholesky factor.
    """
    if metric is None:
        if otherwise is None:
            return lambda r: r
        metric = BlockMetric(otherwise()[None], np.ones((1, 1)))
    mixing = metric.mixing
    k, m = metric.precisions.shape[:2]
    try:
        factors = np.linalg.cholesky(metric.precisions)
    except LinAlgError:
        return lambda r: r
    if m <= INVERSE_LIMIT:
        inverses = np.stack([_inverse(L) for L in factors])

        def solve(rows: FloatArray) -> FloatArray:
            solved: FloatArray = np.matmul(inverses, rows[:, :, None])[:, :, 0]
            return solved
    else:

        def solve(rows: FloatArray) -> FloatArray:
            # Transposed factors are already in LAPACK's order; others would be copied at every call.
            return np.stack([cho_solve((factors[e].T, False), rows[e], check_finite=False) for e in range(k)])

    return lambda r: (mixing @ solve(mixing.T @ r.reshape(k, m))).ravel()


def _inverse(factor: FloatArray) -> FloatArray:
    """Inverse of ``L L'``."""
    lower, _ = lapack.dpotri(factor, lower=1)  # zero above the diagonal, like the factor
    inverse: FloatArray = lower + lower.T
    np.einsum("ii->i", inverse)[:] *= 0.5
    return inverse


def _factor(matrix: FloatArray) -> FloatArray:
    """Lower Cholesky factor, arbitrary above the diagonal, in LAPACK's order: others would be copied at each use."""
    factor, failed = lapack.dpotrf(matrix, lower=1, clean=0)
    if failed:
        raise LinAlgError("the matrix is not positive definite")
    lower: FloatArray = factor
    return lower


def block_whitening(mode: FloatArray, metric: BlockMetric) -> Whitening:
    """Whitening ``T T' = metric^-1``: with ``precision = L L'`` each block is ``L^-T``."""
    factors = [cholesky(precision, lower=True) for precision in metric.precisions]
    return whitening_of(mode, factors, metric.mixing)


def whitening_of(mode: FloatArray, factors: list[FloatArray], mixing: FloatArray) -> Whitening:
    """Whitening by the inverse transposes of lower Cholesky factors.

    They are rounded to single precision: any invertible ``T`` is a valid change of variables if used consistently, and
    half the bytes take half the time where products with ``T`` are bound by memory bandwidth.
    """
    identity = np.eye(len(factors[0]))
    with np.errstate(over="ignore", under="ignore"):
        solved = [solve_triangular(L, identity, lower=True, trans="T") for L in factors]
        inverses = np.array(solved, np.float32, order="C")
    diagonals = np.diagonal(inverses, axis1=1, axis2=2).astype(np.float64)
    if not (np.isfinite(inverses).all() and (diagonals > 0).all()):
        raise ImproperPosteriorError(
            "the posterior has a standard deviation above 1e38 or below 1e-38 along some direction, on standardised "
            "features: a prior is nearly flat where the data are uninformative, or its scale is far from all others. "
            "Give the coefficients a proper prior (prior=None is the autoscaled default)"
        )
    return Whitening(mode, inverses, mixing, float(np.log(diagonals).sum()))


def unwhiten(whitening: Whitening, z: FloatArray) -> FloatArray:
    """Points ``theta = mode + T z`` (S, d) for whitened points ``z`` (S, d)."""
    k, m = whitening.blocks.shape[:2]
    rows = z.reshape(-1, k, m)
    coloured = np.stack([rows[:, e] @ whitening.blocks[e].T for e in range(k)], axis=1)
    theta: FloatArray = whitening.mode + (whitening.mixing @ coloured).reshape(z.shape)
    return np.ascontiguousarray(theta)


def whiten_gradient(whitening: Whitening, gradient: FloatArray) -> FloatArray:
    """``T' gradient`` for one gradient (d,)."""
    k, m = whitening.blocks.shape[:2]
    rows = whitening.mixing.T @ gradient.reshape(k, m)
    return np.concatenate([whitening.blocks[e].T @ rows[e] for e in range(k)])
