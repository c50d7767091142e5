"""Compiled activations of a tile of hidden units, each with its slope, in the order of the module in ``spec``.

Loops over the observations of a row are contiguous and vectorised, with the exponential of
:mod:`bayes_softmax.density.simd`.
The Gaussian one calls the library's ``erfc`` number by number, and is several times slower.
"""

import math

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.simd import exp_row
from bayes_softmax.spec.network.activations import code_of

TANH, RELU, GELU, SOFTPLUS = (code_of(name) for name in ("tanh", "relu", "gelu", "softplus"))
_TERMS = 17  # of the series of log((1 + t) / (1 - t)) for t <= 1/3: the remainder is below 1e-17
_ODD = tuple(1.0 / (2 * n + 1) for n in range(_TERMS))
_HALF_ROOT, _DENSITY = math.sqrt(0.5), 1.0 / math.sqrt(2 * math.pi)


@nb.njit(**nb.OPTIONS)
def activate(code, units, slopes, work):  # type: ignore[no-untyped-def]
    """Replace pre-activations ``units`` (H, B) by activations, and fill ``slopes`` (H, B); NaN stays NaN.

    ``work`` (2, B), of which the first row is zero.
    """
    for h in range(units.shape[0]):
        u, s = units[h], slopes[h]
        if code == TANH:
            _tanh(u, s, work)
        elif code == RELU:
            _relu(u, s)
        elif code == GELU:
            _gelu(u, s)
        else:
            _softplus(u, s, work)


@nb.njit(inline="always", **nb.OPTIONS)
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


@nb.njit(inline="always", **nb.OPTIONS)
def _relu(u, s):  # type: ignore[no-untyped-def]
    for i in range(u.shape[0]):
        s[i] = 1.0 if u[i] > 0.0 else 0.0
        u[i] = 0.0 if u[i] < 0.0 else u[i]  # this order propagates NaN


@nb.njit(inline="always", **nb.OPTIONS)
def _gelu(u, s):  # type: ignore[no-untyped-def]
    """The distribution function by ``erfc``, which keeps its digits in the left tail."""
    for i in range(u.shape[0]):
        x = u[i]
        below = 0.5 * math.erfc(-_HALF_ROOT * x)
        s[i] = below + x * _DENSITY * math.exp(-0.5 * x * x)
        u[i] = x * below


@nb.njit(inline="always", **nb.OPTIONS)
def _softplus(u, s, work):  # type: ignore[no-untyped-def]
    """``max(u, 0) + log(1 + e)`` with ``e = exp(-|u|)``, whose logarithm is ``2 artanh(e / (2 + e))``."""
    B = u.shape[0]
    for i in range(B):
        s[i] = -abs(u[i])
    exp_row(s.ctypes.data, work.ctypes.data, work.ctypes.data + 8 * B, B)
    for i in range(B):
        e, x = s[i], u[i]
        t = e / (2.0 + e)
        square, series = t * t, 0.0
        for n in range(_TERMS - 1, -1, -1):
            series = series * square + _ODD[n]
        u[i] = (0.0 if x < 0.0 else x) + 2.0 * t * series
        s[i] = (e if x < 0.0 else 1.0) / (1.0 + e)
