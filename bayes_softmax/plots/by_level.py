"""Probabilities at the levels of a grouping or of a factor, alone or along a variable."""

from collections.abc import Sequence
from itertools import batched
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.averages import Level, average_changes
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.fitted import Fitted, without_intervals
from bayes_softmax.answers.intervals import Interval
from bayes_softmax.answers.population import Population
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import Covariate, Setting, chosen_variables, level_name, model_variables
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import IntArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.curves import PICTURE_DRAWS, Curve, curve_along, draw_line, finish_curve
from bayes_softmax.plots.levels import MOST, draw_ranked, highest_and_lowest, ranked
from bayes_softmax.plots.look import Look
from bayes_softmax.plots.picture import Panel, Picture, columns_of, panel_width
from bayes_softmax.plots.style import ClassStyle

PANELS = ("level", "class")
FEW_LEVELS = 12  # panels, or rows with a mark for each class
MOST_LINES = 100  # of one panel
FEW_CLASSES = 4  # bands that can be told apart in one panel
RANKING_DRAWS = 40  # enough to order levels by
EVALUATIONS = 200_000  # rows times levels: as many rows as it allows are averaged over, between these
FEWEST_ROWS, HEIGHT = 20, 1.5  # rows, inches of a panel


class Asked(NamedTuple):
    """What a picture by levels is of: rows to average over, those as observed, and what ``by`` names."""

    fit: Fitted
    rows: Population
    seen: Population
    interval: Interval
    styles: list[ClassStyle]
    by: str

    @property
    def kind(self) -> str:
        """The intervals in words."""
        return "without intervals" if without_intervals(self.fit) else f"{100 * self.interval.prob:g} % intervals"


class _Averages(NamedTuple):
    """Names of the levels, and their average probabilities (G, K) with ends of intervals."""

    names: list[str]
    ends: dots.Ends


def draw(asked: Asked, features: str | Sequence[str] | None, panels: str | None, look: Look) -> Picture:
    """Average probabilities of each level, or their curves along one variable."""
    settings = level_settings(asked.fit.schema, asked.by)
    rows = asked.rows.thinned(max(FEWEST_ROWS, EVALUATIONS // len(settings)))
    asked = asked._replace(rows=rows)
    if features is None:
        if panels is not None:
            raise ValueError(f"panels={shown(panels)} is for curves along a variable; name one by features=")
        return _alone(asked, settings, look)
    chosen = chosen_variables(asked.fit.schema, features)
    if len(chosen) > 1:
        raise ValueError(f"features={shown(features)}: with by= the curves are along one variable; name one")
    (variable,) = chosen
    if variable.levels or variable.name in settings[0][1]:
        raise ValueError(f"features={shown(features)}: with by= the curves are along a numeric variable")
    return _along(asked, settings, variable, panels, look)


def level_settings(schema: Schema, by: str) -> list[tuple[str, Setting]]:
    """Name of each level of a grouping or factor, and the values of the columns that set it."""
    for grouping in schema.groups:
        if grouping.name == by:
            levels = [variable.levels for variable in grouping.columns.values()]
            places = grouping.seen or tuple((i,) for i in range(grouping.n_levels))
            values = [[own[i] for own, i in zip(levels, at, strict=True)] for at in places]
            return [
                (level_name(level), dict(zip(grouping.columns, own, strict=True)))
                for level, own in zip(grouping.levels, values, strict=True)
            ]
    variables = model_variables(schema)
    if isinstance(by, str) and by in variables and variables[by].levels:
        return [(level_name(level), {by: level}) for level in variables[by].levels]
    known = [*(g.name for g in schema.groups), *(name for name, v in variables.items() if v.levels)]
    there = f"(there are {listed(known)})" if known else "(the model has none)"
    raise ValueError(f"by={shown(by)} is not a grouping or factor of the model{did_you_mean(by, known)} {there}")


def _average(asked: Asked, settings: Sequence[tuple[str, Setting]], n_draws: int) -> _Averages:
    """Probabilities with every row set to each level."""
    fit, changes = asked.fit, [Level(setting) for _, setting in settings]
    found = average_changes(fit, asked.rows, changes, thinned_draws(fit, n_draws, fit.n_chains))
    warn_of(fit, found.cautions)
    columns = list(summary_columns(found.quantities, asked.interval).values())
    shape = (len(settings), len(fit.schema.classes))
    ends = dots.Ends(*(np.clip(columns[i].reshape(shape), 0, 1) for i in (0, 2, 3)))
    return _Averages([name for name, _ in settings], ends)


def _alone(asked: Asked, settings: Sequence[tuple[str, Setting]], look: Look) -> Picture:
    """Few levels in one panel, with a mark for each class; many by size in a panel for each class."""
    found, positions = _average(asked, settings, PICTURE_DRAWS), [s.position for s in asked.styles]
    if len(settings) > FEW_LEVELS:
        panels = []
        for s in asked.styles:
            ends = dots.Ends(*(end[:, s.position] for end in found.ends))
            panels.append(
                ranked(s.name, found.names, ends, s.colour, most=MOST, label="average probability", zero=False)
            )
        canvas = draw_ranked([panels], look)
        left = f"; in each panel {highest_and_lowest(len(settings), MOST)}" if len(settings) > MOST else ""
        canvas.heading(f"Average probability by {asked.by}, {asked.kind}{left}")
        return canvas.finished()
    ends = dots.Ends(*(end[:, positions] for end in found.ends))
    colours = [[s.colour for s in asked.styles]] * len(settings)
    marks = [("o", False)] * len(positions)
    label = f"average probability ({asked.kind})"
    one = dots.Dots(asked.by, asked.by, tuple(found.names), ends, colours, marks, label, zero=False)
    canvas = look.canvas([[Panel(one.name, one.height)]], left=dots.names_width([one]))
    dots.draw(canvas.panels[0], one)
    canvas.heading()
    canvas.legend(dots.class_legend(asked.styles))
    return canvas.finished()


# ---------------------------------------------------------------------- along a variable


def _along(
    asked: Asked, settings: list[tuple[str, Setting]], variable: Covariate, panels: str | None, look: Look
) -> Picture:
    """A panel for each level, or for each class."""
    each = panels == "level" or (panels is None and len(settings) <= FEW_LEVELS)
    most = FEW_LEVELS if each else MOST_LINES
    left = ""
    if len(settings) > most:
        left = f"; {most} of {len(settings)} levels, evenly spaced in the order of their first class"
        settings = [settings[i] for i in _spread(asked, settings, most)]
    curves = {
        name: curve_along(asked.fit, asked.rows.at(setting), asked.seen, variable, asked.interval)
        for name, setting in settings
    }
    top = _top(asked.styles, curves)
    if each:
        return _level_panels(asked, curves, top, look, left)
    return _class_panels(asked, curves, top, look, left)


def _spread(asked: Asked, settings: Sequence[tuple[str, Setting]], n: int) -> IntArray:
    """Positions of ``n`` levels, evenly spaced in the order of the probability of the first class shown."""
    found = _average(asked, settings, RANKING_DRAWS).ends.centre[:, asked.styles[0].position]
    chosen = np.linspace(0, len(settings) - 1, n).round().astype(np.int64)
    kept: IntArray = np.argsort(-found, kind="stable")[chosen]
    return kept


def _top(styles: Sequence[ClassStyle], curves: dict[str, Curve]) -> float:
    """End of the axis of probabilities, above all curves."""
    shown = [s.position for s in styles]
    ends = [part[:, shown] for curve in curves.values() for part in (curve.high, curve.centre)]
    return min(1.0, 1.05 * max(float(np.nanmax(part, initial=0.05)) for part in ends))


def _level_panels(asked: Asked, curves: dict[str, Curve], top: float, look: Look, left: str) -> Picture:
    """All classes in a panel for each level."""
    across = columns_of(len(curves))
    rows = [[Panel(name, HEIGHT) for name in part] for part in batched(curves, across, strict=False)]
    canvas = look.canvas(rows, width=panel_width(across))
    bands = len(asked.styles) <= FEW_CLASSES
    for i, (panel, (name, curve)) in enumerate(zip(canvas.panels, curves.items(), strict=True)):
        for s in asked.styles:
            draw_line(panel, curve, s, bands=bands, by_class=False)
        finish_curve(panel, curve, top)
        style.title(panel, name)
        style.axis_label(panel, "x", curve.variable.name if i >= len(curves) - across else "")
        style.axis_label(panel, "y", "probability" if i % across == 0 else "")
    kind = asked.kind if bands else "lines without intervals"
    canvas.heading(f"Average probability by {asked.by}, {kind}{left}")
    canvas.legend(dots.class_legend(asked.styles))
    return canvas.finished()


def _class_panels(asked: Asked, curves: dict[str, Curve], top: float, look: Look, left: str) -> Picture:
    """A thin line for each level in a panel for each class, and a thick one for their average."""
    across = columns_of(len(asked.styles))
    rows = [[Panel(s.name, HEIGHT) for s in part] for part in batched(asked.styles, across, strict=False)]
    canvas = look.canvas(rows, width=panel_width(across))
    first = next(iter(curves.values()))
    for i, (panel, s) in enumerate(zip(canvas.panels, asked.styles, strict=True)):
        lines = np.array([curve.centre[:, s.position] for curve in curves.values()])
        panel.plot(first.values, lines.T, color=s.colour, linewidth=0.7, alpha=0.5)
        panel.plot(first.values, lines.mean(axis=0), color="black", linewidth=1.8)
        finish_curve(panel, first, top)
        style.title(panel, s.name)
        style.axis_label(panel, "x", first.variable.name if i >= len(asked.styles) - across else "")
        style.axis_label(panel, "y", "probability" if i % across == 0 else "")
    canvas.heading(f"Average probability: a line for each level of {asked.by}, black their mean{left}")
    return canvas.finished()
