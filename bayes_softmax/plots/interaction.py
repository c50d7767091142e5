"""A picture of an interaction: probabilities along one variable at several values of another."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bayes_softmax.answers.averages import average_changes
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.changes import Level
from bayes_softmax.answers.fitted import Fit, Fitted, refuse_intervals, without_intervals
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.levels import ask, in_words
from bayes_softmax.answers.population import Population, population_of
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import Covariate, Setting, check_setting, chosen_variables, level_name
from bayes_softmax.core.checks import shown
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import AVERAGE
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Panel, Picture, in_rows

ROWS, DRAWS, GRID = 300, 300, 25  # more would move a line by less than its width
QUANTILES = (0.1, 0.5, 0.9)
MOST_VALUES = 6
HEIGHT = 2.2  # inches of a panel
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 3)))


@drawing
def interaction(
    fit: Fit,
    along: str,
    by: str,
    data: Any = None,
    *,
    values: Sequence[Any] | None = None,
    at: Setting | str | None = None,
    ci_prob: float | None = None,
    offset: Any = None,
    available: Any = None,
    levels: Levels = AVERAGE,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    classes: Sequence[Label] | None = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Class probabilities along one variable at several values of another, with bands: a panel for each class.

    Probabilities are averaged over the rows with both variables set.  Lines that are not each other's shift show that
    the variables interact in the probabilities; they may do so without an interaction term in the formula, since a
    softmax is not linear.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    along
        Variable of the horizontal axis: numeric, or a factor.
    by
        Variable with a line for each value.
    data, at
        Rows to average over, as in ``effects()``; at most 300 of them, evenly spaced, and 300 draws.
    values
        Values or levels of ``by``, at most six; default the levels, or the 10, 50 and 90 % quantiles of the rows.
    ci_prob
        Probability of the bands; default ArviZ's.
    offset, available
        (N, K) for ``data``, if the model has an offset or choice sets that are not among its columns.
    levels, groups, random_seed, rng
        Of a model with groups, whose effects the rows have, as in ``effects()``.
    classes, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With a panel for each class, by its name.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm * sex", penguins).map()
    >>> bs.plots.interaction(fit, "bill_length_mm", "sex", classes=["Adelie", "Gentoo"])
    Picture of 2 panels: 'Adelie', 'Gentoo'
    """
    look = Look(ax, figure, figsize, classes, None, title)
    fitted = style.check_fit(fit, "interaction")
    refuse_intervals(fitted, ci_prob)
    interval, styles = resolve_interval(ci_prob, "eti"), look.class_styles(fitted.schema.classes)
    x, lines = _variable(fitted, along, "along"), _variable(fitted, by, "by")
    if x.name == lines.name:
        raise ValueError(f"by={shown(by)} must be another variable than along")
    _check_free(at, x, lines)
    asked = ask(fitted, levels, groups, random_seed, rng, default=AVERAGE)
    rows = population_of(fitted, data, at, offset, None, available, asked=asked).thinned(ROWS)
    chosen = _values(fitted, lines, values, rows)
    grid: list[Any] = list(x.levels) or np.linspace(*_range(x, rows), GRID).tolist()
    found = find_lines(fitted, rows, (x.name, grid), (lines.name, chosen), interval)
    canvas = look.canvas(in_rows([Panel(s.name, HEIGHT) for s in styles]))
    top = float(np.nanmax(np.clip(found[..., [s.position for s in styles]], 0, 1), initial=0.05))
    for panel, s in zip(canvas.panels, styles, strict=True):
        marks = _draw(panel, x, grid, found[..., s.position], [level_name(v) for v in chosen])
        panel.set_ylim(0.0, 1.04 * top)
        style.title(panel, s.name)
        style.axis_label(panel, "x", x.name)
        style.number_axis(panel, "y")
        style.tidy(panel)
    canvas.legend({f"{lines.name} = {name}": mark for name, mark in marks.items()})
    kind = "Average probabilities" if at is None else "Probabilities at the values given"
    over = in_words(asked)
    kind = kind if over is None else f"{kind}, {over}"
    left_out = len(lines.levels) - MOST_VALUES if values is None else 0
    some = f"; {MOST_VALUES} of {len(lines.levels)} levels of {lines.name}" if left_out > 0 else ""
    bands = f"{'bars' if x.levels else 'bands'}: {100 * interval.prob:g} %"
    canvas.heading(f"{kind} ({'without intervals' if without_intervals(fitted) else bands}){some}")
    return canvas.finished()


def _variable(fit: Fitted, name: Any, argument: str) -> Covariate:
    """A variable of the model by its name."""
    if not isinstance(name, str | int | np.integer):
        raise TypeError(f"{argument}={shown(name)} must be the name of a variable")
    named: Any = [name]
    try:
        (variable,) = chosen_variables(fit.schema, named)
    except ValueError as error:
        raise ValueError(str(error).replace("features:", f"{argument}:", 1)) from None
    return variable


def _check_free(at: Any, *variables: Covariate) -> None:
    for variable in variables:
        if isinstance(at, dict) and variable.name in at:
            raise ValueError(f"at: {shown(variable.name)} varies in the picture, and cannot be set")


def _values(fit: Fitted, variable: Covariate, values: Any, rows: Population) -> list[Any]:
    """Values of the variable that has lines: as given, its levels, or its quantiles over the rows."""
    if values is None:
        if variable.levels:
            return list(variable.levels[:MOST_VALUES])
        column = np.concatenate([part.frame[variable.name].to_numpy(dtype=np.float64) for part in rows.chunks()])
        found = np.quantile(column, QUANTILES)
        return list(dict.fromkeys(float(f"{value:.3g}") for value in found))
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"values={shown(values)} must be a sequence of values of {shown(variable.name)}")
    chosen = list(values)
    if not 1 <= len(chosen) <= MOST_VALUES:
        raise ValueError(f"values: give 1 to {MOST_VALUES} values of {shown(variable.name)}, not {len(chosen)}")
    for value in chosen:
        check_setting(fit.schema, {variable.name: value}, "values")
    return list(dict.fromkeys(chosen))


def _range(variable: Covariate, rows: Population) -> tuple[float, float]:
    if np.isfinite(variable.high - variable.low):
        return variable.low, variable.high
    return rows.range_of(variable.name)  # features of an array carry no range


def find_lines(
    fit: Fitted, rows: Population, along: tuple[str, list[Any]], by: tuple[str, list[Any]], interval: Interval
) -> FloatArray:
    """Average probability, lower and upper end (3, values of ``by``, values of ``along``, K)."""
    changes = [Level({along[0]: value, by[0]: other}) for other in by[1] for value in along[1]]
    averages = average_changes(fit, rows, changes, thinned_draws(fit, DRAWS, fit.n_chains))
    warn_of(fit, averages.cautions)
    columns = list(summary_columns(averages.quantities, interval).values())
    shape = (len(by[1]), len(along[1]), len(fit.schema.classes))
    return np.stack([np.clip(columns[i].reshape(shape), 0, 1) for i in (0, 2, 3)])


def _draw(panel: Any, x: Covariate, grid: list[Any], found: FloatArray, names: list[str]) -> dict[str, Any]:
    """Draw the lines (3, values, grid) of one class, or marks at levels; returns the marks by value."""
    import matplotlib as mpl

    colours, marks = mpl.colormaps["viridis"](np.linspace(0.0, 0.8, len(names))), {}
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        centre, low, high = found[:, i]
        if not x.levels:
            panel.fill_between(grid, low, high, color=colour, alpha=0.18, linewidth=0)
            dashes = DASHES[i % len(DASHES)]
            (marks[name],) = panel.plot(grid, centre, color=colour, linewidth=1.7, linestyle=dashes, clip_on=False)
            continue
        place = np.arange(len(grid)) + (i - 0.5 * (len(names) - 1)) * 0.5 / len(names)
        panel.vlines(place, low, high, color=colour, linewidth=1.7)
        marker = style.MARKERS[i % len(style.MARKERS)]
        (marks[name],) = panel.plot(place, centre, marker, color=colour, markersize=4.5, clip_on=False)
    if x.levels:
        panel.set_xticks(range(len(grid)), [style.wrapped(level_name(v), 12) for v in grid], **style.AS_IT_IS)
        panel.set_xlim(-0.6, len(grid) - 0.4)
    else:
        panel.set_xlim(grid[0], grid[-1])
        style.number_axis(panel, "x")
    return marks
