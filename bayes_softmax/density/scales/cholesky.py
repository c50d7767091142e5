"""Compiled loops for Cholesky factors of small matrices: inverses, products and derivatives."""

import math
from typing import Any

import numpy as np

from bayes_softmax.core import compiling as nb

_sums: dict[str, Any] = {**nb.OPTIONS, "fastmath": nb.FAST | {"reassoc"}}  # vectorised sums; NaN still stays NaN


@nb.njit(**_sums)
def cholesky_with_inverse(A, X):  # type: ignore[no-untyped-def]
    """Replace the lower half of ``A`` (m, m) by its Cholesky factor L; fills ``X = L^-1``; returns sum log diag L."""
    m = A.shape[0]
    log_determinant = 0.0
    for i in range(m):
        row = A[i]
        for j in range(i):
            other, total = A[j], 0.0
            for l in range(j):
                total += row[l] * other[l]
            row[j] = (row[j] - total) / other[j]
        total = 0.0
        for l in range(i):
            total += row[l] * row[l]
        row[i] = math.sqrt(row[i] - total)
        log_determinant += math.log(row[i])
        inverse, x = 1.0 / row[i], X[i]
        for l in range(m):
            x[l] = 0.0
        for j in range(i):
            factor, above = row[j], X[j, : j + 1]
            for l in range(j + 1):
                x[l] -= factor * above[l]
        for l in range(i):
            x[l] *= inverse
        x[i] = inverse
    return log_determinant


@nb.njit(**_sums)
def lower_product(X, v, out):  # type: ignore[no-untyped-def]
    """``out = X v`` for lower triangular ``X``."""
    for i in range(X.shape[0]):
        row, total = X[i], 0.0
        for j in range(i + 1):
            total += row[j] * v[j]
        out[i] = total


@nb.njit(**nb.OPTIONS)
def lower_transposed_product(X, v, out):  # type: ignore[no-untyped-def]
    """``out = X' v`` for lower triangular ``X``."""
    out[:] = 0.0
    for i in range(X.shape[0]):
        row, factor = X[i], v[i]
        for j in range(i + 1):
            out[j] += factor * row[j]


@nb.njit(**nb.OPTIONS)
def cholesky_diagonal_adjoint(X, z, w, out):  # type: ignore[no-untyped-def]
    """``out_i = X_i' M X_i + |X_i|^2 / 2`` for the columns of ``X = L^-1``; ``M`` is at the top of ``kernel.py``.

    With ``w = X g`` the first term is minus the derivative of ``g' X' z`` in entry i of the diagonal of ``LL'``, the
    second that of ``log det L``.
    """
    m = X.shape[0]
    prefix = np.zeros(m)
    out[:] = 0.0
    for a in range(m):
        row, half, za = X[a], 0.5 * w[a], z[a]
        for i in range(a + 1):
            x = row[i]
            out[i] += x * (za * (prefix[i] + half * x) + 0.5 * x)
            prefix[i] += w[a] * x


@nb.njit(**nb.OPTIONS)
def mix(mixing, columns, out):  # type: ignore[no-untyped-def]
    """``out = mixing columns`` for columns (k, m)."""
    k, m = columns.shape
    out[:] = 0.0
    for c in range(k):
        mixed = out[c]
        for e in range(k):
            factor, column = mixing[c, e], columns[e]
            for j in range(m):
                mixed[j] += factor * column[j]
