r"""Leave-one-out cross-validation over observations, block by block.

Leaving out one observation of class k in row n reweights draw s by :math:`1/p_{nk}^{(s)}`; the weights are
Pareto-smoothed (Vehtari, Gelman and Gabry, *Statistics and Computing* 27, 2017; the smoothing is ArviZ's).
Observations of the same class in equal rows have the same result, computed once per such cell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from bayes_softmax.answers.cautions import NOTE
from bayes_softmax.answers.elpd_data import elpd_data
from bayes_softmax.answers.fitted import Fitted, Refit, Sampled, training_of
from bayes_softmax.answers.group_loo import leave_one_group_out
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.loo_limits import check_draws, good_k, warn_of_doubts
from bayes_softmax.answers.newton_loo import check_whole_counts
from bayes_softmax.answers.pointwise import Pointwise, cell_loo, row_loo
from bayes_softmax.answers.probabilities import over_blocks
from bayes_softmax.answers.seen import warn_of_what_saw, what_saw
from bayes_softmax.answers.source_loo import source_loo
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import check_choice, check_flags, describe_rows, listed, shown
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.labels import plain_classes
from bayes_softmax.data.schema import Schema

LEFT_OUT = ("observation", "row")
FORMER = {"unit": "observation", "row": "row"}  # deprecated spellings


def loo(
    fit: Sampled,
    *,
    by: str = "observation",
    groups: Any = None,
    refit: bool | Refit = False,
    order: Sequence[Label] | None = None,
    unit: str | None = None,
    progressbar: bool = True,
) -> Any:
    """Expected log predictive density by leave-one-out, as ArviZ's ``ELPDDataLOO``, which ``az.compare`` accepts.

    Computed block by block: no array of rows x draws is kept.  Of rows that are read in passes it is estimated from a
    uniform sample of 4000 rows and a pass over all (Magnusson et al., *ICML* 2019): the result is ArviZ's
    ``ELPDDataLOOSubsample``, with the error of that estimate, ``subsampling_se``, and the values of the sampled rows.

    Parameters
    ----------
    by
        ``"observation"`` (default): one observation of the counts or whole weights is left out at a time.
        ``"row"``: a whole row is left out, with its weight or all its counts; that is a different estimand.
    groups
        All observations of a group are left out together, and scored together: the name of a grouping or of another
        variable of the model, or an array with one label per row of the data.  Effects of levels that only this group
        has are integrated over the population, by adaptive quadrature up to two dimensions, else by importance
        sampling; those of other levels are among the draws.  The points are then the groups.
    refit
        True refits the model without each observation (or group) whose Pareto k is too large; a loaded fit needs
        ``model.sample(...).refit`` of the same model instead of True.
    order
        Order of the classes among the observations of a row of counts; default the model's.
    unit
        Deprecated name of ``by``, with ``"unit"`` for ``"observation"``.
    progressbar
        Whether progress is shown where it takes longer than a moment.

    Returns
    -------
    ELPDDataLOO
        With pointwise values: along ``obs`` where every row is one observation, else along ``unit``, or ``group``.

    Raises
    ------
    ValueError
        For weights that are not whole numbers under ``by="observation"``.

    Warns
    -----
    NotReliableWarning
        If weights of some observations are not reliable; if scales of the prior or hidden layers were chosen from all
        rows, which leave-one-out cannot undo: then :meth:`kfold` is to be asked.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    >>> post = model.laplace(draws=1000, random_seed=1, progressbar=False)
    >>> found = post.loo()
    >>> round(found.elpd), round(found.se), found.n_data_points
    (-142, 8, 333)
    """
    check_flags(progressbar=progressbar)
    if isinstance(fit.training, RowsOfSource):
        if groups is not None or refit is not False or resolve_by(by, unit) not in LEFT_OUT:
            raise ValueError(
                "groups, refit: leave-one-out of rows that are read in passes is of single rows, of a sample"
            )
        _class_order(fit.schema, order)
        warn_of_what_saw(fit)
        return source_loo(fit, fit.training)
    training = training_of(fit, "loo()")
    if not (isinstance(refit, bool) or callable(refit)):
        raise TypeError(f"refit={shown(refit)} must be True, False, or the refit of a posterior")
    if groups is not None:
        return leave_one_group_out(fit, training, groups, refit=_of_groups(refit, resolve_by(by, unit), order))
    function = fit.refit if refit is True else (refit or None)
    if refit is True and function is None:
        raise ValueError(
            "refit=True: a loaded fit cannot refit; pass refit=model.sample(...).refit of the model it came from"
        )
    return _leave_one_out(fit, training, resolve_by(by, unit), function, _class_order(fit.schema, order))


def _of_groups(refit: bool | Refit, by: str, order: Sequence[Label] | None) -> bool:
    """Whether groups are refitted; raises for what is asked of observations alone."""
    if by != "observation" or order is not None:
        raise ValueError("groups: whole groups are left out, and scored as one; leave by and order out")
    if not isinstance(refit, bool):
        raise TypeError("refit must be True or False with groups=: a function that refits leaves out one observation")
    return refit


def _class_order(schema: Schema, order: Sequence[Label] | None) -> Sequence[Label]:
    """The given order of the classes, checked; default the model's."""
    if order is None:
        return schema.classes
    chosen = plain_classes(order, "order")
    if len(chosen) != len(schema.classes) or set(chosen) != set(schema.classes):
        raise ValueError(f"order: {listed(chosen)} must name every class once ({listed(schema.classes)})")
    return chosen


def _leave_one_out(fit: Fitted, training: TrainingData, by: str, refit: Refit | None, order: Sequence[Label]) -> Any:
    """ArviZ's ``ELPDDataLOO`` of a posterior."""
    check_choice("by", by, LEFT_OUT)
    if by == "observation":
        found = checked_cell_loo(fit, training, refit)
        positions = [fit.schema.class_position(c, "order") for c in order]
        return _result(fit, training, found, *training.observations(positions))
    if refit is not None:
        raise ValueError("refit is for by='observation': exact refits leave out one observation")
    check_draws(fit)
    warn_of_what_saw(fit)
    found = _doubted(fit, row_loo(fit, training, fit.relative_ess))
    rows = np.flatnonzero(training.totals > 0)  # rows without observations are not scored
    _warn_of_pareto_k(fit, training, found.pareto_k[rows], rows, "their estimates are too optimistic")
    return _result(fit, training, found, rows, rows)


def resolve_by(by: str, unit: str | None) -> str:
    """Value of ``by``, also from its deprecated name ``unit``."""
    if unit is None:
        return by
    check_choice("unit", unit, tuple(FORMER))
    warn_caller("unit= is now by=, and unit='unit' is by='observation'", FutureWarning)
    return FORMER[unit]


def checked_cell_loo(fit: Fitted, training: TrainingData, refit: Refit | None = None) -> Pointwise:
    """Leave-one-out of every cell; where Pareto k is too large, by ``refit`` or with a warning."""
    check_whole_counts(training)
    check_draws(fit)
    warn_of_what_saw(fit)
    found = _doubted(fit, cell_loo(fit, training, fit.relative_ess))
    if refit is not None:
        return _refitted(training, found, good_k(fit.parameters.n_draws), refit)
    given, cell = training.observations()
    advice = "their estimates are too optimistic; loo(refit=True) refits without each of them"
    _warn_of_pareto_k(fit, training, found.pareto_k[cell], given, advice)
    return found


def _doubted(fit: Fitted, found: Pointwise) -> Pointwise:
    """The same, with a warning where the draws as a whole are unreliable."""
    return found._replace(pareto_k=warn_of_doubts(fit, found.pareto_k))


def _warn_of_pareto_k(fit: Fitted, training: TrainingData, pareto_k: FloatArray, rows: IntArray, advice: str) -> None:
    """Warn about the rows whose Pareto k exceeds the limit."""
    limit = good_k(fit.parameters.n_draws)
    bad = np.flatnonzero(~(pareto_k <= limit))
    if not bad.size or fit.doubts:  # doubts have been warned about already
        return
    names = pd.unique(np.asarray(observation_coordinate(training.index))[rows[bad]])
    warn_caller(
        f"leave-one-out: Pareto k is above {limit:.2f} for {bad.size} of {len(pareto_k)} observations "
        f"({describe_rows(names, range(len(names)))}): {advice}",
        NotReliableWarning,
    )


def _refitted(training: TrainingData, found: Pointwise, limit: float, refit: Refit) -> Pointwise:
    """Recompute cells beyond the limit from a posterior refitted without the observation."""
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
    """ArviZ's result, from the entry of each observation among the cells or rows."""
    labels = np.asarray(observation_coordinate(training.index))
    optimistic, n_draws = what_saw(fit), fit.parameters.n_draws
    attrs = {} if optimistic is None else {NOTE: optimistic}
    place: Any
    if len(np.unique(rows)) == len(rows):
        dim, place = "obs", labels[rows]
    else:
        dim, place = "unit", ("unit", labels[rows])
    elpd_i = xr.DataArray(found.elpd[entries], dims=dim, coords={"obs": place}, name="elpd_i", attrs=attrs)
    pareto_k, lppd_i = found.pareto_k[entries], found.lppd[entries]
    return elpd_data(elpd_i, lppd_i, pareto_k, n_draws, good_k(n_draws), doubtful=bool(fit.doubts))
