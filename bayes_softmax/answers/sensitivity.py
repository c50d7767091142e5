"""Log likelihood and log prior per draw, for ArviZ's functions, and the sensitivity of the posterior to each."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.fitted import Sampled, training_of
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.loo import FEWEST_DRAWS
from bayes_softmax.answers.probabilities import announce, over_blocks, row_log_likelihood, sum_over_blocks
from bayes_softmax.core.checks import check_between
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray

SAMPLE_DIMS = ("chain", "draw")


def add_log_likelihood(fit: Sampled) -> xr.DataTree:
    """Add the group ``log_likelihood`` to ``idata``, which it returns, so that ``az.loo(post.idata)`` works.

    An array of N x draws numbers, whose size is logged above 256 MiB.  Rows count with their weight and all their
    counts: ``az.loo`` then leaves out whole rows, as in ``post.loo(by="row")``; rows without an observation (weight
    zero, or one class on offer) are not included.  :meth:`loo` needs no such array.
    """
    training = training_of(fit, "add_log_likelihood()")
    observed = np.flatnonzero(training.totals > 0)
    shape = (*fit.shape, len(observed))
    announce("add_log_likelihood()", shape)
    values = np.empty((shape[0] * shape[1], shape[2]))

    for part in training.given_blocks():
        first, end = np.searchsorted(observed, [part.place.start, part.place.stop])
        own = observed[first:end] - part.first
        counts, out = part.counts[own], values[:, first:end]

        def fill(L: FloatArray, block: slice, counts: FloatArray = counts, out: FloatArray = out) -> None:
            out[:, block] = row_log_likelihood(L, counts[block]).T

        over_blocks(fit, part.rows.take(own), fill, log=True)
    coords = {"obs": np.asarray(observation_coordinate(training.index))[observed]}
    group = xr.Dataset({"y": ((*SAMPLE_DIMS, "obs"), values.reshape(shape))}, coords={**coords, **_draw_coords(fit)})
    fit.idata["log_likelihood"] = xr.DataTree(group)
    return fit.idata


def add_log_prior(fit: Sampled) -> xr.DataTree:
    """Add the group ``log_prior`` to ``idata``: one number per draw, for ``az.psense_summary``; returns ``idata``."""
    fit.idata["log_prior"] = xr.DataTree(xr.Dataset({"prior": _log_prior(fit)}))
    return fit.idata


def prior_sensitivity(fit: Sampled, threshold: float = 0.05) -> pd.DataFrame:
    """Sensitivity of each coefficient to a small change in the weight of the prior or of the likelihood.

    Power-scaling sensitivity (Kallioinen, Paananen, Bürkner and Vehtari, *Statistics and Computing* 34, 2024), by
    ``az.psense_summary``, from the log likelihood of all data and the log prior of each draw: no array of rows x
    draws is made.

    Parameters
    ----------
    threshold
        Sensitivity above which a diagnosis is given; ArviZ's default, 0.05.

    Returns
    -------
    DataFrame
        Rows as in ``az.summary``; columns ``prior``, ``likelihood`` and ``diagnosis``.
    """
    load_in_full("arviz_stats", "arviz_stats.base")
    from arviz_stats import psense_summary

    check_between("threshold", threshold, 0.0, np.inf)
    training = training_of(fit, "prior_sensitivity()")
    if fit.is_prior:
        raise ValueError(
            "prior_sensitivity() needs a posterior, and these are draws from the prior; use model.sample()"
        )
    n_draws = fit.parameters.n_draws
    if n_draws < FEWEST_DRAWS:
        raise ValueError(
            f"prior_sensitivity() needs at least {FEWEST_DRAWS} draws to judge its weights; there are {n_draws}"
        )
    if fit.doubts:
        warn_caller(f"prior_sensitivity() is not reliable here: {'; '.join(fit.doubts)}", NotReliableWarning)
    if np.ptp(_log_prior(fit).values) == 0:
        raise ValueError("prior_sensitivity(): every prior is flat, so there is nothing to scale")
    log_likelihood = np.zeros(n_draws)
    for part in training.blocks():

        def total(L: FloatArray, block: slice, counts: FloatArray = part.counts) -> FloatArray:
            summed: FloatArray = row_log_likelihood(L, counts[block]).sum(axis=0)
            return summed

        log_likelihood += sum_over_blocks(fit, part.rows, total, log=True)
    named = [name for name in reversed(list(fit.logits.shapes)) if name in fit.idata[fit.group]]
    summed = xr.DataArray(log_likelihood.reshape(fit.shape), dims=SAMPLE_DIMS, coords=_draw_coords(fit))
    tree = xr.DataTree.from_dict(
        {
            "posterior": fit.idata[fit.group].to_dataset()[named],
            "log_likelihood": xr.Dataset({"y": summed}),
            "log_prior": xr.Dataset({"prior": _log_prior(fit)}),
        }
    )
    try:
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN where a coefficient does not vary
            table: pd.DataFrame = psense_summary(tree, threshold=threshold)
    except ValueError as error:  # too few distinct weights for ArviZ's tail fit
        raise ValueError(
            "prior_sensitivity(): too few distinct draws for the tail of their importance weights to be "
            "judged; draw more"
        ) from error
    return table


def _log_prior(fit: Sampled) -> Any:
    stats = fit.idata["sample_stats"]
    if "log_prior" not in stats:
        raise ValueError(
            "the log prior of the draws is not stored with this fit (priors that learn their scale, or a file of an "
            "older version)"
        )
    return stats["log_prior"]


def _draw_coords(fit: Sampled) -> dict[str, Any]:
    return {name: fit.idata[fit.group][name].values for name in SAMPLE_DIMS}
