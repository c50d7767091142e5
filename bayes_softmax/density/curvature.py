r"""Second derivatives of the log-likelihood, from the expected counts ``P_ki = n_i p_ki``, a block (K, B) at a time.

.. math:: H = \sum_{k<l} \Bigl(Z'\mathrm{diag}(P_k P_l / n)\, Z\Bigr) \otimes (e_k - e_l)(e_k - e_l)'

is the Hessian of *minus* the log-likelihood in engine coefficients (K, q).  This sum over pairs of classes contains
no ``1 - p``, so there is no cancellation where a probability rounds to 1, and each term is positive semi-definite.
Shapes as in :mod:`bayes_softmax.density.kernel`, in blocks of B rows; all functions process the blocks
``first <= b < end`` and add to their output, so that ranges of blocks can run in parallel.
"""

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.kernel import block_logits, block_totals, softmax_block
from bayes_softmax.density.linear import close_rows, differences, logits, products, weighted_products, workspace


@nb.njit(inline="always", **nb.OPTIONS)
def block_counts(rows, D, b, work, P):  # type: ignore[no-untyped-def]
    """Fill ``P`` (K, B) with ``n_i p_ki`` of block ``b`` at differences ``D``, zero where padded; ``work`` (3, B)."""
    K, B = P.shape
    block_logits(D, rows.Z[b], rows.offset, rows.available, b, P)
    softmax_block(P, work, block_totals(rows.totals, b), rows.available, b, min(B, rows.n_obs - b * B), K)


@nb.njit(**nb.OPTIONS)
def expected_counts(rows, V, P, first, end):  # type: ignore[no-untyped-def]
    """Fill ``P`` (end - first, K, B) with ``n_i p_ki``, zero where padded."""
    D, work = np.empty((V.shape[0] - 1, V.shape[1])), workspace(3, rows.Z.shape[2])
    differences(V, D)
    for b in range(first, end):
        block_counts(rows, D, b, work, P[b - first])


@nb.njit(**nb.OPTIONS)
def response_products(Z, Y, out, first, end):  # type: ignore[no-untyped-def]
    """Subtract ``Y'Z`` from ``out`` (K, q) for packed counts ``Y`` (n, K, B)."""
    for b in range(first, end):
        products(Y[b], Z[b], out, Y.shape[1], False)


@nb.njit(**nb.OPTIONS)
def keep_counts(rows, V, P, first, end):  # type: ignore[no-untyped-def]
    """Fill ``P`` (end - first, K - 1, B) with ``n_i p_ki`` of all classes but the last, zero where padded."""
    (K, q), B = V.shape, rows.Z.shape[2]
    D, block, work = np.empty((K - 1, q)), workspace(K, B), workspace(3, B)
    differences(V, D)
    for b in range(first, end):
        block_counts(rows, D, b, work, block)
        for k in range(K - 1):
            for i in range(B):
                P[b - first, k, i] = block[k, i]


@nb.njit(**nb.OPTIONS)
def _pair_weights(P, k, l, totals, w):  # type: ignore[no-untyped-def]
    """``w = P_k P_l / n`` for one block ``P`` (K, B), zero where ``n`` is."""
    for i in range(w.shape[0]):
        w[i] = P[k, i] * P[l, i]
    if totals.shape[0] > 0:
        for i in range(w.shape[0]):
            w[i] = w[i] / totals[i] if totals[i] > 0.0 else 0.0


@nb.njit(**nb.OPTIONS)
def pair_hessians(rows, V, S, first, end):  # type: ignore[no-untyped-def]
    """Add ``-Z' diag(P_k P_l / n) Z`` to ``S`` (pairs, q, q), k < l in order; only upper triangles are filled."""
    (K, q), B = V.shape, rows.Z.shape[2]
    D, P, work, w, scaled = np.empty((K - 1, q)), workspace(K, B), workspace(3, B), np.empty(B), workspace(q, B)
    differences(V, D)
    for b in range(first, end):
        block_counts(rows, D, b, work, P)
        totals, pair = block_totals(rows.totals, b), 0
        for k in range(K):
            for l in range(k + 1, K):
                _pair_weights(P, k, l, totals, w)
                weighted_products(rows.Z[b], w, scaled, S[pair])
                pair += 1


@nb.njit(**nb.OPTIONS)
def assemble(S, H):  # type: ignore[no-untyped-def]
    """Fill the Hessian ``H`` (K, q, K, q), initially zero, from :func:`pair_hessians`."""
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


@nb.njit(**nb.OPTIONS)
def weighted_gram(rows, V, G, A, first, end):  # type: ignore[no-untyped-def]
    r"""Add the two factors of a Kronecker approximation of the Hessian.

    ``A`` (K, K) receives :math:`\sum_i \mathrm{diag}(P_i) - P_i P_i'/n_i`, the classes' covariance, and the upper
    triangle of ``G`` (q, q) minus :math:`\sum_i w_i z_i z_i'`, with :math:`w_i` the trace of row i's covariance.
    """
    (K, q), B = V.shape, rows.Z.shape[2]
    D, block, work = np.empty((K - 1, q)), workspace(K, B), workspace(3, B)
    w, inverse, scaled = np.empty(B), np.ones(B), workspace(q, B)
    differences(V, D)
    for b in range(first, end):
        block_counts(rows, D, b, work, block)
        totals = block_totals(rows.totals, b)
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
        weighted_products(rows.Z[b], w, scaled, G)


@nb.njit(**nb.OPTIONS)
def hessian_product(rows, P, D, out, first, end):  # type: ignore[no-untyped-def]
    """Add ``H`` times the direction ``D`` (K, q) to all rows of ``out`` (K, q) but the last.

    The last row is minus the sum of the others.  ``P`` (end - first, K or K - 1, B) are the blocks' expected counts,
    of which the last class's are not needed.
    """
    K, q = D.shape
    B = rows.Z.shape[2]
    E, U, work = np.empty((K - 1, q)), workspace(K, B), workspace(2, B)
    mean, inverse = work[0], work[1]
    differences(D, E)
    for b in range(first, end):
        Z, block, totals = rows.Z[b], P[b - first], block_totals(rows.totals, b)
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
