r"""The compiled log posterior with learned scales, in coordinates whitened given the scales.

Given the hyperparameters ``h`` the prior of the shrunk coordinates is normal with precision ``D(h)``, diagonal.  Let
``P`` be a curvature of all else (likelihood and fixed priors) at a reference mode, and ``c`` such that the normal
approximation given ``h`` has precision ``A`` and mean ``m``:

.. math:: A(h) = P + D(h) = LL', \quad m(h) = A^{-1}c, \quad \theta = L^{-T}(z + L^{-1}c)

In ``(z, h)`` the conditional posterior of ``z`` is near ``N(0, I)`` *whatever* ``h`` is: a direction that the data
determine keeps its place as its scale shrinks (centred), one that they do not follows its scale (non-centred), and
between the two it interpolates.  So there is no funnel.  The density stays exact: ``P`` and ``c`` only choose
coordinates.  With ``w = L^{-1} g`` for the gradient ``g`` in ``theta``, and ``X = L^{-1}``, the derivatives are

.. math:: \frac{\partial}{\partial z} = w, \qquad
          \frac{\partial}{\partial D_i} = -(A^{-1}g)_i m_i - X_i' M X_i - \tfrac12 |X_i|^2, \qquad
          M_{ab} = z_a w_b\ (b < a),\ \tfrac12 z_a w_a\ (b = a),

for column :math:`X_i` of X (the differential of a Cholesky factor: Murray, 2016, arXiv:1602.07527; the last term is
from the Jacobian), beside the derivative of the prior itself: two factorisations' worth, and the rest costs as much as
a product with L.

``P`` is not the same everywhere: where classes are separated the likelihood grows flatter as the coefficients grow, and
coefficients, mode and sds all follow the scale.  Shrunk coordinates are therefore stretched, by
:math:`r = e^{a (\bar s - \bar s_0)}` with the mean log scale :math:`\bar s` and its value at the reference: ``theta = r
theta~``, and the formulas above hold for ``theta~`` with ``r^2 D`` in place of ``D``.  The power ``a`` is 0 where the
data overlap and many, and 1, the non-centred parametrisation, where nothing but the prior holds the coefficients.

``A`` is one block of all coordinates, or, where these are many, one block for each mixed column of
``core.records.BlockMetric``; ``D`` is the same in every column, so mixing leaves it alone.  What the blocks miss of the
Hessian at the reference a constant triangular matrix makes good: ``z = S v`` with :math:`S'^{-1}S^{-1}` the Hessian
there in ``z``, so that ``v`` is whitened exactly at the reference and blocks only carry it from there to other scales.

Shapes are in the table of :mod:`bayes_softmax.density.scales.hyperscales`; ``u`` (d + H,) is ``[v, e]``.
"""

import functools
import math
from typing import Any

import numpy as np
from numba import carray, types

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import IntArray
from bayes_softmax.density.callbacks import DATA_SIZE, pack_data, read_data, transposed_product, upper_product
from bayes_softmax.density.kernel import (
    KernelData,
    engine_coefficients,
    free_gradient,
    linear_term,
    log_likelihood_gradient,
)
from bayes_softmax.density.log_prior import KEPT, log_prior_gradient
from bayes_softmax.density.native import shrinkage_addresses
from bayes_softmax.density.scales.factors import factorise, lower, lower_transposed, mix, precision_slope, unmix
from bayes_softmax.density.scales.hyperscales import ShrinkageData, log_scales, pull_back_scales
from bayes_softmax.density.simd import pointer

_options: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp"},
}


@nb.njit(**_options)
def conditional_factor(sh, s, e, A, X):  # type: ignore[no-untyped-def]
    """Block e of ``A(h)``, factorised as by :func:`factorise`, for log scales ``s`` in engine units."""
    m = A.shape[0]
    A[:] = sh.precision[e]
    for i in range(m):
        if sh.row[i] >= 0:
            A[i, i] += math.exp(-2.0 * s[sh.row[i]])
    return factorise(A, X)


@nb.njit(**_options)
def evidence(sh, h, gradient):  # type: ignore[no-untyped-def]
    """Log of the normal approximation's integral over theta, times the prior of ``h``; fills the gradient (H,)."""
    n_rows, m = sh.log_unit.shape[0], sh.linear.shape[1]
    s, ds = np.empty(n_rows), np.zeros(n_rows)
    A, X, y, mean, slope = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m), np.empty(m)
    value = log_scales(sh, h, s, gradient)
    nothing = np.zeros(m)
    for r in range(n_rows):
        value -= sh.n_columns * (s[r] + sh.log_unit[r])
        ds[r] = -float(sh.n_columns)
    for e in range(sh.linear.shape[0]):
        value -= conditional_factor(sh, s + sh.log_unit, e, A, X)
        lower(X, sh.linear[e], y)
        lower_transposed(X, y, mean)
        precision_slope(X, nothing, nothing, slope)
        for i in range(m):
            value += 0.5 * y[i] * y[i]
            if sh.row[i] >= 0:
                r = sh.row[i]
                delta = math.exp(-2.0 * (s[r] + sh.log_unit[r]))
                ds[r] += 2.0 * delta * (0.5 * mean[i] ** 2 + slope[i])
    pull_back_scales(sh, h, s, ds, gradient)
    return value


@nb.njit(**_options)
def log_stretch(sh, s):  # type: ignore[no-untyped-def]
    """Log of the stretch r for log scales ``s`` in engine units; see the top of the module."""
    return sh.stretch[0] * (s.mean() - sh.stretch[1])


@nb.njit(**_options)
def unwhiten(sh, u, h, s, z, X, theta):  # type: ignore[no-untyped-def]
    """Fill ``h``, the log scales ``s`` (engine units), ``z``, ``X`` (k, m, m) of each block, and ``theta``.

    Returns the log determinant of the change of variables and the means ``m`` (k, m).
    """
    k, m = sh.linear.shape
    slope, A, y = np.empty(h.shape[0]), np.empty((m, m)), np.empty(m)
    columns, means = np.empty((k, m)), np.empty((k, m))
    for i in range(h.shape[0]):
        h[i] = sh.centre[i]
        for j in range(h.shape[0]):
            h[i] += sh.width[i, j] * u[k * m + j]
    if sh.outer.shape[0] > 0:
        upper_product(sh.outer, u[: k * m], z)
    else:
        z[:] = u[: k * m]
    log_scales(sh, h, s, slope)
    for r in range(s.shape[0]):
        s[r] += sh.log_unit[r]
    log_r = log_stretch(sh, s)
    stretch = math.exp(log_r)
    log_determinant = sh.n_columns * s.shape[0] * log_r
    for e in range(k):
        log_determinant -= conditional_factor(sh, s - log_r, e, A, X[e])
        lower(X[e], sh.linear[e], y)
        lower_transposed(X[e], y, means[e])
        for i in range(m):
            y[i] += z[e * m + i]
        lower_transposed(X[e], y, columns[e])
        for i in range(m):
            if sh.row[i] >= 0:
                columns[e, i] *= stretch
    mix(columns, sh.mixing, theta)
    return log_determinant, means


@nb.njit(**_options)
def shrunk_prior(sh, s, theta, gradient, ds, k_b):  # type: ignore[no-untyped-def]
    """Log prior of the shrunk coordinates given log scales ``s``; adds to ``gradient`` (d,), fills ``ds`` (R,)."""
    value = 0.0
    for r in range(s.shape[0]):
        value -= sh.n_columns * s[r]
        ds[r] = -float(sh.n_columns)
    p = (theta.shape[0] - k_b) // sh.n_columns
    of_feature = sh.row[sh.row.shape[0] - p :]
    for c in range(sh.n_columns):
        for j in range(p):
            r, i = of_feature[j], c * p + min(c + 1, k_b) + j
            if r >= 0:
                scaled = theta[i] * math.exp(-2.0 * s[r])
                value -= 0.5 * scaled * theta[i]
                gradient[i] -= scaled
                ds[r] += scaled * theta[i]
    return value


@nb.njit(**_options)
def shrunk_product(sh, theta, gradient, k_b):  # type: ignore[no-untyped-def]
    """Inner product of ``theta`` and ``gradient`` over the shrunk coordinates."""
    total = 0.0
    p = (theta.shape[0] - k_b) // sh.n_columns
    of_feature = sh.row[sh.row.shape[0] - p :]
    for c in range(sh.n_columns):
        for j in range(p):
            if of_feature[j] >= 0:
                i = c * p + min(c + 1, k_b) + j
                total += theta[i] * gradient[i]
    return total


@nb.njit(**_options | KEPT)
def joint_gradient(data, sh, theta, s, gradient, ds):  # type: ignore[no-untyped-def]
    """Log posterior given log scales ``s`` in engine units; fills ``gradient`` (d,) and ``ds`` (R,)."""
    V, G = np.empty_like(data.YZ), np.empty_like(data.YZ)
    engine_coefficients(data, theta, V)
    value = log_likelihood_gradient(data, V, G, 0, data.Z.shape[0])
    value += linear_term(data, V, G)
    free_gradient(data, G, gradient)
    value += log_prior_gradient(data, theta, gradient)
    return value + shrunk_prior(sh, s, theta, gradient, ds, data.Cb.shape[1])


@nb.njit(**_options | KEPT)
def whitened_gradient(data, sh, u, out):  # type: ignore[no-untyped-def]
    """Log density of ``u = [z, e]``, up to a constant; fills ``out`` (d + H,) with its gradient."""
    k, m = sh.linear.shape
    d, n_rows, n_hyper = k * m, sh.log_unit.shape[0], sh.centre.shape[0]
    h, s, ds, slope = np.empty(n_hyper), np.empty(n_rows), np.empty(n_rows), np.empty(n_hyper)
    X, theta, gradient = np.empty((k, m, m)), np.empty(d), np.empty(d)
    z, of_z = np.empty(d), np.empty(d)
    value, means = unwhiten(sh, u, h, s, z, X, theta)
    value += joint_gradient(data, sh, theta, s, gradient, ds)
    columns, image, of_precision = np.empty((k, m)), np.empty(m), np.empty(m)
    unmix(gradient, sh.mixing, columns)
    log_r = log_stretch(sh, s)
    stretch = math.exp(log_r)
    of_r = float(sh.n_columns * n_rows) + shrunk_product(sh, theta, gradient, data.Cb.shape[1])
    for e in range(k):
        for i in range(m):
            if sh.row[i] >= 0:
                columns[e, i] *= stretch
        w = of_z[e * m : (e + 1) * m]
        lower(X[e], columns[e], w)
        lower_transposed(X[e], w, image)
        precision_slope(X[e], z[e * m : (e + 1) * m], w, of_precision)
        for i in range(m):
            r = sh.row[i]
            if r >= 0:
                slope_s = 2.0 * math.exp(2.0 * (log_r - s[r])) * (image[i] * means[e, i] + of_precision[i])
                ds[r] += slope_s
                of_r -= slope_s
    for r in range(n_rows):
        ds[r] += sh.stretch[0] * of_r / n_rows
        s[r] -= sh.log_unit[r]
    value += log_scales(sh, h, s, slope)
    pull_back_scales(sh, h, s, ds, slope)
    if sh.outer.shape[0] > 0:
        transposed_product(sh.outer, of_z, out[:d])
    else:
        out[:d] = of_z
    for j in range(n_hyper):
        out[d + j] = 0.0
        for i in range(n_hyper):
            out[d + j] += sh.width[i, j] * slope[i]
    return value


def pack_pointers(data: KernelData, sh: ShrinkageData) -> IntArray:
    """Addresses and sizes in the order ``_logp`` reads them, after those of the data."""
    dimension = data.Cb.shape[1] + data.Cw.shape[1] * len(data.centre)
    addresses = shrinkage_addresses(sh, dimension)
    sizes = [*sh.linear.shape, len(sh.log_unit), len(sh.family), sh.parameters.shape[1], len(sh.centre), len(sh.outer)]
    return np.array([*pack_data(data), *addresses, *sizes, sh.n_columns], dtype=np.int64)


@nb.njit(**_options)
def _integers(address, n):  # type: ignore[no-untyped-def]
    return carray(pointer(address), (n,), np.int64)


@nb.njit(**_options)
def _read_shrinkage(user):  # type: ignore[no-untyped-def]
    """The arrays behind the addresses of :func:`pack_pointers`."""
    a, size = user[:13], user[13:]
    k, m, n_rows, n_groups, n_parameters, n_hyper, n_outer = (
        size[0],
        size[1],
        size[2],
        size[3],
        size[4],
        size[5],
        size[6],
    )
    return ShrinkageData(
        carray(pointer(a[0]), (k, m, m), np.float64),
        carray(pointer(a[1]), (k, m), np.float64),
        carray(pointer(a[2]), (k, k), np.float64),
        _integers(a[3], m),
        carray(pointer(a[4]), (n_rows,), np.float64),
        _integers(a[5], n_groups),
        carray(pointer(a[6]), (n_groups, n_parameters), np.float64),
        _integers(a[7], n_groups + 1),
        _integers(a[8], n_groups + 1),
        carray(pointer(a[9]), (n_hyper,), np.float64),
        carray(pointer(a[10]), (n_hyper, n_hyper), np.float64),
        carray(pointer(a[11]), (2,), np.float64),
        carray(pointer(a[12]), (n_outer, n_outer), np.float32),
        size[7],
    )


def _logp(dimension, u_, out_, value_, user_):  # type: ignore[no-untyped-def]
    """C callback: the log density of ``u``; returns 0, or 4 (a divergence) where it is not finite."""
    value = carray(value_, (1,))
    value[0] = np.nan
    user = carray(user_, (DATA_SIZE + 21,), np.int64)
    d = np.int64(dimension)
    u, out = carray(u_, (d,)), carray(out_, (d,))
    value[0] = whitened_gradient(read_data(user), _read_shrinkage(user[DATA_SIZE:]), u, out)
    return 0 if np.isfinite(value[0]) else 4


@functools.lru_cache(maxsize=1)
def logp_address() -> int:
    """Address of the C callback; compiled at the first call."""
    double = types.CPointer(types.double)
    signature = types.int64(types.uint64, double, double, double, types.voidptr)
    compiled = nb.cfunc(signature, error_model="numpy", nopython=True, **KEPT)(_logp)
    logp_address.keep = compiled  # type: ignore[attr-defined]
    return int(compiled.address)
