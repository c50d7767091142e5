"""Factors of a sparse arrow: small blocks, columns that couple each of them to a few places of a dense border.

``P = [[A, C'], [C, D]]`` with ``A`` block diagonal: the border's Schur complement ``S = D - sum C_g A_g^-1 C_g'`` is
dense, and has a Cholesky factor of its own.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, lapack, solve_triangular

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.log_prior import KEPT


class ArrowFactor(NamedTuple):
    """Factors of an arrow.

    ``inverses`` (G, m, m) of the blocks, ``X`` (T, m) the columns times these, ``columns`` (T,) the places of the
    border, of which ``starts[g]`` to ``starts[g + 1]`` are block g's, and ``lower`` (d, d) the border's factor.
    """

    inverses: FloatArray
    X: FloatArray
    columns: IntArray
    starts: IntArray
    lower: FloatArray
    log_determinant: float


def factor_arrow(A: FloatArray, C: FloatArray, D: FloatArray, columns: IntArray, starts: IntArray) -> ArrowFactor:
    """Factor a positive definite arrow; ``D`` (d, d) is overwritten.

    Raises
    ------
    LinAlgError
        If it is not positive definite.
    """
    inverses, X = np.linalg.inv(A), np.empty_like(C)
    signs, logs = np.linalg.slogdet(A)
    if not (signs > 0).all():
        raise LinAlgError("a block is not positive definite")
    _eliminate(inverses, C, columns, starts, X, D)
    lower = cholesky(D, lower=True, overwrite_a=True) if len(D) else D
    log_determinant = float(logs.sum()) + 2.0 * float(np.log(np.diag(lower)).sum())
    return ArrowFactor(inverses, X, columns, starts, lower, log_determinant)


def solve_arrow(factor: ArrowFactor, of_blocks: FloatArray, of_border: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``P^-1`` times a vector, given by blocks (G, m) and border (d,)."""
    right = of_border.copy()
    level = np.repeat(np.arange(len(of_blocks)), np.diff(factor.starts))
    np.subtract.at(right, factor.columns, np.einsum("tm,tm->t", factor.X, of_blocks[level]))
    border = cho_solve((factor.lower, True), right) if len(right) else right
    blocks = np.einsum("gab,gb->ga", factor.inverses, of_blocks)
    np.subtract.at(blocks, level, factor.X * border[factor.columns, None])
    return blocks, border


def inverse_blocks(factor: ArrowFactor) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Blocks of the inverse: (G, m, m), the columns (T, m) with changed sign, and the border's (d, d)."""
    covariance = factor.lower
    if len(covariance):
        covariance, _ = lapack.dpotri(factor.lower, lower=1)
        covariance = np.ascontiguousarray(np.tril(covariance) + np.tril(covariance, -1).T)
    blocks, Y = factor.inverses.copy(), np.empty_like(factor.X)
    _spread(factor.X, factor.columns, factor.starts, covariance, Y, blocks)
    return blocks, Y, covariance


def draw_arrow(factor: ArrowFactor, rng: np.random.Generator) -> tuple[tuple[FloatArray, FloatArray], float]:
    """Blocks (G, m) and border (d,) of a normal draw around zero with precision ``P``; and its square."""
    G, m = factor.inverses.shape[:2]
    of_border, of_blocks = rng.normal(size=len(factor.lower)), rng.normal(size=(G, m))
    square, border = float((of_blocks**2).sum() + of_border @ of_border), of_border
    if len(border):
        border = solve_triangular(factor.lower, of_border, lower=True, trans="T")
    blocks = np.einsum("gab,gb->ga", np.linalg.cholesky(factor.inverses), of_blocks)
    level = np.repeat(np.arange(G), np.diff(factor.starts))
    np.subtract.at(blocks, level, factor.X * border[factor.columns, None])
    return (blocks, border), square


@nb.njit(**nb.OPTIONS | KEPT)
def _eliminate(inverses, C, columns, starts, X, S):  # type: ignore[no-untyped-def]
    """Fill ``X``, and subtract ``C_g A_g^-1 C_g'`` from ``S``."""
    m = inverses.shape[1]
    for g in range(len(inverses)):
        for t in range(starts[g], starts[g + 1]):
            for a in range(m):
                X[t, a] = 0.0
                for e in range(m):
                    X[t, a] += C[t, e] * inverses[g, e, a]
        for t in range(starts[g], starts[g + 1]):
            row = S[columns[t]]
            for s in range(starts[g], starts[g + 1]):
                total = 0.0
                for a in range(m):
                    total += X[t, a] * C[s, a]
                row[columns[s]] -= total


@nb.njit(**nb.OPTIONS | KEPT)
def _spread(X, columns, starts, covariance, Y, blocks):  # type: ignore[no-untyped-def]
    """Fill ``Y_g = Sinv X_g`` at the columns of each block, and add ``X_g' Y_g`` to the blocks."""
    m = X.shape[1]
    for g in range(len(blocks)):
        for t in range(starts[g], starts[g + 1]):
            row = covariance[columns[t]]
            Y[t] = 0.0
            for s in range(starts[g], starts[g + 1]):
                factor = row[columns[s]]
                for a in range(m):
                    Y[t, a] += factor * X[s, a]
        for t in range(starts[g], starts[g + 1]):
            for a in range(m):
                for e in range(m):
                    blocks[g, a, e] += X[t, a] * Y[t, e]
