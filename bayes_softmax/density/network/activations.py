"""Compiled activations of a tile of hidden units, each with its slope, in the order of the module in ``spec``.

Loops over the observations of a row are contiguous and vectorised, with the exponential of
:mod:`bayes_softmax.density.simd`, and series whose terms are the outer loop.
"""

import math

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.simd import exp_row
from bayes_softmax.spec.network.activations import code_of

TANH, RELU, GELU, SOFTPLUS = (code_of(name) for name in ("tanh", "relu", "gelu", "softplus"))
WORK_ROWS = 4
# artanh(t) / t as a series in t^2, for t <= 1/3: the remainder is below 1e-17.
_ARTANH = np.array([1.0 / (2 * n + 1) for n in range(17)])
_HALF_ROOT, _DENSITY = math.sqrt(0.5), 1.0 / math.sqrt(2 * math.pi)
_CENTRE, _DEGREE = 4.0, 24


def _scaled_tail(s: FloatArray) -> FloatArray:
    """``erfcx(z) / t`` at ``s = 2 t - 1`` with ``t = C / (C + z)``; ``t = 0`` is not among the points asked for."""
    t = 0.5 * (s + 1.0)
    scaled: FloatArray = erfcx(_CENTRE * (1.0 - t) / t) / t
    return scaled


# The same as a polynomial in ``s``, relative error below 1e-14; its coefficients fall fast enough for powers of ``s``.
_NODES = np.cos(math.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_TAIL = chebyshev.cheb2poly(chebyshev.chebfit(_NODES, _scaled_tail(_NODES), _DEGREE))


@nb.njit(**nb.OPTIONS)
def activate(code, units, slopes, work):  # type: ignore[no-untyped-def]
    """Replace pre-activations ``units`` (H, B) by activations, and fill ``slopes`` (H, B); NaN stays NaN.

    ``work`` (4, B), of which the first row is zero.
    """
    for h in range(units.shape[0]):
        u, s = units[h], slopes[h]
        if code == TANH:
            _tanh(u, s, work)
        elif code == RELU:
            _relu(u, s)
        elif code == GELU:
            _gelu(u, s, work)
        else:
            _softplus(u, s, work)


@nb.njit(**nb.OPTIONS)
def _series(coefficients, x, out):  # type: ignore[no-untyped-def]
    """``out`` (B,) by Horner's rule."""
    n = coefficients.shape[0]
    for i in range(x.shape[0]):
        out[i] = coefficients[n - 1]
    for power in range(n - 1):
        coefficient = coefficients[n - 2 - power]
        for i in range(x.shape[0]):
            out[i] = out[i] * x[i] + coefficient


@nb.njit(**nb.OPTIONS)
def _tanh(u, s, work):  # type: ignore[no-untyped-def]
    """With ``e = exp(-2 |u|)``: no cancellation in the slope of a saturated unit."""
    B = u.shape[0]
    for i in range(B):
        s[i] = -2.0 * abs(u[i])
    exp_row(s.ctypes.data, work.ctypes.data, work.ctypes.data + 8 * B, B)
    for i in range(B):
        e = s[i]
        inverse = 1.0 / (1.0 + e)
        u[i] = math.copysign((1.0 - e) * inverse, u[i])
        s[i] = 4.0 * e * inverse * inverse


@nb.njit(**nb.OPTIONS)
def _relu(u, s):  # type: ignore[no-untyped-def]
    for i in range(u.shape[0]):
        s[i] = 1.0 if u[i] > 0.0 else 0.0
        u[i] = 0.0 if u[i] < 0.0 else u[i]  # this order propagates NaN


@nb.njit(**nb.OPTIONS)
def _gelu(u, s, work):  # type: ignore[no-untyped-def]
    """``erfcx(|u| / sqrt(2)) exp(-u^2 / 2) / 2`` is one of the two tails, and keeps its digits."""
    B, x, tail = u.shape[0], work[2], work[3]
    for i in range(B):
        s[i] = -0.5 * u[i] * u[i]
        x[i] = 2.0 * _CENTRE / (_CENTRE + _HALF_ROOT * abs(u[i])) - 1.0
    exp_row(s.ctypes.data, work.ctypes.data, work.ctypes.data + 8 * B, B)
    _series(_TAIL, x, tail)
    for i in range(B):
        e = s[i]
        above = 0.25 * (x[i] + 1.0) * tail[i] * e
        below = above if u[i] < 0.0 else 1.0 - above
        s[i] = below + u[i] * _DENSITY * e
        u[i] *= below


@nb.njit(**nb.OPTIONS)
def _softplus(u, s, work):  # type: ignore[no-untyped-def]
    """``max(u, 0) + log(1 + e)`` with ``e = exp(-|u|)``, whose logarithm is ``2 artanh(e / (2 + e))``."""
    B, square, series = u.shape[0], work[2], work[3]
    for i in range(B):
        s[i] = -abs(u[i])
    exp_row(s.ctypes.data, work.ctypes.data, work.ctypes.data + 8 * B, B)
    for i in range(B):
        t = s[i] / (2.0 + s[i])
        square[i] = t * t
    _series(_ARTANH, square, series)
    for i in range(B):
        e, x = s[i], u[i]
        u[i] = (0.0 if x < 0.0 else x) + 2.0 * e / (2.0 + e) * series[i]
        s[i] = (e if x < 0.0 else 1.0) / (1.0 + e)
