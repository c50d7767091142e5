"""Marks with intervals, in named rows: coefficients, effects, probabilities of levels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.plots import style
from bayes_softmax.plots.picture import Canvas, Panel, in_rows
from bayes_softmax.plots.style import ClassStyle, wrapped

ROW, DENSE_ROW, LINE = 0.27, 0.17, 0.15  # inches: a row, where there are many, and a line of its name
MARK = 0.065  # inches between marks of one row
DENSE = 12  # rows from which on they are closer
HIGHEST = 7.5  # inches of a panel
LETTER = 0.085  # inches, of names
SPREAD = 0.7  # of a row, that its marks take
BAR = "|"  # a marker without a face


class Ends(NamedTuple):
    """Centres of marks and ends of their intervals, each (rows, marks)."""

    centre: FloatArray
    low: FloatArray
    high: FloatArray


class Dots(NamedTuple):
    """A panel of marks: where they are, the colour of each (rows, marks), and a marker for each column.

    ``name`` is the panel's, ``title`` what is written above it, ``rows`` the names of the rows, ``label`` what the axis
    shows.  A centre that is infinite is an arrow at the border, NaN one in both directions where ``arrows`` is set.
    """

    name: str
    title: str
    rows: tuple[str, ...]
    ends: Ends
    colours: Sequence[Sequence[Any]]
    markers: Sequence[tuple[str, bool]]
    label: str
    zero: bool = True
    arrows: bool = False

    @property
    def height(self) -> float:
        """Inches that the rows need."""
        return rows_height(self.rows, len(self.markers))


def rows_height(names: Sequence[str], n_marks: int) -> float:
    """Inches that named rows of so many marks need."""
    lines = max(wrapped(name).count("\n") + 1 for name in names)
    row = ROW if len(names) <= DENSE else DENSE_ROW
    return min(HIGHEST, len(names) * max(row, LINE * lines, MARK * n_marks + 0.08) + 0.2)


def names_width(several: Sequence[Dots]) -> float:
    """Inches that the names of rows need on the left."""
    lines = [line for dots in several for row in dots.rows for line in wrapped(row).split("\n")]
    return 0.6 + LETTER * max(map(len, lines), default=0)


def rows_of_panels(several: Sequence[Dots]) -> list[list[Panel]]:
    """The panels of several sets of marks, in rows."""
    return in_rows([Panel(dots.name, dots.height) for dots in several])


def draw_all(canvas: Canvas, rows: Sequence[Sequence[Panel]], several: Sequence[Dots]) -> None:
    """Draw each set of marks in its panel; names of rows only where they differ from those of the panel to the left.

    What the axis shows is likewise written only where the panel below does not say the same.
    """
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    at = dict(zip(places, several, strict=True))
    for axes, (i, j), dots in zip(canvas.panels, places, several, strict=True):
        left, below = at.get((i, j - 1)), at.get((i + 1, j))
        alone = canvas.in_given_axes
        names = alone or left is None or left.rows != dots.rows
        draw(axes, dots, names=names, label=alone or below is None or below.label != dots.label)


def draw(panel: Any, dots: Dots, *, names: bool = True, label: bool = True) -> None:
    """Draw marks, the first row at the top."""
    (centres, low, high), (n, m) = dots.ends, dots.ends.centre.shape
    position = np.arange(n)[::-1]
    shift = np.linspace(0.5, -0.5, m) * min(SPREAD, 0.2 * (m - 1)) if m > 1 else np.zeros(1)
    if m > 1 and n > 1:
        for at in position[1::2]:
            panel.axhspan(at - 0.5, at + 0.5, color="0.96", zorder=0, linewidth=0)
    if dots.zero:
        panel.axvline(0.0, color=style.GUIDE, linewidth=1, zorder=0)
    for j in range(m):
        y, colours = position + shift[j], [row[j] for row in dots.colours]
        panel.hlines(y, low[:, j], high[:, j], colors=colours, linewidth=1.6)
        centre = np.where(np.isfinite(centres[:, j]), centres[:, j], np.nan)
        marker, hollow = dots.markers[j]
        paint: dict[str, Any] = {"facecolors": "white" if hollow else colours, "edgecolors": colours}
        size = 22 if m < 4 else 14
        if marker == BAR:
            paint, size = {"c": colours}, 90
        panel.scatter(centre, y, size, marker=marker, zorder=3, clip_on=False, **paint)
        if dots.arrows:
            _infinite(panel, centres[:, j], y, colours)
    style.name_rows(panel, position, dots.rows)
    if not names:
        panel.tick_params(labelleft=False)
    panel.set_ylim(-0.6, n - 0.4)
    style.title(panel, dots.title)
    style.axis_label(panel, "x", dots.label if label else "")
    style.number_axis(panel, "x")
    style.tidy(panel)
    if n > 2 * DENSE:
        panel.tick_params(axis="y", labelsize="x-small")


def _infinite(panel: Any, centres: FloatArray, y: FloatArray, colours: Sequence[Any]) -> None:
    """Draw an arrow at the border for an infinite estimate, in both directions where its sign is not determined."""
    for centre, at, colour in zip(centres, y, colours, strict=True):
        if np.isfinite(centre):
            continue
        for end, sign in ((0.0, -1.0), (1.0, 1.0)):
            if not sign * centre < 0:  # NaN points both ways
                panel.annotate(
                    "",
                    (end, at),
                    (end - 0.09 * sign, at),
                    xycoords=panel.get_yaxis_transform(),
                    arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0},
                )


def markers(n: int) -> list[tuple[str, bool]]:
    """A marker for each of several fits, and whether it is hollow: they differ without colours."""
    return [(style.MARKERS[i % len(style.MARKERS)], i % 2 == 1) for i in range(n)]


def marker_legend(names: Sequence[str]) -> Mapping[str, Any]:
    """Entries of a legend: the marker of each fit."""
    from matplotlib.lines import Line2D

    return {
        name: Line2D([], [], color="0.3", marker=marker, markerfacecolor="white" if hollow else "0.3", markersize=5)
        for name, (marker, hollow) in zip(names, markers(len(names)), strict=True)
    }


def arrow_legend() -> Mapping[str, Any]:
    """Entry of a legend: what arrows mean."""
    from matplotlib.lines import Line2D

    return {"infinite (both ways: not determined)": Line2D([], [], color="0.3", marker=">", markersize=5)}


def class_legend(styles: Sequence[ClassStyle]) -> Mapping[str, Any]:
    """Entries of a legend: the colour of each class."""
    from matplotlib.lines import Line2D

    names = [s.name if [t.name for t in styles].count(s.name) == 1 else repr(s.label) for s in styles]
    return {
        name: Line2D([], [], color=s.colour, marker="s", linestyle="none")
        for name, s in zip(names, styles, strict=True)
    }
