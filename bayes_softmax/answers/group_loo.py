r"""Leave-one-group-out: the score of all observations of a group together, given those of all other groups.

Leaving out group g reweights draw s by :math:`1/p(y_g \mid \theta_s)`, where the effects of the levels that only g has
are integrated out: without its observations they are drawn from the population.  With the effects drawn beside
:math:`\theta` in place of the integral, the weights would nearly always be useless (Merkle, Furr and Rabe-Hesketh,
*Psychometrika* 84, 2019).
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayes_softmax.answers.cautions import NOTE
from bayes_softmax.answers.elpd_data import elpd_data
from bayes_softmax.answers.fitted import Refittable, Sampled
from bayes_softmax.answers.integrated import NOISE
from bayes_softmax.answers.loo_limits import check_draws, good_k, warn_of_doubts
from bayes_softmax.answers.seen import warn_of_what_saw, what_saw
from bayes_softmax.answers.training import Cells, TrainingData, cells_of
from bayes_softmax.answers.unit_likelihood import UnitLikelihood, unit_log_likelihood
from bayes_softmax.answers.units import UnitRows, Units, rows_of_units, units_of
from bayes_softmax.core.checks import counted, first_few, shown
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.pareto import smoothed
from bayes_softmax.core.progress import steps
from bayes_softmax.core.records import FloatArray

GROUP = "group"  # dimension of the scores
REFIT_SEED = 1
SHOWN_GROUPS = 3
ADVICE = "their estimates are too optimistic; loo(groups=..., refit=True) refits without each of them"


class _Scores(NamedTuple):
    """Leave-one-out and full-data log predictive density, and Pareto k, of each group (U,)."""

    elpd: FloatArray
    lppd: FloatArray
    pareto_k: FloatArray


def leave_one_group_out(fit: Sampled, training: TrainingData, groups: Any, *, refit: bool) -> Any:
    """ArviZ's ``ELPDDataLOO`` of a posterior, a group for each point.

    Raises
    ------
    ValueError
        For fewer than two groups, and labels that do not fit the rows.
    """
    check_draws(fit)
    units = units_of(fit, training, groups)
    if units.n_units < 2:
        raise ValueError("groups: leaving a group out needs at least two groups with observations, and there is one")
    if refit and not (isinstance(fit, Refittable) and fit.refit_cells is not None):
        raise ValueError(
            "refit=True: a loaded fit cannot refit; ask a fresh one, as in model.sample().loo(groups=..., refit=True)"
        )
    warn_of_what_saw(fit)
    rows = rows_of_units(fit, training, units)
    found = _scores(fit, unit_log_likelihood(fit, rows))
    found = found._replace(pareto_k=warn_of_doubts(fit, found.pareto_k))
    limit = good_k(fit.parameters.n_draws)
    bad = np.flatnonzero(~(found.pareto_k <= limit))
    if bad.size and refit:
        found = _refitted(fit, training, units, rows, found, bad)
    elif bad.size and not fit.doubts:
        _warn(units, found.pareto_k, bad, limit)
    optimistic = what_saw(fit)
    attrs = {} if optimistic is None else {NOTE: optimistic}
    elpd_i = xr.DataArray(found.elpd, dims=GROUP, coords={GROUP: units.labels}, name="elpd_i", attrs=attrs)
    doubtful = bool(fit.doubts)
    return elpd_data(elpd_i, found.lppd, found.pareto_k, fit.parameters.n_draws, limit, doubtful=doubtful)


def _scores(fit: Sampled, given: UnitLikelihood) -> _Scores:
    """Scores from the log-likelihood (U, S); where its integral is too noisy, Pareto k is infinite."""
    log_p = given.values
    log_weights, k = smoothed(-log_p, fit.relative_ess)
    return _Scores(
        logsumexp(log_weights + log_p, axis=1),
        _log_mean(log_p),
        np.where(given.noise > NOISE, np.inf, k),
    )


def _log_mean(log_p: FloatArray) -> FloatArray:
    """Logarithm (U,) of the mean over draws."""
    mean: FloatArray = logsumexp(log_p, axis=1) - np.log(log_p.shape[1])
    return mean


def _warn(units: Units, k: FloatArray, bad: Any, limit: float) -> None:
    """Warn of groups whose weights cannot be relied on."""
    named = first_few([shown(label) for label in units.labels[bad[:SHOWN_GROUPS]].tolist()], len(bad))
    warn_caller(
        f"leave-one-group-out: Pareto k is above {limit:.2f} for {bad.size} of {counted(len(k), GROUP)}, {named}: "
        f"{ADVICE}",
        NotReliableWarning,
    )


def _refitted(
    fit: Sampled, training: TrainingData, units: Units, rows: list[UnitRows], found: _Scores, bad: Any
) -> _Scores:
    """Scores of some groups by fits to the others."""
    assert isinstance(fit, Refittable)
    assert fit.refit_cells is not None
    elpd, k, cells = found.elpd.copy(), found.pareto_k.copy(), cells_of(training)
    with steps("refits", len(bad)) as done:
        for unit in bad.tolist():
            own = units.entries(unit)
            counts = cells.counts.copy()
            np.subtract.at(counts, units.cells[own], units.amounts[own])
            kept = np.flatnonzero(counts > 0)
            without = fit.refit_cells(Cells(cells.rows[kept], cells.codes[kept], counts[kept]), REFIT_SEED)
            again = unit_log_likelihood(without, [rows[unit]])
            elpd[unit], k[unit] = _log_mean(again.values)[0], np.where(again.noise[0] > NOISE, np.inf, 0.0)
            done(1)
    return found._replace(elpd=elpd, pareto_k=k)
