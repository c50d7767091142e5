"""Pictures of probabilities along variables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.averages import Level, average_changes
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.fitted import Fit, Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.population import Population, population_of
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import Covariate, Setting, chosen_variables, level_name
from bayes_softmax.core.checks import check_choice
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import LABEL_HEIGHT, WIDEST, Panel, Picture, columns_of, in_rows, panel_width
from bayes_softmax.plots.style import ClassStyle

# More rows or draws would move a line by less than its width.
PICTURE_ROWS, PICTURE_DRAWS, GRID = 500, 400, 41
PANELS = ("class", "variable")
FEW_CLASSES = 4  # bands that can be told apart in one panel
MOST_PANELS = 60  # from which on one panel per class and variable is not the default
CURVE_HEIGHT, SMALL_HEIGHT, SMALL_LABELS, TITLE_LINE = 2.1, 0.85, 0.35, 0.15  # inches
SMALL_ACROSS = 6
LINES = ("-", "--", ":", "-.")  # where colours come again


class _Curve(NamedTuple):
    """Probabilities (values, K) with the ends of their intervals, along a variable; ``rug`` are values in the data."""

    variable: Covariate
    values: Sequence[Any]
    centre: FloatArray
    low: FloatArray
    high: FloatArray
    rug: FloatArray


@drawing
def probabilities(
    fit: Fit,
    features: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    offset: Any = None,
    available: Any = None,
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
    ci_prob
        Probability of the bands; default ArviZ's.
    offset
        (N, K) for ``data``, if the model has an offset that is not among its columns.
    available
        (N, K) for ``data``, if the model has choice sets and ``data`` has no columns for them.
    panels
        ``"variable"``: all classes of a variable in one panel; ``"class"``: a panel for each variable and class.
        Default: by class for more than four classes, unless that makes more than 60 panels, or other than the axes
        given; lines then have no bands.
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
        check_choice("panels", panels, PANELS)
    rows = population_of(fitted, data, at, offset, None, available).thinned(PICTURE_ROWS)
    seen = rows if at is None else population_of(fitted, data, None, offset, None, available).thinned(PICTURE_ROWS)
    curves = [_curve(fitted, rows, seen, v, interval) for v in chosen_variables(fitted.schema, features)]
    kind = "average probability" if at is None else "probability at the values given"
    alone = bool(without_intervals(fitted))
    label = f"{kind} ({'without' if alone else f'{100 * interval.prob:g} %'} intervals)"
    drawn = _Drawing(curves, styles, label, kind, look.given_axes is None)
    n_panels = len(curves) * len(styles)
    many = len(styles) > FEW_CLASSES and n_panels <= MOST_PANELS
    fits = look.given_axes is None or len(look.given_axes) == n_panels
    if panels == "class" or (panels is None and many and fits):
        return _by_class(drawn, look)
    return _by_variable(drawn, look, bands=alone or panels == "variable" or len(styles) <= FEW_CLASSES)


def _curve(fit: Fitted, rows: Population, seen: Population, variable: Covariate, interval: Interval) -> _Curve:
    """Average probabilities along a variable over its range in the data, or at its levels."""
    values: Sequence[Any] = variable.levels
    rug = np.zeros(0)
    if not values:
        low, high = variable.low, variable.high
        if not np.isfinite(high - low):  # features of an array carry no range
            low, high = seen.range_of(variable.name)
        values = np.linspace(low, high, GRID).tolist()
        rug = np.concatenate([part.frame[variable.name].to_numpy(dtype=np.float64) for part in seen.chunks()])
    changes = [Level({variable.name: value}) for value in values]
    averages = average_changes(fit, rows, changes, thinned_draws(fit, PICTURE_DRAWS, fit.n_chains))
    warn_of(fit, averages.cautions)
    columns = list(summary_columns(averages.quantities, interval).values())
    shape = (len(values), len(fit.schema.classes))
    centre, lower, upper = (np.clip(columns[i].reshape(shape), 0, 1) for i in (0, 2, 3))
    return _Curve(variable, values, centre, lower, upper, rug)


class _Drawing(NamedTuple):
    """What is drawn: curves, classes, what is shown, with bands and without, and whether a heading says it."""

    curves: list[_Curve]
    styles: list[ClassStyle]
    label: str
    plain_label: str
    headed: bool

    @property
    def axis(self) -> str:
        """What the axis of probabilities says."""
        return self.plain_label if self.headed else self.label

    def top(self, *curves: _Curve) -> float:
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
            _line(panel, curve, s, bands=bands, by_class=False)
        _finish_curve(panel, curve, drawn.top())
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
            _line(panel, curve, s)
            _finish_curve(panel, curve, drawn.top(curve))
            panel.tick_params(labelleft=first)
        alone = one or canvas.in_given_axes
        style.title(panel, s.name if named or i < across or canvas.in_given_axes else "")
        style.axis_label(panel, "x", curve.variable.name if alone and not marks else "")
        along = drawn.label if canvas.in_given_axes and not marks else curve.variable.name
        style.axis_label(panel, "y", along if first and (marks or not one or canvas.in_given_axes) else "")
    canvas.heading(drawn.label[0].upper() + drawn.label[1:])
    return canvas.finished()


def _line(panel: Any, curve: _Curve, s: ClassStyle, *, bands: bool = True, by_class: bool = True) -> None:
    """The curve of one class, with its band; lines differ where colours come again, and names do not stand by."""
    k = s.position
    if bands:
        panel.fill_between(curve.values, curve.low[:, k], curve.high[:, k], color=s.colour, alpha=0.2, linewidth=0)
    kind = "-" if by_class else LINES[(k // style.MANY_CLASSES) % len(LINES)]
    panel.plot(curve.values, curve.centre[:, k], color=s.colour, linewidth=1.8, linestyle=kind, clip_on=False)


def _finish_curve(panel: Any, curve: _Curve, top: float) -> None:
    """Axes of a panel of curves, and the values in the data as strokes at the bottom."""
    panel.vlines(
        np.unique(curve.rug), 0, 0.04, transform=panel.get_xaxis_transform(), color="0.3", alpha=0.35, linewidth=0.7
    )
    panel.set_ylim(-0.06 * top, 1.01 * top)
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)


def _levels(curve: _Curve, drawn: _Drawing, styles: Sequence[ClassStyle], title: str) -> dots.Dots:
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
