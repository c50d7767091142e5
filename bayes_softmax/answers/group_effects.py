"""Effects of the levels of a grouping: people, places, panels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import joined, noted
from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.groupings import (
    Versus,
    build_views,
    chosen_groupings,
    chosen_terms,
    covariance_of_parameters,
)
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.answers.rows import BLOCK_BYTES
from bayes_softmax.answers.tables import index_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.display.digits import COMMON, chance, estimates
from bayes_softmax.display.table import table_of

INDEX = ("group", "term", "level", "contrast")
MODES = "these are the levels' most probable effects, given the estimates of the other parameters"
WITHOUT_ERRORS = f"{MODES}; for so many levels there are no standard errors, and sample() has intervals"


def group_effects(
    fit: Fitted,
    group: str | Sequence[str] | None = None,
    vs: Versus = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    *,
    terms: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table of the effects of each level, in logits relative to the population.

    Parameters
    ----------
    group
        Groupings to show, by name (``"person"``, ``"school:class"``); default all.
    vs
        The reference of the contrasts, as in :meth:`summary`: a class, a pair ``("a", "b")``, or ``"average"``; also
        several pairs, ``[("a", "b"), ("c", "b")]``.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    terms
        Terms to show: ``"intercept"``, or the name of a term whose slope varies over the levels; default all.

    Returns
    -------
    DataFrame
        Rows ``(group, term, level, contrast)``, levels in their own order; ``.loc[("person", "intercept")]`` are the
        intercepts of all people.  Slopes are per unit of the term.  For draws mean, sd, interval and the probability
        that the effect is positive; for an estimate the conditional mode, its standard error (NaN where the levels are
        so many that none is formed), a Wald interval, and that probability by the normal approximation.  The effects of
        a level without observations are those of the population, around zero.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("sex ~ body_mass_g + (1 | island)", penguins)
    >>> post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    >>> table = post.group_effects("island", vs="female")
    >>> table.index.get_level_values("level").tolist()
    ['Biscoe', 'Dream', 'Torgersen']
    """
    groupings = chosen_groupings(fit.schema, group)
    places, view = chosen_terms(groupings, terms), build_views(fit.schema, vs)
    interval = resolve_interval(ci_prob, ci_kind)
    shown = [(grouping, own) for grouping, own in zip(groupings, places, strict=True) if own]
    parts = [_columns(fit, grouping, own, view, interval) for grouping, own in shown]
    rows = (
        (grouping.name, grouping.terms[t], level, name)
        for grouping, own in shown
        for t in own
        for level in grouping.levels
        for name in view.names
    )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table = pd.DataFrame(columns, index=index_of(rows, INDEX))
    names, draws = list(table.columns), None if fit.is_estimate else fit.parameters.n_draws
    note = (WITHOUT_ERRORS if table[names[1]].isna().all() else MODES) if fit.is_estimate else None
    formats = COMMON | estimates(*names[:4]) | {"p_positive": chance(draws)}
    return noted(table_of(table, formats), joined(fit.caution, note))


def level_quantities(fit: Fitted, grouping: Grouping, terms: list[int], view: View, levels: slice) -> Quantities:
    """Contrasts of the effects of some levels, in the order (term, level, contrast)."""
    effects = fit.parameters[grouping.name][:, levels][:, :, terms].swapaxes(1, 2) @ view.matrix  # (S, q, g, m)
    values = np.ascontiguousarray(effects.reshape(len(effects), -1))
    if not fit.is_estimate:
        return Quantities(values)
    return Quantities(values, _errors(fit, grouping, terms, view, levels))


def _errors(fit: Fitted, grouping: Grouping, terms: list[int], view: View, levels: slice) -> FloatArray:
    """Standard errors of the same contrasts of an estimate; NaN where it has none."""
    G, q, K = fit.logits.shapes[grouping.name]
    chosen = range(*levels.indices(G))
    covariance = covariance_of_parameters(fit, [grouping.name])
    if covariance is None:
        return np.full(len(terms) * len(chosen) * view.matrix.shape[1], np.nan)
    each = covariance.reshape(G, q, K, G, q, K)
    variance = np.array([[view.matrix.T @ each[g, t, :, g, t] @ view.matrix for g in chosen] for t in terms])
    found = np.einsum("tgmm->tgm", variance).ravel()
    error: FloatArray = np.sqrt(np.where(found > 0, found, np.nan))
    return error


def _columns(
    fit: Fitted, grouping: Grouping, terms: list[int], view: View, interval: Interval
) -> dict[str, FloatArray]:
    """The columns of one grouping in the order (term, level, contrast), computed some levels at a time."""
    q, m = len(terms), len(view.names)
    size = max(1, BLOCK_BYTES // (8 * fit.parameters.n_draws * q * m))
    parts = [
        summary_columns(level_quantities(fit, grouping, terms, view, slice(first, first + size)), interval)
        for first in range(0, grouping.n_levels, size)
    ]
    return {name: np.concatenate([part[name].reshape(q, -1, m) for part in parts], axis=1).ravel() for name in parts[0]}
