r"""The compiled log posterior: value, gradient, many points at once, and C callbacks for samplers.

Shapes, fixed here once (all float64, C-contiguous; sums over observations, never means):

=============  ========  ==============================================================
``Z``          (N, q)    standardised features; column 0 is 1 if there is an intercept
``YZ``         (K, q)    ``Y'Z``: all the likelihood needs of the responses
``totals``     (N,)      units per row (weight or count total); (0,) when all are 1
``offset``     (K, N)    added to the logits; (0, 0) when absent
``Cb``, ``Cw`` (K, k)    contrasts of intercept (k_b = 0: none) and weights
``family``...  (rows,)   prior per row: the intercept first (if any), then each feature
``V``          (K, q)    engine coefficients, class-major
``theta``      (d,)      ``[k_b intercepts, k_w x p weights]``
=============  ========  ==============================================================

Logits of a block of rows are class-major, (K, block): every loop over rows is contiguous and vectorises,
both products are BLAS calls, and nothing of size N is allocated.  With :math:`\mu_{ki} = n_i p_{ki}`,

.. math:: \log L = \langle V, Y'Z\rangle - \sum_i n_i \log\sum_k e^{\eta_{ki}}, \quad
          \nabla = Y'Z - \mu Z.

A callback and all it calls live in this one file because Numba's disk cache does not see changes in others.
Fast-math flags leave out reassociation (it costs ``exp`` two digits) and the no-NaN promise.
"""

import functools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from bayes_softmax.core.records import FloatArray, IntArray

BLOCK = 512  # rows per block: K x 512 logits stay in the first two cache levels
STACK = 512  # coefficient rows per block when many parameter vectors are evaluated at once
FLAT, NORMAL, T_SPHERICAL, T_ELEMENTWISE = 0, 1, 2, 3

_FAST = {"contract", "nsz", "arcp"}
_options: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": _FAST}
# Above, 1.5 * 2^52: adding it rounds to an integer that sits in the low bits of the sum.
_ROUND = 6755399441055744.0
_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_UNDERFLOW = -708.0


class KernelData(NamedTuple):
    """Arrays the kernel reads; see the table at the top of the module."""

    Z: FloatArray
    YZ: FloatArray
    totals: FloatArray
    offset: FloatArray
    Cb: FloatArray
    Cw: FloatArray
    family: IntArray
    scale: FloatArray
    df: FloatArray
    centre: FloatArray


@intrinsic
def _bits(typing_context, x):  # type: ignore[no-untyped-def]
    """The 64 bits of a float as an integer."""
    return types.int64(types.float64), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic
def _from_bits(typing_context, n):  # type: ignore[no-untyped-def]
    """The float with the given 64 bits."""
    return types.float64(types.int64), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.DoubleType())


@intrinsic
def _pointer(typing_context, address):  # type: ignore[no-untyped-def]
    """An address as a pointer that ``carray`` accepts."""
    return (
        types.voidptr(types.int64),
        lambda _c, builder, _s, args: builder.inttoptr(args[0], ir.PointerType(ir.IntType(8))),
    )


@nb.njit(**_options)
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0: Cody-Waite reduction and a degree-12 Taylor polynomial, relative error below 4e-16."""
    x = _UNDERFLOW if x < _UNDERFLOW else x  # written so that NaN passes through
    shifted = x * _LOG2E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    s = r * (1 / 479001600) + 1 / 39916800
    s = s * r + 1 / 3628800
    s = s * r + 1 / 362880
    s = s * r + 1 / 40320
    s = s * r + 1 / 5040
    s = s * r + 1 / 720
    s = s * r + 1 / 120
    s = s * r + 1 / 24
    s = s * r + 1 / 6
    s = s * r + 0.5
    s = s * r + 1.0
    s = s * r + 1.0
    return s * _from_bits((_bits(shifted) + 1023) << 52)


# Explicit loops instead of array expressions: each of those compiles seconds of shape-error formatting.
@nb.njit(**_options)
def _inner(A, B):  # type: ignore[no-untyped-def]
    """Sum of the products of two matrices of one shape."""
    total = 0.0
    for k in range(A.shape[0]):
        for j in range(A.shape[1]):
            total += A[k, j] * B[k, j]
    return total


@nb.njit(**_options)
def _add(A, factor, B):  # type: ignore[no-untyped-def]
    """``B += factor A``."""
    for k in range(A.shape[0]):
        for j in range(A.shape[1]):
            B[k, j] += factor * A[k, j]


@nb.njit(**_options)
def _copy(A, B):  # type: ignore[no-untyped-def]
    """``B = A``."""
    for k in range(A.shape[0]):
        for j in range(A.shape[1]):
            B[k, j] = A[k, j]


@nb.njit(**_options)
def _softmax_block(L, totals, m, s, normalise):  # type: ignore[no-untyped-def]
    """Sum of ``n_i logsumexp_i`` over a block; turns its logits (K, c) into ``n_i p_ki`` in place."""
    K, c = L.shape
    for i in range(c):
        m[i] = L[0, i]
        s[i] = 0.0
    for k in range(1, K):
        for i in range(c):
            m[i] = L[k, i] if L[k, i] > m[i] else m[i]
    for k in range(K):
        for i in range(c):
            e = _exp(L[k, i] - m[i])
            L[k, i] = e
            s[i] += e
    total = 0.0
    if totals.shape[0] > 0:
        for i in range(c):
            total += totals[i] * (m[i] + math.log(s[i]))
            s[i] = totals[i] / s[i]
    else:
        product = 1.0  # of 16 sums in [1, K]: one logarithm for 16 rows
        for i in range(c):
            total += m[i]
            product *= s[i]
            if (i & 15) == 15:
                total += math.log(product)
                product = 1.0
        total += math.log(product)
        for i in range(c):
            s[i] = 1.0 / s[i]
    if normalise:
        for k in range(K):
            for i in range(c):
                L[k, i] *= s[i]
    return total


@nb.njit(**_options)
def _add_offset(L, offset, start, n_classes):  # type: ignore[no-untyped-def]
    """Add the offset of a block's rows to its logits (n_classes * S, c)."""
    if offset.shape[0] > 0:
        for k in range(L.shape[0]):
            for i in range(L.shape[1]):
                L[k, i] += offset[k % n_classes, start + i]


@nb.njit(**_options)
def engine_coefficients(data, theta, V):  # type: ignore[no-untyped-def]
    """Fill ``V`` (K, q) from the free vector."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for k in range(K):
        for j in range(V.shape[1]):
            V[k, j] = 0.0
        for c in range(k_b):
            V[k, 0] += data.Cb[k, c] * theta[c]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                for j in range(p):
                    V[k, first + j] += contrast * theta[k_b + c * p + j]


@nb.njit(**_options)
def _free_gradient(data, G, gradient):  # type: ignore[no-untyped-def]
    """Fill the free gradient (d,) from the gradient ``G`` (K, q) in engine coefficients."""
    K, k_b = data.Cb.shape
    k_w, p, first = data.Cw.shape[1], data.centre.shape[0], min(k_b, 1)
    for j in range(gradient.shape[0]):
        gradient[j] = 0.0
    for k in range(K):
        for c in range(k_b):
            gradient[c] += data.Cb[k, c] * G[k, 0]
        for c in range(k_w):
            contrast = data.Cw[k, c]
            if contrast != 0.0:
                for j in range(p):
                    gradient[k_b + c * p + j] += contrast * G[k, first + j]


@nb.njit(**_options)
def log_likelihood_gradient(data, V, G):  # type: ignore[no-untyped-def]
    """Log-likelihood at ``V`` (K, q); fills ``G`` (K, q) with its gradient."""
    N, K = data.Z.shape[0], V.shape[0]
    value = _inner(V, data.YZ)
    _copy(data.YZ, G)
    logits, m, s = np.empty(K * BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    product = np.empty_like(G)
    for start in range(0, N, BLOCK):
        Z = data.Z[start : start + BLOCK]
        c = Z.shape[0]
        L = logits[: K * c].reshape(K, c)
        np.dot(V, Z.T, L)
        _add_offset(L, data.offset, start, K)
        value -= _softmax_block(L, data.totals[start : start + BLOCK], m, s, True)
        np.dot(L, Z, product)
        _add(product, -1.0, G)
    return value


@nb.njit(**_options)
def log_prior_gradient(data, theta, gradient):  # type: ignore[no-untyped-def]
    """Log prior up to its constant; *adds* its gradient to ``gradient`` (d,)."""
    k_b, k_w, p = data.Cb.shape[1], data.Cw.shape[1], data.centre.shape[0]
    has_intercept = min(k_b, 1)
    g = np.empty(max(k_b, k_w))
    value = 0.0
    for row in range(data.family.shape[0]):
        family, inverse, df = data.family[row], 1.0 / data.scale[row] ** 2, data.df[row]
        if family == FLAT:
            continue
        is_intercept = has_intercept == 1 and row == 0
        j, k = row - has_intercept, k_b if is_intercept else k_w
        squares = 0.0
        for c in range(k):
            g[c] = theta[c] if is_intercept else theta[k_b + c * p + j]
            if is_intercept:
                for i in range(p):
                    g[c] -= data.centre[i] * theta[k_b + c * p + i]
            squares += g[c] * g[c]
        if family == NORMAL:
            value -= 0.5 * inverse * squares
        elif family == T_SPHERICAL:
            value -= 0.5 * (df + k) * math.log1p(squares * inverse / df)
        for c in range(k):
            slope = inverse * g[c]
            if family == T_SPHERICAL:
                slope *= (df + k) / (df + squares * inverse)
            elif family == T_ELEMENTWISE:
                value -= 0.5 * (df + 1) * math.log1p(g[c] * g[c] * inverse / df)
                slope *= (df + 1) / (df + g[c] * g[c] * inverse)
            if is_intercept:
                gradient[c] -= slope
                for i in range(p):
                    gradient[k_b + c * p + i] += data.centre[i] * slope
            else:
                gradient[k_b + c * p + j] -= slope
    return value


@nb.njit(**_options)
def log_posterior_gradient(data, theta, gradient):  # type: ignore[no-untyped-def]
    """Log posterior at ``theta`` (d,) up to a constant; fills ``gradient`` (d,)."""
    V, G = np.empty_like(data.YZ), np.empty_like(data.YZ)
    engine_coefficients(data, theta, V)
    value = log_likelihood_gradient(data, V, G)
    _free_gradient(data, G, gradient)
    return value + log_prior_gradient(data, theta, gradient)


@nb.njit(**_options)
def log_posterior_values(data, thetas, out):  # type: ignore[no-untyped-def]
    """Log posterior at many points (S, d), one pass over the data for a stack of them; fills ``out`` (S,)."""
    K, q = data.YZ.shape
    stack = max(1, STACK // K)
    unused = np.empty(thetas.shape[1])
    m, s = np.empty(BLOCK), np.empty(BLOCK)
    scratch = np.empty(stack * K * BLOCK)
    for first in range(0, thetas.shape[0], stack):
        n = min(stack, thetas.shape[0] - first)
        Vs = np.empty((n * K, q))
        for t in range(n):
            V = Vs[t * K : (t + 1) * K]
            engine_coefficients(data, thetas[first + t], V)
            out[first + t] = _inner(V, data.YZ) + log_prior_gradient(data, thetas[first + t], unused)
        for start in range(0, data.Z.shape[0], BLOCK):
            Z = data.Z[start : start + BLOCK]
            c = Z.shape[0]
            L = scratch[: n * K * c].reshape(n * K, c)
            np.dot(Vs, Z.T, L)
            _add_offset(L, data.offset, start, K)
            for t in range(n):
                totals = data.totals[start : start + BLOCK]
                out[first + t] -= _softmax_block(L[t * K : (t + 1) * K], totals, m, s, False)


@nb.njit(**_options)
def expected_counts(data, V, P):  # type: ignore[no-untyped-def]
    """Fill ``P`` (K, N) with ``n_i p_ki``; returns the log-likelihood."""
    N, K = data.Z.shape[0], V.shape[0]
    value = _inner(V, data.YZ)
    logits, m, s = np.empty(K * BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, N, BLOCK):
        Z = data.Z[start : start + BLOCK]
        c = Z.shape[0]
        L = logits[: K * c].reshape(K, c)
        np.dot(V, Z.T, L)
        _add_offset(L, data.offset, start, K)
        value -= _softmax_block(L, data.totals[start : start + BLOCK], m, s, True)
        _copy(L, P[:, start : start + c])
    return value


@nb.njit(nogil=True, cache=True, fastmath=_FAST | {"reassoc"})
def _upper_product(M, z, out):  # type: ignore[no-untyped-def]
    """``out += M z`` for an upper triangular ``M`` (d, d), reading only its upper half."""
    for i in range(M.shape[0]):
        total = 0.0
        for j in range(i, M.shape[0]):
            total += M[i, j] * z[j]
        out[i] += total


@nb.njit(**_options)
def whitened_gradient(data, mode, M, z, out):  # type: ignore[no-untyped-def]
    """Log posterior at ``mode + M z``, ``M`` upper triangular; fills ``out`` (d,) with ``M' gradient``."""
    theta, gradient = mode.copy(), np.empty_like(mode)
    _upper_product(M, z, theta)
    value = log_posterior_gradient(data, theta, gradient)
    for j in range(out.shape[0]):
        out[j] = 0.0
    for i in range(M.shape[0]):
        for j in range(i, M.shape[0]):
            out[j] += M[i, j] * gradient[i]
    return value


def is_compiled() -> bool:
    """Whether this process or a run before it on this machine has compiled the kernel."""
    if log_posterior_gradient.signatures:
        return True
    folder = Path(log_posterior_gradient._cache.cache_path)
    return any(folder.glob("kernel.log_posterior_gradient*.nbi"))


N_ARRAYS = 12  # mode, M, then the fields of KernelData


def pack_pointers(data: KernelData, mode: FloatArray, M: FloatArray) -> IntArray:
    """Addresses of all arrays, then the sizes, in the order ``_logp`` reads them."""
    arrays = (mode, M, *data)
    sizes = (*data.Z.shape, *data.Cb.shape, data.Cw.shape[1], len(data.totals), data.offset.shape[0])
    return np.array([a.ctypes.data for a in arrays] + list(sizes), dtype=np.int64)


@nb.njit(**_options)
def _vector(address, n):  # type: ignore[no-untyped-def]
    return carray(_pointer(address), (n,), np.float64)


@nb.njit(**_options)
def _matrix(address, n, m):  # type: ignore[no-untyped-def]
    return carray(_pointer(address), (n, m), np.float64)


def _logp(dimension, z_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the whitened log posterior; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (N_ARRAYS + 7,), np.int64)
    N, q, K, k_b, k_w = user[12], user[13], user[14], user[15], user[16]
    n_totals, n_offset = user[17], user[18]
    p, rows, d = q - min(k_b, 1), q, np.int64(dimension)
    data = KernelData(
        _matrix(user[2], N, q),
        _matrix(user[3], K, q),
        _vector(user[4], n_totals),
        _matrix(user[5], n_offset, N if n_offset > 0 else 0),
        _matrix(user[6], K, k_b),
        _matrix(user[7], K, k_w),
        carray(_pointer(user[8]), (rows,), np.int64),
        _vector(user[9], rows),
        _vector(user[10], rows),
        _vector(user[11], p),
    )
    mode, M = _vector(user[0], d), _matrix(user[1], d, d)
    value[0] = whitened_gradient(data, mode, M, carray(z_, (d,)), carray(out_, (d,)))
    return 0 if np.isfinite(value[0]) else 4


def _expand(dimension, size, z_, out_, user_):  # type: ignore[no-untyped-def]
    """C callback: what is stored of a draw is the whitened point itself."""
    d = np.int64(dimension)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    for j in range(d):
        out[j] = z[j]
    return 0


@functools.lru_cache(maxsize=1)
def native_addresses() -> tuple[int, int]:
    """Addresses of the C callbacks for value with gradient and for storing; compiled at the first call."""
    double = types.CPointer(types.double)
    logp = types.int64(types.uint64, double, double, double, types.voidptr)
    expand = types.int64(types.uint64, types.uint64, double, double, types.voidptr)
    options = {"cache": True, "error_model": "numpy", "nopython": True}
    compiled = [nb.cfunc(sig, **options)(f) for sig, f in ((logp, _logp), (expand, _expand))]
    native_addresses.keep = compiled  # type: ignore[attr-defined]
    return compiled[0].address, compiled[1].address
