"""Pareto-smoothed importance weights by ArviZ, also of ratios without a tail to fit."""

import contextlib

import numpy as np
from scipy.special import logsumexp

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray

ALIKE = 1e-12  # log ratios that differ by no more are equal: no tail to fit, and nothing wrong


def smoothed(log_ratios: FloatArray, r_eff: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Log weights (m, S), each row summing to one, and Pareto k (m,), of log importance ratios (m, S).

    Where all ratios of a row are equal the weights are, and k is minus infinity.  Where so few are large that no tail
    can be fitted, or ArviZ makes weights of it that are not numbers, the weights are the bare ratios, and k is
    infinite: as bad as can be.
    """
    load_in_full("arviz_stats.base")
    from arviz_stats.base import array_stats

    vary = np.ptp(log_ratios, axis=1) > ALIKE
    log_weights: FloatArray = np.full(log_ratios.shape, -np.log(log_ratios.shape[1]))
    k = np.where(vary, np.inf, -np.inf)
    rows = np.flatnonzero(vary)
    top = log_ratios[rows] - log_ratios[rows].max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):  # k marks rows without a tail
        try:
            if rows.size:  # ArviZ takes log likelihoods, that is minus log ratios
                log_weights[rows], k[rows] = array_stats.psislw(-top, r_eff=r_eff)
        except ValueError:
            log_weights[rows] = top - logsumexp(top, axis=1, keepdims=True)
            for row, ratios in zip(rows, top, strict=True):
                with contextlib.suppress(ValueError):
                    log_weights[row], k[row] = array_stats.psislw(-ratios, r_eff=r_eff)
    lost = np.isnan(k) | np.isnan(log_weights).any(axis=1)  # a point or two have all the weight, or the fit failed
    log_weights[lost] = log_ratios[lost] - logsumexp(log_ratios[lost], axis=1, keepdims=True)
    k[lost] = np.inf
    return log_weights, k
