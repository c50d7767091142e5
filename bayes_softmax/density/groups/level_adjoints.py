"""Compiled derivatives of a level's marginal log-likelihood through its mode and the precision there.

Formulae and symbols are at the top of :mod:`bayes_softmax.density.groups.quadrature`.
"""

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.level_modes import times
from bayes_softmax.density.scales.cholesky import lower_product, lower_transposed_product


@nb.njit(**nb.OPTIONS)
def add_at_mode(rows, first, end, p, r, b, of_eta, Lbar):  # type: ignore[no-untyped-def]
    """Add the derivatives of h at the mode, which is the only node of Laplace's method."""
    if not len(of_eta):
        return
    for i in range(first, end):
        for c in range(p.shape[1]):
            of_eta[i, c] += rows.counts[i, c] - p[i - first, c]
    for i in range(len(b)):
        for l in range(len(b)):
            Lbar[i, l] += r[i] * b[l]


@nb.njit(**nb.OPTIONS)
def add_adjoints(rows, first, end, L, b, p, r, A, X, sums, of_eta, Lbar):  # type: ignore[no-untyped-def]
    """Add what reaches the rows' logits and ``L`` through a level's mode and its precision."""
    m = len(b)
    u, z, step, kappa = np.empty(m), np.empty(m), np.empty(m), np.zeros(m)
    Pbar = _precision_adjoint(X, sums[m:].copy().reshape(m, m))
    Lbar += 2.0 * (A @ (L @ Pbar))
    _add_curvature_adjoint(rows, first, end, p, L @ Pbar @ L.T, of_eta, kappa)
    lower_product(X, L.T @ kappa + sums[:m], z)
    lower_transposed_product(X, z, step)
    times(L, step, u)
    _subtract_response(rows, first, end, p, u, of_eta)
    pulled = A @ u
    for i in range(m):
        for l in range(m):
            Lbar[i, l] += (kappa[i] - pulled[i]) * b[l] + r[i] * step[l]


@nb.njit(**nb.OPTIONS)
def _shift(C, terms, u, out):  # type: ignore[no-untyped-def]
    """``out`` (K,) is the change of a row's logits by the effects ``u`` (q k,) of its level."""
    K, k = C.shape
    out[:] = 0.0
    for a in range(k):
        total = 0.0
        for t in range(terms.shape[0]):
            total += terms[t] * u[t * k + a]
        for c in range(K):
            out[c] += C[c, a] * total


@nb.njit(**nb.OPTIONS)
def _pull(C, terms, row, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` (q k,) what a row's derivatives (K,) in its logits say of its level's effects."""
    K, k = C.shape
    for a in range(k):
        total = 0.0
        for c in range(K):
            total += C[c, a] * row[c]
        for t in range(terms.shape[0]):
            out[t * k + a] += terms[t] * total


@nb.njit(**nb.OPTIONS)
def _add_curvature_adjoint(rows, first, end, p, Abar, of_eta, kappa):  # type: ignore[no-untyped-def]
    """Add the derivatives of ``<Abar, A>`` in rows' logits to ``of_eta`` (N, K), and in effects to ``kappa`` (m,)."""
    (K, k), q = rows.contrasts.shape, rows.terms.shape[1]
    small, half, M = np.empty((k, k)), np.empty((K, k)), np.empty((K, K))
    Mp, row = np.empty(K), np.empty(K)
    for i in range(first, end):
        n = rows.totals[i]
        if not n > 0.0:
            continue
        small[:] = 0.0
        for t in range(q):
            for s in range(q):
                factor = rows.terms[i, t] * rows.terms[i, s]
                for a in range(k):
                    for b in range(k):
                        small[a, b] += factor * Abar[t * k + a, s * k + b]
        half[:] = rows.contrasts @ small
        M[:] = half @ rows.contrasts.T
        square, trace = 0.0, 0.0
        for c in range(K):
            Mp[c] = 0.0
            for e in range(K):
                Mp[c] += M[c, e] * p[i - first, e] / n
            square += p[i - first, c] / n * Mp[c]
            trace += p[i - first, c] / n * M[c, c]
        for c in range(K):
            row[c] = p[i - first, c] * (M[c, c] - trace - 2.0 * (Mp[c] - square))
            of_eta[i, c] += row[c]
        _pull(rows.contrasts, rows.terms[i], row, kappa)


@nb.njit(**nb.OPTIONS)
def _subtract_response(rows, first, end, p, v, of_eta):  # type: ignore[no-untyped-def]
    """Subtract ``S_i delta_i`` from ``of_eta``, with delta the change of rows' logits by the effects ``v``."""
    K = p.shape[1]
    delta = np.empty(K)
    for i in range(first, end):
        n = rows.totals[i]
        if not n > 0.0:
            continue
        _shift(rows.contrasts, rows.terms[i], v, delta)
        mean = 0.0
        for c in range(K):
            mean += p[i - first, c] * delta[c] / n
        for c in range(K):
            of_eta[i, c] -= p[i - first, c] * (delta[c] - mean)


@nb.njit(**nb.OPTIONS)
def _precision_adjoint(X, Qbar):  # type: ignore[no-untyped-def]
    """The adjoint (m, m) of P, symmetric."""
    m = X.shape[0]
    phi = -(Qbar.T @ X.T)
    for i in range(m):
        phi[i, i] = 0.5 * phi[i, i] - 0.5
        for l in range(i + 1, m):
            phi[i, l] = 0.0
    Y = X.T @ phi @ X
    return 0.5 * (Y + Y.T)
