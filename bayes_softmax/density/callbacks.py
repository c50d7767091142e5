"""The log posterior as C callbacks on whitened coordinates, for samplers that run without Python's global lock.

A sampler passes addresses: of the point, of the outputs for gradient and value, and of a table with the addresses and
sizes of all arrays (:func:`pack_pointers`).
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, types

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray, Whitening
from bayes_softmax.density.kernel import PART_SIZE, KernelData, log_posterior_gradient
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.native import kernel_addresses, whitening_addresses
from bayes_softmax.density.simd import pointer

DATA_SIZE = 13  # addresses and sizes that describe the data


# Loops start at zero over slices: Numba cannot prove other indices non-negative, and would not vectorise.
@nb.njit(nogil=True, cache=True, fastmath=nb.FAST | {"reassoc"})
def upper_product(M, z, out):  # type: ignore[no-untyped-def]
    """``out = M z`` for an upper triangular ``M`` (m, m), reading only its upper half."""
    m = M.shape[0]
    for i in range(m):
        row, tail, total = M[i, i:], z[i:], 0.0
        for j in range(m - i):
            total += row[j] * tail[j]
        out[i] = total


@nb.njit(**nb.OPTIONS)
def transposed_product(M, y, out):  # type: ignore[no-untyped-def]
    """``out = M' y`` for an upper triangular ``M`` (m, m), reading only its upper half."""
    m = M.shape[0]
    for j in range(m):
        out[j] = 0.0
    for i in range(m):
        row, tail, factor = M[i, i:], out[i:], y[i]
        for j in range(m - i):
            tail[j] += row[j] * factor


@nb.njit(inline="always", **nb.OPTIONS)
def to_free(blocks, mixing, z, theta):  # type: ignore[no-untyped-def]
    """Add ``T z`` to ``theta``, which holds the mode.

    ``T`` is as in ``core.records.Whitening``: column c of ``theta`` is ``sum_e mixing[c, e] blocks[e] z[e]``.
    """
    k, m = blocks.shape[0], blocks.shape[1]
    column = np.empty(m)
    for e in range(k):
        upper_product(blocks[e], z[e * m : (e + 1) * m], column)
        for c in range(k):
            mixed, factor = theta[c * m :], mixing[c, e]
            for j in range(m):
                mixed[j] += factor * column[j]


@nb.njit(inline="always", **nb.OPTIONS)
def to_whitened(blocks, mixing, gradient, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (d,) with ``T' gradient``."""
    k, m = blocks.shape[0], blocks.shape[1]
    column = np.empty(m)
    for e in range(k):
        for j in range(m):
            column[j] = 0.0
        for c in range(k):
            mixed, factor = gradient[c * m :], mixing[c, e]
            for j in range(m):
                column[j] += factor * mixed[j]
        transposed_product(blocks[e], column, out[e * m : (e + 1) * m])


@nb.njit(inline="always", **nb.OPTIONS | KEPT)  # its one caller is a callback: not compiled twice
def whitened_gradient(data, mode, blocks, mixing, z, out):  # type: ignore[no-untyped-def]
    """Log posterior at ``mode + T z``; fills ``out`` (d,) with ``T' gradient``."""
    theta, gradient = mode.copy(), np.empty_like(mode)
    to_free(blocks, mixing, z, theta)
    value = log_posterior_gradient(data, theta, gradient)
    to_whitened(blocks, mixing, gradient, out)
    return value


def pack_data(data: KernelData) -> list[int]:
    """Addresses of the data's arrays, then their sizes, in the order in which :func:`read_data` reads them."""
    return [*kernel_addresses(data), len(data.parts), *data.YZ.shape, data.Cb.shape[1], data.Cw.shape[1]]


def _dimension(data: KernelData) -> int:
    """Number of free coordinates d."""
    return int(data.Cb.shape[1] + data.Cw.shape[1] * len(data.centre))


def pack_pointers(data: KernelData, whitening: Whitening) -> IntArray:
    """Addresses and sizes of all arrays, in the order in which ``_logp`` reads them."""
    addresses = whitening_addresses(whitening, _dimension(data))
    return np.array([*pack_data(data), *addresses, *whitening.blocks.shape[:2]], dtype=np.int64)


@nb.njit(**nb.OPTIONS)
def _vector(address, n):  # type: ignore[no-untyped-def]
    return carray(pointer(address), (n,), np.float64)


@nb.njit(**nb.OPTIONS)
def _matrix(address, n, m):  # type: ignore[no-untyped-def]
    return carray(pointer(address), (n, m), np.float64)


@nb.njit(**nb.OPTIONS)
def _singles(address, n, m, l):  # type: ignore[no-untyped-def]
    return carray(pointer(address), (n, m, l), np.float32)


@nb.njit(**nb.OPTIONS)
def read_data(user):  # type: ignore[no-untyped-def]
    """The data behind the addresses of :func:`pack_data`."""
    size = user[8:DATA_SIZE]
    n_parts, K, q, k_b, k_w = size[0], size[1], size[2], size[3], size[4]
    return KernelData(
        carray(pointer(user[0]), (n_parts, PART_SIZE), np.int64),
        _matrix(user[1], K, q),
        _matrix(user[2], K, k_b),
        _matrix(user[3], K, k_w),
        carray(pointer(user[4]), (q,), np.int64),
        _vector(user[5], q),
        _vector(user[6], q),
        _vector(user[7], q - min(k_b, 1)),
    )


def _logp(dimension, z_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the whitened log posterior; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (DATA_SIZE + 5,), np.int64)
    more = user[DATA_SIZE:]
    k, m = more[3], more[4]
    d = np.int64(dimension)
    mode, blocks, mixing = _vector(more[0], d), _singles(more[1], k, m, m), _matrix(more[2], k, k)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    value[0] = whitened_gradient(read_data(user), mode, blocks, mixing, z, out)
    return 0 if np.isfinite(value[0]) else 4


def _expand(dimension, size, z_, out_, user_):  # type: ignore[no-untyped-def]
    """C callback: copies the whitened point, which is stored as the draw."""
    d = np.int64(dimension)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    for j in range(d):
        out[j] = z[j]
    return 0


_DOUBLES = types.CPointer(types.double)
_LOGP = types.int64(types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, types.voidptr)
_EXPAND = types.int64(types.uint64, types.uint64, _DOUBLES, _DOUBLES, types.voidptr)


@functools.cache
def _compiled(function: Callable[..., int], signature: Any) -> Any:
    """The C callback of a function: kept, since its address is of no use after it is gone."""
    return nb.cfunc(signature, error_model="numpy", nopython=True, **KEPT)(function)


def compiled_logp(function: Callable[..., int]) -> int:
    """Address of a function for value with gradient as a C callback; compiled at the first call."""
    return int(_compiled(function, _LOGP).address)


def native_addresses() -> tuple[int, int]:
    """Addresses of the C callbacks for value with gradient and for storing a draw; compiled at the first call."""
    return compiled_logp(_logp), int(_compiled(_expand, _EXPAND).address)
