"""Pictures of probabilities: along a variable, and the effects of all variables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.averages import Level, average_changes
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.effects import PER_UNIT
from bayes_softmax.answers.effects import effects as average_effects
from bayes_softmax.answers.fitted import Fit, Fitted
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.population import Population, population_of
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import Covariate, Setting, chosen_variables, level_name
from bayes_softmax.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More rows or draws would move a line by less than its width.
PICTURE_ROWS, PICTURE_DRAWS, GRID = 500, 400, 41


def probabilities(
    fit: Fit,
    features: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    offset: Any = None,
    available: Any = None,
) -> "Figure":
    """Class probabilities along each variable, averaged over the rows, with their uncertainty: one panel per variable.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    features
        Variables to show; default all.
    data, at
        Rows to average over, as in ``effects()``; at most 500 of them, evenly spaced, and 400 draws.
    ci_prob
        Probability of the bands; default ArviZ's.
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fitted = style.check_fit(fit, "probabilities")
    interval = resolve_interval(ci_prob, "eti")
    rows = population_of(fitted, data, at, offset, None, available).thinned(PICTURE_ROWS)
    variables = chosen_variables(fitted.schema, features)
    figure, panels = style.panel_grid(len(variables), height=3.0, sharey=True)
    drawn = [_curves(panel, fitted, rows, v, interval) for panel, v in zip(panels, variables, strict=True)]
    panels[0].set_ylim(0.0, min(1.0, 1.04 * max(top for top, _ in drawn)))
    kind = "average probability" if at is None else "probability at the values given"
    panels[0].set_ylabel(f"{kind} (band: {100 * interval.prob:g} %)", fontsize="small")
    style.legend_below(figure, drawn[0][1])
    return style.finished(figure)


def _curves(
    panel: Any, fit: Fitted, rows: Population, variable: Covariate, interval: Interval
) -> tuple[float, dict[str, Any]]:
    """Draw a line per class, or marks for levels, in one panel; returns the largest probability and the marks."""
    values: Sequence[Any] = variable.levels
    if not values:
        low, high = variable.low, variable.high
        if not np.isfinite(high - low):  # features of an array carry no range
            low, high = rows.range_of(variable.name)
        values = np.linspace(low, high, GRID).tolist()
    changes = [Level({variable.name: value}) for value in values]
    averages = average_changes(fit, rows, changes, thinned_draws(fit, PICTURE_DRAWS, fit.n_chains))
    warn_of(fit, averages.cautions)
    found = summary_columns(averages.quantities, interval)
    shape = (len(values), len(fit.schema.classes))
    columns = list(found.values())
    centre, lower, upper = (np.clip(columns[i].reshape(shape), 0, 1) for i in (0, 2, 3))
    classes, colours, marks = fit.schema.classes, style.class_colours(shape[1]), {}
    for k, (label, colour) in enumerate(zip(classes, colours, strict=True)):
        if not variable.levels:
            panel.fill_between(values, lower[:, k], upper[:, k], color=colour, alpha=0.2, linewidth=0)
            (marks[str(label)],) = panel.plot(values, centre[:, k], color=colour, linewidth=1.8)
            continue
        x = np.arange(len(values)) + (k - 0.5 * (len(classes) - 1)) * 0.5 / len(classes)
        panel.vlines(x, lower[:, k], upper[:, k], color=colour, linewidth=1.8)
        (marks[str(label)],) = panel.plot(x, centre[:, k], "o", color=colour, markersize=4.5)
    if variable.levels:
        panel.set_xticks(range(len(values)), [level_name(v) for v in values], **style.AS_IT_IS)
        panel.set_xlim(-0.6, len(values) - 0.4)
    style.title(panel, variable.name)
    style.tidy(panel)
    return float(np.nanmax([upper, centre], initial=0.05)), marks  # NaN: no interval, or unknown probabilities


def effects(
    fit: Fit,
    features: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    offset: Any = None,
    available: Any = None,
) -> "Figure":
    """Average effects on the class probabilities: a panel for each change, a row for each class.

    Parameters as in ``fit.effects()``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fitted = style.check_fit(fit, "effects")
    interval = resolve_interval(ci_prob, ci_kind)
    table = average_effects(
        fitted, features, data, at=at, ci_prob=ci_prob, ci_kind=ci_kind, offset=offset, available=available
    )
    assert isinstance(table, pd.DataFrame)  # not draws
    changes = list(dict.fromkeys(zip(*(table.index.get_level_values(i) for i in (0, 1)), strict=True)))
    classes = [str(c) for c in fitted.schema.classes]
    figure, panels = style.panel_grid(len(changes), height=1.0 + style.ROW_HEIGHT * len(classes), sharey=True)
    kind = f"{100 * interval.prob:g} % {'Wald' if 'estimate' in table else interval.kind.upper()}"
    for panel, (feature, change) in zip(panels, changes, strict=True):
        _effect_panel(panel, pd.DataFrame(table.xs((feature, change), level=[0, 1])), classes)
        style.title(panel, f"{feature}: {change}")
        unit = f"per unit of {feature}" if change == PER_UNIT else "on average"
        panel.set_xlabel(f"change of probability {unit}", fontsize="small", **style.AS_IT_IS)
    figure.suptitle(f"Average effects ({kind} intervals; each panel sums to 0)", fontsize="medium")
    return style.finished(figure)


def _effect_panel(panel: Any, rows: pd.DataFrame, classes: Sequence[str]) -> None:
    position, values = np.arange(len(classes))[::-1], rows.to_numpy()
    panel.axvline(0.0, color="0.75", linewidth=1, zorder=0)
    for k, colour in enumerate(style.class_colours(len(classes))):
        panel.hlines(position[k], values[k, 2], values[k, 3], color=colour, linewidth=1.8)
        panel.plot(values[k, 0], position[k], "o", color=colour, markersize=5)
    style.name_rows(panel, position, classes)
    panel.set_ylim(-0.6, len(classes) - 0.4)
    panel.locator_params(axis="x", nbins=5)
    style.tidy(panel)
