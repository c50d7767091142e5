r"""The compiled log posterior: value, gradient, and values at many points; everything but the logits themselves.

Logits are computed from rows and coefficients in :mod:`bayes_softmax.density.linear`.  Rows come in parts, each a stack
of blocks; a sum over rows is a sum over the blocks of all parts.

Shapes, defined once here (float64 except the mask, C-contiguous; sums over observations, never means):

=============  =============  =========================================================
*of a part*
``Z``          (n, q, B)      standardised features in n blocks of B rows, padded with
                              zeros; feature 0 is 1 if there is an intercept
``n_obs``                     rows that are not padding
``totals``     (n, B)         trials per row (weight or count total), zero where padded;
                              (0, B) when all are 1
``offset``     (n, K, B)      added to the logits, less the row's largest over the classes
                              on offer; (0, K, B) when absent
``available``  (n, K, B)      boolean, whether a class is on offer; (0, K, B) when all are
*of all parts*
``parts``      (n_parts, 12)  addresses and sizes of the parts, see ``PART``; (0, 12) when
                              some are not in memory: the density here is then NaN
``YZ``         (K, q)         ``Y'Z``: sufficient statistic of the responses
``Cb``, ``Cw`` (K, k)         contrasts of intercept (k_b = 0: none) and weights
``family``...  (rows,)        prior per coefficient row: the intercept first (if any), then
                              each feature
``V``          (K, q)         engine coefficients, class-major
``theta``      (d,)           column by column: c's intercept (for c < k_b) at ``c (p + 1)``,
                              its p weights from ``c p + min(c + 1, k_b)`` on
=============  =============  =========================================================

Logits of a block are class-major, (K, B): every loop over rows is contiguous, and nothing of size N is allocated.
Softmax is unchanged when the last class's coefficients are subtracted from all, so only K-1 rows are ever multiplied,
and the last row of a gradient is minus the sum of the others.  Nothing else is special about the last class: each
row's largest logit is subtracted for stability, so that any class may have an offset of any size or not be on offer.
With :math:`\mu_{ki} = n_i p_{ki}`,

.. math:: \log L = \langle V, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki}}, \quad
          \nabla = Y'Z - \mu Z.

Fast-math flags exclude reassociation and the no-NaN assumption.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import carray
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.linear import (
    differences,
    engine_coefficients,
    free_gradient,
    linear_term,
    logits,
    products,
    workspace,
)
from bayes_softmax.density.log_prior import KEPT, log_prior_gradient
from bayes_softmax.density.simd import exp_row, pointer

STACK = 65536  # coefficients evaluated in one pass over the data: they stay in the second-level cache
NOT_OFFERED = -1e300  # below every logit, and still finite after subtraction of another logit
LANES = 8  # products of exponential sums accumulated side by side, so that one logarithm serves B / 8 rows


class RowData(NamedTuple):
    """Rows of one part in memory; see the table at the top of the module."""

    Z: FloatArray
    n_obs: int
    totals: FloatArray
    offset: FloatArray
    available: NDArray[np.bool_]


class KernelData(NamedTuple):
    """The kernel's inputs: the parts, and what they share; see the table at the top of the module."""

    parts: IntArray
    YZ: FloatArray
    Cb: FloatArray
    Cw: FloatArray
    family: IntArray
    scale: FloatArray
    df: FloatArray
    centre: FloatArray


# One line of ``parts``: the addresses of the arrays of ``RowData`` in order, then their sizes.
_NUMBERS = ("Z", "totals", "offset", "available", "n", "q", "B", "K", "n_obs", "n_totals", "n_offset", "n_available")
PART, PART_SIZE = np.dtype([(name, np.int64) for name in _NUMBERS]), len(_NUMBERS)


@nb.njit(**nb.OPTIONS)
def read_part(parts, i):  # type: ignore[no-untyped-def]
    """The rows behind line ``i`` of ``parts``."""
    t = carray(pointer(parts.ctypes.data), (parts.shape[0],), PART)[i]
    return RowData(
        carray(pointer(t.Z), (t.n, t.q, t.B), np.float64),
        t.n_obs,
        carray(pointer(t.totals), (t.n_totals, t.B), np.float64),
        carray(pointer(t.offset), (t.n_offset, t.K, t.B), np.float64),
        carray(pointer(t.available), (t.n_available, t.K, t.B), np.bool_),
    )


@nb.njit(**nb.OPTIONS)
def _log_sum(s, lanes):  # type: ignore[no-untyped-def]
    """Sum of the logarithms of ``s`` (B,), each in [1, K], computed from products of at most K^(B/8)."""
    for l in range(LANES):
        lanes[l] = 1.0
    for i in range(0, s.shape[0], LANES):
        for l in range(LANES):
            lanes[l] *= s[i + l]
    total = 0.0
    for l in range(LANES):
        total += math.log(lanes[l])
    return total


@nb.njit(inline="always", **nb.OPTIONS)
def block_logits(D, Z, offset, available, b, L):  # type: ignore[no-untyped-def]
    """Fill ``L`` (K, B) with the logits of block ``b``, ``Z`` (q, B), from the K-1 differences ``D``.

    It does not take ``data`` as a whole: counting references to all its arrays would cost as much as a block's maxima.
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


@nb.njit(**nb.OPTIONS)
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
            m[i] = m[i] if m[i] >= row[i] else row[i]  # this order propagates NaN
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
            for i in range(B):  # the computed exponential of minus infinity is small, not zero
                row[i] = row[i] if offered[i] else 0.0
    return total


@nb.njit(**nb.OPTIONS)
def block_totals(totals, block):  # type: ignore[no-untyped-def]
    """Trials per row of a block (B,), or (0,) when all are 1."""
    return totals[block] if totals.shape[0] > 0 else np.empty(0)


@nb.njit(**nb.OPTIONS)
def log_likelihood_gradient(rows, V, G, first, end):  # type: ignore[no-untyped-def]
    """Log-likelihood of the blocks ``first <= b < end`` at ``V`` (K, q), without the term ``<V, Y'Z>``.

    Its gradient is added to the first K-1 rows of ``G`` (K, q).
    """
    K, q = V.shape
    B = rows.Z.shape[2]
    D, L, work = np.empty((K - 1, q)), workspace(K, B), workspace(3, B)
    differences(V, D)
    value = 0.0
    for b in range(first, end):
        Z = rows.Z[b]
        block_logits(D, Z, rows.offset, rows.available, b, L)
        totals, c = block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        value -= softmax_block(L, work, totals, rows.available, b, c, K - 1)
        products(L, Z, G, K - 1, False)
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def log_posterior_gradient(data, theta, gradient):  # type: ignore[no-untyped-def]
    """Log posterior for parts in memory, without its constants; fills its gradient (d,)."""
    V, G = np.empty_like(data.YZ), np.zeros_like(data.YZ)
    engine_coefficients(data, theta, V)
    value = 0.0 if data.parts.shape[0] > 0 else np.nan
    for i in range(data.parts.shape[0]):
        rows = read_part(data.parts, i)
        value += log_likelihood_gradient(rows, V, G, 0, rows.Z.shape[0])
    value += linear_term(data.YZ, V, G)
    free_gradient(data, G, gradient)
    return value + log_prior_gradient(data, theta, gradient)


@nb.njit(**nb.OPTIONS)
def add_log_likelihoods(rows, D, out, first, end):  # type: ignore[no-untyped-def]
    """Add to ``out`` (S,) the log-likelihoods of blocks, without ``<V, Y'Z>``, at differences ``D`` (S, K-1, q)."""
    K, B = D.shape[1] + 1, rows.Z.shape[2]
    L, work = workspace(K, B), workspace(3, B)
    for b in range(first, end):
        totals, c = block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        for t in range(D.shape[0]):
            block_logits(D[t], rows.Z[b], rows.offset, rows.available, b, L)
            out[t] -= softmax_block(L, work, totals, rows.available, b, c, 0)


@nb.njit(**nb.OPTIONS | KEPT)
def log_posterior_values(data, thetas, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (S,) with the log posterior at points (S, d), with one pass over the data per stack of points."""
    K, q = data.YZ.shape
    stack = min(max(1, STACK // (K * q)), thetas.shape[0])
    D, V, G, unused = np.empty((stack, K - 1, q)), np.empty((K, q)), np.zeros((K, q)), np.empty(thetas.shape[1])
    for first in range(0, thetas.shape[0], max(stack, 1)):
        n = min(stack, thetas.shape[0] - first)
        for t in range(n):
            engine_coefficients(data, thetas[first + t], V)
            differences(V, D[t])
            out[first + t] = linear_term(data.YZ, V, G) + log_prior_gradient(data, thetas[first + t], unused)
        if data.parts.shape[0] == 0:
            out[:] = np.nan
        for i in range(data.parts.shape[0]):
            rows = read_part(data.parts, i)
            add_log_likelihoods(rows, D[:n], out[first : first + n], 0, rows.Z.shape[0])


def is_compiled() -> bool:
    """Whether this process or an earlier one on this machine has compiled the kernel."""
    if log_likelihood_gradient.signatures or log_posterior_gradient.signatures:
        return True
    folder = Path(log_likelihood_gradient._cache.cache_path)
    return any(folder.glob("kernel.log_likelihood_gradient*.nbi"))
