"""Learned scales as functions of real hyperparameters: prior, log scales, and their derivatives, compiled.

=================  ====================  ==========================================================
``precision``      (k, m, m)             blocks of P
``linear``         (k, m)                c, in mixed columns
``row``            (m,)                  shrunk row of each coordinate of a block, -1 for none
``log_unit``       (R,)                  log of engine scale over prior scale, per shrunk row
``family`` ...     (G,)                  code and parameters of each group of rows
``centre``         (H,)                  hyperparameters are ``h = centre + width e``
``width``          (H, H)
``stretch``        (2,)                  power a and mean log scale of the stretch, see ``shrinkage_kernel``
``outer``          (d, d) or (0, 0)      upper triangular, ``z = outer v``; the identity where empty
``u``              (d + H,)              ``[v, e]``
=================  ====================  ==========================================================

Hyperparameters are real numbers: logarithms of scales; for R2D2 the logit of R2 and logarithms of independent
``Gamma(a, 1)`` variables, whose shares are Dirichlet.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray

LEARNED, R2D2 = 0, 1
N_PARAMETERS = 3

_options: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp"},
}


class ShrinkageData(NamedTuple):
    """What the kernel reads beside ``KernelData``; see the table at the top of the module."""

    precision: FloatArray
    linear: FloatArray
    mixing: FloatArray
    row: IntArray
    log_unit: FloatArray
    family: IntArray
    parameters: FloatArray
    first_row: IntArray
    first_hyper: IntArray
    centre: FloatArray
    width: FloatArray
    stretch: FloatArray
    outer: NDArray[np.float32]
    n_columns: int


@nb.njit(**_options)
def _half_t(x, scale, df):  # type: ignore[no-untyped-def]
    """Log density of ``x = log tau`` with ``tau`` half-t (df = 0: half-normal), up to a constant, and its slope."""
    r = math.exp(2.0 * x) / scale**2
    if df == 0.0:
        return x - 0.5 * r, 1.0 - r
    return x - 0.5 * (df + 1.0) * math.log1p(r / df), 1.0 - (df + 1.0) / (1.0 + df / r)


@nb.njit(**_options)
def log_scales(sh, h, s, slope):  # type: ignore[no-untyped-def]
    """Log prior density of ``h`` (H,) up to a constant; fills its gradient ``slope`` and the log scales ``s`` (R,)."""
    value = 0.0
    for group in range(sh.family.shape[0]):
        family, a = sh.family[group], sh.parameters[group]
        first, end, g = sh.first_row[group], sh.first_row[group + 1], sh.first_hyper[group]
        if family == R2D2:
            share = 1.0 / (1.0 + math.exp(-h[g]))
            value -= a[0] * math.log1p(math.exp(-h[g])) + a[1] * (h[g] + math.log1p(math.exp(-h[g])))
            slope[g] = a[0] * (1.0 - share) - a[1] * share
            total = 0.0
            for i in range(end - first):
                gamma = math.exp(h[g + 1 + i])
                total += gamma
                value += a[2] * h[g + 1 + i] - gamma
                slope[g + 1 + i] = a[2] - gamma
            for i in range(end - first):
                s[first + i] = 0.5 * (h[g] + h[g + 1 + i] - math.log(total))
            continue
        lp, slope[g] = _half_t(h[g], a[0], a[1])
        value += lp
        for i in range(first, end):
            s[i] = h[g]
    return value


@nb.njit(**_options)
def pull_back_scales(sh, h, s, ds, slope):  # type: ignore[no-untyped-def]
    """Add to ``slope`` (H,) the gradient in ``h`` of what has gradient ``ds`` (R,) in the log scales ``s``."""
    for group in range(sh.family.shape[0]):
        family, g = sh.family[group], sh.first_hyper[group]
        first, end = sh.first_row[group], sh.first_row[group + 1]
        if family == R2D2:
            total, gammas = 0.0, 0.0
            for i in range(end - first):
                total += ds[first + i]
                gammas += math.exp(h[g + 1 + i])
            slope[g] += 0.5 * total
            for i in range(end - first):
                slope[g + 1 + i] += 0.5 * (ds[first + i] - total * math.exp(h[g + 1 + i]) / gammas)
        else:
            for i in range(first, end):
                slope[g] += ds[i]
