"""Comparison of fits to a source that is read in passes, by leave-one-out of the same sample of its rows."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from bayes_softmax.answers.elpd_data import elpd_data
from bayes_softmax.answers.fitted import Sampled
from bayes_softmax.answers.loo_limits import good_k
from bayes_softmax.answers.source_loo import SampleScores, Sums, estimated, scores_of_sample
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.core.checks import shown
from bayes_softmax.core.progress import showing

SUBSAMPLING = "subsampling_dse"


def scores_by_name(fits: Mapping[str, Sampled], *, progressbar: bool) -> dict[str, SampleScores]:
    """Leave-one-out of the sample of each fit; raises unless all are of the same rows of a source."""
    rows = {name: fit.training for name, fit in fits.items()}
    for (first, a), (name, b) in pairwise(rows.items()):
        pair = f"{shown(name)} and {shown(first)}"
        if not (isinstance(a, RowsOfSource) and isinstance(b, RowsOfSource)):
            raise ValueError(f"{pair}: the rows of one are read in passes, and those of the other are in memory")
        own, others = b.rows.sample.dense_counts(), a.rows.sample.dense_counts()
        same = a.n_obs == b.n_obs and a.name == b.name and fits[name].schema.classes == fits[first].schema.classes
        if not same or not np.array_equal(own, others):
            raise ValueError(f"{pair} were fitted to different observations: fit all models to the same rows")
    found = {}
    for name, fit in fits.items():
        with showing(f"loo() of {name!r}", wanted=progressbar):
            data = rows[name]
            assert isinstance(data, RowsOfSource)
            found[str(name)] = scores_of_sample(fit, data)
    return found


def compared(fits: Mapping[str, Sampled], scores: Mapping[str, SampleScores], method: str) -> pd.DataFrame:
    """ArviZ's table, with sums over all rows in place of those over the sample, and the error of their differences.

    Weights of the models are those for the sample, of which they are functions of means.
    """
    from arviz_stats import compare as arviz_compare

    table: pd.DataFrame = arviz_compare(_of_sample(fits, scores), method=method, round_to="none")
    sums = {name: estimated(own.found.elpd, own.at_mean, own.over_all) for name, own in scores.items()}
    order = sorted(scores, key=lambda name: -sums[name].total)
    table = table.loc[order].copy()
    best = scores[order[0]]
    for rank, name in enumerate(order):
        own, n = scores[name], scores[name].n
        apart = own.found.elpd - best.found.elpd
        over_all = Sums(n, own.over_all.total - best.over_all.total, 0.0)
        difference = estimated(apart, own.at_mean - best.at_mean, over_all)
        dse = float(np.sqrt(n * apart.var()))
        error = float(np.hypot(dse, difference.subsampling_se))
        table.loc[name, "rank"] = rank
        table.loc[name, ["elpd", "se", "p"]] = [
            sums[name].total,
            sums[name].se,
            n * float((own.found.lppd - own.found.elpd).mean()),
        ]
        table.loc[name, ["elpd_diff", "dse", SUBSAMPLING]] = [difference.total, dse, difference.subsampling_se]
        table.loc[name, "p_worse"] = ndtr(-difference.total / error) if error > 0 else np.nan
    return table


def _of_sample(fits: Mapping[str, Sampled], scores: Mapping[str, SampleScores]) -> dict[str, Any]:
    """The scores of the sampled rows as ArviZ takes them."""
    found = {}
    for name, own in scores.items():
        n_draws = fits[name].parameters.n_draws
        elpd_i = xr.DataArray(own.found.elpd, dims="obs", name="elpd_i")
        found[name] = elpd_data(elpd_i, own.found.lppd, own.found.pareto_k, n_draws, good_k(n_draws))
    return found
