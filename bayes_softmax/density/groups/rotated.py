r"""Unstructured covariances of exchangeable columns, in coordinates of which the first are those that are identified.

With n = q K columns of effects but m = q k contrasts M, sds and correlations have more parameters than the covariance
:math:`M' S M` of the effects, :math:`S = D R D`: along curved ridges the density is that of the prior.  Rotate by
:math:`B = [M, N]`, N a basis of what M leaves out.  The coordinates are the logarithms of the sds of
:math:`\tilde S = B' S B = \tilde D \tilde R \tilde D`, and the inverse hyperbolic tangents of its partial correlations:
those of the first m columns are the effects' own.  With LKJ shape :math:`\eta` and densities :math:`p_i` of the sds

.. math:: \log p = \sum_i \log p_i(d_i) - (2 \eta - 2 + n) \sum_i \log d_i + (2 \eta - 1 + n) \sum_i
          \log \tilde d_i + (\eta - 1) \log |\tilde R| + \log |\partial \tilde R / \partial h|,

since :math:`|\partial S / \partial (d, R)| = 2^n \prod d_i^n` in both, and :math:`|S| = |\tilde S|`.
"""

import math

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import (
    HALF_NORMAL,
    CovarianceData,
    add_log_partials,
    correlation_factor,
    pull_back_root,
)


def rotated(covariance: CovarianceData) -> CovarianceData:
    """The same covariance in these coordinates, where it is unstructured with more columns than contrasts."""
    n, m = covariance.mapping.shape
    M, pairs = covariance.mapping, covariance.pair[np.tril_indices(n, -1)]
    free = len(covariance.scale) == n and bool((pairs >= 0).all())
    if not free or m == n or not np.allclose(M.T @ M, np.eye(m)):
        return covariance
    basis = np.hstack([M, np.linalg.svd(M)[0][:, m:]])
    return covariance._replace(mapping=np.eye(n, m), basis=np.ascontiguousarray(basis))


@nb.njit(**nb.OPTIONS)
def _rotated_root(cov, h, R):  # type: ignore[no-untyped-def]
    """Fill the Cholesky factor ``R`` of the rotated correlations; returns ``B D R`` (n, n), the root of S."""
    correlation_factor(cov, h, R)
    n = R.shape[0]
    L = np.empty((n, n))
    for i in range(n):
        L[i] = math.exp(h[i]) * R[i]
    return cov.basis @ L


@nb.njit(**nb.OPTIONS)
def add_rotated_prior(cov, h, gradient):  # type: ignore[no-untyped-def]
    """Log prior density of the coordinates without its constants; adds its gradient."""
    n = cov.basis.shape[0]
    R, of_W, excess = np.empty((n, n)), np.empty((n, n)), cov.power[n - 1] + n
    W, value = _rotated_root(cov, h, R), add_log_partials(cov, h, gradient)
    for i in range(n):
        variance = 0.0
        for j in range(n):
            variance += W[i, j] ** 2
        squared = variance / cov.scale[i] ** 2
        if cov.family[i] == HALF_NORMAL:
            value -= 0.5 * squared
            slope = -squared
        else:
            nu = cov.df[i]
            value -= 0.5 * (nu + 1.0) * math.log1p(squared / nu)
            slope = -(nu + 1.0) * squared / (nu + squared)
        for j in range(n):
            of_W[i, j] = (slope - excess) * W[i, j] / variance
        value += (excess + 1.0) * h[i] - 0.5 * excess * math.log(variance)
        gradient[i] += excess + 1.0
    everything = CovarianceData(
        np.eye(n), cov.sd_of_column, cov.pair, cov.power, cov.family, cov.df, cov.scale, cov.basis
    )
    pull_back_root(everything, h, R, cov.basis.T @ of_W, gradient)
    return value


@nb.njit(**nb.OPTIONS)
def sds_and_correlations(cov, h, out):  # type: ignore[no-untyped-def]
    """Fill ``out``: logarithms of the sds, inverse hyperbolic tangents of partial correlations, of S."""
    n = cov.basis.shape[0]
    W = _rotated_root(cov, h, np.empty((n, n)))
    for i in range(n):
        out[i] = 0.5 * math.log((W[i] * W[i]).sum())
        W[i] /= math.exp(out[i])
    R = np.linalg.cholesky(W @ W.T)
    for i in range(n):
        left = 1.0
        for j in range(i):
            out[n + cov.pair[i, j]] = math.atanh(R[i, j] / math.sqrt(left))
            left -= R[i, j] ** 2


def coordinates_of(cov: CovarianceData, h: FloatArray) -> FloatArray:
    """The reverse: coordinates from sds and correlations."""
    out = np.empty_like(h)
    sds_and_correlations(cov._replace(basis=np.ascontiguousarray(cov.basis.T)), h, out)
    return out
