"""A network's log posterior as C callbacks on whitened coordinates, and its table of addresses."""

import functools
from pathlib import Path

import numpy as np
from numba import carray, types

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray, Whitening
from bayes_softmax.density.callbacks import DATA_SIZE, pack_data, read_data, to_free, to_whitened
from bayes_softmax.density.callbacks import native_addresses as linear_addresses
from bayes_softmax.density.kernel import PART, PART_SIZE
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.native import Field, checked_addresses, leading_shape, require, whitening_addresses
from bayes_softmax.density.network import kernel
from bayes_softmax.density.network.kernel import RESPONSE_SIZE, NetworkData, log_posterior_gradient
from bayes_softmax.density.simd import pointer

NETWORK_FIELDS = (
    Field("parts", np.int64, ("n_parts", PART_SIZE)),
    Field("responses", np.int64, ("n_parts", RESPONSE_SIZE)),
    Field("sizes", np.int64, ("n_sizes",)),
    Field("options", np.int64, (2,)),
    Field("precision", np.float64, ("m",)),
)
WHITENING = ("mode", "blocks", "mixing")
# Addresses and sizes by name, in one structured type that Python writes and the callback reads.
TABLE = np.dtype(
    [
        ("last", np.int64, (DATA_SIZE,)),
        *((name, np.int64) for name in (*(field.name for field in NETWORK_FIELDS), *WHITENING)),
        *((name, np.int64) for name in ("n_parts", "n_sizes", "m", "k", "width")),
    ]
)


def network_addresses(data: NetworkData) -> list[int]:
    """Checked addresses of the arrays of :class:`NetworkData` but the last layer's, in the table's order."""
    n_parts, sizes = len(data.parts), data.sizes
    pack_data(data.last)
    require(len(sizes) > 1 and int(sizes.min()) >= 0, data, "sizes", f"is {sizes.tolist()}, without a hidden layer")
    m = int((1 + sizes[:-1]).sum())
    addresses = checked_addresses(data, NETWORK_FIELDS, {"n_parts": n_parts, "n_sizes": len(sizes), "m": m})
    (K, q), p = data.last.YZ.shape, int(sizes[0])
    expected = min(data.last.Cb.shape[1], 1) + int(sizes[-1]) + (p if data.options[1] else 0)
    require(q == expected, data, "last", f"has {q} columns of inputs, not {expected}")
    lines = data.parts.view(PART)
    features = p + max(int(data.options[1]), 1)
    same = bool((lines["q"] == features).all() and (lines["K"] == K).all())
    require(same, data, "parts", f"has parts of other than {p} features or {K} classes")
    return addresses


def pack_pointers(data: NetworkData, whitening: Whitening, dimension: int) -> IntArray:
    """Addresses and sizes of all arrays, as one ``TABLE``."""
    addresses = [*network_addresses(data), *whitening_addresses(whitening, dimension)]
    k, width = leading_shape(whitening, "blocks", 3)[:2]
    sizes = (len(data.parts), len(data.sizes), len(data.precision), k, width)
    return np.array([*pack_data(data.last), *addresses, *sizes], dtype=np.int64)


@nb.njit(inline="always", **nb.OPTIONS)
def _read_network(user):  # type: ignore[no-untyped-def]
    """The data behind the addresses of a ``TABLE``, as integers."""
    more = user[DATA_SIZE:]
    n_parts, n_sizes, m = more[8], more[9], more[10]
    return NetworkData(
        carray(pointer(more[0]), (n_parts, PART_SIZE), np.int64),
        carray(pointer(more[1]), (n_parts, RESPONSE_SIZE), np.int64),
        carray(pointer(more[2]), (n_sizes,), np.int64),
        carray(pointer(more[3]), (2,), np.int64),
        carray(pointer(more[4]), (m,), np.float64),
        read_data(user),
    )


@nb.njit(inline="always", **nb.OPTIONS | KEPT)
def _whitened_gradient(data, mode, blocks, mixing, z, out):  # type: ignore[no-untyped-def]
    """Log posterior at ``mode + T z``; fills ``out`` (d,) with ``T' gradient``."""
    theta, gradient = mode.copy(), np.empty_like(mode)
    to_free(blocks, mixing, z, theta)
    value = log_posterior_gradient(data, theta, gradient)
    to_whitened(blocks, mixing, gradient, out)
    return value


def _logp(dimension, z_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the whitened log posterior; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (TABLE_SIZE,), np.int64)
    more = user[DATA_SIZE:]
    k, width, d = more[11], more[12], np.int64(dimension)
    mode = carray(pointer(more[5]), (d,), np.float64)
    blocks = carray(pointer(more[6]), (k, width, width), np.float32)
    mixing = carray(pointer(more[7]), (k, k), np.float64)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    value[0] = _whitened_gradient(_read_network(user), mode, blocks, mixing, z, out)
    return 0 if np.isfinite(value[0]) else 4


TABLE_SIZE = TABLE.itemsize // 8


@functools.lru_cache(maxsize=1)
def native_addresses() -> tuple[int, int]:
    """Addresses of the C callbacks for value with gradient and for storing a draw; compiled at the first call."""
    double = types.CPointer(types.double)
    signature = types.int64(types.uint64, double, double, double, types.voidptr)
    compiled = nb.cfunc(signature, **KEPT | {"error_model": "numpy", "nopython": True})(_logp)
    native_addresses.keep = compiled  # type: ignore[attr-defined]
    return compiled.address, linear_addresses()[1]


def is_kept() -> bool:
    """Whether an earlier process on this machine has compiled the kernel."""
    folder = Path(kernel.log_posterior_gradient._cache.cache_path)
    return any(folder.glob("kernel.log_posterior_gradient*.nbi"))
