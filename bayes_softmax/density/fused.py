"""Second derivatives of small data in one call each, as calls from Python would cost as much as the rows.

Shapes as in :mod:`bayes_softmax.density.kernel`.
"""

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.curvature import expected_counts, hessian_product, pair_hessians
from bayes_softmax.density.kernel import read_part
from bayes_softmax.density.linear import engine_coefficients, free_gradient, weights_at, workspace

NOISE = 16 * np.finfo(float).eps  # relative rounding error of a contrast of curvatures


@nb.njit(inline="always", **nb.OPTIONS)
def _free_position(c, a, k_b, p):  # type: ignore[no-untyped-def]
    """Position of engine column ``a`` in column ``c`` of the free vector."""
    return weights_at(c, p, k_b) + a - min(k_b, 1)


@nb.njit(**nb.OPTIONS)
def _free_hessian(S, Cb, Cw, H):  # type: ignore[no-untyped-def]
    """Fill ``H`` (d, d) from the sums ``S`` of ``curvature.pair_hessians``, with rounding errors set to exactly zero.

    For engine columns ``a`` and ``b`` the classes' curvature (K, K) is a graph Laplacian, with the entry of the pair
    at ``k, l`` and minus the row sums on the diagonal; contrasts on both sides turn it into that of free columns.

    A contrast on which no row depends, such as that of a class never on offer, has curvature 0 as the difference of
    equal numbers.  Its rounding error would otherwise produce a spurious Newton step.
    """
    q = S.shape[1]
    (K, k_b), k_w = Cb.shape, Cw.shape[1]
    first = min(k_b, 1)
    p = q - first
    A, half, largest = np.empty((K, K)), np.empty((k_w, K)), np.zeros(q)
    for a in range(q):
        left = Cb if a < first else Cw
        for b in range(a, q):
            right = Cb if b < first else Cw
            pair = 0
            for k in range(K):
                A[k, k] = 0.0
            for k in range(K):
                for l in range(k + 1, K):
                    s = S[pair, a, b]
                    A[k, l] = s
                    A[l, k] = s
                    A[k, k] -= s
                    A[l, l] -= s
                    pair += 1
            if a == b:
                for k in range(K):
                    largest[a] = max(largest[a], A[k, k])
            for c in range(left.shape[1]):
                for l in range(K):
                    total = 0.0
                    for k in range(K):
                        total += left[k, c] * A[k, l]
                    half[c, l] = total
            for c in range(left.shape[1]):
                i = _free_position(c, a, k_b, p)
                for e in range(c if a == b else 0, right.shape[1]):
                    total = 0.0
                    for l in range(K):
                        total += half[c, l] * right[l, e]
                    j = _free_position(e, b, k_b, p)
                    H[i, j] = total
                    H[j, i] = total
    for a in range(q):
        for c in range(k_b if a < first else k_w):
            i = _free_position(c, a, k_b, p)
            if H[i, i] <= NOISE * largest[a]:
                for j in range(H.shape[0]):
                    H[i, j] = 0.0
                    H[j, i] = 0.0


@nb.njit(**nb.OPTIONS)
def likelihood_hessian(data, theta, H):  # type: ignore[no-untyped-def]
    """Fill ``H`` (d, d) with the Hessian of minus the log-likelihood for parts in memory."""
    K, q = data.YZ.shape
    V, S = np.empty((K, q)), np.zeros((K * (K - 1) // 2, q, q))
    engine_coefficients(data, theta, V)
    for i in range(data.parts.shape[0]):
        rows = read_part(data.parts, i)
        pair_hessians(rows, V, S, 0, rows.Z.shape[0])
    _free_hessian(S, data.Cb, data.Cw, H)


@nb.njit(**nb.OPTIONS)
def counts_of_one(data, theta):  # type: ignore[no-untyped-def]
    """Expected counts (n, K, B) of the only part."""
    rows, V = read_part(data.parts, 0), np.empty(data.YZ.shape)
    n, K, B = rows.Z.shape[0], V.shape[0], rows.Z.shape[2]
    P = workspace(n * K, B).reshape(n, K, B)
    engine_coefficients(data, theta, V)
    expected_counts(rows, V, P, 0, n)
    return P


@nb.njit(**nb.OPTIONS)
def product_of_one(data, P, vector, image):  # type: ignore[no-untyped-def]
    """Fill ``image`` (d,) with the likelihood's Hessian, at the only part's counts, times a vector (d,)."""
    rows = read_part(data.parts, 0)
    D, out = np.empty(data.YZ.shape), np.zeros(data.YZ.shape)
    engine_coefficients(data, vector, D)
    hessian_product(rows, P, D, out, 0, rows.Z.shape[0])
    free_gradient(data, out, image)
