"""Compiled modes of levels' effects given all else, and the curvature there.

A level's effects are ``u = L b``; formulae are at the top of :mod:`bayes_softmax.density.groups.quadrature`.
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.scales.cholesky import cholesky_with_inverse, lower_product, lower_transposed_product

NEWTON_STEPS = 100
HALVINGS = 30
SQUARED_DECREMENT = 1e-22  # at which a mode is exact: rounding of its gradient
SMALL_DECREMENT = 1e-12  # the same where it does not shrink any more


class LevelRowsData(NamedTuple):
    """Rows sorted by level: those of level g are ``starts[g]`` to ``starts[g + 1]``.

    ``counts`` (N, K) and ``totals`` (N,) of observations, ``terms`` (N, q), and ``contrasts`` (K, k) of free
    coordinates.
    """

    starts: IntArray
    counts: FloatArray
    totals: FloatArray
    terms: FloatArray
    contrasts: FloatArray


@nb.njit(**nb.OPTIONS)
def by_class(C, u, U):  # type: ignore[no-untyped-def]
    """Fill the effects ``U`` (q, K) over all classes for free ones ``u`` (q k,)."""
    K, k = C.shape
    for t in range(U.shape[0]):
        for c in range(K):
            U[t, c] = 0.0
            for a in range(k):
                U[t, c] += C[c, a] * u[t * k + a]


@nb.njit(**nb.OPTIONS)
def rows_at(rows, eta, first, end, u, p, r, work):  # type: ignore[no-untyped-def]
    """Log-likelihood of rows at effects ``u``; fills expected counts ``p`` (n, K) and the gradient ``r`` (m,)."""
    K, (q, k), value = eta.shape[1], (rows.terms.shape[1], rows.contrasts.shape[1]), 0.0
    U, pulled, logits = work
    by_class(rows.contrasts, u, U)
    pulled[:] = 0.0
    for i in range(first, end):
        out, counts, terms = p[i - first], rows.counts[i], rows.terms[i]
        largest = -np.inf
        for c in range(K):
            logits[c] = eta[i, c]
            for t in range(q):
                logits[c] += terms[t] * U[t, c]
            largest = max(largest, logits[c])
        total = 0.0
        for c in range(K):
            out[c] = math.exp(logits[c] - largest)
            total += out[c]
        log_total, scale = largest + math.log(total), rows.totals[i] / total
        for c in range(K):
            if counts[c] != 0.0:
                value += counts[c] * (logits[c] - log_total)
            out[c] *= scale
            for t in range(q):
                pulled[t, c] += terms[t] * (counts[c] - out[c])
    for t in range(q):
        for a in range(k):
            r[t * k + a] = 0.0
            for c in range(K):
                r[t * k + a] += rows.contrasts[c, a] * pulled[t, c]
    return value


@nb.njit(**nb.OPTIONS)
def curvature(rows, first, end, p, A):  # type: ignore[no-untyped-def]
    """Fill the curvature ``A`` (m, m) of rows' log-likelihood in their level's effects."""
    (K, k), q = rows.contrasts.shape, rows.terms.shape[1]
    means, W = np.empty(k), np.empty((k, k))
    A[:] = 0.0
    for i in range(first, end):
        row, total = p[i - first], rows.totals[i]
        if not total > 0.0:
            continue
        for a in range(k):
            means[a] = 0.0
            for c in range(K):
                means[a] += row[c] * rows.contrasts[c, a]
        for a in range(k):
            for b in range(a + 1):
                value = -means[a] * means[b] / total
                for c in range(K):
                    value += row[c] * rows.contrasts[c, a] * rows.contrasts[c, b]
                W[a, b] = value
                W[b, a] = value
        for t in range(q):
            for s in range(q):
                factor = rows.terms[i, t] * rows.terms[i, s]
                for a in range(k):
                    for b in range(k):
                        A[t * k + a, s * k + b] += factor * W[a, b]


@nb.njit(**nb.OPTIONS)
def times(L, b, u):  # type: ignore[no-untyped-def]
    """``u = L b`` for any square ``L``."""
    for i in range(L.shape[0]):
        u[i] = 0.0
        for j in range(L.shape[1]):
            u[i] += L[i, j] * b[j]


@nb.njit(**nb.OPTIONS)
def precision_root(L, A, X):  # type: ignore[no-untyped-def]
    """Fill ``X = F^-1`` of ``FF' = P = I + L'AL``; returns the log determinant of F."""
    P = L.T @ A @ L
    for i in range(P.shape[0]):
        P[i, i] += 1.0
    return cholesky_with_inverse(P, X)


@nb.njit(**nb.OPTIONS)
def move_to_mode(rows, eta, first, end, L, b, p, r, A, X):  # type: ignore[no-untyped-def]
    """Move ``b`` to the mode of a level by Newton steps, with all else there; returns h and the log determinant of F.

    ``h`` is strictly concave, and a step is halved until it rises.
    """
    m, K, q = len(b), eta.shape[1], rows.terms.shape[1]
    u, z, step, tried = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    work, half, before = (np.empty((q, K)), np.empty((q, K)), np.empty(K)), 0.0, np.inf
    times(L, b, u)
    value = rows_at(rows, eta, first, end, u, p, r, work) - 0.5 * np.dot(b, b)
    for _ in range(NEWTON_STEPS):
        curvature(rows, first, end, p, A)
        half = precision_root(L, A, X)
        gradient = L.T @ r - b
        lower_product(X, gradient, z)
        decrement = np.dot(z, z)
        size = 1.0 + np.dot(b, b)
        if not decrement > SQUARED_DECREMENT * size or (
            4.0 * decrement > before and decrement < SMALL_DECREMENT * size
        ):
            break
        before = decrement
        lower_transposed_product(X, z, step)
        share, rounding = 1.0, 1e-14 * (1.0 + abs(value))
        for _ in range(HALVINGS):
            for i in range(m):
                tried[i] = b[i] + share * step[i]
            times(L, tried, u)
            found = rows_at(rows, eta, first, end, u, p, r, work) - 0.5 * np.dot(tried, tried)
            if found >= value + 1e-4 * share * decrement - rounding:
                break
            share *= 0.5
        b[:] = tried
        value = found
    return value, half


@nb.njit(**nb.OPTIONS | KEPT)
def level_normals(rows, eta, L, b, half_covariances):  # type: ignore[no-untyped-def]
    """Move ``b`` (G, m) to the levels' modes, and fill ``L F^-T`` (G, m, m), roots of the effects' covariances."""
    (G, m), K = b.shape, eta.shape[1]
    A, X, r = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    for g in range(G):
        first, end = rows.starts[g], rows.starts[g + 1]
        if first == end:
            b[g], half_covariances[g] = 0.0, L
            continue
        move_to_mode(rows, eta, first, end, L, b[g], np.empty((end - first, K)), r, A, X)
        half_covariances[g] = L @ X.T
