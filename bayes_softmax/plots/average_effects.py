"""A picture of average effects on the class probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.answers.effects import effects as effects_table
from bayes_softmax.answers.fitted import Fit, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.variables import Setting
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import AVERAGE
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Picture
from bayes_softmax.plots.style import ClassStyle

LABEL = "change of probability"  # per unit, or from level to level, as the title of a panel says


@drawing
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
    levels: Levels = AVERAGE,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Average effects on the class probabilities: a panel for each variable.

    A row is a class; of a factor with several levels, a change of level, with a mark for each class.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    features, data, at, ci_prob, ci_kind, offset, available, levels, groups, random_seed, rng
        As in ``fit.effects()``.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With ``figure``, ``axes`` by variable, and ``savefig(path)``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> bs.plots.effects(fit)
    Picture of 1 panel: 'dose'
    """
    fitted = style.check_fit(fit, "effects")
    look, interval = Look(ax, figure, figsize, classes, colors, title), resolve_interval(ci_prob, ci_kind)
    styles = look.class_styles(fitted.schema.classes)
    table = effects_table(
        fitted, features, data, at=at, ci_prob=ci_prob, ci_kind=ci_kind, offset=offset, available=available,
        levels=levels, groups=groups, random_seed=random_seed, rng=rng,
    )  # fmt: skip
    assert isinstance(table, pd.DataFrame)  # not draws
    changes = list(dict.fromkeys(zip(*(table.index.get_level_values(i) for i in (0, 1)), strict=True)))
    values = table.to_numpy(dtype=np.float64).reshape(len(changes), len(fitted.schema.classes), -1)
    several = []
    for feature in dict.fromkeys(name for name, _ in changes):
        at_rows = [i for i, (name, _) in enumerate(changes) if name == feature]
        several += _panels(feature, [changes[i][1] for i in at_rows], values[at_rows], styles)
    rows = dots.rows_of_panels(several)
    canvas = look.canvas(rows, left=dots.names_width(several))
    dots.draw_all(canvas, rows, several)
    kind = f"{100 * interval.prob:g} % {'Wald' if 'estimate' in table else interval.kind.upper()}"
    if without_intervals(fitted):
        kind = "without"
    over = str(table.columns.name).partition(", ")[2]
    what = f"Average effects, {over}" if over else "Average effects"
    canvas.heading(f"{what} ({kind} intervals; those of one change sum to 0 over all classes)")
    if any(len(d.markers) > 1 for d in several):
        canvas.legend(dots.class_legend(styles))
    return canvas.finished()


def _panels(
    feature: str, changes: Sequence[str], values: np.ndarray[Any, Any], styles: Sequence[ClassStyle]
) -> list[dots.Dots]:
    """Changes of one variable in one panel; each in its own where colours would not tell so many classes apart."""
    shown = [s.position for s in styles]
    ends = dots.Ends(*(values[:, shown, j] for j in (0, 2, 3)))
    if len(changes) > 1 and len(styles) <= style.MANY_CLASSES:
        each = [[s.colour for s in styles]] * len(changes)
        marks = [("o", False)] * len(styles)
        return [dots.Dots(feature, feature, tuple(changes), ends, each, marks, LABEL)]
    names, colours = tuple(s.name for s in styles), [[s.colour] for s in styles]
    found = []
    for i, change in enumerate(changes):
        name = feature if len(changes) == 1 else f"{feature}: {change}"
        one = dots.Ends(*(part[i][:, None] for part in ends))
        found.append(dots.Dots(name, f"{feature}: {change}", names, one, colours, [("o", False)], LABEL))
    return found
