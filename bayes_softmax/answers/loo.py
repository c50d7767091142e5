r"""Leave-one-out cross-validation, an observation at a time, block by block.

Leaving out one observation of class k in row n reweights draw s by :math:`1/p_{nk}^{(s)}`; the weights are
Pareto-smoothed (Vehtari, Gelman and Gabry, *Statistics and Computing* 27, 2017; the smoothing is ArviZ's).
Observations of one class in equal rows are the same problem, solved once for each such cell.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp, softmax

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.probabilities import estimate_logits, over_blocks, row_log_likelihood
from bayes_softmax.answers.rows import short_blocks
from bayes_softmax.answers.training import Block, Cells, TrainingData
from bayes_softmax.core.checks import check_choice, describe_rows
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label

LEFT_OUT = ("observation", "row")
FEWEST_DRAWS = 100
Refit = Callable[[int, int], Fitted]


class Pointwise(NamedTuple):
    """Of each cell or row: log predictive density left out and with all data, Pareto k, probabilities left out."""

    elpd: FloatArray
    lppd: FloatArray
    pareto_k: FloatArray
    probabilities: FloatArray


def _empty(n: int, K: int) -> Pointwise:
    return Pointwise(np.empty(n), np.empty(n), np.empty(n), np.empty((n, K)))


def cell_loo(fit: Fitted, training: TrainingData, relative_ess: float) -> Pointwise:
    """Leave one observation out of every cell."""
    K, parts = fit.logits.n_classes, []
    for rows in training.blocks():
        cells = rows.cells
        out = _empty(len(cells.rows), K)

        def judge(L: FloatArray, block: slice, cells: Cells = cells, out: Pointwise = out) -> None:
            own = slice(*np.searchsorted(cells.rows, [block.start, block.stop]))
            local = cells.rows[own] - block.start
            log_p = L[cells.codes[own], local]
            log_weights = _smoothed(log_p, relative_ess, out, own)
            weights = np.exp(log_weights)
            for k in range(K):
                out.probabilities[own, k] = np.einsum("cs,cs->c", weights, np.exp(L[k, local]))

        over_blocks(fit, rows.rows, judge, log=True, parallel=False)
        parts.append(out)
    return _joined(parts)


def row_loo(fit: Fitted, training: TrainingData, relative_ess: float) -> Pointwise:
    """Leave every row as given out as a whole, with its weighted counts."""
    out = _empty(training.n_obs, 0)
    for rows in training.given_blocks():

        def judge(L: FloatArray, block: slice, rows: Block = rows) -> None:
            place = slice(rows.first + block.start, rows.first + block.stop)
            _smoothed(row_log_likelihood(L, rows.counts[block]), relative_ess, out, place)

        over_blocks(fit, rows.rows, judge, log=True, parallel=False)
    return out


def _joined(parts: list[Pointwise]) -> Pointwise:
    """Blocks of cells as one."""
    return parts[0] if len(parts) == 1 else Pointwise(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _smoothed(log_p: FloatArray, relative_ess: float, out: Pointwise, own: slice) -> FloatArray:
    """Fill the entries ``own`` from log likelihoods (m, S); returns the log weights."""
    log_weights, k = smoothed(-log_p, relative_ess)
    out.elpd[own] = logsumexp(log_weights + log_p, axis=1)
    out.lppd[own] = logsumexp(log_p, axis=1) - np.log(log_p.shape[1])
    out.pareto_k[own] = k
    return log_weights


def newton_loo(fit: Fitted, training: TrainingData) -> FloatArray:
    r"""Class probabilities (cells, K) of an estimate with one observation of the cell left out, by one Newton step.

    With the covariance V of the row's logits and :math:`S = \mathrm{diag}(p) - pp'`, leaving out an observation of
    class k moves them by :math:`-(I - VS)^{-1} V (e_k - p)` (Pregibon, *Annals of Statistics* 9, 1981; Rad and
    Maleki, *JRSS B* 82, 2020).
    """
    covariance = fit.delta_covariance
    _check_whole(training)
    if covariance is None or fit.limits is not None or not np.isfinite(covariance).all():
        raise ValueError("leave-one-out of an estimate needs a certified optimum: its covariance is not known")
    out, eye = [], np.eye(fit.logits.n_classes)
    for rows in training.blocks():
        cells = rows.cells
        for own in short_blocks(len(cells.rows)):
            at = rows.rows.take(cells.rows[own])
            logits = estimate_logits(fit, at, slice(None))
            P, V = softmax(logits, axis=1), fit.logits.covariance(fit.parameters, at.X, covariance)
            S = P[:, :, None] * (eye - P[:, None, :])
            residual = eye[cells.codes[own]] - P
            move = np.linalg.solve(eye - V @ S, np.einsum("nkl,nl->nk", V, residual)[:, :, None])[:, :, 0]
            out.append(softmax(logits - move, axis=1))
    return np.concatenate(out)


def leave_one_out(fit: Fitted, training: TrainingData, by: str, refit: Refit | None, order: Sequence[Label]) -> Any:
    """ArviZ's own ``ELPDDataLOO`` of a posterior."""
    check_choice("by", by, LEFT_OUT)
    if by == "observation":
        found = checked_cells(fit, training, refit)
        positions = [fit.schema.class_position(c, "order") for c in order]
        return _result(fit, training, found, *training.observations(positions))
    if refit is not None:
        raise ValueError("refit is for by='observation': exact refits leave out one observation")
    _check_draws(fit)
    found = _doubted(fit, row_loo(fit, training, fit.relative_ess))
    rows = np.flatnonzero(training.totals > 0)  # the others say nothing
    _warn_bad(fit, training, found.pareto_k[rows], rows, "their estimates are too optimistic")
    return _result(fit, training, found, rows, rows)


def by_of_unit(by: str, unit: str | None) -> str:
    """What is left out, from ``by`` and from how it was spelled before, ``unit``."""
    if unit is None:
        return by
    warn_caller("unit= is now by=, and unit='unit' is by='observation'", FutureWarning)
    return "observation" if unit == "unit" else unit


def checked_cells(fit: Fitted, training: TrainingData, refit: Refit | None = None) -> Pointwise:
    """Every cell with one observation left out; where Pareto k is too large by ``refit``, or with a warning."""
    _check_whole(training)
    _check_draws(fit)
    found = _doubted(fit, cell_loo(fit, training, fit.relative_ess))
    if refit is not None:
        return _refitted(training, found, good_k(fit.parameters.n_draws), refit)
    given, cell = training.observations()
    advice = "their estimates are too optimistic; loo(refit=True) refits without each of them"
    _warn_bad(fit, training, found.pareto_k[cell], given, advice)
    return found


def _check_whole(training: TrainingData) -> None:
    """Raise unless there are observations to leave out one by one."""
    if not training.whole_counts:
        raise ValueError(
            "the weights or counts are not whole numbers, so there are no observations to leave out one by one; "
            "loo(by='row') leaves out whole rows with their weights"
        )


def _check_draws(fit: Fitted) -> None:
    """Raise where importance weights make no sense."""
    if fit.is_prior:
        raise ValueError("leave-one-out needs a posterior, and these are draws from the prior; use model.sample()")
    n_draws = fit.parameters.n_draws
    if n_draws < FEWEST_DRAWS:
        raise ValueError(f"leave-one-out needs at least {FEWEST_DRAWS} draws to judge its weights; there are {n_draws}")


def _doubted(fit: Fitted, found: Pointwise) -> Pointwise:
    """The same with a warning where the draws as a whole cannot be trusted; no weights can judge that."""
    if not fit.doubts:
        return found
    warn_caller(
        f"leave-one-out is not reliable here: {'; '.join(fit.doubts)}. Its numbers say little; sample longer, or by "
        "another engine, first",
        NotReliableWarning,
    )
    return found._replace(pareto_k=np.where(found.pareto_k == -np.inf, np.inf, found.pareto_k))


def _warn_bad(fit: Fitted, training: TrainingData, pareto_k: FloatArray, rows: IntArray, advice: str) -> None:
    """Name the rows whose Pareto k is beyond the limit."""
    limit = good_k(fit.parameters.n_draws)
    bad = np.flatnonzero(~(pareto_k <= limit))
    if not bad.size or fit.doubts:  # then it is said
        return
    names = pd.unique(np.asarray(observation_coordinate(training.index))[rows[bad]])
    warn_caller(
        f"leave-one-out: Pareto k is above {limit:.2f} for {bad.size} of {len(pareto_k)} observations "
        f"({describe_rows(names, range(len(names)))}): {advice}",
        NotReliableWarning,
    )


def good_k(n_draws: int) -> float:
    """Pareto k up to which an estimate from so many draws can be trusted (Vehtari et al., *JMLR* 25, 2024)."""
    return min(1.0 - 1.0 / math.log10(max(n_draws, 11)), 0.7)


def _refitted(training: TrainingData, found: Pointwise, limit: float, refit: Refit) -> Pointwise:
    """Cells beyond the limit again, from a posterior without the observation."""
    out, first = found._replace(**{n: getattr(found, n).copy() for n in ("elpd", "pareto_k", "probabilities")}), 0
    for block in training.blocks():
        cells = block.cells
        for i in np.flatnonzero(~(found.pareto_k[first : first + len(cells.codes)] <= limit)):
            row, code, cell = block.first + int(cells.rows[i]), int(cells.codes[i]), first + int(i)
            without = refit(row, code)
            at = training.take(np.array([row]))
            (L,) = over_blocks(without, at, lambda L, _: L[:, 0].copy(), log=True)
            out.elpd[cell] = logsumexp(L[code]) - np.log(L.shape[1])
            out.probabilities[cell], out.pareto_k[cell] = np.exp(L).mean(axis=1), 0.0
        first += len(cells.codes)
    return out


def _result(fit: Fitted, training: TrainingData, found: Pointwise, rows: IntArray, entries: IntArray) -> Any:
    """Entries of cells or rows, one for each observation, as ArviZ's result."""
    from arviz_stats.base import array_stats
    from arviz_stats.utils import ELPDDataLOO

    n_draws = fit.parameters.n_draws
    elpd_i, k_i = found.elpd[entries], found.pareto_k[entries]
    elpd, se, p, _ = array_stats.loo_summary(elpd_i, found.lppd[entries] - elpd_i)
    labels = np.asarray(observation_coordinate(training.index))
    place: Any
    if len(np.unique(rows)) == len(rows):
        dim, place = "obs", labels[rows]
    else:
        dim, place = "unit", ("unit", labels[rows])
    coords = {"obs": place}
    limit = good_k(n_draws)
    return ELPDDataLOO(
        elpd=float(elpd),
        se=float(se),
        p=float(p),
        n_samples=n_draws,
        n_data_points=len(elpd_i),
        scale="log",
        warning=bool((~(k_i <= limit)).any()) or bool(fit.doubts),
        good_k=limit,
        elpd_i=xr.DataArray(elpd_i, dims=dim, coords=coords, name="elpd_i"),
        pareto_k=xr.DataArray(k_i, dims=dim, coords=coords, name="pareto_k"),
    )
