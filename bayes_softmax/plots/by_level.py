"""Probabilities at the levels of a grouping or of a factor, alone or along a variable."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import batched
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import in_the_limit, row_cautions, warn_of
from bayes_softmax.answers.changes import rows_in_words
from bayes_softmax.answers.fitted import Fitted, without_intervals
from bayes_softmax.answers.intervals import Interval
from bayes_softmax.answers.levels import Asked as Levels
from bayes_softmax.answers.population import Population, encode_variables
from bayes_softmax.answers.population_levels import joined_rows
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.shares import Weighted, answering, share_table
from bayes_softmax.answers.training import CHUNK_ROWS, VariableRows
from bayes_softmax.answers.variables import Covariate, Setting, chosen_variables, level_name, model_variables
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import IntArray
from bayes_softmax.data.groups.grouping import AVERAGE, KNOWN, Grouping
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
NODES, NODES_OF_ESTIMATE = 16, 128  # of an average over levels: others in every draw
# Probabilities and rows that a picture takes, as far as there are so many rows of each level.
EVALUATIONS, ENCODED, FEWEST_ROWS = 1e9, 4e5, 50
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


class Place(NamedTuple):
    """A level: its name, values of variables, and codes of the levels of groupings, by the position of these."""

    name: str
    values: Setting
    codes: Mapping[int, int]


def draw(asked: Asked, features: str | Sequence[str] | None, panels: str | None, look: Look) -> Picture:
    """Average probabilities of each level, or their curves along one variable."""
    places = places_of(asked.fit.schema, asked.by)
    if features is None:
        if panels is not None:
            raise ValueError(f"panels={shown(panels)} is for curves along a variable; name one by features=")
        return _alone(asked, places, look)
    chosen = chosen_variables(asked.fit.schema, features)
    if len(chosen) > 1:
        raise ValueError(f"features={shown(features)}: with by= the curves are along one variable; name one")
    (variable,) = chosen
    if variable.levels or variable.name in places[0].values:
        raise ValueError(f"features={shown(features)}: with by= the curves are along a numeric variable")
    return _along(asked, places, variable, panels, look)


def places_of(schema: Schema, by: Any) -> list[Place]:
    """The levels of a grouping, with those of the groupings that these are within, or of a factor."""
    variables = model_variables(schema)
    for grouping in schema.groups:
        if grouping.name == by:
            return _levels_of(schema, grouping, variables)
    factors = {name: variable.levels for name, variable in variables.items() if variable.levels}
    for name, levels in factors.items():
        if name == by:
            return [Place(level_name(level), {name: level}, {}) for level in levels]
    known = [*(grouping.name for grouping in schema.groups), *factors]
    there = f"(there are {listed(known)})" if known else "(the model has none)"
    raise ValueError(f"by={shown(by)} is not a grouping or factor of the model{did_you_mean(by, known)} {there}")


def _levels_of(schema: Schema, grouping: Grouping, variables: Mapping[str, Covariate]) -> list[Place]:
    levels = [variable.levels for variable in grouping.columns.values()]
    at = grouping.seen or tuple((i,) for i in range(grouping.n_levels))
    labels = [[own[i] for own, i in zip(levels, place, strict=True)] for place in at]
    frame = pd.DataFrame(dict(zip(grouping.columns, map(list, zip(*labels, strict=True)), strict=True)))
    codes = {
        j: other.codes(frame) for j, other in enumerate(schema.groups) if set(other.columns) <= set(grouping.columns)
    }
    return [
        Place(
            level_name(level),
            {name: label for name, label in zip(grouping.columns, labels[i], strict=True) if name in variables},
            {j: int(own[i]) for j, own in codes.items()},
        )
        for i, level in enumerate(grouping.levels)
    ]


def _choices(asked: Asked, places: Sequence[Place]) -> Levels:
    """Known levels of the groupings that the places set; the others are averaged over."""
    set_here = places[0].codes
    groups = asked.fit.schema.groups
    return Levels({g.name: KNOWN if j in set_here else AVERAGE for j, g in enumerate(groups)})


def _averages(asked: Asked, places: Sequence[Place], n_draws: int) -> dots.Ends:
    """Probabilities with every row set to each place, with ends of intervals, each (places, K).

    Rows of many places are encoded and averaged together, which takes a tenth of the time that each alone would.
    """
    fit, levels = asked.fit, _choices(asked, places)
    n_nodes = (NODES_OF_ESTIMATE if fit.is_estimate else NODES) if levels.averaged else 1
    draws = thinned_draws(fit, n_draws // 2 if levels.averaged else n_draws, fit.n_chains)
    answer = answering(fit, draws, levels, {}, n_nodes)
    each = len(places) * answer.draws.parameters.n_draws * n_nodes * len(fit.schema.classes)
    population = asked.rows.thinned(max(FEWEST_ROWS, int(min(EVALUATIONS / each, ENCODED / len(places)))))
    rows = joined_rows(list(population.chunks()))
    n, shares = len(rows.frame), rows.weights / rows.weights.sum()
    found, cautions = [], list[str]()
    for some in batched(places, max(1, CHUNK_ROWS // n)):
        at = joined_rows([_coded(population.with_values(rows, place.values), place) for place in some])
        encoded = in_the_limit(fit, answer.at.place(encode_variables(fit.schema, at)))
        cautions += row_cautions(fit, encoded, partial(rows_in_words, at))
        weighted = Weighted(encoded, np.tile(shares, len(some)), n * np.arange(len(some) + 1))
        found.append(list(share_table(fit, answer, weighted, asked.interval).values()))
    warn_of(fit, cautions)
    K = len(fit.schema.classes)
    return dots.Ends(*(np.concatenate([part[i] for part in found]).reshape(-1, K) for i in (0, 2, 3)))


def _coded(rows: VariableRows, place: Place) -> VariableRows:
    """The rows with the levels of a place."""
    if not place.codes or rows.codes is None:
        return rows
    codes = rows.codes.copy()
    codes[:, list(place.codes)] = list(place.codes.values())
    return rows._replace(codes=codes)


def _alone(asked: Asked, places: Sequence[Place], look: Look) -> Picture:
    """Few levels in one panel, with a mark for each class; many by size in a panel for each class."""
    ends, names = _averages(asked, places, PICTURE_DRAWS), [place.name for place in places]
    averaged = _averaged(asked, places)
    if len(places) > FEW_LEVELS:
        panels = []
        for s in asked.styles:
            own = dots.Ends(*(end[:, s.position] for end in ends))
            panels.append(ranked(s.name, names, own, s.colour, most=MOST, label="average probability", zero=False))
        canvas = draw_ranked([panels], look)
        left = f"; in each panel {highest_and_lowest(len(places), MOST)}" if len(places) > MOST else ""
        canvas.heading(f"Average probability by {asked.by}, {asked.kind}{averaged}{left}")
        return canvas.finished()
    shown_ends = dots.Ends(*(end[:, [s.position for s in asked.styles]] for end in ends))
    colours = [[s.colour for s in asked.styles]] * len(places)
    marks = [("o", False)] * len(asked.styles)
    label = f"average probability ({asked.kind}{averaged})"
    one = dots.Dots(asked.by, asked.by, tuple(names), shown_ends, colours, marks, label, zero=False)
    canvas = look.canvas([[Panel(one.name, one.height)]], left=dots.names_width([one]))
    dots.draw(canvas.panels[0], one)
    canvas.heading()
    canvas.legend(dots.class_legend(asked.styles))
    return canvas.finished()


# ---------------------------------------------------------------------- along a variable


def _along(asked: Asked, places: list[Place], variable: Covariate, panels: str | None, look: Look) -> Picture:
    """A panel for each level, or for each class."""
    each = panels == "level" or (panels is None and len(places) <= FEW_LEVELS)
    most, left = FEW_LEVELS if each else MOST_LINES, _averaged(asked, places)
    if len(places) > most:
        left += f"; {most} of {len(places)} levels, evenly spaced in the order of {asked.styles[0].name}"
        places = [places[i] for i in _spread(asked, places, most)]
    curves = _curves(asked, places, variable, PICTURE_DRAWS if each else LINE_DRAWS)
    top = _top(asked.styles, curves)
    if each:
        return _level_panels(asked, curves, top, look, left)
    return _class_panels(asked, curves, top, look, left)


def _averaged(asked: Asked, places: Sequence[Place]) -> str:
    """What the heading says of groupings that are averaged over."""
    names = _choices(asked, places).averaged
    return f", averaged over the population of {', '.join(names)}" if names else ""


def _curves(asked: Asked, places: Sequence[Place], variable: Covariate, n_draws: int) -> Curves:
    """The curve of each level along a variable."""
    values, rug = grid_of(variable, asked.seen)
    each = [place._replace(values={**place.values, variable.name: value}) for place in places for value in values]
    ends = _averages(asked, each, n_draws)
    centre, low, high = [part.reshape(len(places), len(values), -1) for part in ends]
    return [(place.name, Curve(variable, values, centre[g], low[g], high[g], rug)) for g, place in enumerate(places)]


def _spread(asked: Asked, places: Sequence[Place], n: int) -> IntArray:
    """Positions of ``n`` levels, evenly spaced in the order of the probability of the first class shown."""
    found = _averages(asked, places, RANKING_DRAWS).centre[:, asked.styles[0].position]
    chosen = np.linspace(0, len(places) - 1, n).round().astype(np.int64)
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
