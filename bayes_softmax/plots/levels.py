"""A picture of the effects of a grouping's levels, ordered by their size: a caterpillar plot."""

from collections.abc import Sequence
from itertools import batched
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.contrasts import View, build_view
from bayes_softmax.answers.fitted import Fit, Fitted
from bayes_softmax.answers.group_effects import level_quantities
from bayes_softmax.answers.groupings import chosen_groupings, chosen_terms
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import level_name
from bayes_softmax.core.checks import check_counts
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.grouping import INTERCEPT, Grouping
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.coefficients import contrasts_shown
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import ALONE, PANEL_WIDTH, Canvas, Panel, Picture, columns_of
from bayes_softmax.plots.style import ClassStyle

MOST = 40  # rows of a panel whose names can be read
BARE = 60  # rows from which on names are left out
THIN = 0.5  # points, of so many marks
BARS = 1.9  # inches that intervals need beside their names


class _Part(NamedTuple):
    """Effects of the levels of one grouping in one term: centres and ends (G, classes), NaN without intervals."""

    grouping: Grouping
    term: str
    ends: dots.Ends


@drawing
def group_effects(
    fit: Fit,
    group: str | Sequence[str] | None = None,
    *,
    terms: str | Sequence[str] | None = None,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    most: int = MOST,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Effects of the levels of a grouping with their intervals: a panel for each class, levels ordered by size.

    Parameters
    ----------
    fit
        Point estimate or posterior of a model with groups.
    group, terms
        Groupings and terms to show, by name; default all.
    vs
        The reference of the contrasts, a class or ``"average"``; default as in ``summary()``.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    most
        Levels that a panel shows.  Of more levels it shows the highest and the lowest, and says how many are between.
        Names are left out where more than 60 would be written below each other.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With ``figure``, ``axes`` by class (of several groupings or terms by ``"person, intercept: class"``), and
        ``savefig(path)``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ body_mass_g + (1 | year)", penguins)
    >>> post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    >>> bs.plots.group_effects(post)
    Picture of 3 panels: 'Adelie', 'Chinstrap', 'Gentoo'
    """
    fitted = style.check_fit(fit, "group_effects")
    check_counts(most=most)
    look, interval = Look(ax, figure, figsize, classes, colors, title), resolve_interval(ci_prob, ci_kind)
    groupings = chosen_groupings(fitted.schema, group)
    view = build_view(fitted.schema, vs)
    styles, columns = contrasts_shown(fitted.schema, view, look)
    parts = [
        _part(fitted, grouping, t, view, interval)
        for grouping, places in zip(groupings, chosen_terms(groupings, terms), strict=True)
        for t in places
    ]
    label = f"logit, vs {view.names[0].removeprefix(f'{view.classes[0]} vs ')}"
    panels = [
        [_panel(part, s, column, most, label, alone=len(parts) == 1) for s, column in zip(styles, columns, strict=True)]
        for part in parts
    ]
    canvas = draw_ranked(panels, look)
    canvas.heading(_heading(fitted, parts, interval, most))
    return canvas.finished()


def _part(fit: Fitted, grouping: Grouping, term: int, view: View, interval: Interval) -> _Part:
    """Effects of all levels of a grouping in one term."""
    quantities = level_quantities(fit, grouping, [term], view, slice(None))
    found = list(summary_columns(quantities, interval).values())
    ends = (found[i].reshape(grouping.n_levels, -1) for i in (0, 2, 3))
    return _Part(grouping, grouping.terms[term], dots.Ends(*ends))


def _panel(part: _Part, s: ClassStyle, column: int, most: int, label: str, *, alone: bool) -> dots.Dots:
    """The levels of one grouping in one class."""
    name = s.name if alone else f"{part.grouping.name}, {part.term}: {s.name}"
    unit = label if part.term == INTERCEPT else f"{label}, per unit"
    ends = dots.Ends(*(end[:, column] for end in part.ends))
    return ranked(name, list(map(level_name, part.grouping.levels)), ends, s.colour, most=most, label=unit)


def ranked(
    name: str, levels: Sequence[str], ends: dots.Ends, colour: Any, *, most: int, label: str, zero: bool = True
) -> dots.Dots:
    """Levels by the size of their centre, the largest at the top; ``ends`` are (G,) each.

    Of more than ``most`` levels these are the highest and the lowest, with a row without a mark for those between.
    """
    order = np.argsort(-ends.centre, kind="stable")
    shown, between = _ends_of(order, most)
    names, gap = [levels[i] for i in shown], (most + 1) // 2
    values: list[FloatArray] = [end[shown] for end in ends]
    if between:
        values = [np.insert(v, gap, np.nan) for v in values]
        names.insert(gap, f"({between} between)")
    rows = tuple(names) if len(names) <= BARE else ("",) * len(names)
    columns = dots.Ends(*(v[:, None] for v in values))
    return dots.Dots(name, name, rows, columns, [[colour]] * len(rows), [("o", False)], label, zero)


def draw_ranked(panels: Sequence[Sequence[dots.Dots]], look: Look) -> Canvas:
    """Panels of ranked levels, those of one grouping and term beside each other; each has names of its own."""
    across = columns_of(len(panels[0]))
    rows = [list(part) for own in panels for part in batched(own, across)]
    several = [one for row in rows for one in row]
    names = dots.names_width(several) if any(any(one.rows) for one in several) else 0.6
    width = max(names + BARS, ALONE if across == 1 else PANEL_WIDTH)
    canvas = look.canvas([[Panel(one.name, one.height) for one in row] for row in rows], left=0.3, width=width)
    for panel, one in zip(canvas.panels, several, strict=True):
        dots.draw(panel, one)
        if not any(one.rows):
            _without_names(panel, len(one.rows))
    return canvas


def _without_names(panel: Any, n: int) -> None:
    """Thinner marks for so many levels, and their number in place of their names."""
    from matplotlib.collections import PathCollection

    panel.set_yticks([])
    style.axis_label(panel, "y", f"{n} levels")
    for marks in panel.collections:
        marks.set_linewidth(THIN)
        if isinstance(marks, PathCollection):
            marks.set_sizes([THIN])


def _ends_of(order: IntArray, most: int) -> tuple[IntArray, int]:
    """The first and the last of ordered levels, ``most`` of them, and the number between."""
    if len(order) <= most:
        return order, 0
    first, last = (most + 1) // 2, most // 2
    return np.concatenate([order[:first], order[len(order) - last :]]), len(order) - most


def _heading(fit: Fitted, parts: Sequence[_Part], interval: Interval, most: int) -> str:
    """What is shown, and what is left out."""
    centre = "conditional modes" if fit.is_estimate else "means"
    kind = "Wald" if fit.is_estimate else interval.kind.upper()
    bars = f"{100 * interval.prob:g} % {kind} intervals"
    if all(np.isnan(part.ends.low).all() for part in parts):
        bars = "without intervals"
    names = list(dict.fromkeys(part.grouping.name for part in parts))
    cut = {p.grouping.name: p.grouping.n_levels for p in parts if p.grouping.n_levels > most}
    left = "; ".join(
        f"{highest_and_lowest(n, most)}{f' of {name}' if len(names) > 1 else ''}" for name, n in cut.items()
    )
    return f"Effects of {', '.join(names)}: {centre}, {bars}" + (f"; in each panel {left}" if left else "")


def highest_and_lowest(n: int, most: int) -> str:
    """Which of ``n`` levels a panel shows.

    >>> highest_and_lowest(361, 40)
    'the 20 highest and 20 lowest of 361 levels'
    """
    return f"the {(most + 1) // 2} highest and {most // 2} lowest of {n} levels"
