r"""The compiled log posterior: value, gradient, and many points at once.

Shapes, fixed here once (float64 but for the mask, C-contiguous; sums over observations, never means):

=============  =============  =========================================================
``Z``          (n, q, B)      standardised features in n blocks of B rows, padded with
                              zeros; feature 0 is 1 if there is an intercept
``n_obs``                     rows that are not padding, N
``YZ``         (K, q)         ``Y'Z``: all the likelihood needs of the responses
``totals``     (n, B)         units per row (weight or count total), zero where padded;
                              (0, B) when all are 1
``offset``     (n, K, B)      added to the logits, less the row's largest over the classes
                              on offer; (0, K, B) when absent
``available``  (n, K, B)      boolean, whether a class is on offer; (0, K, B) when all are
``Cb``, ``Cw`` (K, k)         contrasts of intercept (k_b = 0: none) and weights
``family``...  (rows,)        prior per row: the intercept first (if any), then each
                              feature
``V``          (K, q)         engine coefficients, class-major
``theta``      (d,)           column by column: c's intercept (for c < k_b) at ``c (p + 1)``,
                              its p weights from ``c p + min(c + 1, k_b)`` on
=============  =============  =========================================================

Logits of a block are class-major, (K, B): every loop over rows is contiguous, and nothing of size N is allocated.
Softmax does not change when the last class's coefficients are taken from all, so only K-1 rows are ever multiplied,
and the last row of a gradient is minus the sum of the others.  That is all that is special about the last class: what
is subtracted from a row's logits is their largest, and an offset of any size or a class that is not on offer may stand
in any place.  With :math:`\mu_{ki} = n_i p_{ki}`,

.. math:: \log L = \langle V, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki}}, \quad
          \nabla = Y'Z - \mu Z.

Fast-math flags leave out reassociation and the no-NaN promise.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.log_prior import KEPT, log_prior_gradient
from bayes_softmax.density.simd import FEATURES, MAX_CLASSES, WIDTH, exp_row, logits_tile, products_tile

STACK = 65536  # coefficients of the points evaluated in one pass over the data: they stay in the second-level cache
NOT_OFFERED = -1e300  # below every logit, and still a number after another is taken from it
LANES = 8  # products of exponential sums kept side by side, so that one logarithm serves B / 8 rows

_FAST = {"contract", "nsz", "arcp"}
_options: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": _FAST}


class KernelData(NamedTuple):
    """What the kernel reads; see the table at the top of the module."""

    Z: FloatArray
    n_obs: int
    YZ: FloatArray
    totals: FloatArray
    offset: FloatArray
    available: NDArray[np.bool_]
    Cb: FloatArray
    Cw: FloatArray
    family: IntArray
    scale: FloatArray
    df: FloatArray
    centre: FloatArray


_strip, _column = products_tile(FEATURES), products_tile(1)


@nb.njit(**_options)
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


@nb.njit(**_options)
def products(P, Z, G, n, symmetric):  # type: ignore[no-untyped-def]
    """``G[:n] -= P[:n] Z'`` for one block ``Z`` (q, B); ``P`` (>= n, B), ``G`` (>= n, q).

    ``symmetric``: ``G`` is, and only what is needed of its upper triangle is computed.
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


@nb.njit(**_options)
def workspace(n_rows, B):  # type: ignore[no-untyped-def]
    """Uninitialised (n_rows, B) doubles that start on a cache line, as rows of a multiple of 8 then do too."""
    raw = np.empty(n_rows * B + 8)
    start = -(raw.ctypes.data // 8) % 8
    return raw[start : start + n_rows * B].reshape(n_rows, B)


@nb.njit(**_options)
def _log_sum(s, lanes):  # type: ignore[no-untyped-def]
    """Sum of the logarithms of ``s`` (B,), each in [1, K]: by products, K^(B/8) at most."""
    for l in range(LANES):
        lanes[l] = 1.0
    for i in range(0, s.shape[0], LANES):
        for l in range(LANES):
            lanes[l] *= s[i + l]
    total = 0.0
    for l in range(LANES):
        total += math.log(lanes[l])
    return total


@nb.njit(inline="always", **_options)
def block_logits(D, Z, offset, available, b, L):  # type: ignore[no-untyped-def]
    """Fill ``L`` (K, B) with the logits of block ``b``, ``Z`` (q, B), from the K-1 differences ``D``.

    Not handed the whole of ``data``: counting references to all its arrays would cost a block as much as its maxima.
    """
    K, B = L.shape
    logits(D, Z, L, K - 1)
    last = L[K - 1]
    for i in range(B):
        last[i] = 0.0
    if offset.shape[0] > 0:
        for k in range(K):
            row, add = L[k], offset[b, k]
            for i in range(B):
                row[i] += add[i]
    if available.shape[0] > 0:
        for k in range(K):
            row, offered = L[k], available[b, k]
            for i in range(B):
                row[i] = row[i] if offered[i] else NOT_OFFERED


@nb.njit(**_options)
def softmax_block(L, work, totals, available, b, c, n_out):  # type: ignore[no-untyped-def]
    """Sum of ``n_i logsumexp_i`` over the first ``c`` rows of a block of logits.

    The first ``n_out`` rows of ``L`` (K, B) become ``n_i p_ki`` in place, zero where padded or not on offer.  ``work``
    (3, B); ``totals`` (B,), or (0,) when all are 1; ``available`` (n, K, B) or (0, K, B), of which this is block ``b``.
    """
    K, B = L.shape
    last, m, s, row = L[K - 1], work[0], work[1], L[0]
    for i in range(B):
        m[i] = last[i] if last[i] >= row[i] else row[i]
        s[i] = 0.0
    for k in range(1, K - 1):
        row = L[k]
        for i in range(B):
            m[i] = m[i] if m[i] >= row[i] else row[i]  # written so that NaN stays
    for k in range(K):
        exp_row(L.ctypes.data + 8 * k * B, m.ctypes.data, s.ctypes.data, B)
    total = 0.0
    if totals.shape[0] > 0:
        for i in range(c):
            total += totals[i] * (m[i] + math.log(s[i]))
        for i in range(B):
            s[i] = totals[i] / s[i]
    else:
        for i in range(c, B):
            m[i] = 0.0
            s[i] = 1.0
        total += _log_sum(s, work[2])
        for i in range(B):
            total += m[i]
            s[i] = 1.0 / s[i]
        for i in range(c, B):
            s[i] = 0.0
    for k in range(n_out):
        row = L[k]
        for i in range(B):
            row[i] *= s[i]
        if available.shape[0] > 0:
            offered = available[b, k]
            for i in range(B):  # the exponential of a logit of minus infinity is small, not zero
                row[i] = row[i] if offered[i] else 0.0
    return total


@nb.njit(**_options)
def block_totals(totals, block):  # type: ignore[no-untyped-def]
    """Units of a block's rows (B,), or (0,) when all are 1."""
    return totals[block] if totals.shape[0] > 0 else np.empty(0)


@nb.njit(**_options)
def differences(V, D):  # type: ignore[no-untyped-def]
    """``D[k] = V[k] - V[K-1]`` for the first K-1 classes."""
    K = V.shape[0]
    for k in range(K - 1):
        for j in range(V.shape[1]):
            D[k, j] = V[k, j] - V[K - 1, j]


@nb.njit(**_options)
def close_rows(G):  # type: ignore[no-untyped-def]
    """Make the last row minus the sum of the others: rows of class gradients sum to zero."""
    K = G.shape[0]
    for j in range(G.shape[1]):
        total = 0.0
        for k in range(K - 1):
            total += G[k, j]
        G[K - 1, j] = -total


@nb.njit(**_options)
def log_likelihood_gradient(data, V, G, first, end):  # type: ignore[no-untyped-def]
    """Log-likelihood of the blocks ``first <= b < end`` at ``V`` (K, q), without ``<V, Y'Z>``.

    Fills the first K-1 rows of ``G`` (K, q) with its gradient.
    """
    K, q = V.shape
    B = data.Z.shape[2]
    D, L, work = np.empty((K - 1, q)), workspace(K, B), workspace(3, B)
    differences(V, D)
    for k in range(K):
        for j in range(q):
            G[k, j] = 0.0
    value = 0.0
    for b in range(first, end):
        Z = data.Z[b]
        block_logits(D, Z, data.offset, data.available, b, L)
        totals, c = block_totals(data.totals, b), min(B, data.n_obs - b * B)
        value -= softmax_block(L, work, totals, data.available, b, c, K - 1)
        products(L, Z, G, K - 1, False)
    return value


@nb.njit(**_options)
def linear_term(data, V, G):  # type: ignore[no-untyped-def]
    """``<V, Y'Z>``, with the last class's coefficients taken from all; adds its gradient and closes ``G`` (K, q)."""
    K, q = V.shape
    value = 0.0
    for k in range(K - 1):
        for j in range(q):
            value += (V[k, j] - V[K - 1, j]) * data.YZ[k, j]
            G[k, j] += data.YZ[k, j]
    close_rows(G)
    return value


@nb.njit(**_options)
def engine_coefficients(data, theta, V):  # type: ignore[no-untyped-def]
    """Fill ``V`` (K, q) from the free vector."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for k in range(K):
        for j in range(V.shape[1]):
            V[k, j] = 0.0
        for c in range(k_b):
            V[k, 0] += data.Cb[k, c] * theta[c * (p + 1)]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                row, column = V[k, first:], theta[c * p + min(c + 1, k_b) :]
                for j in range(p):
                    row[j] += contrast * column[j]


@nb.njit(**_options)
def free_gradient(data, G, gradient):  # type: ignore[no-untyped-def]
    """Fill the free gradient (d,) from the gradient ``G`` (K, q) in engine coefficients."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for j in range(gradient.shape[0]):
        gradient[j] = 0.0
    for k in range(K):
        for c in range(k_b):
            gradient[c * (p + 1)] += data.Cb[k, c] * G[k, 0]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                row, column = G[k, first:], gradient[c * p + min(c + 1, k_b) :]
                for j in range(p):
                    column[j] += contrast * row[j]


@nb.njit(**_options | KEPT)
def log_posterior_values(data, thetas, out):  # type: ignore[no-untyped-def]
    """Log posterior at many points (S, d), one pass over the data for a stack of them; fills ``out`` (S,)."""
    K, q = data.YZ.shape
    B = data.Z.shape[2]
    stack = max(1, STACK // (K * q))
    unused, V, G = np.empty(thetas.shape[1]), np.empty((K, q)), np.zeros((K, q))
    L, work, D = workspace(K, B), workspace(3, B), np.empty((stack, K - 1, q))
    for first in range(0, thetas.shape[0], stack):
        n = min(stack, thetas.shape[0] - first)
        for t in range(n):
            engine_coefficients(data, thetas[first + t], V)
            differences(V, D[t])
            out[first + t] = linear_term(data, V, G) + log_prior_gradient(data, thetas[first + t], unused)
        for b in range(data.Z.shape[0]):
            totals, c = block_totals(data.totals, b), min(B, data.n_obs - b * B)
            for t in range(n):
                block_logits(D[t], data.Z[b], data.offset, data.available, b, L)
                out[first + t] -= softmax_block(L, work, totals, data.available, b, c, 0)


def is_compiled() -> bool:
    """Whether this process or a run before it on this machine has compiled the kernel."""
    if log_likelihood_gradient.signatures:
        return True
    folder = Path(log_likelihood_gradient._cache.cache_path)
    return any(folder.glob("kernel.log_likelihood_gradient*.nbi"))
