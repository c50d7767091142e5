"""Compiled second-order expansion of a log-likelihood in weights and effects, at a reference.

A common coordinate of row i changes its logits by a column of contrasts times a number: for a weight the feature, for
the effect of a level the term.  So all curvature is made of ``Q' S_i Q``, with all columns of contrasts side by side in
``Q`` (K, c), and the covariance ``S_i = n_i (diag p_i - p_i p_i')`` of the row's classes.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray


class ExpansionRows(NamedTuple):
    """Rows of an expansion: their coordinates.

    ``X`` (N, q) are standardised features, ones first with an intercept; ``column`` and ``feature`` (d_w,) the column
    of contrasts and the feature of each weight.  ``codes`` (J, N) are levels, ``terms`` (N, sum of q) terms of all
    groupings, ``n_terms`` (J,) and ``first_column`` (J,) how many of these each has and its first column of contrasts,
    ``n_contrasts`` of them; ``at`` (J,) is where a grouping's effects begin among the common coordinates.
    """

    X: FloatArray
    column: IntArray
    feature: IntArray
    codes: IntArray
    terms: FloatArray
    n_terms: IntArray
    first_column: IntArray
    n_contrasts: int
    at: IntArray


@nb.njit(**nb.OPTIONS)
def _coordinates(rows, i, where, column, factor):  # type: ignore[no-untyped-def]
    """Fill place, column of contrasts and factor of each coordinate of row i, the first grouping's effects last."""
    n = rows.column.shape[0]
    for e in range(n):
        where[e], column[e], factor[e] = e, rows.column[e], rows.X[i, rows.feature[e]]
    J, k = rows.codes.shape[0], rows.n_contrasts
    for turn in range(J):
        j = (turn + 1) % J
        first = 0
        for l in range(j):
            first += rows.n_terms[l]
        at = (0 if j == 0 else rows.at[j]) + (0 if j == 0 else rows.codes[j, i] * rows.n_terms[j] * k)
        for t in range(rows.n_terms[j]):
            for a in range(k):
                where[n], column[n] = at + t * k + a, rows.first_column[j] + a
                factor[n] = rows.terms[i, first + t]
                n += 1
    return n


@nb.njit(**nb.OPTIONS)
def flat_coordinates(rows, i, where, column, factor):  # type: ignore[no-untyped-def]
    """The same with places in a flat point of the model, ``at`` of every grouping, and all groupings in turn."""
    n = rows.column.shape[0]
    for e in range(n):
        where[e], column[e], factor[e] = e, rows.column[e], rows.X[i, rows.feature[e]]
    k, first = rows.n_contrasts, 0
    for j in range(rows.codes.shape[0]):
        at = rows.at[j] + rows.codes[j, i] * rows.n_terms[j] * k
        for t in range(rows.n_terms[j]):
            for a in range(k):
                where[n], column[n] = at + t * k + a, rows.first_column[j] + a
                factor[n] = rows.terms[i, first + t]
                n += 1
        first += rows.n_terms[j]


@nb.njit(**nb.OPTIONS)
def expand(rows, Q, P, residuals, A, r, C, H, slope):  # type: ignore[no-untyped-def]
    """Add curvature and gradient of all rows: ``A`` (G, m, m), ``r`` (G, m), ``C`` (G, m, d), ``H`` (d, d), ``slope``.

    ``P`` (N, K) are expected counts, ``residuals`` (N, K) counts less these; symmetric arrays are filled whole.
    """
    (N, K), m = P.shape, r.shape[1]
    size = rows.column.shape[0] + rows.terms.shape[1] * rows.n_contrasts
    where, column, factor = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    SQ, W, pulled = np.empty((K, Q.shape[1])), np.empty((Q.shape[1], Q.shape[1])), np.empty(Q.shape[1])
    for i in range(N):
        n = _coordinates(rows, i, where, column, factor)
        _contrast_curvature(P[i], residuals[i], Q, SQ, W, pulled)
        g, common = rows.codes[0, i], n - m
        for e in range(common):
            ce, fe, row = column[e], factor[e], H[where[e]]
            slope[where[e]] += fe * pulled[ce]
            for f in range(common):
                row[where[f]] += fe * factor[f] * W[ce, column[f]]
        for e in range(common, n):
            ce, fe, a = column[e], factor[e], where[e]
            r[g, a] += fe * pulled[ce]
            for f in range(common):
                C[g, a, where[f]] += fe * factor[f] * W[ce, column[f]]
            for f in range(common, n):
                A[g, a, where[f]] += fe * factor[f] * W[ce, column[f]]


@nb.njit(**nb.OPTIONS)
def _contrast_curvature(expected, residual, Q, SQ, W, pulled):  # type: ignore[no-untyped-def]
    """Fill ``W = Q' S Q`` and ``pulled = Q' residual`` of one row."""
    K, c = Q.shape
    total = 0.0
    for k in range(K):
        total += expected[k]
    for a in range(c):
        mean, of_residual = 0.0, 0.0
        for k in range(K):
            mean += expected[k] * Q[k, a]
            of_residual += residual[k] * Q[k, a]
        mean = mean / total if total > 0.0 else 0.0
        pulled[a] = of_residual
        for k in range(K):
            SQ[k, a] = expected[k] * (Q[k, a] - mean)
    for a in range(c):
        for b in range(c):
            value = 0.0
            for k in range(K):
                value += Q[k, a] * SQ[k, b]
            W[a, b] = value
