r"""Linear logits, :math:`\eta = VZ`: the operations that the kernel needs of a function from coefficients to logits.

For one block of rows: its tile of logits (:func:`logits`), residuals pulled back to a gradient (:func:`products`), and
the second derivative for one pair of classes (:func:`weighted_products`).  For all rows: the linear term of the
log-likelihood, and the maps from free coordinates to coefficients and back.  Another logit function implements each of
these; softmax, offsets, choice sets and totals stay in :mod:`bayes_softmax.density.kernel`, which defines the shapes.
"""

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.simd import FEATURES, MAX_CLASSES, WIDTH, logits_tile, products_tile

_strip, _column = products_tile(FEATURES), products_tile(1)


@nb.njit(**nb.OPTIONS)
def logits(V, Z, L, n):  # type: ignore[no-untyped-def]
    """``L[:n] = V[:n] Z`` for one block ``Z`` (q, B); ``L`` (>= n, B)."""
    q, B = Z.shape
    n_groups, k = -(-n // MAX_CLASSES), 0
    for group in range(n_groups):
        size = (n - k) // (n_groups - group)
        v = V.ctypes.data + 8 * k * q
        for i in range(0, B, 3 * WIDTH):
            logits_tile(v, q, Z.ctypes.data + 8 * i, B, L.ctypes.data + 8 * (k * B + i), B, q, size)
        k += size


@nb.njit(**nb.OPTIONS)
def products(P, Z, G, n, symmetric):  # type: ignore[no-untyped-def]
    """``G[:n] -= P[:n] Z'`` for one block ``Z`` (q, B); ``P`` (>= n, B), ``G`` (>= n, q).

    ``symmetric``: ``G`` is symmetric, and only the tiles that reach its upper triangle are computed.
    """
    q, B = Z.shape
    n_groups, k = -(-n // MAX_CLASSES), 0
    for group in range(n_groups):
        size = (n - k) // (n_groups - group)
        p, j = P.ctypes.data + 8 * k * B, k if symmetric else 0
        while j < q:
            z, g = Z.ctypes.data + 8 * j * B, G.ctypes.data + 8 * (k * q + j)
            if j + FEATURES <= q:
                _strip(p, B, z, B, g, q, B, size)
                j += FEATURES
            else:
                _column(p, B, z, B, g, q, B, size)
                j += 1
        k += size


@nb.njit(**nb.OPTIONS)
def weighted_products(Z, w, scaled, S):  # type: ignore[no-untyped-def]
    """``S -= Z diag(w) Z'`` for one block ``Z`` (q, B), in the upper triangle of ``S`` (q, q); ``scaled`` as ``Z``."""
    for j in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            scaled[j, i] = Z[j, i] * w[i]
    products(scaled, Z, S, Z.shape[0], True)


@nb.njit(**nb.OPTIONS)
def workspace(n_rows, B):  # type: ignore[no-untyped-def]
    """Uninitialised (n_rows, B) doubles that start on a cache line, as then does every row if 8 divides B."""
    raw = np.empty(n_rows * B + 8)
    start = -(raw.ctypes.data // 8) % 8
    return raw[start : start + n_rows * B].reshape(n_rows, B)


@nb.njit(**nb.OPTIONS)
def differences(V, D):  # type: ignore[no-untyped-def]
    """``D[k] = V[k] - V[K-1]`` for the first K-1 classes."""
    K = V.shape[0]
    for k in range(K - 1):
        for j in range(V.shape[1]):
            D[k, j] = V[k, j] - V[K - 1, j]


@nb.njit(**nb.OPTIONS)
def close_rows(G):  # type: ignore[no-untyped-def]
    """Set the last row to minus the sum of the others, since gradients sum to zero over classes."""
    K = G.shape[0]
    for j in range(G.shape[1]):
        total = 0.0
        for k in range(K - 1):
            total += G[k, j]
        G[K - 1, j] = -total


@nb.njit(**nb.OPTIONS)
def linear_term(YZ, V, G):  # type: ignore[no-untyped-def]
    """``<V - V_K, Y'Z>`` with ``V_K`` the last class's coefficients; adds its gradient and closes ``G`` (K, q)."""
    K, q = V.shape
    value = 0.0
    for k in range(K - 1):
        for j in range(q):
            value += (V[k, j] - V[K - 1, j]) * YZ[k, j]
            G[k, j] += YZ[k, j]
    close_rows(G)
    return value


@nb.njit(**nb.OPTIONS)
def intercept_at(c, p, k_b):  # type: ignore[no-untyped-def]
    """Where the intercept of column ``c < k_b`` is in the free vector."""
    return c * (p + 1)


@nb.njit(**nb.OPTIONS)
def weights_at(c, p, k_b):  # type: ignore[no-untyped-def]
    """Where the weights of column ``c`` begin in the free vector."""
    return c * p + min(c + 1, k_b)


@nb.njit(**nb.OPTIONS)
def engine_coefficients(data, theta, V):  # type: ignore[no-untyped-def]
    """Fill the engine coefficients ``V`` (K, q) from the free vector."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for k in range(K):
        for j in range(V.shape[1]):
            V[k, j] = 0.0
        for c in range(k_b):
            V[k, 0] += data.Cb[k, c] * theta[intercept_at(c, p, k_b)]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                row, column = V[k, first:], theta[weights_at(c, p, k_b) :]
                for j in range(p):
                    row[j] += contrast * column[j]


@nb.njit(**nb.OPTIONS)
def free_gradient(data, G, gradient):  # type: ignore[no-untyped-def]
    """Fill the free gradient (d,) from the gradient ``G`` (K, q) in engine coefficients."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for j in range(gradient.shape[0]):
        gradient[j] = 0.0
    for k in range(K):
        for c in range(k_b):
            gradient[intercept_at(c, p, k_b)] += data.Cb[k, c] * G[k, 0]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                row, column = G[k, first:], gradient[weights_at(c, p, k_b) :]
                for j in range(p):
                    column[j] += contrast * row[j]
