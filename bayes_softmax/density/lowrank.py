"""A metric for more features than rows: a diagonal prior plus as many rank-one terms as there are rows."""

from typing import TYPE_CHECKING

import numpy as np

from bayes_softmax.core.records import FloatArray, LowRankMetric

if TYPE_CHECKING:
    from bayes_softmax.density.posterior import SoftmaxPosterior

SPREAD_FLOOR = 1e-8  # of the largest variance of a class contrast: that of a class never on offer is zero
RIDGE = 1e-9  # of the data's diagonal: directions without a prior stay where they are


def low_rank_metric(density: "SoftmaxPosterior", theta: FloatArray, column_prior: FloatArray) -> LowRankMetric | None:
    r"""The Kronecker approximation of ``SoftmaxPosterior.block_metric`` as ``diag(d) + B'CB``, without a (q, q) matrix.

    ``column_prior`` (q,) is the curvature of minus the log prior in one column.  None where there are more rows than
    features, or intercept and weights have different columns.
    """
    data = density.data
    K, q = data.YZ.shape
    if not density.coordinates.is_matrix or q <= data.n_obs:
        return None
    P = density.expected_counts(theta).transpose(0, 2, 1).reshape(-1, K)[: data.n_obs]
    totals = P.sum(axis=1)
    A = np.diag(P.sum(axis=0)) - (P / totals[:, None]).T @ P
    weights = totals - (P**2).sum(axis=1) / totals  # traces of the rows' class covariances
    rows = (
        data.Z.transpose(0, 2, 1).reshape(-1, q)[: data.n_obs] * np.sqrt(weights / max(weights.sum(), 1e-300))[:, None]
    )
    spread, mixing = np.linalg.eigh(data.Cw.T @ A @ data.Cw)
    spread = np.maximum(spread, SPREAD_FLOOR * spread[-1])
    ridge = RIDGE * (rows**2).sum(axis=0) * max(float(spread[-1]), np.finfo(float).tiny)
    return LowRankMetric(rows, spread, column_prior + ridge + np.finfo(float).tiny, np.ascontiguousarray(mixing))
