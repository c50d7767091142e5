"""Leave-one-out of cells and rows by importance weights."""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.probabilities import HasLogits, over_blocks, row_log_likelihood
from bayes_softmax.answers.training import Cells, RowBlock, TrainingData
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray


class Pointwise(NamedTuple):
    """Per cell or row: leave-one-out and full-data log predictive density, Pareto k, leave-one-out probabilities."""

    elpd: FloatArray
    lppd: FloatArray
    pareto_k: FloatArray
    probabilities: FloatArray


def _empty(n: int, K: int) -> Pointwise:
    return Pointwise(np.empty(n), np.empty(n), np.empty(n), np.empty((n, K)))


def cell_loo(fit: HasLogits, training: TrainingData, relative_ess: float) -> Pointwise:
    """Leave out one observation of each cell in turn."""
    K, parts = fit.logits.n_classes, []
    for rows in training.blocks():
        cells = rows.cells
        out = _empty(len(cells.rows), K)

        def judge(L: FloatArray, block: slice, cells: Cells = cells, out: Pointwise = out) -> None:
            own = slice(*np.searchsorted(cells.rows, [block.start, block.stop]))
            local = cells.rows[own] - block.start
            log_p = L[cells.codes[own], local]
            log_weights = _fill_smoothed(log_p, relative_ess, out, own)
            weights = np.exp(log_weights)
            for k in range(K):
                out.probabilities[own, k] = np.einsum("cs,cs->c", weights, np.exp(L[k, local]))

        over_blocks(fit, rows.rows, judge, log=True, parallel=False)
        parts.append(out)
    return _joined(parts)


def row_loo(fit: Fitted, training: TrainingData, relative_ess: float) -> Pointwise:
    """Leave out each row as given in turn, with all its weighted counts."""
    out = _empty(training.n_obs, 0)
    for rows in training.given_blocks():

        def judge(L: FloatArray, block: slice, rows: RowBlock = rows) -> None:
            place = slice(rows.first + block.start, rows.first + block.stop)
            _fill_smoothed(row_log_likelihood(L, rows.counts[block]), relative_ess, out, place)

        over_blocks(fit, rows.rows, judge, log=True, parallel=False)
    return out


def _joined(parts: list[Pointwise]) -> Pointwise:
    """Results of all cells, joined from blocks."""
    return parts[0] if len(parts) == 1 else Pointwise(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _fill_smoothed(log_p: FloatArray, relative_ess: float, out: Pointwise, own: slice) -> FloatArray:
    """Fill the entries ``own`` from log likelihoods (m, S); returns the log weights."""
    log_weights, k = smoothed(-log_p, relative_ess)
    out.elpd[own] = logsumexp(log_weights + log_p, axis=1)
    out.lppd[own] = logsumexp(log_p, axis=1) - np.log(log_p.shape[1])
    out.pareto_k[own] = k
    return log_weights
