"""The joint posterior in whitened coordinates as a C callback, and its table of addresses."""

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray
from bayes_softmax.density.callbacks import DATA_SIZE, compiled_logp, pack_data, read_data
from bayes_softmax.density.kernel import KernelData
from bayes_softmax.density.native import Field, checked_addresses, leading_shape, require
from bayes_softmax.density.scales.conditional import ConditionalNormal
from bayes_softmax.density.scales.hyperpriors import N_PARAMETERS, HyperpriorData
from bayes_softmax.density.scales.kernel import WhitenedCoordinates, whitened_joint_gradient
from bayes_softmax.density.simd import pointer

HYPERPRIOR_FIELDS = (
    Field("family", np.int64, ("G",)),
    Field("parameters", np.float64, ("G", N_PARAMETERS)),
    Field("first_scale", np.int64, ("G+1",)),
    Field("first_hyper", np.int64, ("G+1",)),
    Field("log_unit", np.float64, ("R",)),
    Field("scale_of_coordinate", np.int64, ("d",)),
)
CONDITIONAL_FIELDS = (
    Field("precision", np.float64, ("k", "m", "m")),
    Field("information", np.float64, ("k", "m")),
    Field("mixing", np.float64, ("k", "k")),
)
COORDINATE_FIELDS = (
    Field("location", np.float64, ("H",)),
    Field("root", np.float64, ("H", "H")),
    Field("exponent", np.float64, (2,)),
    Field("residual", np.float32, ("n_residual", "n_residual")),
)
FIELDS = (*HYPERPRIOR_FIELDS, *CONDITIONAL_FIELDS, *COORDINATE_FIELDS)
SIZES = ("G", "R", "k", "m", "d", "H", "n_residual", "n_columns")
# Addresses and sizes by name, in one structured type that Python writes and the callback reads.
TABLE = np.dtype(
    [("data", np.int64, (DATA_SIZE,)), *((field.name, np.int64) for field in FIELDS), *((n, np.int64) for n in SIZES)]
)


def pack_hierarchy(
    data: KernelData, hyper: HyperpriorData, normal: ConditionalNormal, coordinates: WhitenedCoordinates
) -> IntArray:
    """Checked addresses and sizes of all arrays, as one ``TABLE``."""
    d = data.Cb.shape[1] + data.Cw.shape[1] * len(data.centre)
    k, m = leading_shape(normal, "information", 2)
    require(k * m == d, normal, "information", f"has {k} blocks of {m}, not {d} coordinates in all")
    n_residual = len(coordinates.residual)
    require(n_residual in (0, d), coordinates, "residual", f"has {n_residual} rows, not {d} or none")
    G, R, H = len(hyper.family), len(hyper.log_unit), len(coordinates.location)
    sizes = dict(zip(SIZES, (G, R, k, m, d, H, n_residual, hyper.n_columns), strict=True))
    addresses: list[int] = []
    for record, fields in ((hyper, HYPERPRIOR_FIELDS), (normal, CONDITIONAL_FIELDS), (coordinates, COORDINATE_FIELDS)):
        addresses += checked_addresses(record, fields, sizes | {"G+1": G + 1})
    return np.array([*pack_data(data), *addresses, *sizes.values()], dtype=np.int64)


_options = {"nogil": True, "cache": True, "error_model": "numpy"}


@nb.njit(**_options)
def _doubles(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.float64)


@nb.njit(**_options)
def _integers(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.int64)


@nb.njit(**_options)
def _read(t):  # type: ignore[no-untyped-def]
    """The records behind a ``TABLE``."""
    hyper = HyperpriorData(
        _integers(t.family, (t.G,)),
        _doubles(t.parameters, (t.G, N_PARAMETERS)),
        _integers(t.first_scale, (t.G + 1,)),
        _integers(t.first_hyper, (t.G + 1,)),
        _doubles(t.log_unit, (t.R,)),
        _integers(t.scale_of_coordinate, (t.d,)),
        t.n_columns,
    )
    normal = ConditionalNormal(
        _doubles(t.precision, (t.k, t.m, t.m)), _doubles(t.information, (t.k, t.m)), _doubles(t.mixing, (t.k, t.k))
    )
    coordinates = WhitenedCoordinates(
        _doubles(t.location, (t.H,)),
        _doubles(t.root, (t.H, t.H)),
        _doubles(t.exponent, (2,)),
        carray(pointer(t.residual), (t.n_residual, t.n_residual), np.float32),
    )
    return hyper, normal, coordinates


def _logp(dimension, u_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the log density of ``u``; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    table = carray(user_, (1,), TABLE)[0]
    d = np.int64(dimension)
    u, out = carray(u_, (d,)), carray(out_, (d,))
    hyper, normal, coordinates = _read(table)
    value[0] = whitened_joint_gradient(read_data(table.data), hyper, normal, coordinates, u, out)
    return 0 if np.isfinite(value[0]) else 4


def logp_address() -> int:
    """Address of the C callback; compiled at the first call."""
    return compiled_logp(_logp)
