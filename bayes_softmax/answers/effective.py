"""Effective number of parameters of draws: how much the data move what the draws say of them."""

import numpy as np

from bayes_softmax.answers.probabilities import HasLogits, sum_over_blocks
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.records import FloatArray

P_WAIC = (
    "effective: the variance over the draws of the log-likelihood of each observation, summed (p_waic; Gelman, Hwang "
    "and Vehtari, 2014); it is not divided among layers"
)


def p_waic(fit: HasLogits, training: TrainingData) -> float:
    r"""Sum over the observations of :math:`\mathrm{Var}_s \log p(y_n \mid \theta_s)`.

    For a regular model of many rows it is the number of parameters that the data determine (Gelman, Hwang and Vehtari,
    *Statistics and Computing* 24, 2014, section 3.3).  NaN for a single draw.
    """
    if fit.parameters.n_draws < 2:
        return np.nan
    total = 0.0
    for part in training.blocks():

        def summed(L: FloatArray, block: slice, counts: FloatArray = part.counts) -> FloatArray:
            c = counts[block].T
            rows = np.nonzero(c)
            return np.asarray((c[rows] * L[rows].var(axis=1, ddof=1)).sum())

        total += float(sum_over_blocks(fit, part.rows, summed, log=True))
    return total
