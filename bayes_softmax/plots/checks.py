"""Pictures of model checks: calibration by class, and class frequencies against replicated data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers import predictive
from bayes_softmax.answers.fitted import Fit
from bayes_softmax.answers.intervals import percent_of
from bayes_softmax.answers.scores import Evaluation
from bayes_softmax.core.checks import counted
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.data.design import Label
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.confusion import evaluation_of
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Panel, Picture, columns_of, in_rows, panel_width
from bayes_softmax.plots.style import ClassStyle


@drawing
def calibration(
    evaluated: Fit | Evaluation,
    data: Any = None,
    y: Any = None,
    *,
    loo: bool = False,
    n_bins: int = 10,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Observed frequency against predicted probability, a panel for each class.

    Parameters
    ----------
    evaluated
        A fit, or the ``Evaluation`` of one, for which ``evaluate()`` takes weights, offsets and choice sets too.
    data, y
        For a fit: new data and their observed classes; default the data of the fit.
    loo
        For a fit: score by leave-one-out.
    n_bins
        For a fit: number of bins, of about equal numbers of observations.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        Points on the diagonal are calibrated; bars are Wilson intervals of the observed frequencies.  ``axes`` are by
        class.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> bs.plots.calibration(fit, n_bins=2)
    Picture of 2 panels: 'a', 'b'
    """
    look = Look(ax, figure, figsize, classes, colors, title)
    evaluated = evaluation_of(evaluated, "calibration", data, y, loo=loo, n_bins=n_bins)
    styles = look.class_styles(list(evaluated.confusion.index))
    columns = columns_of(len(styles))
    width = panel_width(columns)
    panels = [Panel(s.name, width - 0.6) for s in styles]
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    canvas = look.canvas(rows, width=width)
    for i, (panel, s) in enumerate(zip(canvas.panels, styles, strict=True)):
        _calibration_panel(panel, pd.DataFrame(evaluated.calibration.xs(s.label)), s)
        if i % columns == 0 or canvas.in_given_axes:
            style.axis_label(panel, "y", "observed frequency")
    percent = percent_of(evaluated.calibration.columns[2])
    canvas.heading(
        f"Calibration, {evaluated.kind}, {counted(evaluated.n_observations, 'observation')} ({percent} % intervals)"
    )
    return canvas.finished()


def _calibration_panel(panel: Any, table: pd.DataFrame, s: ClassStyle) -> None:
    x, y, low, high = table.to_numpy()[:, :4].T
    end = min(1.0, 1.06 * float(max(x.max(), high.max())))  # rare classes are never predicted with certainty
    panel.plot([0, end], [0, end], color=style.GUIDE, linewidth=1, zorder=0)
    panel.vlines(x, low, high, color=s.colour, linewidth=1.6, clip_on=False)
    panel.plot(x, y, "o-", color=s.colour, markersize=4.5, linewidth=0.8, clip_on=False)
    panel.set(xlim=(-0.02 * end, end), ylim=(-0.02 * end, end), aspect="equal")
    for axis in "xy":
        style.number_axis(panel, axis)
    style.title(panel, s.name)
    style.axis_label(panel, "x", "predicted probability")
    style.tidy(panel)


@drawing
def posterior_predictive(
    fit: Fit,
    by: Any = None,
    *,
    ci_prob: float | None = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Class frequencies in the data against data sets drawn from the fit, a panel for each group.

    Parameters
    ----------
    fit
        Posterior; for ``model.sample_prior()`` the check is prior-predictive.
    by, ci_prob, random_seed, rng
        As in ``fit.posterior_predictive()``.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With ``figure``, ``axes`` by group, and ``savefig(path)``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5)
    >>> bs.plots.posterior_predictive(model.laplace(random_seed=1, progressbar=False), random_seed=1)
    Picture of 1 panel: 'all rows'
    """
    fitted = style.check_fit(fit, "posterior_predictive")
    look = Look(ax, figure, figsize, classes, colors, title)
    styles = look.class_styles(fitted.schema.classes)
    table = predictive.posterior_predictive(fitted, by, ci_prob=ci_prob, random_seed=random_seed, rng=rng)
    groups = list(dict.fromkeys(table.index.get_level_values("group")))
    values = table.to_numpy(dtype=np.float64).reshape(len(groups), len(fitted.schema.classes), -1)
    chosen = values[:, [s.position for s in styles]]
    units = table["n_observations"].to_numpy().reshape(values.shape[:2])[:, 0]
    several = []
    for group, shares, n in zip(groups, chosen, units, strict=True):
        name = f"{by}: {group}" if isinstance(by, str) else str(group)
        ends, colours = dots.Ends(*(shares[:, [j]] for j in (1, 2, 3))), [[s.colour] for s in styles]
        heading = f"{name}\n({counted(float(n), 'observation')})"
        rows_of = tuple(s.name for s in styles)
        several.append(
            dots.Dots(name, heading, rows_of, ends, colours, [("|", False)], "share of observations", zero=False)
        )
    rows = in_rows([Panel(d.name, d.height) for d in several])
    canvas = look.canvas(rows, left=dots.names_width(several))
    dots.draw_all(canvas, rows, several)
    for panel, shares in zip(canvas.panels, chosen, strict=True):
        _observed(panel, shares[:, 0])
    canvas.heading()
    canvas.legend(_predictive_legend(percent_of(table.columns[2])))
    return canvas.finished()


def _observed(panel: Any, shares: np.ndarray[Any, Any]) -> None:
    """The shares in the data, over the replicated ones."""
    panel.scatter(shares, np.arange(len(shares))[::-1], 20, color="black", zorder=4, clip_on=False)
    low, high = panel.get_xlim()
    panel.set_xlim(min(0.0, low) if low > 0 or low < 0 <= high else low, high)
    style.number_axis(panel, "x")


def _predictive_legend(percent: str) -> dict[str, Any]:
    from matplotlib.lines import Line2D

    return {
        f"replicated: mean, {percent} %": Line2D([], [], color="0.4", marker="|", markersize=11, linewidth=1.6),
        "observed": Line2D([], [], color="black", marker="o", markersize=4.5, linestyle=""),
    }
