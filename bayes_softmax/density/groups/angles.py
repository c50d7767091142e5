r"""Compiled covariance of a level's effects from signed sds and angles, in which a variance of zero is no boundary.

The Cholesky factor of the correlations has rows on a sphere, :math:`R_{ij} = \sin\varphi_{ij} \prod_{l<j}
\cos\varphi_{il}` and :math:`R_{ii} = \prod_{l<i} \cos\varphi_{il}` (Pinheiro and Bates, *Statistics and Computing* 6,
1996).  The covariance is a smooth function of all real sds and angles: sds of zero and correlations of one, where
maxima of a marginal likelihood may be, are stationary points like others.
"""

import math

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.covariance import HALF_NORMAL


@nb.njit(**nb.OPTIONS)
def signed_root(cov, x, R, root):  # type: ignore[no-untyped-def]
    """Fill ``R`` (n, n) and ``root = M' D R`` (m, n) for ``x``: sds, then angles."""
    (n, m), n_sds = cov.mapping.shape, cov.scale.shape[0]
    R[:], root[:] = 0.0, 0.0
    for i in range(n):
        left = 1.0
        for j in range(i):
            pair = cov.pair[i, j]
            if pair >= 0:
                R[i, j] = left * math.sin(x[n_sds + pair])
                left *= math.cos(x[n_sds + pair])
        R[i, i] = left
        for a in range(m):
            factor = x[cov.sd_of_column[i]] * cov.mapping[i, a]
            for j in range(i + 1):
                root[a, j] += factor * R[i, j]


@nb.njit(**nb.OPTIONS)
def pull_back_signed(cov, x, R, adjoint, gradient):  # type: ignore[no-untyped-def]
    """Add the derivatives in ``x``, from those in ``root`` (m, n)."""
    (n, m), n_sds = cov.mapping.shape, cov.scale.shape[0]
    pulled, before = np.empty(n), np.empty(n)
    for i in range(n):
        r, left = cov.sd_of_column[i], 1.0
        for j in range(i + 1):
            total = 0.0
            for a in range(m):
                total += cov.mapping[i, a] * adjoint[a, j]
            gradient[r] += total * R[i, j]
            pulled[j], before[j] = total * x[r], left
            if j < i and cov.pair[i, j] >= 0:
                left *= math.cos(x[n_sds + cov.pair[i, j]])
        after = pulled[i]
        for j in range(i - 1, -1, -1):
            pair = cov.pair[i, j]
            if pair >= 0:
                s, c = math.sin(x[n_sds + pair]), math.cos(x[n_sds + pair])
                gradient[n_sds + pair] += before[j] * (pulled[j] * c - after * s)
                after = pulled[j] * s + after * c


@nb.njit(**nb.OPTIONS)
def add_log_prior_of_sds(cov, x, gradient):  # type: ignore[no-untyped-def]
    """Log prior density of sds and correlations *as such*, without constants or Jacobians; adds its gradient in ``x``.

    ``cov.power`` holds the exponents for the Cholesky factor: those of the correlations are smaller by the number of
    columns after each that are correlated with it.
    """
    n, value = cov.pair.shape[0], _add_log_density_of_sds(cov, x, gradient)
    for i in range(n):
        power = cov.power[i]
        for l in range(i + 1, n):
            power -= 1.0 if cov.pair[l, i] >= 0 else 0.0
        for j in range(i):
            if power != 0.0:
                value += _add_log_cosine(cov, x, gradient, i, j, power)
    return value


@nb.njit(**nb.OPTIONS)
def _add_log_density_of_sds(cov, x, gradient):  # type: ignore[no-untyped-def]
    """Log density of the sds, whatever their signs; adds its gradient."""
    value = 0.0
    for r in range(cov.scale.shape[0]):
        ratio = x[r] / cov.scale[r]
        if cov.family[r] == HALF_NORMAL:
            value -= 0.5 * ratio * ratio
            gradient[r] -= ratio / cov.scale[r]
        else:
            nu = cov.df[r]
            value -= 0.5 * (nu + 1.0) * math.log1p(ratio * ratio / nu)
            gradient[r] -= (nu + 1.0) * ratio / (nu + ratio * ratio) / cov.scale[r]
    return value


@nb.njit(**nb.OPTIONS)
def _add_log_cosine(cov, x, gradient, i, j, power):  # type: ignore[no-untyped-def]
    """A power of the cosine of the angle of columns i and j, if there is one: its logarithm; adds its gradient."""
    pair = cov.pair[i, j]
    if pair < 0:
        return 0.0
    at = cov.scale.shape[0] + pair
    gradient[at] -= power * math.tan(x[at])
    return power * math.log(abs(math.cos(x[at])))
