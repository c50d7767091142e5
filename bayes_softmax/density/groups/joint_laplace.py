r"""Compiled sums over rows for Laplace's method with several groupings, whose levels' effects are coupled.

Row i has the logits :math:`\eta_i + B_i b_i`: ``b_i`` are the standard normal effects of its levels in all groupings,
and :math:`B_i = E_i L`, with the terms and contrasts :math:`E_i` of these levels (K, m) and the block diagonal ``L`` of
the groupings' roots.  The curvature :math:`P = I + \sum_i B_i' S_i B_i` is an arrow: the levels of the first grouping,
with one block each, and a dense border for all others.  With :math:`W_i` the block of :math:`P^{-1}` for the effects of
row i, the derivative of :math:`-\frac12 \log\det P` in that row's logits is :math:`-\frac12\kappa_i`, that of
:math:`\langle B_i W_i B_i', S_i \rangle`, and :math:`-S_i B_i W_i` in :math:`B_i`.
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.log_prior import KEPT


class JointRows(NamedTuple):
    """Rows of several groupings, sorted by the level of the first.

    ``levels`` (N,) of the first grouping; ``counts`` (N, K) and ``totals`` (N,) of observations; ``terms`` (N, sum of
    q), ``n_terms`` (J,) and ``contrasts`` (K, k).  ``places`` (J, N) is where the effects of a row's level begin: in
    the first line its level again, below among the border's coordinates; ``runs`` (J, N) where its columns begin in the
    list ``columns`` (T,) of the border's coordinates that a level of the first grouping meets, ``starts[g]`` to
    ``starts[g + 1]`` for level g.
    """

    levels: IntArray
    counts: FloatArray
    totals: FloatArray
    terms: FloatArray
    n_terms: IntArray
    contrasts: FloatArray
    places: IntArray
    runs: IntArray
    columns: IntArray
    starts: IntArray


@nb.njit(**nb.OPTIONS)
def _effects_matrix(rows, i, L, E, B):  # type: ignore[no-untyped-def]
    """Fill ``E`` and ``B = E L`` (K, m) of a row."""
    K, k = rows.contrasts.shape
    at, t = 0, 0
    for j in range(len(rows.n_terms)):
        for _ in range(rows.n_terms[j]):
            for a in range(k):
                for c in range(K):
                    E[c, at] = rows.terms[i, t] * rows.contrasts[c, a]
                at += 1
            t += 1
    for c in range(K):
        for b in range(at):
            total = 0.0
            for a in range(at):
                total += E[c, a] * L[a, b]
            B[c, b] = total


@nb.njit(**nb.OPTIONS)
def _own_effects(rows, i, first, border, b):  # type: ignore[no-untyped-def]
    """Fill the effects ``b`` (m,) of a row's levels."""
    k, at = rows.contrasts.shape[1], 0
    for j in range(len(rows.n_terms)):
        for a in range(rows.n_terms[j] * k):
            b[at] = first[rows.levels[i], a] if j == 0 else border[rows.places[j, i] + a]
            at += 1


@nb.njit(**nb.OPTIONS)
def _softmax(rows, i, eta, B, b, p):  # type: ignore[no-untyped-def]
    """Fill the probabilities ``p`` (K,) of a row; returns its log-likelihood."""
    K, m, largest, value = B.shape[0], B.shape[1], -np.inf, 0.0
    for c in range(K):
        p[c] = eta[i, c]
        for a in range(m):
            p[c] += B[c, a] * b[a]
        largest = max(largest, p[c])
    total = 0.0
    for c in range(K):
        if rows.counts[i, c] != 0.0:
            value += rows.counts[i, c] * p[c]
        p[c] = math.exp(p[c] - largest)
        total += p[c]
    for c in range(K):
        p[c] /= total
    return value - rows.totals[i] * (largest + math.log(total))


@nb.njit(**nb.OPTIONS | KEPT)
def joint_log_likelihood(rows, eta, L, first, border):  # type: ignore[no-untyped-def]
    """Log-likelihood given all effects."""
    (N, K), m, value = eta.shape, L.shape[0], 0.0
    E, B, b, p = np.empty((K, m)), np.empty((K, m)), np.empty(m), np.empty(K)
    for i in range(N):
        _effects_matrix(rows, i, L, E, B)
        _own_effects(rows, i, first, border, b)
        value += _softmax(rows, i, eta, B, b, p)
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def joint_expansion(rows, eta, L, first, border, A, C, D, of_first, of_border):  # type: ignore[no-untyped-def]
    """Log-likelihood given all effects; *adds* its gradient, and its curvature to the arrow.

    ``A`` (G, m1, m1) are the blocks of the first grouping, ``C`` (T, m1) the columns between it and the border, and
    ``D`` (d, d) the border.
    """
    (N, K), m, m1, value = eta.shape, L.shape[0], A.shape[1], 0.0
    E, B, SB, b, p = np.empty((K, m)), np.empty((K, m)), np.empty((K, m)), np.empty(m), np.empty(K)
    k, W, r = rows.contrasts.shape[1], np.empty((m, m)), np.empty(m)
    for i in range(N):
        _effects_matrix(rows, i, L, E, B)
        _own_effects(rows, i, first, border, b)
        value += _softmax(rows, i, eta, B, b, p)
        _curvature_product(p, rows.totals[i], B, SB)
        for a in range(m):
            r[a] = 0.0
            for c in range(K):
                r[a] += B[c, a] * (rows.counts[i, c] - rows.totals[i] * p[c])
            for e in range(m):
                W[a, e] = 0.0
                for c in range(K):
                    W[a, e] += B[c, a] * SB[c, e]
        g = rows.levels[i]
        for a in range(m1):
            of_first[g, a] += r[a]
            for e in range(m1):
                A[g, a, e] += W[a, e]
        at = m1
        for j in range(1, len(rows.n_terms)):
            own, place, run, other = rows.n_terms[j] * k, rows.places[j, i], rows.runs[j, i], m1
            for a in range(own):
                of_border[place + a] += r[at + a]
                for e in range(m1):
                    C[run + a, e] += W[at + a, e]
            for l in range(1, len(rows.n_terms)):
                size, there = rows.n_terms[l] * k, rows.places[l, i]
                for a in range(own):
                    for e in range(size):
                        D[place + a, there + e] += W[at + a, other + e]
                other += size
            at += own
    return value


@nb.njit(**nb.OPTIONS)
def _curvature_product(p, total, B, SB):  # type: ignore[no-untyped-def]
    """Fill ``S B`` (K, m), with the covariance ``S`` of a row's counts."""
    K, m = B.shape
    for a in range(m):
        mean = 0.0
        for c in range(K):
            mean += p[c] * B[c, a]
        for c in range(K):
            SB[c, a] = total * p[c] * (B[c, a] - mean)


@nb.njit(**nb.OPTIONS)
def _inverse_block(rows, i, inverses, Y, covariance, W):  # type: ignore[no-untyped-def]
    """Fill the block ``W`` (m, m) of the inverse arrow for a row's effects."""
    k, J, m1 = rows.contrasts.shape[1], len(rows.n_terms), inverses.shape[1]
    W[:m1, :m1] = inverses[rows.levels[i]]
    at = m1
    for j in range(1, J):
        own, other = rows.n_terms[j] * k, m1
        for a in range(own):
            for e in range(m1):
                W[at + a, e] = -Y[rows.runs[j, i] + a, e]
                W[e, at + a] = W[at + a, e]
        for l in range(1, J):
            size = rows.n_terms[l] * k
            for a in range(own):
                for e in range(size):
                    W[at + a, other + e] = covariance[rows.places[j, i] + a, rows.places[l, i] + e]
            other += size
        at += own


@nb.njit(**nb.OPTIONS | KEPT)
def add_determinant_adjoints(rows, eta, L, first, border, inverse, kappas, of_first, of_border, Lbar):  # type: ignore[no-untyped-def]
    """Derivatives of minus half the log determinant: fills ``kappas`` (N, K), and adds to those in effects and ``L``.

    ``inverse`` holds blocks of the inverse arrow: (G, m1, m1), the columns (T, m1) with changed sign, and (d, d).
    """
    (N, K), m, m1, k = eta.shape, L.shape[0], inverse[0].shape[1], rows.contrasts.shape[1]
    E, B, b, p, W = np.empty((K, m)), np.empty((K, m)), np.empty(m), np.empty(K), np.empty((m, m))
    SN, r = np.empty((K, m)), np.empty(m)
    for i in range(N):
        _effects_matrix(rows, i, L, E, B)
        _own_effects(rows, i, first, border, b)
        _softmax(rows, i, eta, B, b, p)
        _inverse_block(rows, i, inverse[0], inverse[1], inverse[2], W)
        N_ = B @ W
        M = N_ @ B.T
        _curvature_product(p, rows.totals[i], N_, SN)
        trace, square = 0.0, 0.0
        Mp = M @ p
        for c in range(K):
            trace += p[c] * M[c, c]
            square += p[c] * Mp[c]
        for c in range(K):
            kappas[i, c] = -0.5 * rows.totals[i] * p[c] * (M[c, c] - trace - 2.0 * (Mp[c] - square))
        for a in range(m):
            r[a] = 0.0
            for c in range(K):
                r[a] += B[c, a] * kappas[i, c]
            for e in range(m):
                for c in range(K):
                    Lbar[a, e] -= E[c, a] * SN[c, e]
        for a in range(m1):
            of_first[rows.levels[i], a] += r[a]
        at = m1
        for j in range(1, len(rows.n_terms)):
            for a in range(rows.n_terms[j] * k):
                of_border[rows.places[j, i] + a] += r[at]
                at += 1


@nb.njit(**nb.OPTIONS | KEPT)
def add_mode_adjoints(rows, eta, L, first, border, first_step, border_step, kappas, of_eta, Lbar):  # type: ignore[no-untyped-def]
    """Fill the derivatives ``of_eta`` (N, K), and add to those in ``L``.

    The steps are ``P^-1`` times the adjoints of the effects.
    """
    (N, K), m = eta.shape, L.shape[0]
    E, B, b, p = np.empty((K, m)), np.empty((K, m)), np.empty(m), np.empty(K)
    step, delta = np.empty(m), np.empty(K)
    for i in range(N):
        _effects_matrix(rows, i, L, E, B)
        _own_effects(rows, i, first, border, b)
        _own_effects(rows, i, first_step, border_step, step)
        _softmax(rows, i, eta, B, b, p)
        mean = 0.0
        for c in range(K):
            delta[c] = 0.0
            for a in range(m):
                delta[c] += B[c, a] * step[a]
            mean += p[c] * delta[c]
        for c in range(K):
            residual = rows.counts[i, c] - rows.totals[i] * p[c]
            of_eta[i, c] = residual + kappas[i, c] - rows.totals[i] * p[c] * (delta[c] - mean)
            for a in range(m):
                for e in range(m):
                    Lbar[a, e] += E[c, a] * (of_eta[i, c] * b[e] + residual * step[e])
