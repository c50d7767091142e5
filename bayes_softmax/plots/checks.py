"""Pictures of model checks: calibration by class, and class frequencies against replicated data."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_softmax.answers import predictive
from bayes_softmax.answers.evaluation import evaluate
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.intervals import percent_of
from bayes_softmax.answers.scores import Evaluation
from bayes_softmax.core.checks import counted
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration(evaluated: Fitted | Evaluation, *, loo: bool = False, n_bins: int = 10) -> "Figure":
    """Observed frequency against predicted probability, a panel for each class.

    Parameters
    ----------
    evaluated
        An ``Evaluation``, or a fit, which is then evaluated on its own data.
    loo
        For a fit: score by leave-one-out.
    n_bins
        For a fit: number of bins, of about equal numbers of observations.

    Returns
    -------
    matplotlib.figure.Figure
        Points on the diagonal are calibrated; bars are Wilson intervals of the observed frequencies.
    """
    if not isinstance(evaluated, Evaluation):
        style.check_fit(evaluated, "calibration", "evaluated")
        evaluated = evaluate(evaluated, loo=loo, n_bins=n_bins)
    classes = list(evaluated.confusion.index)
    figure, panels = style.panel_grid(len(classes), height=3.2)
    for panel, label, colour in zip(panels, classes, style.class_colours(len(classes)), strict=True):
        table = evaluated.calibration.loc[label]
        _calibration_panel(panel, table, colour)
        style.title(panel, str(label))
    panels[0].set_ylabel("observed frequency", fontsize="small")
    percent = percent_of(evaluated.calibration.columns[2])
    figure.suptitle(
        f"Calibration, {evaluated.kind}, {counted(evaluated.n_observations, 'observation')} ({percent} % intervals)",
        fontsize="medium",
    )
    return style.finished(figure)


def _calibration_panel(panel: Any, table: pd.DataFrame, colour: Any) -> None:
    x, y, low, high = table.to_numpy()[:, :4].T
    end = min(1.0, 1.06 * float(max(x.max(), high.max())))  # rare classes are never predicted with certainty
    panel.plot([0, end], [0, end], color="0.7", linewidth=1, zorder=0)
    panel.vlines(x, low, high, color=colour, linewidth=1.6)
    panel.plot(x, y, "o-", color=colour, markersize=4.5, linewidth=0.8)
    panel.set(xlim=(-0.02 * end, end), ylim=(-0.02 * end, end), aspect="equal")
    panel.set_xlabel("predicted probability", fontsize="small")
    style.tidy(panel)


def posterior_predictive(
    fit: Fitted,
    by: Any = None,
    *,
    ci_prob: float | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> "Figure":
    """Class frequencies in the data against data sets drawn from the fit, a panel for each group.

    Parameters as in ``fit.posterior_predictive()``; for ``model.sample_prior()`` the check is prior-predictive.

    Returns
    -------
    matplotlib.figure.Figure
    """
    style.check_fit(fit, "posterior_predictive")
    table = predictive.posterior_predictive(fit, by, ci_prob=ci_prob, random_seed=random_seed, rng=rng)
    groups, classes = list(dict.fromkeys(table.index.get_level_values("group"))), list(fit.schema.classes)
    figure, panels = style.panel_grid(len(groups), height=1.0 + style.ROW_HEIGHT * len(classes), sharey=True)
    percent = percent_of(table.columns[2])
    position, marks = np.arange(len(classes))[::-1], {}
    for panel, group in zip(panels, groups, strict=True):
        observed, mean, low, high = table.loc[group].to_numpy()[:, :4].T
        marks[f"replicated, {percent} %"] = panel.hlines(
            position, low, high, color=style.COLOURS[0], linewidth=5, alpha=0.35
        )
        (marks["replicated, mean"],) = panel.plot(mean, position, "|", color=style.COLOURS[0], markersize=11)
        (marks["observed"],) = panel.plot(observed, position, "o", color="black", markersize=4.5)
        style.name_rows(panel, position, [str(c) for c in classes])
        panel.set_ylim(-0.6, len(classes) - 0.4)
        panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
        units = table.loc[group]["n_observations"].iloc[0]
        style.title(
            panel, f"{f'{by}: ' if isinstance(by, str) else ''}{group} ({counted(float(units), 'observation')})"
        )
        panel.set_xlabel("share of observations", fontsize="small")
        style.tidy(panel)
    style.legend_below(figure, marks)
    return style.finished(figure)
