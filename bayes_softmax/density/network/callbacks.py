"""A network's log posterior as C callbacks on whitened coordinates, and its table of addresses."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import carray
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray, LayerWhitening, Whitening
from bayes_softmax.density.callbacks import DATA_SIZE, compiled_logp, pack_data, read_data, to_free, to_whitened
from bayes_softmax.density.callbacks import native_addresses as linear_addresses
from bayes_softmax.density.kernel import PART, PART_SIZE
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.native import Field, checked_addresses, require
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
WHITENING = ("mode", "order", "blocks", "mixings", "shapes")
# Addresses and sizes by name, in one structured type that Python writes and the callback reads.
TABLE = np.dtype(
    [
        ("last", np.int64, (DATA_SIZE,)),
        *((name, np.int64) for name in (*(field.name for field in NETWORK_FIELDS), *WHITENING)),
        *((name, np.int64) for name in ("n_parts", "n_sizes", "m", "n_layers", "n_blocks", "n_mixings")),
    ]
)


class WhiteningData(NamedTuple):
    """A :class:`LayerWhitening` with all ``blocks`` (float32) and all ``mixings`` in one vector each.

    ``shapes`` (n_layers, 2) are number and size of the blocks of each layer.
    """

    mode: FloatArray
    order: IntArray
    blocks: NDArray[np.float32]
    mixings: FloatArray
    shapes: IntArray


WHITENING_FIELDS = (
    Field("mode", np.float64, ("d",)),
    Field("order", np.int64, ("d",)),
    Field("blocks", np.float32, ("n_blocks",)),
    Field("mixings", np.float64, ("n_mixings",)),
    Field("shapes", np.int64, ("n_layers", 2)),
)


def whitening_data(whitening: Whitening | LayerWhitening) -> WhiteningData:
    """The arrays as compiled code reads them; raises where they do not cover the coordinates."""
    d = len(whitening.mode)
    if isinstance(whitening, Whitening):
        mode, blocks, mixing, log_determinant = whitening
        whitening = LayerWhitening(mode, np.arange(d), (blocks,), (mixing,), log_determinant)
    shapes = np.array([blocks.shape[:2] for blocks in whitening.blocks], dtype=np.int64).reshape(-1, 2)
    for blocks, mixing, (k, m) in zip(whitening.blocks, whitening.mixings, shapes.tolist(), strict=True):
        square = blocks.shape == (k, m, m) and mixing.shape == (k, k)
        require(square, whitening, "blocks", f"has blocks of {blocks.shape} with mixings of {mixing.shape}")
    covered = int((shapes[:, 0] * shapes[:, 1]).sum())
    require(covered == d or not len(shapes), whitening, "blocks", f"has {covered} coordinates in all, not {d}")
    permutes = bool(np.array_equal(np.sort(whitening.order), np.arange(d)))
    require(permutes, whitening, "order", f"is no permutation of {d} coordinates")
    blocks = np.concatenate([np.empty(0, np.float32), *(np.ravel(block) for block in whitening.blocks)])
    mixings = np.concatenate([np.empty(0), *(np.ravel(mixing) for mixing in whitening.mixings)])
    return WhiteningData(whitening.mode, np.ascontiguousarray(whitening.order), blocks, mixings, shapes)


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


def pack_pointers(data: NetworkData, whitening: WhiteningData, dimension: int) -> IntArray:
    """Addresses and sizes of all arrays, as one ``TABLE``."""
    n = {"d": dimension, "n_layers": len(whitening.shapes)}
    n |= {f"n_{name}": getattr(whitening, name).size for name in ("blocks", "mixings")}
    addresses = [*network_addresses(data), *checked_addresses(whitening, WHITENING_FIELDS, n)]
    sizes = (len(data.parts), len(data.sizes), len(data.precision), n["n_layers"], n["n_blocks"], n["n_mixings"])
    return np.array([*pack_data(data.last), *addresses, *sizes], dtype=np.int64)


@nb.njit(inline="always", **nb.OPTIONS)
def read_network(user):  # type: ignore[no-untyped-def]
    """The data behind the addresses of a ``TABLE``, as integers."""
    more = user[DATA_SIZE:]
    n_parts, n_sizes, m = more[10], more[11], more[12]
    return NetworkData(
        carray(pointer(more[0]), (n_parts, PART_SIZE), np.int64),
        carray(pointer(more[1]), (n_parts, RESPONSE_SIZE), np.int64),
        carray(pointer(more[2]), (n_sizes,), np.int64),
        carray(pointer(more[3]), (2,), np.int64),
        carray(pointer(more[4]), (m,), np.float64),
        read_data(user),
    )


@nb.njit(inline="always", **nb.OPTIONS)
def _read_whitening(user, d):  # type: ignore[no-untyped-def]
    """The change of variables behind the addresses of a ``TABLE``, as integers."""
    more = user[DATA_SIZE + 5 :]
    n_layers, n_blocks, n_mixings = more[8], more[9], more[10]
    return WhiteningData(
        carray(pointer(more[0]), (d,), np.float64),
        carray(pointer(more[1]), (d,), np.int64),
        carray(pointer(more[2]), (n_blocks,), np.float32),
        carray(pointer(more[3]), (n_mixings,), np.float64),
        carray(pointer(more[4]), (n_layers, 2), np.int64),
    )


@nb.njit(**nb.OPTIONS)
def _layer(whitening, layer, at):  # type: ignore[no-untyped-def]
    """Blocks and mixing of a layer, and where the next one begins; ``at`` where this one does, in each vector."""
    (k, m), (z, block, mixing) = whitening.shapes[layer], at
    size = k * m * m
    blocks = whitening.blocks[block : block + size].reshape(k, m, m)
    mixed = whitening.mixings[mixing : mixing + k * k].reshape(k, k)
    return blocks, mixed, (z + k * m, block + size, mixing + k * k)


@nb.njit(inline="always", **nb.OPTIONS | KEPT)
def _whitened_gradient(data, whitening, z, out):  # type: ignore[no-untyped-def]
    """Log posterior at ``mode + T z``; fills ``out`` (d,) with ``T' gradient``."""
    d, order = z.shape[0], whitening.order
    theta, gradient, moved, at = np.empty(d), np.empty(d), np.zeros(d), (0, 0, 0)
    for layer in range(whitening.shapes.shape[0]):
        blocks, mixing, following = _layer(whitening, layer, at)
        to_free(blocks, mixing, z[at[0] : following[0]], moved[at[0] : following[0]])
        at = following
    if whitening.shapes.shape[0] == 0:
        moved[:] = z
    for i in range(d):
        theta[order[i]] = whitening.mode[order[i]] + moved[i]
    value = log_posterior_gradient(data, theta, gradient)
    for i in range(d):
        moved[i] = gradient[order[i]]
    at = (0, 0, 0)
    for layer in range(whitening.shapes.shape[0]):
        blocks, mixing, following = _layer(whitening, layer, at)
        to_whitened(blocks, mixing, moved[at[0] : following[0]], out[at[0] : following[0]])
        at = following
    if whitening.shapes.shape[0] == 0:
        out[:] = moved
    return value


def _logp(dimension, z_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the whitened log posterior; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (TABLE_SIZE,), np.int64)
    d = np.int64(dimension)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    value[0] = _whitened_gradient(read_network(user), _read_whitening(user, d), z, out)
    return 0 if np.isfinite(value[0]) else 4


TABLE_SIZE = TABLE.itemsize // 8


def native_addresses() -> tuple[int, int]:
    """Addresses of the C callbacks for value with gradient and for storing a draw; compiled at the first call."""
    return compiled_logp(_logp), linear_addresses()[1]


def is_kept() -> bool:
    """Whether an earlier process on this machine has compiled the kernel."""
    folder = Path(kernel.log_posterior_gradient._cache.cache_path)
    return any(folder.glob("kernel.log_posterior_gradient*.nbi"))
