"""The joint log density of a model with effects as a C callback, and its table of addresses."""

import functools
from typing import Any

import numpy as np
from numba import carray, types

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray, NativeDensity
from bayes_softmax.density.callbacks import DATA_SIZE, native_addresses, pack_data, read_data
from bayes_softmax.density.groups.arrow import ArrowData
from bayes_softmax.density.groups.kernel import GROUPING_SIZE, GroupsData, whitened_log_joint
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.native import Field, checked_addresses
from bayes_softmax.density.simd import pointer

ARROW_FIELDS = (
    Field("common", np.float64, ("d",)),
    Field("effects", np.float64, ("G", "m")),
    Field("curvature", np.float64, ("G", "m", "m")),
    Field("target", np.float64, ("G", "m")),
    Field("border", np.float64, ("G", "m", "d")),
)
OWN_FIELDS = (
    Field("groupings", np.int64, ("J", GROUPING_SIZE)),
    Field("curvature", np.float64, ("d", "d")),
    Field("slope", np.float64, ("d",)),
    Field("location", np.float64, ("H",)),
    Field("root", np.float64, ("H", "H")),
)
SIZES = ("d", "G", "m", "J", "H")
# Addresses and sizes by name, in one structured type that Python writes and the callback reads.
TABLE = np.dtype(
    [
        ("linear", np.int64, (DATA_SIZE,)),
        *((f"arrow_{field.name}", np.int64) for field in ARROW_FIELDS),
        *((name, np.int64) for name in (*(field.name for field in OWN_FIELDS), *SIZES)),
    ]
)


def group_callbacks(data: GroupsData, owner: Any) -> NativeDensity:
    """C callbacks for the density of ``z``; ``owner`` keeps the rows alive."""
    table = _pack(data)
    return NativeDensity(logp_address(), native_addresses()[1], int(table.ctypes.data), (owner, data, table))


def _pack(data: GroupsData) -> IntArray:
    """Checked addresses and sizes of all arrays, as one ``TABLE``."""
    G, m = data.arrow.effects.shape
    sizes = dict(zip(SIZES, (len(data.slope), G, m, len(data.groupings), len(data.location)), strict=True))
    addresses = checked_addresses(data.arrow, ARROW_FIELDS, sizes) + checked_addresses(data, OWN_FIELDS, sizes)
    return np.array([*pack_data(data.linear), *addresses, *sizes.values()], dtype=np.int64)


@nb.njit(**nb.OPTIONS)
def _doubles(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.float64)


@nb.njit(**nb.OPTIONS)
def _read(t):  # type: ignore[no-untyped-def]
    """The record behind a ``TABLE``."""
    arrow = ArrowData(
        _doubles(t.arrow_common, (t.d,)),
        _doubles(t.arrow_effects, (t.G, t.m)),
        _doubles(t.arrow_curvature, (t.G, t.m, t.m)),
        _doubles(t.arrow_target, (t.G, t.m)),
        _doubles(t.arrow_border, (t.G, t.m, t.d)),
    )
    return GroupsData(
        read_data(t.linear),
        carray(pointer(t.groupings), (t.J, GROUPING_SIZE), np.int64),
        arrow,
        _doubles(t.curvature, (t.d, t.d)),
        _doubles(t.slope, (t.d,)),
        _doubles(t.location, (t.H,)),
        _doubles(t.root, (t.H, t.H)),
    )


def _logp(dimension, z_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the log density of ``z``; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    table = carray(user_, (1,), TABLE)[0]
    d = np.int64(dimension)
    z, out = carray(z_, (d,)), carray(out_, (d,))
    value[0] = whitened_log_joint(_read(table), z, out)
    return 0 if np.isfinite(value[0]) else 4


@functools.lru_cache(maxsize=1)
def logp_address() -> int:
    """Address of the C callback; compiled at the first call."""
    double = types.CPointer(types.double)
    signature = types.int64(types.uint64, double, double, double, types.voidptr)
    compiled = nb.cfunc(signature, error_model="numpy", nopython=True, **KEPT)(_logp)
    logp_address.keep = compiled  # type: ignore[attr-defined]
    return int(compiled.address)
