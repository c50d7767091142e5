"""A picture of the uncertainty of each prediction: what more data would not remove, against what they would."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_softmax.answers.fitted import Fit, without_intervals
from bayes_softmax.answers.prediction import entropies
from bayes_softmax.core.checks import counted
from bayes_softmax.data.design import Label
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.observed import (
    LABELLED,
    check_label_rows,
    largest,
    name_points,
    observed_rows,
    scatter_classes,
    square,
)
from bayes_softmax.plots.picture import Panel, Picture

PANEL, HEIGHT = 5.2, 3.6  # inches
ROOM = 1.08  # of the axes beyond the largest value


@drawing
def uncertainty(
    fit: Fit,
    data: Any = None,
    y: Any = None,
    *,
    label_rows: int = LABELLED,
    offset: Any = None,
    available: Any = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Aleatoric against epistemic uncertainty of each row's prediction, in nats, coloured by observed class.

    To the right are rows whose classes overlap, whatever is known of the coefficients; at the top rows that more data
    would settle: few like them were seen.  See ``fit.uncertainty()``.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    data, y
        Rows to show, and their observed classes; default those of the fit.  At most 1000 rows are shown, evenly spaced.
        Where classes are not known, points are grey.
    label_rows
        Number of rows of the largest epistemic uncertainty that are named; 0 for none.
    offset, available
        (N, K) for ``data``, if the model has an offset or choice sets that are not among its columns.
    classes
        Classes in colour, the others being grey; default all.
    colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With one panel, ``"uncertainty"``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]).map()
    >>> bs.plots.uncertainty(fit)
    Picture of 1 panel: 'uncertainty'
    """
    look = Look(ax, figure, figsize, classes, colors, title)
    fitted = style.check_fit(fit, "uncertainty")
    check_label_rows(label_rows)
    styles = look.class_styles(fitted.schema.classes)
    for reason in without_intervals(fitted):
        raise ValueError(f"fit: {reason}")
    points = observed_rows(fitted, data, y, offset=offset, available=available)
    points.warn(fitted)
    _, aleatoric, epistemic = entropies(fitted, points.rows).T
    known = np.flatnonzero(np.isfinite(epistemic))
    if not len(known):
        raise ValueError(
            "fit: the uncertainty of this estimate is not known, as its optimum is not certified or lies at infinity; "
            "pass model.map() or model.sample()"
        )
    points, x, height = points.of(known), aleatoric[known], epistemic[known]
    canvas = look.canvas([[Panel("uncertainty", HEIGHT)]], width=PANEL)
    (panel,) = canvas.panels
    dotted = scatter_classes(panel, points, styles, x, height)
    panel.set(xlim=(0.0, ROOM * max(x.max(), 1e-9)), ylim=(0.0, ROOM * max(height.max(), 1e-9)))
    name_points(panel, x, height, points.labels, largest(height, label_rows))
    style.axis_label(panel, "x", "aleatoric, nats (remains with more data)")
    style.axis_label(panel, "y", "epistemic, nats (falls with more data)")
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)
    canvas.legend({s.name: square(s.colour) for s in styles if s.position in dotted})
    unknown = len(epistemic) - len(known)
    remarks = [points.remark if not unknown else "", f"{counted(unknown, 'row')} without a value" if unknown else ""]
    canvas.heading("\n".join(part for part in ("Uncertainty of the predictions", *remarks) if part))
    return canvas.finished()
