"""The joint log density of a model with effects as a C callback, and its table of addresses."""

from typing import Any

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray, NativeDensity
from bayes_softmax.density.callbacks import DATA_SIZE, compiled_logp, native_addresses, pack_data, read_data
from bayes_softmax.density.groups.kernel import GroupsData, whitened_log_joint
from bayes_softmax.density.groups.table import GROUPING_SIZE, doubles
from bayes_softmax.density.native import Field, checked_addresses
from bayes_softmax.density.simd import pointer

N_SIZES = 4  # of ``GroupsData.sizes``
OWN_FIELDS = (
    Field("groupings", np.int64, ("J", GROUPING_SIZE)),
    Field("sizes", np.int64, (N_SIZES,)),
    Field("chain", np.int64, ("n_chain",)),
    Field("common", np.float64, ("d",)),
    Field("curvature", np.float64, ("d", "d")),
    Field("slope", np.float64, ("d",)),
    Field("location", np.float64, ("H",)),
    Field("root", np.float64, ("H", "H")),
    Field("stretch", np.float64, ("n_stretch",)),
)
SIZES = ("d", "J", "H", "n_chain", "n_stretch")
# Addresses and sizes by name, in one structured type that Python writes and the callback reads.
TABLE = np.dtype(
    [
        ("linear", np.int64, (DATA_SIZE,)),
        *((name, np.int64) for name in (*(field.name for field in OWN_FIELDS), *SIZES)),
    ]
)


def group_callbacks(data: GroupsData, owner: Any) -> NativeDensity:
    """C callbacks for the density of ``z``; ``owner`` keeps the rows alive."""
    table = _pack(data)
    return NativeDensity(logp_address(), native_addresses()[1], int(table.ctypes.data), (owner, data, table))


def _pack(data: GroupsData) -> IntArray:
    """Checked addresses and sizes of all arrays, as one ``TABLE``."""
    sizes = dict(
        zip(
            SIZES,
            (len(data.slope), len(data.groupings), len(data.location), len(data.chain), len(data.stretch)),
            strict=True,
        )
    )
    addresses = checked_addresses(data, OWN_FIELDS, sizes)
    return np.array([*pack_data(data.linear), *addresses, *sizes.values()], dtype=np.int64)


@nb.njit(**nb.OPTIONS)
def _read(t):  # type: ignore[no-untyped-def]
    """The record behind a ``TABLE``."""
    return GroupsData(
        read_data(t.linear),
        carray(pointer(t.groupings), (t.J, GROUPING_SIZE), np.int64),
        carray(pointer(t.sizes), (N_SIZES,), np.int64),
        carray(pointer(t.chain), (t.n_chain,), np.int64),
        doubles(t.common, (t.d,)),
        doubles(t.curvature, (t.d, t.d)),
        doubles(t.slope, (t.d,)),
        doubles(t.location, (t.H,)),
        doubles(t.root, (t.H, t.H)),
        doubles(t.stretch, (t.n_stretch,)),
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


def logp_address() -> int:
    """Address of the C callback; compiled at the first call."""
    return compiled_logp(_logp)
