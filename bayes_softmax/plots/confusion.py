"""A heat map of the confusion matrix."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayes_softmax.answers.evaluation import evaluate
from bayes_softmax.answers.fitted import Fit
from bayes_softmax.answers.scores import Evaluation
from bayes_softmax.core.checks import check_choice, counted
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Panel, Picture

CELL, LARGER_CELL, FEW_CLASSES = 0.5, 0.75, 6  # inches of a cell, and of one of few
NARROWEST, LETTER_WIDTH = 3.0, 0.075  # inches: all cells, a letter of a name
DARK = 0.55  # share of the largest colour beyond which a number is white
WHOLE = 1e-9

NORMALIZE: dict[str, Callable[[FloatArray], FloatArray]] = {
    "observed": lambda table: table.sum(axis=1, keepdims=True),
    "predicted": lambda table: table.sum(axis=0, keepdims=True),
    "all": lambda table: table.sum(keepdims=True),
}


@drawing
def confusion(
    evaluated: Fit | Evaluation,
    data: Any = None,
    y: Any = None,
    *,
    normalize: str | None = None,
    loo: bool = False,
    classes: Sequence[Label] | None = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Observed against predicted classes: a heat map with numbers.

    Parameters
    ----------
    evaluated
        A fit, or the ``Evaluation`` of one, for which ``evaluate()`` takes weights, offsets and choice sets too.
    data, y
        For a fit: new data and their observed classes; default the data of the fit.
    normalize
        None shows numbers of observations, ``"observed"`` shares of each row (recall on the diagonal),
        ``"predicted"`` shares of each column (precision), ``"all"`` shares of all observations.
    loo
        For a fit: predict by leave-one-out.
    classes
        Classes to show, in this order; default all.  Shares are of all classes.
    title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With one panel, ``"confusion"``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> bs.plots.confusion(fit, normalize="observed")
    Picture of 1 panel: 'confusion'
    """
    look = Look(ax, figure, figsize, classes, None, title)
    if normalize is not None:
        check_choice("normalize", normalize, tuple(NORMALIZE))
    found = evaluation_of(evaluated, "confusion", data, y, loo=loo)
    styles = look.class_styles(list(found.confusion.index))
    shown = [s.position for s in styles]
    table = confusion_shares(found.confusion.to_numpy(dtype=np.float64), normalize)[np.ix_(shown, shown)]
    names = [style.wrapped(s.name) for s in styles]
    longest = max(len(line) for name in names for line in name.split("\n"))
    cell = LARGER_CELL if len(shown) <= FEW_CLASSES else CELL
    side, tilted = max(cell * len(shown), NARROWEST), LETTER_WIDTH * longest > cell
    left, below = LETTER_WIDTH * longest, (LETTER_WIDTH * longest if tilted else 0.0)
    canvas = look.canvas([[Panel("confusion", side + below)]], left=left + 0.6, width=side)
    _draw(canvas.panels[0], table, names, whole=normalize is None, tilted=tilted)
    total = counted(int(found.n_observations) if found.n_observations % 1 == 0 else found.n_observations, "observation")
    shares = "" if normalize is None else f", shares of {'all' if normalize == 'all' else f'each {normalize} class'}"
    heading = f"Confusion, {found.kind}\n{total}, accuracy {found.accuracy:.3f}{shares}"
    canvas.heading(heading)
    return canvas.finished()


def evaluation_of(evaluated: Any, picture: str, data: Any, y: Any, *, loo: bool, n_bins: int = 10) -> Evaluation:
    """The evaluation given, or that of a fit on its own or new data."""
    if not isinstance(evaluated, Evaluation):
        return evaluate(style.check_fit(evaluated, picture, "evaluated"), data, y, loo=loo, n_bins=n_bins)
    if data is not None or y is not None:
        raise ValueError("data and y belong to a fit; an Evaluation has been made of its own data")
    if loo is not False:
        raise ValueError("loo belongs to a fit; for an Evaluation, pass loo=True to evaluate()")
    return evaluated


def confusion_shares(table: FloatArray, normalize: str | None) -> FloatArray:
    """Numbers of observations (K, K), or their shares; NaN for shares of a class without observations."""
    if normalize is None:
        return table
    total = NORMALIZE[normalize](table)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: FloatArray = table / total
    return shares


def _draw(panel: Any, table: FloatArray, names: list[str], *, whole: bool, tilted: bool) -> None:
    """Draw cells with their numbers, rows from the top."""
    n = len(names)
    top = float(np.nanmax(table, initial=0.0)) or 1.0
    panel.imshow(np.ma.masked_invalid(table), cmap="Blues", vmin=0.0, vmax=top, aspect="equal")
    for i in range(n):
        for j in range(n):
            value = table[i, j]
            dark = value > DARK * top
            colour = "white" if dark else style.GUIDE if value == 0 else "black"
            weight = "bold" if i == j else "normal"
            text = cell_text(value, whole=whole)
            panel.text(j, i, text, ha="center", va="center", color=colour, fontsize="small", fontweight=weight)
    rotation = {"rotation": 90} if tilted else {}
    panel.set_xticks(range(n), names, **rotation, **style.AS_IT_IS)
    panel.set_yticks(range(n), names, **style.AS_IT_IS)
    panel.tick_params(length=0, labelsize="small")
    panel.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    panel.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    panel.grid(which="minor", color="white", linewidth=1.2)
    panel.tick_params(which="minor", length=0)
    panel.spines[:].set_visible(False)
    style.axis_label(panel, "x", "predicted class")
    style.axis_label(panel, "y", "observed class")


def cell_text(value: float, *, whole: bool) -> str:
    """A count without decimals where it has none, a share with two; nothing for one that is not defined.

    >>> (
    ...     cell_text(12.0, whole=True),
    ...     cell_text(0.5, whole=True),
    ...     cell_text(0.123, whole=False),
    ...     cell_text(0.0, whole=False),
    ... )
    ('12', '0.5', '0.12', '0')
    """
    if np.isnan(value):
        return ""
    if value == 0:
        return "0"
    if not whole:
        return f"{value:.2f}" if value >= 0.005 else "<.01"
    rounded = round(value)
    if abs(value - rounded) < WHOLE * max(1.0, abs(value)):
        return str(rounded) if rounded < 1e5 else f"{value:.2g}"
    return f"{value:.1f}" if value >= 0.05 else f"{value:.1g}"
