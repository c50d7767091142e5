r"""Second derivatives of the log-likelihood, given the expected counts ``P`` (K, N), ``P_ki = n_i p_ki``.

.. math:: H = \sum_{k<l} \Bigl(Z'\mathrm{diag}(P_k P_l / n)\, Z\Bigr) \otimes (e_k - e_l)(e_k - e_l)'

is the Hessian of *minus* the log-likelihood in engine coefficients (K, q).  This sum over pairs of classes has
no ``1 - p`` in it, so it loses nothing where a probability is 1 to rounding, and each term is positive
semi-definite.  Shapes as in :mod:`bayes_softmax.density.kernel`; ``totals`` is (0,) when all are 1.
"""

import numba as nb
import numpy as np

from bayes_softmax.density.kernel import BLOCK

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


@nb.njit(**_options)
def class_hessian(Z, totals, P, H):  # type: ignore[no-untyped-def]
    """Add the Hessian to ``H`` (K, q, K, q), which the caller has set to zero."""
    N, q = Z.shape
    K, weighted = P.shape[0], totals.shape[0] > 0
    scaled, S = np.empty((BLOCK, q)), np.empty((q, q))
    for start in range(0, N, BLOCK):
        rows = Z[start : start + BLOCK]
        c = rows.shape[0]
        for k in range(K):
            for l in range(k + 1, K):
                for i in range(c):
                    w = P[k, start + i] * P[l, start + i]
                    if weighted:
                        w /= totals[start + i]
                    for j in range(q):
                        scaled[i, j] = w * rows[i, j]
                np.dot(rows.T, scaled[:c], S)
                for a in range(q):
                    for b in range(q):
                        H[k, a, l, b] -= S[a, b]
    for k in range(K):
        for l in range(k + 1, K):
            for a in range(q):
                for b in range(q):
                    H[l, a, k, b] = H[k, a, l, b]
                    H[k, a, k, b] -= H[k, a, l, b]
                    H[l, a, l, b] -= H[k, a, l, b]


@nb.njit(**_options)
def hessian_product(Z, totals, P, D, out):  # type: ignore[no-untyped-def]
    """Add ``H`` times the direction ``D`` (K, q) to ``out`` (K, q), which the caller has set to zero."""
    N, K, weighted = Z.shape[0], P.shape[0], totals.shape[0] > 0
    scratch, mean, product = np.empty(K * BLOCK), np.empty(BLOCK), np.empty_like(D)
    for start in range(0, N, BLOCK):
        rows = Z[start : start + BLOCK]
        c = rows.shape[0]
        U = scratch[: K * c].reshape(K, c)
        np.dot(D, rows.T, U)
        for i in range(c):
            mean[i] = 0.0
        for k in range(K):
            for i in range(c):
                mean[i] += P[k, start + i] * U[k, i]
        if weighted:
            for i in range(c):
                mean[i] /= totals[start + i]
        for k in range(K):
            for i in range(c):
                U[k, i] = P[k, start + i] * (U[k, i] - mean[i])
        np.dot(U, rows, product)
        for k in range(K):
            for j in range(D.shape[1]):
                out[k, j] += product[k, j]
