"""Probabilities averaged over the draws, with their logarithms and intervals."""

import numpy as np

from bayes_softmax.answers.intervals import Interval, draws_interval
from bayes_softmax.answers.probabilities import HasLogits, over_blocks
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.records import FloatArray

SMALL = 1e-290  # below it a probability loses digits or underflows


def mean_probabilities(fit: HasLogits, rows: Rows, shift: FloatArray | None = None) -> FloatArray:
    """Probabilities (N, K) averaged over the draws."""
    mean = np.empty((rows.n_rows, fit.logits.n_classes))

    def average(P: FloatArray, block: slice) -> None:
        mean[block] = P.mean(axis=2).T

    over_blocks(fit, rows, average, shift=shift)
    return mean


def probabilities_and_logs(
    fit: HasLogits, rows: Rows, shift: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Probabilities (N, K) averaged over the draws, and their logarithms: also where a probability underflows."""
    P = mean_probabilities(fit, rows, shift)
    possible = np.full(P.shape[1], True) if shift is None else shift > -np.inf
    with np.errstate(divide="ignore"):
        log_P = np.log(P)
    lost = P < SMALL
    lost[:, ~possible] = False
    if rows.available is not None:
        lost &= rows.available
    small = np.flatnonzero(lost.any(axis=1))
    if small.size:  # a second pass, on the log scale, costs more than the first
        log_P[small] = _mean_logs(fit, rows.take(small), shift)
    return P, log_P


def _mean_logs(fit: HasLogits, rows: Rows, shift: FloatArray | None) -> FloatArray:
    """Logarithms (N, K) of the probabilities averaged over the draws, by log-sum-exp."""
    mean = np.empty((rows.n_rows, fit.logits.n_classes))

    def average(L: FloatArray, block: slice) -> None:
        top = L.max(axis=2)
        top[top == -np.inf] = 0.0  # a class of prior probability 0, or not on offer
        L -= top[:, :, None]
        np.exp(L, out=L)
        with np.errstate(divide="ignore"):
            mean[block] = (top + np.log(L.mean(axis=2))).T

    over_blocks(fit, rows, average, shift=shift, log=True)
    return mean


def draw_intervals(fit: HasLogits, rows: Rows, interval: Interval, *, shift: FloatArray | None = None) -> FloatArray:
    """Mean, lower and upper end (3, N, K) of the probabilities over the draws."""
    out = np.empty((3, rows.n_rows, fit.logits.n_classes))

    def summarise(P: FloatArray, block: slice) -> None:
        out[0, block] = P.mean(axis=2).T
        low, high = draws_interval(P, interval, axis=2)
        out[1, block], out[2, block] = low.T, high.T

    over_blocks(fit, rows, summarise, shift=shift)
    return out
