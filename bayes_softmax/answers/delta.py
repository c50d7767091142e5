"""The delta method: uncertainty of an estimate's probabilities, from the covariance of its parameters."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import qmc

from bayes_softmax.answers.intervals import Interval, normal_quantile
from bayes_softmax.answers.mean_probabilities import probabilities_and_logs
from bayes_softmax.answers.probabilities import HasLogits, estimate_logits
from bayes_softmax.answers.rows import Rows, short_blocks
from bayes_softmax.core.records import FloatArray

LOGIT_POINTS = 256  # Sobol points for averages over the normal approximation of a row's logits


def delta_intervals(
    fit: HasLogits,
    rows: Rows,
    interval: Interval,
    *,
    covariance: FloatArray,
    shift: FloatArray | None = None,
) -> FloatArray:
    r"""Estimate, lower and upper end (3, N, K) by the delta method on the logit of each probability.

    :math:`\mathrm{logit}\,p_k = \eta_k - \log\sum_{j\ne k} e^{\eta_j}` has derivative 1 with respect
    to :math:`\eta_k` and, with respect to the other logits, minus their softmax; neither needs :math:`1 - p_k`, which
    loses all digits near 1.  The ends are mapped back, so they stay within 0 and 1.  ``covariance`` (d, d) is that of
    the parameters.
    """
    out = np.empty((3, rows.n_rows, fit.logits.n_classes))
    z = normal_quantile(interval)
    out[0], log_p = probabilities_and_logs(fit, rows, shift)
    for block in short_blocks(rows.n_rows):
        logit, jacobian = _logits_of_each(log_p[block])
        V = fit.logits.covariance(fit.parameters, rows.X[block], covariance)
        variance = np.einsum("nkj,njl,nkl->nk", jacobian, V, jacobian, optimize=True)
        half = z * np.sqrt(np.maximum(variance, 0.0))
        half[np.isinf(logit)] = 0.0
        out[1, block], out[2, block] = expit(logit - half), expit(logit + half)
    if rows.loose is not None:  # optimum at infinity: a probability certain in the limit has no interval
        unsure = rows.loose | (out[0] == 0) | (out[0] == 1)
        if rows.available is not None:  # a class not on offer is certain, and so is the only one on offer
            unsure &= rows.available & (rows.available.sum(axis=1) > 1)[:, None]
        out[1:, unsure] = np.nan
    return out


def _logits_of_each(log_p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logit of each class against all others (n, K), and its Jacobian (n, K, K) in the logits ``log_p`` (n, K)."""
    K = log_p.shape[1]
    others = np.repeat(log_p[:, None, :], K, axis=1)
    others[:, np.arange(K), np.arange(K)] = -np.inf
    top = others.max(axis=2)
    alone = top == -np.inf  # all others have prior probability 0, or are not on offer
    odds = np.exp(others - np.where(alone, 0.0, top)[:, :, None])
    total = np.where(alone, 1.0, odds.sum(axis=2))
    logit = np.where(alone, np.inf, log_p - np.where(alone, 0.0, top) - np.log(total))
    return logit, np.eye(K) - odds / total[:, :, None]


def normal_logits(
    fit: HasLogits,
    rows: Rows,
    function: Callable[[FloatArray, slice], None],
    *,
    covariance: FloatArray,
    shift: FloatArray | None = None,
) -> NDArray[np.bool_]:
    """Apply ``function(P, block)`` to probabilities (K, rows, points) under the normal approximation of the logits.

    Returns for each row (N,) whether its covariance is known; where it is not, all points are the estimate.
    """
    points = ndtri(qmc.Sobol(fit.logits.n_classes, rng=0).random(LOGIT_POINTS))
    known = np.empty(rows.n_rows, dtype=bool)
    for block in short_blocks(rows.n_rows):
        V = fit.logits.covariance(fit.parameters, rows.X[block], covariance)
        known[block] = np.isfinite(V).all(axis=(1, 2))
        values, vectors = np.linalg.eigh(np.where(known[block, None, None], V, 0.0))
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        logits = estimate_logits(fit, rows, block, shift)
        L = np.moveaxis(logits[:, None, :] + np.einsum("nkj,sj->nsk", root, points), 2, 0)
        L = np.exp(L - L.max(axis=0))
        function(L / L.sum(axis=0), block)
    return known
