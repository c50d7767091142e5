"""Pictures of probabilities along variables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import Fit, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import resolve_interval
from bayes_softmax.answers.levels import ask, in_words
from bayes_softmax.answers.population import population_of
from bayes_softmax.answers.variables import Setting, chosen_variables, level_name
from bayes_softmax.core.checks import check_choice, shown
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import AVERAGE
from bayes_softmax.plots import by_level, dots, style
from bayes_softmax.plots.curves import Curve, curve_along, draw_line, finish_curve
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import LABEL_HEIGHT, WIDEST, Panel, Picture, columns_of, in_rows, panel_width
from bayes_softmax.plots.style import ClassStyle

PICTURE_ROWS = 500  # more would move a line by less than its width
PANELS = ("class", "variable")
FEW_CLASSES = 4  # bands that can be told apart in one panel
MOST_PANELS = 60  # from which on one panel per class and variable is not the default
CURVE_HEIGHT, SMALL_HEIGHT, SMALL_LABELS, TITLE_LINE = 2.1, 0.85, 0.35, 0.15  # inches
SMALL_ACROSS = 6


@drawing
def probabilities(
    fit: Fit,
    features: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    by: str | None = None,
    ci_prob: float | None = None,
    offset: Any = None,
    available: Any = None,
    levels: Levels | None = None,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    panels: str | None = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Class probabilities along each variable, averaged over the rows, with their uncertainty.

    The strokes at the bottom are the values in the rows: where there are none, the model extrapolates.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    features
        Variables to show; default all.
    data, at
        Rows to average over, as in ``effects()``; at most 500 of them, evenly spaced, and 400 draws.
    by
        A grouping, or a factor, by name: every row is set to one of its levels after the other, and other groupings
        are averaged over.  Without ``features`` the picture shows the average probabilities of each level, of many
        levels the highest and the lowest in a panel for each class; with one of ``features`` the curves of each level.
    ci_prob
        Probability of the bands; default ArviZ's.
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.
    levels, groups, random_seed, rng
        Of a model with groups, whose effects the rows have, as in ``effects()``; default ``"average"``.
    panels
        ``"variable"``: all classes of a variable in one panel; ``"class"``: a panel for each variable and class.
        Default: by class for more than four classes, unless that makes more than 60 panels, or other than the axes
        given; lines then have no bands.  With ``by``: ``"level"`` a panel for each level, of at most twelve;
        ``"class"`` a panel for each class with a line for each level, of at most a hundred, without bands.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With ``figure``, ``axes`` by variable (or class, or ``"variable: class"``), and ``savefig(path)``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> bs.plots.probabilities(fit, "dose", panels="class")
    Picture of 2 panels: 'a', 'b'
    """
    fitted = style.check_fit(fit, "probabilities")
    look, interval = Look(ax, figure, figsize, classes, colors, title), resolve_interval(ci_prob, "eti")
    refuse_intervals(fitted, ci_prob)
    styles = look.class_styles(fitted.schema.classes)
    if panels is not None:
        check_choice("panels", panels, by_level.PANELS if by is not None else PANELS)
    if by is not None and levels is not None:
        raise ValueError(
            f"levels={shown(levels)}: with by= its levels have their own effects, and other groups are averaged over; "
            "leave levels out"
        )
    asked = ask(fitted, AVERAGE if levels is None else levels, groups, random_seed, rng)
    rows = population_of(fitted, data, at, offset, None, available, asked=asked).thinned(PICTURE_ROWS)
    seen = rows
    if at is not None:
        seen = population_of(fitted, data, None, offset, None, available, asked=asked).thinned(PICTURE_ROWS)
    if by is not None:
        return by_level.draw(by_level.Asked(fitted, rows, seen, interval, styles, by), features, panels, look)
    curves = [curve_along(fitted, rows, seen, v, interval) for v in chosen_variables(fitted.schema, features)]
    kind = "average probability" if at is None else "probability at the values given"
    alone = bool(without_intervals(fitted))
    over = in_words(asked)
    said = kind if over is None else f"{kind}, {over}"
    label = f"{said} ({'without' if alone else f'{100 * interval.prob:g} %'} intervals)"
    drawn = _Drawing(curves, styles, label, kind, look.given_axes is None)
    n_panels = len(curves) * len(styles)
    many = len(styles) > FEW_CLASSES and n_panels <= MOST_PANELS
    fits = look.given_axes is None or len(look.given_axes) == n_panels
    if panels == "class" or (panels is None and many and fits):
        return _by_class(drawn, look)
    return _by_variable(drawn, look, bands=alone or panels == "variable" or len(styles) <= FEW_CLASSES)


class _Drawing(NamedTuple):
    """What is drawn: curves, classes, what is shown, with bands and without, and whether a heading says it."""

    curves: list[Curve]
    styles: list[ClassStyle]
    label: str
    plain_label: str
    headed: bool

    @property
    def axis(self) -> str:
        """What the axis of probabilities says."""
        return self.plain_label if self.headed else self.label

    def top(self, *curves: Curve) -> float:
        """End of the axis: above all that is shown; NaN where there is no interval, or a probability is unknown."""
        shown = [s.position for s in self.styles]
        ends = [part[:, shown] for curve in curves or self.curves for part in (curve.high, curve.centre)]
        return min(1.0, 1.05 * max(float(np.nanmax(part, initial=0.05)) for part in ends))


def _by_variable(drawn: _Drawing, look: Look, *, bands: bool) -> Picture:
    """All classes in one panel for each variable."""
    levels = {curve.variable.name: _levels(curve, drawn, drawn.styles, curve.variable.name)
              for curve in drawn.curves if curve.variable.levels}  # fmt: skip
    heights = [levels[c.variable.name].height if c.variable.levels else CURVE_HEIGHT for c in drawn.curves]
    rows = in_rows([Panel(c.variable.name, height) for c, height in zip(drawn.curves, heights, strict=True)])
    canvas = look.canvas(rows, left=dots.names_width(list(levels.values())))
    starts = {row[0].name for row in rows}
    for panel, curve in zip(canvas.panels, drawn.curves, strict=True):
        name = curve.variable.name
        if curve.variable.levels:
            _draw_levels(panel, levels[name], drawn.top())
            continue
        for s in drawn.styles:
            draw_line(panel, curve, s, bands=bands, by_class=False)
        finish_curve(panel, curve, drawn.top())
        style.title(panel, name)
        if name in starts or canvas.in_given_axes:
            style.axis_label(panel, "y", drawn.axis if bands else drawn.plain_label)
    without = "Lines without intervals; features=, classes= or panels='class' show them"
    note = drawn.label[0].upper() + drawn.label[1:] if bands else without
    canvas.heading(note)
    canvas.legend(dots.class_legend(drawn.styles))
    return canvas.finished()


def _by_class(drawn: _Drawing, look: Look) -> Picture:
    """A panel for each variable and class; the classes of several variables are columns, named at the top."""
    one = len(drawn.curves) == 1
    across = columns_of(len(drawn.styles)) if one else min(len(drawn.styles), SMALL_ACROSS)
    named = one or len(drawn.styles) > across  # panels below each other then show different classes
    contents = [(curve, s, _levels(curve, drawn, [s], s.name) if curve.variable.levels else None)
                for curve in drawn.curves for s in drawn.styles]  # fmt: skip
    _, letters = style.title_size(WIDEST / across - 0.5)
    titles = TITLE_LINE * (1 + max(style.wrapped(s.name, letters).count("\n") for s in drawn.styles)) + 0.1
    panels = [
        Panel(
            s.name if one else f"{curve.variable.name}: {s.name}",
            marks.height if marks else SMALL_HEIGHT,
            LABEL_HEIGHT if one else SMALL_LABELS + (titles if named or i < across else 0.0),
        )
        for i, (curve, s, marks) in enumerate(contents)
    ]
    K = len(drawn.styles)
    rows = [panels[j : min(j + across, i + K)] for i in range(0, len(panels), K) for j in range(i, i + K, across)]
    left = dots.names_width([marks for _, _, marks in contents if marks]) + 0.2
    canvas = look.canvas(rows, left=left, width=panel_width(across, left))
    for i, (panel, (curve, s, marks)) in enumerate(zip(canvas.panels, contents, strict=True)):
        first = (i % K) % across == 0 or canvas.in_given_axes
        if marks:
            _draw_levels(panel, marks, drawn.top(curve), names=first)
        else:
            draw_line(panel, curve, s)
            finish_curve(panel, curve, drawn.top(curve))
            panel.tick_params(labelleft=first)
        alone = one or canvas.in_given_axes
        style.title(panel, s.name if named or i < across or canvas.in_given_axes else "")
        style.axis_label(panel, "x", curve.variable.name if alone and not marks else "")
        along = drawn.label if canvas.in_given_axes and not marks else curve.variable.name
        style.axis_label(panel, "y", along if first and (marks or not one or canvas.in_given_axes) else "")
    canvas.heading(drawn.label[0].upper() + drawn.label[1:])
    return canvas.finished()


def _levels(curve: Curve, drawn: _Drawing, styles: Sequence[ClassStyle], title: str) -> dots.Dots:
    """Marks for the levels of a factor, one for each class."""
    shown = [s.position for s in styles]
    rows = tuple(level_name(v) for v in curve.values)
    ends = dots.Ends(*(part[:, shown] for part in (curve.centre, curve.low, curve.high)))
    colours = [[s.colour for s in styles]] * len(rows)
    return dots.Dots(
        curve.variable.name, title, rows, ends, colours, [("o", False)] * len(shown), drawn.axis, zero=False
    )


def _draw_levels(panel: Any, marks: dots.Dots, top: float, *, names: bool = True) -> None:
    dots.draw(panel, marks, names=names)
    panel.set_xlim(-0.03 * top, 1.01 * top)
    style.number_axis(panel, "x")
