r"""Compiled covariance of a level's effects, from unconstrained hyperparameters, and its derivatives.

Hyperparameters ``h`` are the logarithms of the sds, then the inverse hyperbolic tangents of partial correlations, of
which the Cholesky factor of the correlations R is made row by row (Lewandowski, Kurowicka and Joe, *Journal of
Multivariate Analysis* 100, 2009).
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray

HALF_NORMAL, HALF_STUDENT_T = 0, 1


class CovarianceData(NamedTuple):
    """The covariance :math:`M' D R D M` of m free coordinates, from n columns of effects.

    ``mapping`` (n, m) is M; ``sd_of_column`` (n,) the sd of each column; ``pair`` (n, n) for j < i the place of a
    partial correlation among all of them, -1 where it is zero; ``power`` (n,) the exponent of each diagonal entry of
    the Cholesky factor in the LKJ density.  Sds have priors ``family``, ``df`` and ``scale`` (n_sds,).
    """

    mapping: FloatArray
    sd_of_column: IntArray
    pair: IntArray
    power: FloatArray
    family: IntArray
    df: FloatArray
    scale: FloatArray

    @property
    def n_hyper(self) -> int:
        """Number of hyperparameters."""
        return len(self.scale) + int(self.pair.max(initial=-1)) + 1


@nb.njit(**nb.OPTIONS)
def correlation_factor(cov, h, R):  # type: ignore[no-untyped-def]
    """Fill the Cholesky factor ``R`` (n, n) of the correlations."""
    n, n_sds = R.shape[0], cov.scale.shape[0]
    R[:] = 0.0
    for i in range(n):
        left = 1.0
        for j in range(i):
            pair = cov.pair[i, j]
            if pair >= 0:
                c = math.tanh(h[n_sds + pair])
                R[i, j] = c * math.sqrt(left)
                left *= 1.0 - c * c
        R[i, i] = math.sqrt(left)


@nb.njit(**nb.OPTIONS)
def covariance_root(cov, h, R, root):  # type: ignore[no-untyped-def]
    """Fill ``R`` and ``root = M' D R`` (m, n), whose product with its transpose is the covariance."""
    n, m = cov.mapping.shape
    correlation_factor(cov, h, R)
    root[:] = 0.0
    for i in range(n):
        sd = math.exp(h[cov.sd_of_column[i]])
        for a in range(m):
            factor = sd * cov.mapping[i, a]
            if factor != 0.0:
                for j in range(i + 1):
                    root[a, j] += factor * R[i, j]


@nb.njit(**nb.OPTIONS)
def add_log_hyperprior(cov, h, gradient):  # type: ignore[no-untyped-def]
    """Log prior density of ``h`` without its constants; adds its gradient."""
    n, n_sds, value = cov.pair.shape[0], cov.scale.shape[0], 0.0
    for r in range(n_sds):
        squared = (math.exp(h[r]) / cov.scale[r]) ** 2
        if cov.family[r] == HALF_NORMAL:
            value += h[r] - 0.5 * squared
            gradient[r] += 1.0 - squared
        else:
            nu = cov.df[r]
            value += h[r] - 0.5 * (nu + 1.0) * math.log1p(squared / nu)
            gradient[r] += 1.0 - (nu + 1.0) * squared / (nu + squared)
    for i in range(n):
        # log of the diagonal entry is half the sum of the logs of 1 - c^2 in its row
        after = 0.0
        for j in range(i - 1, -1, -1):
            pair = cov.pair[i, j]
            if pair >= 0:
                z = abs(h[n_sds + pair])
                c, log_left = math.tanh(h[n_sds + pair]), 2.0 * (math.log(2.0) - z - math.log1p(math.exp(-2.0 * z)))
                exponent = 0.5 * (cov.power[i] + after) + 1.0
                value += exponent * log_left
                gradient[n_sds + pair] -= 2.0 * exponent * c
                after += 1.0
    return value


@nb.njit(**nb.OPTIONS)
def pull_back_root(cov, h, R, adjoint, gradient):  # type: ignore[no-untyped-def]
    """Add the derivatives in ``h``, from those in ``root`` (m, n)."""
    (n, m), n_sds = cov.mapping.shape, cov.scale.shape[0]
    pulled = np.empty(n)
    for i in range(n):
        r = cov.sd_of_column[i]
        sd, by_sd = math.exp(h[r]), 0.0
        for j in range(i + 1):
            pulled[j] = 0.0
            for a in range(m):
                pulled[j] += cov.mapping[i, a] * adjoint[a, j]
            pulled[j] *= sd
            by_sd += pulled[j] * R[i, j]
        gradient[r] += by_sd
        # R[i, j] = c_j sqrt(left_j), left_j the product of 1 - c^2 before j: derivatives of the logarithm of left
        after = pulled[i] * R[i, i]
        for j in range(i - 1, -1, -1):
            pair = cov.pair[i, j]
            if pair >= 0:
                c = math.tanh(h[n_sds + pair])
                before = R[i, j] / c if c != 0.0 else _left(cov, h, i, j)
                gradient[n_sds + pair] += pulled[j] * before * (1.0 - c * c) - after * c
                after += pulled[j] * R[i, j]


@nb.njit(**nb.OPTIONS)
def _left(cov, h, i, end):  # type: ignore[no-untyped-def]
    """Square root of what is left of row i before column ``end``."""
    left, n_sds = 1.0, cov.scale.shape[0]
    for j in range(end):
        pair = cov.pair[i, j]
        if pair >= 0:
            c = math.tanh(h[n_sds + pair])
            left *= 1.0 - c * c
    return math.sqrt(left)
