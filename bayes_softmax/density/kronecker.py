r"""Approximations of a likelihood's curvature that are block diagonal, with one block per mixed column.

With row i's class covariance :math:`S_i`, the sum :math:`\sum_i S_i \otimes z_i z_i'` is approximated by
:math:`A \otimes G`, with ``A`` the sum of the covariances in free columns and ``G`` the mean of :math:`z_i z_i'`
weighted by their traces.  In the eigenvectors of ``A`` it has one block per column.
"""

from collections.abc import Iterable

import numpy as np

from bayes_softmax.core.records import BlockMetric, ExpectedRows, FloatArray, LayerFactors, LowRankMetric

# Relative to the diagonal, added to an approximate precision, so that directions without data or prior do not move.
RIDGE = 1e-9
SPREAD_FLOOR = 1e-8  # relative to the largest variance of a class contrast: that of a class never on offer is zero


def layer_factors(G: FloatArray, A: FloatArray, contrast: FloatArray, prior: FloatArray) -> LayerFactors:
    """The two factors, beside the prior's precision (m, m) of one column.

    ``G`` (q, q), upper triangle, is minus the weighted sum and ``A`` (K, K) the classes' covariance, both as in
    :func:`bayes_softmax.density.curvature.weighted_gram`; ``contrast`` (K, k) holds the contrasts of the free columns.
    """
    G = -(np.triu(G) + np.triu(G, 1).T) / max(float(np.trace(A)), np.finfo(float).tiny)
    return LayerFactors(G, contrast.T @ A @ contrast, prior)


def mixed_metric(factors: LayerFactors) -> BlockMetric:
    """``outputs x inputs + I x prior``, one block for each eigenvector of ``outputs``: nothing is approximated here."""
    spread, mixing = np.linalg.eigh(factors.outputs)
    spread = np.maximum(spread, SPREAD_FLOOR * spread[-1])
    precisions = spread[:, None, None] * factors.inputs + factors.prior
    diagonals = np.einsum("kii->ki", precisions)
    diagonals += RIDGE * diagonals + np.finfo(float).tiny
    return BlockMetric(precisions, np.ascontiguousarray(mixing))


def low_rank_metric(blocks: Iterable[ExpectedRows], contrast: FloatArray, prior: FloatArray) -> LowRankMetric:
    """The approximation as ``diag(d) + B'CB``, without a (q, q) matrix, for n < q; ``prior`` (m,) is a diagonal."""
    K = len(contrast)
    A, found, weights = np.zeros((K, K)), [], []
    for Z, P, _ in blocks:
        totals = P.sum(axis=0)
        A += np.diag(P.sum(axis=1)) - (P / totals) @ P.T
        weights.append(totals - (P**2).sum(axis=0) / totals)  # traces of the rows' class covariances
        found.append(Z.T.copy())
    weight = np.concatenate(weights)
    rows = np.concatenate(found) * np.sqrt(weight / max(weight.sum(), 1e-300))[:, None]
    spread, mixing = np.linalg.eigh(contrast.T @ A @ contrast)
    spread = np.maximum(spread, SPREAD_FLOOR * spread[-1])
    ridge = RIDGE * (rows**2).sum(axis=0) * max(float(spread[-1]), np.finfo(float).tiny)
    return LowRankMetric(rows, spread, prior + ridge + np.finfo(float).tiny, np.ascontiguousarray(mixing))
