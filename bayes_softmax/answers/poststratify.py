r"""Poststratification: shares of the classes in a population whose composition is known.

A population is given as cells, combinations of the variables, with the number of people in each.  The share of class k
in a group of cells is

.. math:: \theta_k = \sum_c N_c\, p_k(x_c) \Big/ \sum_c N_c

in every draw, so shares sum to one in each, and their uncertainty is that of the fit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.cautions import NOTE, joined, noted, warn_of
from bayes_softmax.answers.fitted import Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.levels import ask, in_words
from bayes_softmax.answers.probabilities import announce
from bayes_softmax.answers.shares import share_draws, share_table
from bayes_softmax.answers.strata import CLASS, Given, Groups, Strata, read_strata
from bayes_softmax.answers.tables import index_of
from bayes_softmax.core.checks import check_flags
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import KNOWN, KNOWN_OR_NEW
from bayes_softmax.display.digits import estimates
from bayes_softmax.display.table import table_of

OWN_DIMS = ("chain", "draw", "group", "category")


def poststratify(
    fit: Fitted,
    cells: Any,
    count: Any = "n",
    by: str | Sequence[str] | None = None,
    *,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    offset: Any = None,
    available: Any = None,
    n_draws: int | None = None,
    draws: bool = False,
    levels: Levels | None = None,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> pd.DataFrame | xr.DataArray:
    r"""Shares of the classes in a population, or in parts of it: predictions weighted by the population's counts.

    Parameters
    ----------
    cells
        The population: a row for each combination of the model's variables, with the number of people in it.
    count
        The column of ``cells`` that holds these numbers, or one number for each row.  Only their proportions within a
        group count, so they need not be whole; a cell may have zero.
    by
        Columns of ``cells``, whether the model reads them or not: shares are given for each combination of their
        values.  Default: the whole population.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    offset
        (N, K) for ``cells``, if the model has an offset that is not among their columns.
    available
        (N, K) for ``cells``, if the model has choice sets and ``cells`` has no columns for them.
    n_draws
        Number of a posterior's draws to use.  Default: all of them, or, where so many cells would take minutes, as many
        as a budget allows (at least 200, with a message).
    draws
        Return the draws of the shares, (chain, draw, group, category), without ``group`` for the whole population.
    levels
        Of a model with groups, whose effects the cells have, as in :meth:`predict_proba`.  Default: of a posterior
        ``"known or new"``, so that a level without observations has effects drawn from the population, the same ones in
        all of its cells, and a note says which these are; of an estimate ``"known"``.
    groups
        Levels of the cells by grouping, as in :meth:`predict_proba`, where they are not columns of ``cells``.
    random_seed, rng
        For effects that are drawn, as in :meth:`predict_proba`.

    Returns
    -------
    DataFrame
        Rows ``(*by, class)``; for draws mean, sd and interval, for an estimate the estimate, its standard error by the
        delta method, and an interval on the logit scale, so within 0 and 1.  The shares of a group sum to one, in every
        draw and in the table.  An optimum at infinity has the shares of the limiting model, as in :meth:`effects`.

    Raises
    ------
    ValueError, TypeError
        For a count that is missing, negative or zero in all cells of a group, a missing column or value, or a level
        that the model does not know: named with its column and row.

    Notes
    -----
    Gelman and Little, *Survey Methodology* 23 (1997); Park, Gelman and Bafumi, *Political Analysis* 12 (2004).  These
    are shares that the model expects: in a group of N people the composition itself also varies, by about
    :math:`\sqrt{\theta_k (1 - \theta_k) / N}`.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> import pandas as pd
    >>> penguins = bs.datasets.load_penguins()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ island", penguins)
    >>> cells = pd.DataFrame({"island": ["Biscoe", "Dream", "Torgersen"], "n": [5000, 3000, 2000]})
    >>> shares = model.map().poststratify(cells)
    >>> shares["estimate"].round(2).to_dict()
    {'Adelie': 0.46, 'Chinstrap': 0.17, 'Gentoo': 0.37}
    """
    check_flags(draws=draws)
    if draws and fit.is_estimate:
        raise ValueError("draws=True: a point estimate has no draws; use model.laplace() or model.sample()")
    refuse_intervals(fit, ci_prob)
    interval = resolve_interval(ci_prob, ci_kind)
    usual = KNOWN if fit.is_estimate or not fit.schema.groups else KNOWN_OR_NEW
    asked = ask(fit, usual if levels is None else levels, groups, random_seed, rng, default=usual)
    strata = read_strata(fit, Given(cells, offset, available, levels is None), count, by, asked, n_draws)
    said = None if levels is None or asked.all_averaged else in_words(asked)
    note = joined(warn_of(fit, strata.cautions), said, strata.note, *without_intervals(fit))
    if draws:
        drawn = _labelled_draws(fit, _all_draws(fit, strata), strata.groups)
        return drawn if note is None else drawn.assign_attrs({NOTE: note})
    columns = share_table(fit, strata.answer, strata.weighted, interval)
    rows = ((*label, c) for label in strata.groups.labels for c in fit.schema.classes)
    index = index_of(rows, [*strata.groups.by, CLASS]) if strata.groups.by else pd.Index(fit.schema.classes, name=CLASS)
    table = pd.DataFrame(columns, index=index).rename_axis(columns="share of the population")
    return noted(table_of(table, estimates(*columns)), note)


def _all_draws(fit: Fitted, strata: Strata) -> FloatArray:
    """Draws (S, groups, K) of the shares in all groups."""
    draws, weighted = strata.answer.draws, strata.weighted
    S, K = draws.parameters.n_draws, draws.logits.n_classes
    announce("poststratify()", (S, weighted.n_groups, K))
    out, first = np.empty((S, weighted.n_groups, K)), 0
    for part in weighted.parts(fit, draws):
        place = slice(first, first + part.n_groups)
        out[:, place] = share_draws(draws, part).reshape(S, -1, K)
        first = place.stop
    return out


def _labelled_draws(fit: Fitted, values: FloatArray, groups: Groups) -> xr.DataArray:
    """Draws (S, groups, K) as a labelled array; each column of ``by`` is a coordinate of the groups."""
    chains, classes = fit.n_chains, fit.schema.category_coordinate
    values = values.reshape(chains, len(values) // chains, *values.shape[1:])
    if not groups.by:
        dims = tuple(dim for dim in OWN_DIMS if dim != "group")
        return xr.DataArray(values[:, :, 0], dims=dims, coords={"category": classes}, name="share")
    names = [groups.name(g) for g in range(len(groups.labels))]
    columns = zip(groups.by, zip(*groups.labels, strict=True), strict=True)
    by = {name: ("group", list(labels)) for name, labels in columns if name not in OWN_DIMS}
    coords = {"group": names, "category": classes, **by}
    return xr.DataArray(values, dims=OWN_DIMS, coords=coords, name="share")
