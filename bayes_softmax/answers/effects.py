"""Effects on the scale of the class probabilities: average slopes and contrasts.

One function for every kind of fit.  A posterior gives draws of each effect; an estimate gives standard errors by the
delta method with the exact Jacobian.  The effects of one change on all classes sum to zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayes_softmax.answers.averages import average_changes
from bayes_softmax.answers.cautions import NOTE, joined, noted, warn_of
from bayes_softmax.answers.changes import Change, Difference, Slope, passes
from bayes_softmax.answers.fitted import Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.levels import EVALUATIONS, FEWEST_DRAWS, ask, in_words
from bayes_softmax.answers.nodes import FEWEST_NODES
from bayes_softmax.answers.population import Population, population_of
from bayes_softmax.answers.probabilities import ThinnedDraws, thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.steps import size_name, steps_of_variables
from bayes_softmax.answers.tables import index_of
from bayes_softmax.answers.variables import (
    Covariate,
    Setting,
    check_comparable,
    check_setting,
    chosen_variables,
    example_setting,
    level_name,
    model_variables,
    outside_the_data,
)
from bayes_softmax.core.checks import check_counts, check_flags, shown
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import AVERAGE
from bayes_softmax.display.digits import COMMON, estimates
from bayes_softmax.display.table import table_of

INDEX = ("feature", "change", "class")
PER_UNIT = "per unit"


def effects(
    fit: Fitted,
    features: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    base: Mapping[str, Any] | None = None,
    weights: Any = None,
    offset: Any = None,
    available: Any = None,
    n_draws: int | None = None,
    draws: bool = False,
    per: Mapping[str, float] | None = None,
    levels: Levels = AVERAGE,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> pd.DataFrame | xr.DataArray:
    r"""Average effect of each variable on each class probability.

    For a numeric variable: the average marginal effect, :math:`\frac1N\sum_n \partial P(y_n = k)/\partial v`, in
    probability per unit of the variable, or per step (``per``).  For a factor: the average change of the probability
    when every row is set to a level instead of the first level.  Terms of a formula that share a variable
    (interactions, polynomials, splines) move together.

    Parameters
    ----------
    features
        Variables, by the names of their columns (for an array without names also by number); default all.
    data
        Rows to average over; default the data of the fit, with their weights.
    at
        Values that some variables are set to in every row (``{"age": 40}``), or ``"means"``: one row of means and
        most frequent levels.  Default: the rows as they are (population-averaged).
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    base
        Levels that factors are compared with, by variable; default the first of each.
    weights
        (N,) weights of ``data``, or the name of a column; default the column that held the model's weights, if
        ``data`` has it.
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.  Rows
        with one class on offer have no effect and do not count.
    n_draws
        Number of a posterior's draws to use.  Default: all of them, or, where so many rows would take minutes, as many
        as a budget allows (at least 200, with a message).
    draws
        Return the draws of the effects, (chain, draw, change, category), instead of a table.
    per
        Size of the step by numeric variable, ``{"income": 10000}``, as in :meth:`odds_ratios`; default 1, one unit.
        It multiplies the slope; :meth:`contrast` gives the change of a probability over a whole step.
    levels
        Of a model with groups, whose effects the rows have, as in :meth:`predict_proba`; the table's title says so.
        Default ``"average"``: the change of the probabilities averaged over the population, in every draw.  With
        ``"new"`` the levels of the rows count as new ones, with the same drawn effects before and after a change.
    groups
        Levels of the rows of ``data`` by grouping, as in :meth:`predict_proba`; for the data of the fit one for all.
    random_seed, rng
        For effects that are drawn, as in :meth:`predict_proba`.

    Returns
    -------
    DataFrame
        Rows ``(feature, change, class)``, variables in the order of the formula; for draws mean, sd, interval and the
        probability that the effect is positive, for an estimate the estimate, its standard error, a Wald interval, and
        that probability by the normal approximation.  Effects of one change sum to zero over the classes.  A variable
        that the formula compares with a number, ``I(x > 1)``, acts in steps and has no slope: NaN; use :meth:`contrast`
        for it.  Where an estimate is not certified, a warning and ``attrs["note"]`` say so; with its optimum at
        infinity, the averages are those of the limiting model as in :meth:`predict_proba`: NaN where the average
        includes rows with unknown probabilities or infinite slopes, and without a standard error where rows are not
        determined.

    Notes
    -----
    Williams, *Stata Journal* 12 (2012), on average effects and effects at means; Ai and Norton, *Economics Letters*
    80 (2003), on why coefficients of interactions are not effects.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> table = fit.effects()
    >>> table.index.tolist()
    [('dose', 'per unit', 'a'), ('dose', 'per unit', 'b')]
    >>> fit.effects(per={"dose": 0.5}).index.tolist()
    [('dose', 'per 0.5', 'a'), ('dose', 'per 0.5', 'b')]
    >>> bool(abs(table["estimate"].sum()) < 1e-12)
    True
    """
    variables = chosen_variables(fit.schema, features)
    bases = check_setting(fit.schema, {} if base is None else base, "base")
    for variable in variables:
        if variable.name in bases and not variable.levels:
            raise ValueError(f"base: {shown(variable.name)} is numeric; only factors have a base level")
    steps = steps_of_variables(fit.schema, per, model_variables(fit.schema), variables)
    named = [change for v in variables for change in _changes(v, bases.get(v.name), steps.get(v.name, 1.0))]
    if not named:
        raise ValueError("the model has only an intercept, and no variable that could have an effect")
    asked = ask(fit, levels, groups, random_seed, rng, default=AVERAGE)
    rows = population_of(fit, data, at, offset, weights, available, asked=asked)
    outside = outside_the_data(fit.schema, [rows.setting])
    return _answer(fit, rows, named, (ci_prob, ci_kind), n_draws, draws=draws, outside=outside)


def contrast(
    fit: Fitted,
    first: Setting,
    second: Setting,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    weights: Any = None,
    offset: Any = None,
    available: Any = None,
    n_draws: int | None = None,
    draws: bool = False,
    levels: Levels = AVERAGE,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> pd.DataFrame | xr.DataArray:
    """Average difference of the class probabilities between two settings: ``first`` minus ``second``.

    Parameters
    ----------
    first, second
        Values of variables, ``{"income": 20, "sex": "male"}``; other variables keep their values in the
        rows.  Both set the same variables; one may leave some out, ``{}`` all, which then are as observed.  A value
        outside the data of the fit is said in ``attrs["note"]``.
    data, at, ci_prob, ci_kind, weights, offset, available, n_draws, draws, levels, groups, random_seed, rng
        As in :meth:`effects`.

    Returns
    -------
    DataFrame
        Rows ``(feature, change, class)``, with the columns of :meth:`effects`.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> fit.contrast({"dose": 3}, {"dose": 0}).index.get_level_values("change").unique().tolist()
    ['dose=3 vs dose=0']
    """
    settings = [check_setting(fit.schema, s, a) for s, a in ((first, "first"), (second, "second"))]
    if not any(settings):
        raise ValueError(f"first and second are empty: set at least one variable{example_setting(fit.schema)}")
    check_comparable(*settings)
    names = ", ".join(dict.fromkeys(str(name) for s in settings for name in s))
    label = " vs ".join(", ".join(f"{k}={v}" for k, v in s.items()) or "as observed" for s in settings)
    asked = ask(fit, levels, groups, random_seed, rng, default=AVERAGE)
    rows = population_of(fit, data, at, offset, weights, available, asked=asked)
    named = [(names, label, Difference(settings[0], settings[1]))]
    outside = outside_the_data(fit.schema, [*settings, rows.setting])
    return _answer(fit, rows, named, (ci_prob, ci_kind), n_draws, draws=draws, outside=outside)


def _changes(variable: Covariate, base: Any, size: float) -> list[tuple[str, str, Change]]:
    """Feature, label and change: the slope of a number, each level of a factor against the first or ``base``."""
    if not variable.levels:
        return [(variable.name, PER_UNIT if size == 1 else f"per {size_name(size)}", Slope(variable, size))]
    against = variable.levels[0] if base is None else base
    found: list[tuple[str, str, Change]] = []
    for level in variable.levels:
        if level != against:
            change = Difference({variable.name: level}, {variable.name: against})
            found.append((variable.name, f"{level_name(level)} vs {level_name(against)}", change))
    return found


def _answer(
    fit: Fitted,
    rows: Population,
    named: Sequence[tuple[str, str, Change]],
    ci: tuple[float | None, str | None],
    n_draws: int | None,
    *,
    draws: bool,
    outside: str | None = None,
) -> pd.DataFrame | xr.DataArray:
    """The table of named changes, or their draws, with a note on values ``outside`` the data."""
    check_flags(draws=draws)
    if draws and fit.is_estimate:
        raise ValueError("draws=True: a point estimate has no draws; use model.laplace() or model.sample()")
    refuse_intervals(fit, ci[0])
    interval = resolve_interval(*ci)
    changes = [change for _, _, change in named]
    thinned = affordable_draws(fit, rows.n_rows, changes, n_draws, averaged=bool(rows.asked.averaged))
    found, cautions, nodes = average_changes(fit, rows, changes, thinned)
    note = joined(outside, warn_of(fit, cautions), nodes, *without_intervals(fit))
    classes = list(fit.schema.classes)
    if draws:
        drawn = _labelled_draws(fit, found.values, named)
        return drawn if note is None else drawn.assign_attrs({NOTE: note})
    index = index_of(((feature, label, c) for feature, label, _ in named for c in classes), INDEX)
    columns = summary_columns(found, interval)
    table = pd.DataFrame(columns, index=index).rename_axis(columns=titled("change of probability", rows))
    return noted(table_of(table, COMMON | estimates(*list(columns)[:4]) | {"p_positive": found.chance}), note)


def titled(title: str, rows: Population) -> str:
    """The title of a table, with the levels of groups it is for."""
    return ", ".join(filter(None, (title, in_words(rows.asked))))


def affordable_draws(
    fit: Fitted, n_rows: int, changes: Sequence[Change], n_draws: int | None, *, averaged: bool = False
) -> ThinnedDraws:
    """Draws to average over: ``n_draws`` of them, or as many as the budget allows.

    ``averaged`` says that the probabilities of a draw are averages over the population of levels.
    """
    S, K = fit.parameters.n_draws, fit.logits.n_classes
    if n_draws is not None:
        check_counts(n_draws=n_draws)
        return thinned_draws(fit, int(n_draws), fit.n_chains)
    each = K * (FEWEST_NODES if averaged else 1)
    enough = max(FEWEST_DRAWS, int(EVALUATIONS / (passes(changes) * n_rows * each)))
    if enough < S:
        LOGGER.info(f"averaging {n_rows:,} rows over {enough} of {S} draws, evenly spaced (n_draws={S} uses all)")
    return thinned_draws(fit, enough, fit.n_chains)


def _labelled_draws(fit: Fitted, values: FloatArray, named: Sequence[tuple[str, str, Change]]) -> xr.DataArray:
    """Draws (S, changes x K) as a labelled array."""
    chains = fit.n_chains
    shape = (chains, len(values) // chains, len(named), len(fit.schema.classes))
    coords = {
        "change": [f"{feature}: {label}" for feature, label, _ in named],
        "category": fit.schema.category_coordinate,
    }
    return xr.DataArray(
        values.reshape(shape), dims=("chain", "draw", "change", "category"), coords=coords, name="effect"
    )
