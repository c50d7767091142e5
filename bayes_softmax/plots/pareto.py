"""A picture of the reliability of leave-one-out: the Pareto k of each observation."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from bayes_softmax.answers.fitted import FIT_FIRST, Fit, Sampled
from bayes_softmax.answers.loo import loo
from bayes_softmax.core.checks import counted
from bayes_softmax.core.records import FloatArray
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.observed import LABELLED, check_label_rows, largest, name_points
from bayes_softmax.plots.picture import Panel, Picture

PANEL, HEIGHT = 6.6, 3.2  # inches
BEYOND_REPAIR = 1.0  # above it the importance weights have no mean: no number of draws would do
GOOD, POOR = "0.45", "#B22222"
AREA = 9.0


@runtime_checkable
class LeftOut(Protocol):
    """The part of ArviZ's ``ELPDDataLOO`` that is shown."""

    @property
    def pareto_k(self) -> Any:
        """Pareto k of each observation."""

    @property
    def good_k(self) -> float:
        """Largest k of a reliable estimate."""

    @property
    def elpd_i(self) -> Any:
        """Pointwise values."""


@drawing
def pareto_k(
    evaluated: Fit | LeftOut,
    *,
    label_rows: int = LABELLED,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Pareto k of leave-one-out for each observation, with the limits of reliability and the worst rows named.

    Above the lower limit, 0.7 or less with few draws, the estimate for that observation is too optimistic;
    ``post.loo(refit=True)`` refits the model without it.  Above 1 more draws do not help.

    Parameters
    ----------
    evaluated
        A posterior, or the result of ``post.loo()``.
    label_rows
        Number of rows named, those of the largest k; 0 for none.
    title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With one panel, ``"pareto_k"``.

    Raises
    ------
    ValueError, TypeError
        As ``post.loo()``; ``evaluated`` is not a posterior.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]] * 5, ["a", "b", "a", "b"] * 5)
    >>> bs.plots.pareto_k(model.laplace(random_seed=1, progressbar=False))
    Picture of 1 panel: 'pareto_k'
    """
    look = Look(ax, figure, figsize, None, None, title)
    check_label_rows(label_rows)
    found = _left_out(evaluated)
    k = np.asarray(found.pareto_k, dtype=np.float64)
    rows = np.asarray(found.pareto_k.coords["obs"]) if "obs" in found.pareto_k.coords else np.arange(len(k))
    canvas = look.canvas([[Panel("pareto_k", HEIGHT)]], width=PANEL)
    _draw(canvas.panels[0], k, rows, found.good_k, label_rows)
    of_all = counted(len(k), "observation")
    above = int((~(k <= found.good_k)).sum())
    canvas.heading(f"Leave-one-out: Pareto k is above {found.good_k:.2f} for {above:,} of {of_all}")
    return canvas.finished()


def _left_out(evaluated: Any) -> LeftOut:
    """The result of leave-one-out."""
    inside = evaluated._fitted if isinstance(evaluated, Fit) else None
    if isinstance(inside, Sampled):
        found: LeftOut = loo(inside)
        return found
    if isinstance(evaluated, LeftOut):
        return evaluated
    kind = type(evaluated).__name__
    raise TypeError(
        f"evaluated: plots.pareto_k shows a posterior or the result of its loo(), and this is of type {kind}{FIT_FIRST}"
    )


def _draw(panel: Any, k: FloatArray, rows: Any, limit: float, label_rows: int) -> None:
    """Draw the points, the limits with their values, and the names; what is infinite lies on the border."""
    finite = k[np.isfinite(k)]
    top = max(1.25 * limit, 1.08 * float(finite.max(initial=0.0)), 1.15 if (k > BEYOND_REPAIR).any() else 0.0)
    bottom = min(-0.1, 1.1 * float(finite.min(initial=0.0)))
    x, y = np.arange(len(k), dtype=np.float64), np.clip(np.nan_to_num(k, nan=np.inf), bottom, top)
    poor = ~(k <= limit)
    for chosen, colour, area in ((~poor, GOOD, AREA), (poor, POOR, 2 * AREA)):
        panel.scatter(x[chosen], y[chosen], s=area, color=colour, linewidths=0, clip_on=False, zorder=3)
    for value in {limit, BEYOND_REPAIR}:
        if value < top:
            panel.axhline(value, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
            text = {"xytext": (2, 2), "textcoords": "offset points", "fontsize": "x-small", "color": style.QUIET}
            panel.annotate(f"{value:.2g}", (1.0, value), xycoords=panel.get_yaxis_transform(), **text)
    panel.set(xlim=(-0.02 * len(k) - 0.5, 1.02 * len(k) - 0.5), ylim=(bottom, top))
    name_points(panel, x, y, rows, largest(np.nan_to_num(k, nan=np.inf), label_rows))
    style.axis_label(panel, "x", "observation, in the order of the data")
    style.axis_label(panel, "y", "Pareto k")
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)
