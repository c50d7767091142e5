r"""Leave-one-out cross-validation, a unit at a time, block by block.

Leaving out one unit of class k in row n reweights draw s by :math:`1/p_{nk}^{(s)}`; the weights are Pareto-smoothed
(Vehtari, Gelman and Gabry, *Statistics and Computing* 27, 2017; the smoothing is ArviZ's).  Units of one class in
equal rows are the same problem, solved once for each such cell and counted as often as there are units.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp, softmax

from bayes_softmax.answers.fitted import Fitted, Refit, Sampled, training_of
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.prediction import logit_covariance
from bayes_softmax.answers.probabilities import estimate_logits, over_blocks, row_log_likelihood
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import check_choice, describe_rows, listed, shown
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.labels import plain_classes
from bayes_softmax.data.schema import Schema

UNITS = ("unit", "row")
FEWEST_DRAWS = 100


class Pointwise(NamedTuple):
    """Of each cell or row: log predictive density left out and with all data, Pareto k, probabilities left out."""

    elpd: FloatArray
    lppd: FloatArray
    pareto_k: FloatArray
    probabilities: FloatArray


def _empty(n: int, K: int) -> Pointwise:
    return Pointwise(np.empty(n), np.empty(n), np.empty(n), np.empty((n, K)))


def cell_loo(fit: Fitted, training: TrainingData, relative_ess: float) -> Pointwise:
    """Leave one unit out of every cell."""
    cells, K = training.cells, len(fit.schema.classes)
    out = _empty(len(cells.rows), K)

    def judge(L: FloatArray, block: slice) -> None:
        own = slice(*np.searchsorted(cells.rows, [block.start, block.stop]))
        local = cells.rows[own] - block.start
        log_p = L[cells.codes[own], local]
        log_weights = _smoothed(log_p, relative_ess, out, own)
        weights = np.exp(log_weights)
        for k in range(K):
            out.probabilities[own, k] = np.einsum("cs,cs->c", weights, np.exp(L[k, local]))

    over_blocks(fit.coefficients, training.rows, judge, log=True, parallel=False)
    return out


def row_loo(fit: Fitted, training: TrainingData, counts: FloatArray, relative_ess: float) -> Pointwise:
    """Leave every row out as a whole, with its weighted counts (N, K)."""
    out = _empty(training.n_obs, 0)

    def judge(L: FloatArray, block: slice) -> None:
        _smoothed(row_log_likelihood(L, counts[block]), relative_ess, out, block)

    over_blocks(fit.coefficients, training.given, judge, log=True, parallel=False)
    return out


def _smoothed(log_p: FloatArray, relative_ess: float, out: Pointwise, own: slice) -> FloatArray:
    """Fill the entries ``own`` from log likelihoods (m, S); returns the log weights."""
    log_weights, k = smoothed(-log_p, relative_ess)
    out.elpd[own] = logsumexp(log_weights + log_p, axis=1)
    out.lppd[own] = logsumexp(log_p, axis=1) - np.log(log_p.shape[1])
    out.pareto_k[own] = k
    return log_weights


def newton_loo(fit: Fitted, training: TrainingData) -> FloatArray:
    r"""Class probabilities (cells, K) of an estimate with one unit of the cell left out, by one Newton step.

    With the covariance V of the row's logits and :math:`S = \mathrm{diag}(p) - pp'`, leaving out a unit of class k
    moves them by :math:`-(I - VS)^{-1} V (e_k - p)` (Pregibon, *Annals of Statistics* 9, 1981; Rad and Maleki, *JRSS
    B* 82, 2020).
    """
    covariance, cells = fit.delta_covariance, training.cells
    _check_whole(training)
    if covariance is None or fit.limits is not None or not np.isfinite(covariance).all():
        raise ValueError("leave-one-out of an estimate needs a certified optimum: its covariance is not known")
    rows, K = training.rows, len(fit.schema.classes)
    out, eye = np.empty((len(cells.rows), K)), np.eye(K)
    for start in range(0, len(cells.rows), 1024):
        own = slice(start, start + 1024)
        at = cells.rows[own]
        logits = estimate_logits(fit.coefficients, rows.take(at), slice(None))
        P, V = softmax(logits, axis=1), logit_covariance(covariance, rows.X[at])
        S = P[:, :, None] * (eye - P[:, None, :])
        residual = eye[cells.codes[own]] - P
        move = np.linalg.solve(eye - V @ S, np.einsum("nkl,nl->nk", V, residual)[:, :, None])[:, :, 0]
        out[own] = softmax(logits - move, axis=1)
    return out


def loo(fit: Sampled, *, unit: str = "unit", refit: bool | Refit = False, order: Sequence[Label] | None = None) -> Any:
    """Expected log predictive density by leave-one-out, as ArviZ's own ``ELPDDataLOO``: ``az.compare`` takes it.

    Computed block by block: no array of rows x draws is kept.

    Parameters
    ----------
    unit
        ``"unit"`` (default): one unit of the counts or whole weights is left out at a time.  ``"row"``: a row as
        a whole, with its weight or all its counts, which is another question.
    refit
        True refits the model without each unit whose Pareto k is too large; a loaded fit needs
        ``model.sample(...).refit`` of the same model instead of True.
    order
        Order of the classes in which the units of a row of counts stand; default the model's.

    Returns
    -------
    ELPDDataLOO
        With pointwise values: along ``obs`` where every row is one unit, else along ``unit``.

    Raises
    ------
    ValueError
        For weights that are not whole numbers under ``unit="unit"``.
    """
    training = training_of(fit, "loo()")
    if not (isinstance(refit, bool) or callable(refit)):
        raise TypeError(f"refit={shown(refit)} must be True, False, or the refit of a posterior")
    function = fit.refit if refit is True else (refit or None)
    if refit is True and function is None:
        raise ValueError(
            "refit=True: a loaded fit cannot refit; pass refit=model.sample(...).refit of the model it came from"
        )
    return _leave_one_out(fit, training, unit, function, _class_order(fit.schema, order))


def _class_order(schema: Schema, order: Sequence[Label] | None) -> Sequence[Label]:
    """Every class once, in an order that the caller chose, or in the model's."""
    if order is None:
        return schema.classes
    chosen = plain_classes(order, "order")
    if len(chosen) != len(schema.classes) or set(chosen) != set(schema.classes):
        raise ValueError(f"order: {listed(chosen)} must name every class once ({listed(schema.classes)})")
    return chosen


def _leave_one_out(fit: Fitted, training: TrainingData, unit: str, refit: Refit | None, order: Sequence[Label]) -> Any:
    """ArviZ's own ``ELPDDataLOO`` of a posterior."""
    check_choice("unit", unit, UNITS)
    if unit == "unit":
        found = checked_cells(fit, training, refit)
        return _result(fit, training, found, *training.units([fit.schema.class_position(c, "order") for c in order]))
    if refit is not None:
        raise ValueError("refit is for unit='unit': exact refits leave out one unit")
    _check_draws(fit)
    counts = training.given_counts()
    found = _doubted(fit, row_loo(fit, training, counts, fit.relative_ess))
    rows = np.flatnonzero(counts.sum(axis=1) > 0)  # the others say nothing
    _warn_bad(fit, training, found.pareto_k[rows], rows, "their estimates are too optimistic")
    return _result(fit, training, found, rows, rows)


def checked_cells(fit: Fitted, training: TrainingData, refit: Refit | None = None) -> Pointwise:
    """Every cell with one unit left out; where Pareto k is too large by ``refit``, or with a warning."""
    _check_whole(training)
    _check_draws(fit)
    found = _doubted(fit, cell_loo(fit, training, fit.relative_ess))
    if refit is not None:
        return _refitted(training, found, good_k(len(fit.coefficients.intercept)), refit)
    given, cell = training.units()
    advice = "their estimates are too optimistic; loo(refit=True) refits without each of them"
    _warn_bad(fit, training, found.pareto_k[cell], given, advice)
    return found


def _check_whole(training: TrainingData) -> None:
    """Raise unless there are units to leave out one by one."""
    if not training.whole_units:
        raise ValueError(
            "the weights or counts are not whole numbers, so there are no units to leave out one by one; "
            "loo(unit='row') leaves out whole rows with their weights"
        )


def _check_draws(fit: Fitted) -> None:
    """Raise where importance weights make no sense."""
    if fit.is_prior:
        raise ValueError("leave-one-out needs a posterior, and these are draws from the prior; use model.sample()")
    n_draws = len(fit.coefficients.intercept)
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
    limit = good_k(len(fit.coefficients.intercept))
    bad = np.flatnonzero(~(pareto_k <= limit))
    if not bad.size or fit.doubts:  # then it is said
        return
    names = pd.unique(np.asarray(observation_coordinate(training.index))[rows[bad]])
    warn_caller(
        f"leave-one-out: Pareto k is above {limit:.2f} for {bad.size} of {len(pareto_k)} units "
        f"({describe_rows(names, range(len(names)))}): {advice}",
        NotReliableWarning,
    )


def good_k(n_draws: int) -> float:
    """Pareto k up to which an estimate from so many draws can be trusted (Vehtari et al., *JMLR* 25, 2024)."""
    return min(1.0 - 1.0 / math.log10(max(n_draws, 11)), 0.7)


def _refitted(training: TrainingData, found: Pointwise, limit: float, refit: Refit) -> Pointwise:
    """Cells beyond the limit again, from a posterior without the unit."""
    elpd, k, cells = found.elpd.copy(), found.pareto_k.copy(), training.cells
    probabilities = found.probabilities.copy()
    for cell in np.flatnonzero(~(k <= limit)):
        row = int(cells.rows[cell])
        without = refit(row, int(cells.codes[cell]))
        (L,) = over_blocks(without.coefficients, training.rows.take([row]), lambda L, _: L[:, 0].copy(), log=True)
        elpd[cell] = logsumexp(L[cells.codes[cell]]) - np.log(L.shape[1])
        probabilities[cell], k[cell] = np.exp(L).mean(axis=1), 0.0
    return Pointwise(elpd, found.lppd, k, probabilities)


def _result(fit: Fitted, training: TrainingData, found: Pointwise, rows: IntArray, entries: IntArray) -> Any:
    """Entries of cells or rows, one for each unit, as ArviZ's result."""
    from arviz_stats.base import array_stats
    from arviz_stats.utils import ELPDDataLOO

    n_draws = len(fit.coefficients.intercept)
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
