"""Checks before compiled code receives an address: dtype, shape and contiguity of every array.

Compiled callbacks and vector loops read memory through bare addresses: they would misread an array of another dtype
instead of refusing it.  Each record is checked against a table, field by field, wherever it is packed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import IntArray, Whitening
from bayes_softmax.density.kernel import PART, PART_SIZE, KernelData, RowData


class Field(NamedTuple):
    """Required dtype and shape of one field of a record; dimensions are numbers, or names of sizes."""

    name: str
    dtype: type
    shape: tuple[str | int, ...]


ROW_FIELDS = (
    Field("Z", np.float64, ("n", "q", "B")),
    Field("totals", np.float64, ("n_totals", "B")),
    Field("offset", np.float64, ("n_offset", "K", "B")),
    Field("available", np.bool_, ("n_available", "K", "B")),
)
KERNEL_FIELDS = (
    Field("parts", np.int64, ("n_parts", PART_SIZE)),
    Field("YZ", np.float64, ("K", "q")),
    Field("Cb", np.float64, ("K", "k_b")),
    Field("Cw", np.float64, ("K", "k_w")),
    Field("family", np.int64, ("q",)),
    Field("scale", np.float64, ("q",)),
    Field("df", np.float64, ("q",)),
    Field("centre", np.float64, ("p",)),
)
WHITENING_FIELDS = (
    Field("mode", np.float64, ("d",)),
    Field("blocks", np.float32, ("k", "m", "m")),
    Field("mixing", np.float64, ("k", "k")),
)


def part_numbers(rows: RowData) -> IntArray:
    """Checked addresses of the arrays of :class:`RowData`, then their sizes: one line of ``kernel.PART``."""
    n, q, B = leading_shape(rows, "Z", 3)
    by_class = [np.shape(array) for array in (rows.offset, rows.available)]
    K = next((shape[1] for shape in by_class if len(shape) == 3), 0)
    optional = {f"n_{name}": len(getattr(rows, name)) for name in ("totals", "offset", "available")}
    for name, found in optional.items():
        require(found in (0, n), rows, name.removeprefix("n_"), f"has {found} blocks, not {n} or none")
    require(rows.n_obs <= n * B, rows, "n_obs", f"is {rows.n_obs}, more than {n} blocks of {B} rows hold")
    addresses = checked_addresses(rows, ROW_FIELDS, {"n": n, "q": q, "B": B, "K": K} | optional)
    return np.array([*addresses, n, q, B, K, rows.n_obs, *optional.values()], dtype=np.int64)


def kernel_addresses(data: KernelData) -> list[int]:
    """Checked addresses of the arrays of :class:`KernelData`, in the table's order."""
    sizes = _kernel_sizes(data)
    addresses = checked_addresses(data, KERNEL_FIELDS, sizes)
    lines = data.parts.view(PART)
    same = bool((lines["q"] == sizes["q"]).all() and (lines["K"] == sizes["K"]).all())
    require(same, data, "parts", f"has parts of other than {sizes['q']} features or {sizes['K']} classes")
    return addresses


def whitening_addresses(whitening: Whitening, dimension: int) -> list[int]:
    """Checked addresses of the arrays of a :class:`Whitening` of ``dimension`` coordinates."""
    k, m = leading_shape(whitening, "blocks", 3)[:2]
    require(k * m == dimension, whitening, "blocks", f"has {k} blocks of {m}, not {dimension} coordinates in all")
    return checked_addresses(whitening, WHITENING_FIELDS, {"d": dimension, "k": k, "m": m})


def _kernel_sizes(data: KernelData) -> dict[str, int]:
    (n_parts, _), q = leading_shape(data, "parts", 2), leading_shape(data, "YZ", 2)[1]
    (K, k_b), k_w = leading_shape(data, "Cb", 2), leading_shape(data, "Cw", 2)[1]
    return {"n_parts": n_parts, "q": q, "K": K, "k_b": k_b, "k_w": k_w, "p": q - min(k_b, 1)}


def checked_addresses(record: Any, fields: Sequence[Field], sizes: Mapping[str, int]) -> list[int]:
    """Addresses of the fields, in the table's order; raises if a field's dtype, shape or layout is wrong."""
    for name, dtype, shape in fields:
        array = getattr(record, name)
        if not isinstance(array, np.ndarray) or array.dtype != dtype:
            found = array.dtype.str if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{type(record).__name__}.{name} is {found}, not {np.dtype(dtype).str}")
        expected = tuple(sizes[size] if isinstance(size, str) else size for size in shape)
        require(array.shape == expected, record, name, f"has shape {array.shape}, not {expected}")
        require(array.flags.c_contiguous and array.flags.aligned, record, name, "is not C-contiguous and aligned")
    return [getattr(record, field.name).ctypes.data for field in fields]


def leading_shape(record: Any, name: str, n_dimensions: int) -> tuple[int, ...]:
    """Shape of a field that determines the sizes of others."""
    shape: tuple[int, ...] = np.shape(getattr(record, name))
    require(len(shape) == n_dimensions, record, name, f"has {len(shape)} dimensions, not {n_dimensions}")
    return shape


def require(holds: bool, record: Any, name: str, complaint: str) -> None:
    """Raise a ``ValueError`` about a field unless the condition holds."""
    if not holds:
        raise ValueError(f"{type(record).__name__}.{name} {complaint}")
