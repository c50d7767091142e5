"""Probabilities at the levels of a grouping or of a factor, alone or along a variable."""

from collections.abc import Sequence
from functools import partial
from itertools import batched
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.cautions import in_the_limit, row_cautions, warn_of
from bayes_softmax.answers.changes import rows_in_words
from bayes_softmax.answers.fitted import Fitted, without_intervals
from bayes_softmax.answers.intervals import Interval
from bayes_softmax.answers.population import Population, encode_variables
from bayes_softmax.answers.population_levels import joined_rows
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.shares import Weighted, share_table
from bayes_softmax.answers.training import CHUNK_ROWS
from bayes_softmax.answers.variables import Covariate, Setting, chosen_variables, level_name, model_variables
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import IntArray
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.data.schema import Schema
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.curves import PICTURE_DRAWS, Curve, draw_line, finish_curve, grid_of
from bayes_softmax.plots.levels import MOST, draw_ranked, highest_and_lowest, ranked
from bayes_softmax.plots.look import Look
from bayes_softmax.plots.picture import Panel, Picture, columns_of, panel_width
from bayes_softmax.plots.style import ClassStyle

PANELS = ("level", "class")
FEW_LEVELS = 12  # panels, or rows with a mark for each class
MOST_LINES = 100  # of one panel
FEW_CLASSES = 4  # bands that can be told apart in one panel
RANKING_DRAWS = 40  # enough to order levels by
LINE_DRAWS = 100  # of a mean without a band
EVALUATIONS, FEWEST_ROWS = 200_000, 20  # averages of so many rows, in all that is drawn, and in each
HEIGHT = 1.5  # inches of a panel
Curves = list[tuple[str, Curve]]  # with the names of their levels


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


def draw(asked: Asked, features: str | Sequence[str] | None, panels: str | None, look: Look) -> Picture:
    """Average probabilities of each level, or their curves along one variable."""
    settings = level_settings(asked.fit.schema, asked.by)
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


def level_settings(schema: Schema, by: Any) -> list[tuple[str, Setting]]:
    """Name of each level of a grouping or factor, and the values of the columns that set it."""
    for grouping in schema.groups:
        if grouping.name == by:
            _check_free(schema, grouping)
            levels = [variable.levels for variable in grouping.columns.values()]
            places = grouping.seen or tuple((i,) for i in range(grouping.n_levels))
            values = [[own[i] for own, i in zip(levels, at, strict=True)] for at in places]
            return [
                (level_name(level), dict(zip(grouping.columns, own, strict=True)))
                for level, own in zip(grouping.levels, values, strict=True)
            ]
    factors = {name: variable.levels for name, variable in model_variables(schema).items() if variable.levels}
    for name, own_levels in factors.items():
        if name == by:
            return [(level_name(level), {name: level}) for level in own_levels]
    known = [*(grouping.name for grouping in schema.groups), *factors]
    there = f"(there are {listed(known)})" if known else "(the model has none)"
    raise ValueError(f"by={shown(by)} is not a grouping or factor of the model{did_you_mean(by, known)} {there}")


def _check_free(schema: Schema, outer: Grouping) -> None:
    """Raise for a grouping whose levels cannot be set alone, as those of another one exist within one of them."""
    for inner in schema.groups:
        if set(outer.columns) < set(inner.columns) and inner.n_levels < np.prod(
            [len(variable.levels) for variable in inner.columns.values()]
        ):
            raise ValueError(
                f"by={shown(outer.name)}: each level of {shown(inner.name)} is within one level of it, so rows cannot "
                f"be set to others; use by={shown(inner.name)}"
            )


def _averages(asked: Asked, settings: Sequence[Setting], n_draws: int) -> dots.Ends:
    """Probabilities with every row set to each setting, with ends of intervals, each (settings, K).

    Rows of many settings are encoded and averaged together, which takes a tenth of the time that each alone would.
    """
    fit, population = asked.fit, asked.rows.thinned(max(FEWEST_ROWS, EVALUATIONS // len(settings)))
    rows, draws = joined_rows(list(population.chunks())), thinned_draws(asked.fit, n_draws, asked.fit.n_chains)
    n, shares = len(rows.frame), rows.weights / rows.weights.sum()
    found, cautions = [], list[str]()
    for some in batched(settings, max(1, CHUNK_ROWS // n)):
        at = joined_rows([population.with_values(rows, setting) for setting in some])
        encoded = in_the_limit(fit, encode_variables(fit.schema, at))
        cautions += row_cautions(fit, encoded, partial(rows_in_words, at))
        weighted = Weighted(encoded, np.tile(shares, len(some)), n * np.arange(len(some) + 1))
        found.append(list(share_table(fit, draws, weighted, asked.interval).values()))
    warn_of(fit, cautions)
    K = len(fit.schema.classes)
    return dots.Ends(*(np.concatenate([part[i] for part in found]).reshape(-1, K) for i in (0, 2, 3)))


def _alone(asked: Asked, settings: Sequence[tuple[str, Setting]], look: Look) -> Picture:
    """Few levels in one panel, with a mark for each class; many by size in a panel for each class."""
    ends, names = _averages(asked, [setting for _, setting in settings], PICTURE_DRAWS), [name for name, _ in settings]
    if len(settings) > FEW_LEVELS:
        panels = []
        for s in asked.styles:
            own = dots.Ends(*(end[:, s.position] for end in ends))
            panels.append(ranked(s.name, names, own, s.colour, most=MOST, label="average probability", zero=False))
        canvas = draw_ranked([panels], look)
        left = f"; in each panel {highest_and_lowest(len(settings), MOST)}" if len(settings) > MOST else ""
        canvas.heading(f"Average probability by {asked.by}, {asked.kind}{left}")
        return canvas.finished()
    shown_ends = dots.Ends(*(end[:, [s.position for s in asked.styles]] for end in ends))
    colours = [[s.colour for s in asked.styles]] * len(settings)
    marks = [("o", False)] * len(asked.styles)
    label = f"average probability ({asked.kind})"
    one = dots.Dots(asked.by, asked.by, tuple(names), shown_ends, colours, marks, label, zero=False)
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
        left = f"; {most} of {len(settings)} levels, evenly spaced in the order of {asked.styles[0].name}"
        settings = [settings[i] for i in _spread(asked, settings, most)]
    curves = _curves(asked, settings, variable, PICTURE_DRAWS if each else LINE_DRAWS)
    top = _top(asked.styles, curves)
    if each:
        return _level_panels(asked, curves, top, look, left)
    return _class_panels(asked, curves, top, look, left)


def _curves(asked: Asked, settings: Sequence[tuple[str, Setting]], variable: Covariate, n_draws: int) -> Curves:
    """The curve of each level along a variable."""
    values, rug = grid_of(variable, asked.seen)
    each = [{**setting, variable.name: value} for _, setting in settings for value in values]
    ends = _averages(asked, each, n_draws)
    centre, low, high = [part.reshape(len(settings), len(values), -1) for part in ends]
    return [(name, Curve(variable, values, centre[g], low[g], high[g], rug)) for g, (name, _) in enumerate(settings)]


def _spread(asked: Asked, settings: Sequence[tuple[str, Setting]], n: int) -> IntArray:
    """Positions of ``n`` levels, evenly spaced in the order of the probability of the first class shown."""
    found = _averages(asked, [setting for _, setting in settings], RANKING_DRAWS).centre[:, asked.styles[0].position]
    chosen = np.linspace(0, len(settings) - 1, n).round().astype(np.int64)
    kept: IntArray = np.argsort(-found, kind="stable")[chosen]
    return kept


def _top(styles: Sequence[ClassStyle], curves: Curves) -> float:
    """End of the axis of probabilities, above all curves."""
    shown = [s.position for s in styles]
    ends = [part[:, shown] for _, curve in curves for part in (curve.high, curve.centre)]
    return min(1.0, 1.05 * max(float(np.nanmax(part, initial=0.05)) for part in ends))


def _level_panels(asked: Asked, curves: Curves, top: float, look: Look, left: str) -> Picture:
    """All classes in a panel for each level."""
    across = columns_of(len(curves))
    rows = [[Panel(name, HEIGHT) for name, _ in part] for part in batched(curves, across)]
    canvas = look.canvas(rows, width=panel_width(across))
    bands = len(asked.styles) <= FEW_CLASSES
    for i, (panel, (name, curve)) in enumerate(zip(canvas.panels, curves, strict=True)):
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


def _class_panels(asked: Asked, curves: Curves, top: float, look: Look, left: str) -> Picture:
    """A thin line for each level in a panel for each class, and a thick one for their average."""
    across = columns_of(len(asked.styles))
    rows = [[Panel(s.name, HEIGHT) for s in part] for part in batched(asked.styles, across)]
    canvas = look.canvas(rows, width=panel_width(across))
    _, first = curves[0]
    for i, (panel, s) in enumerate(zip(canvas.panels, asked.styles, strict=True)):
        lines = np.array([curve.centre[:, s.position] for _, curve in curves])
        panel.plot(first.values, lines.T, color=s.colour, linewidth=0.7, alpha=0.5)
        panel.plot(first.values, lines.mean(axis=0), color="black", linewidth=1.8)
        finish_curve(panel, first, top)
        style.title(panel, s.name)
        style.axis_label(panel, "x", first.variable.name if i >= len(asked.styles) - across else "")
        style.axis_label(panel, "y", "probability" if i % across == 0 else "")
    canvas.heading(f"Average probability: a line for each level of {asked.by}, black their mean{left}")
    return canvas.finished()
