r"""Second derivatives of the log-likelihood, given the expected counts ``P`` (n, K, B), ``P_ki = n_i p_ki``.

.. math:: H = \sum_{k<l} \Bigl(Z'\mathrm{diag}(P_k P_l / n)\, Z\Bigr) \otimes (e_k - e_l)(e_k - e_l)'

is the Hessian of *minus* the log-likelihood in engine coefficients (K, q).  This sum over pairs of classes has
no ``1 - p`` in it, so it loses nothing where a probability is 1 to rounding, and each term is positive
semi-definite.  Shapes as in :mod:`bayes_softmax.density.kernel`, in blocks of B rows; all functions work on the blocks
``first <= b < end`` and add to their output, so that ranges of blocks can run in parallel.
"""

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.kernel import (
    block_logits,
    block_totals,
    close_rows,
    differences,
    logits,
    products,
    softmax_block,
    workspace,
)

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


@nb.njit(**_options)
def expected_counts(data, V, P, first, end):  # type: ignore[no-untyped-def]
    """Fill ``P`` (n, K, B) with ``n_i p_ki``, zero where padded; returns the log-likelihood without ``<V, Y'Z>``."""
    K, q = V.shape
    B = data.Z.shape[2]
    D, work = np.empty((K - 1, q)), workspace(3, B)
    differences(V, D)
    value = 0.0
    for b in range(first, end):
        block_logits(D, data.Z[b], data.offset, data.available, b, P[b])
        totals, c = block_totals(data.totals, b), min(B, data.n_obs - b * B)
        value -= softmax_block(P[b], work, totals, data.available, b, c, K)
    return value


@nb.njit(**_options)
def response_products(Z, Y, out, first, end):  # type: ignore[no-untyped-def]
    """Subtract ``Y'Z`` from ``out`` (K, q) for packed counts ``Y`` (n, K, B)."""
    for b in range(first, end):
        products(Y[b], Z[b], out, Y.shape[1], False)


@nb.njit(**_options)
def _pair_weights(P, k, l, totals, w):  # type: ignore[no-untyped-def]
    """``w = P_k P_l / n`` for one block ``P`` (K, B), zero where ``n`` is."""
    for i in range(w.shape[0]):
        w[i] = P[k, i] * P[l, i]
    if totals.shape[0] > 0:
        for i in range(w.shape[0]):
            w[i] = w[i] / totals[i] if totals[i] > 0.0 else 0.0


@nb.njit(**_options)
def _scale_rows(Z, w, out):  # type: ignore[no-untyped-def]
    """``out = Z diag(w)``."""
    for j in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            out[j, i] = Z[j, i] * w[i]


@nb.njit(**_options)
def pair_hessians(data, P, S, first, end):  # type: ignore[no-untyped-def]
    """Add ``-Z' diag(P_k P_l / n) Z`` to ``S`` (pairs, q, q), k < l in order; only its upper triangles are meant."""
    q, B = data.Z.shape[1:]
    K = P.shape[1]
    w, scaled = np.empty(B), workspace(q, B)
    for b in range(first, end):
        totals, pair = block_totals(data.totals, b), 0
        for k in range(K):
            for l in range(k + 1, K):
                _pair_weights(P[b], k, l, totals, w)
                _scale_rows(data.Z[b], w, scaled)
                products(scaled, data.Z[b], S[pair], q, True)
                pair += 1


@nb.njit(**_options)
def assemble(S, H):  # type: ignore[no-untyped-def]
    """Hessian ``H`` (K, q, K, q), zero before, from :func:`pair_hessians`."""
    K, q = H.shape[0], H.shape[1]
    pair = 0
    for k in range(K):
        for l in range(k + 1, K):
            for a in range(q):
                for b in range(q):
                    s = S[pair, min(a, b), max(a, b)]
                    H[k, a, l, b] = s
                    H[l, a, k, b] = s
                    H[k, a, k, b] -= s
                    H[l, a, l, b] -= s
            pair += 1


@nb.njit(**_options)
def weighted_gram(data, P, G, A, first, end):  # type: ignore[no-untyped-def]
    r"""Add the two factors of a Kronecker approximation of the Hessian.

    ``A`` (K, K) gets :math:`\sum_i \mathrm{diag}(P_i) - P_i P_i'/n_i`, the classes' covariance, and the upper
    triangle of ``G`` (q, q) gets minus :math:`\sum_i w_i z_i z_i'` with the trace :math:`w_i` of row i's covariance.
    """
    q, B = data.Z.shape[1:]
    K = P.shape[1]
    w, inverse, scaled = np.empty(B), np.ones(B), workspace(q, B)
    for b in range(first, end):
        totals, block = block_totals(data.totals, b), P[b]
        if totals.shape[0] > 0:
            for i in range(B):
                inverse[i] = 1.0 / totals[i] if totals[i] > 0.0 else 0.0
        for i in range(B):
            w[i] = 0.0
        for k in range(K):
            for l in range(k + 1, K):
                total = 0.0
                for i in range(B):
                    pair = block[k, i] * block[l, i] * inverse[i]
                    w[i] += 2.0 * pair
                    total += pair
                A[k, l] -= total
                A[l, k] -= total
                A[k, k] += total
                A[l, l] += total
        _scale_rows(data.Z[b], w, scaled)
        products(scaled, data.Z[b], G, q, True)


@nb.njit(**_options)
def hessian_product(data, P, D, out, first, end):  # type: ignore[no-untyped-def]
    """Add ``H`` times the direction ``D`` (K, q) to ``out`` (K, q), all but the last row, which the sum closes."""
    K, q = D.shape
    B = data.Z.shape[2]
    E, U, work = np.empty((K - 1, q)), workspace(K, B), workspace(2, B)
    mean, inverse = work[0], work[1]
    differences(D, E)
    for b in range(first, end):
        Z, block, totals = data.Z[b], P[b], block_totals(data.totals, b)
        logits(E, Z, U, K - 1)
        for i in range(B):
            mean[i] = 0.0
        for k in range(K - 1):
            for i in range(B):
                mean[i] += block[k, i] * U[k, i]
        if totals.shape[0] > 0:
            for i in range(B):
                inverse[i] = 1.0 / totals[i] if totals[i] > 0.0 else 0.0
            for i in range(B):
                mean[i] *= inverse[i]
        for k in range(K - 1):
            for i in range(B):
                U[k, i] = block[k, i] * (mean[i] - U[k, i])
        products(U, Z, out, K - 1, False)
    close_rows(out)
