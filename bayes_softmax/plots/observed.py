"""The rows that a picture shows as points: those of the fit or new ones, with the classes observed there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.answers.cautions import in_the_limit, row_cautions, warn_of
from bayes_softmax.answers.fitted import Fitted, training_of
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.levels import ask
from bayes_softmax.answers.new_data import check_logits
from bayes_softmax.answers.population import encode_variables, population_of
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.scored_rows import find_response, new_counts
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData, training_data
from bayes_softmax.core.checks import shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.groups.grouping import KNOWN
from bayes_softmax.plots import style

POINTS = 1000  # rows shown; more would hide each other
LABELLED = 5  # rows named, by default
LETTER_POINTS, LINE_POINTS = 4.6, 8.0  # of the names of rows
SHIFTS = tuple(sign * 4.0 * i for i in range(12) for sign in (1, -1))[1:]  # up and down, where a name meets another
AREA = 16.0  # of a point, in square points
SMALLEST, LARGEST = 0.4, 3.0  # diameters of a point relative to one of the median number of observations


class Observed(NamedTuple):
    """Rows to show, at most ``POINTS`` of ``n_all``, evenly spaced.

    ``rows`` are their features, ``frame`` their variables, ``counts`` (n, K) the observations of each class, None where
    these are not known, and ``labels`` (n,) name them.
    """

    rows: Rows
    frame: pd.DataFrame
    counts: FloatArray | None
    labels: Any
    n_all: int

    @property
    def remark(self) -> str:
        """How many rows are shown, if not all are."""
        n = self.rows.n_rows
        return "" if n == self.n_all else f"{n:,} of {self.n_all:,} rows"

    def warn(self, fit: Fitted) -> None:
        """Warn of rows whose probabilities are not known."""
        warn_of(fit, row_cautions(fit, self.rows))

    def of(self, kept: IntArray) -> "Observed":
        """Some of these rows, by their positions."""
        counts = None if self.counts is None else self.counts[kept]
        return Observed(self.rows.take(kept), self.frame.iloc[kept], counts, self.labels[kept], self.n_all)

    def only(self, classes: Sequence[int]) -> "Observed":
        """The same rows with the observations of some classes alone."""
        if self.counts is None:
            return self
        counts = np.zeros_like(self.counts)
        counts[:, classes] = self.counts[:, classes]
        return self._replace(counts=counts)

    def marks(self) -> tuple[IntArray, IntArray, FloatArray]:
        """A mark for each class observed in each row: row, class, and relative diameter; class -1 if not known."""
        if self.counts is None:
            n = self.rows.n_rows
            return np.arange(n), np.full(n, -1), np.ones(n)
        rows, codes = np.nonzero(self.counts)
        sizes = np.sqrt(self.counts[rows, codes])
        return rows, codes, np.clip(sizes / np.median(sizes), SMALLEST, LARGEST) if len(sizes) else sizes


def scatter_classes(
    panel: Any, points: Observed, styles: Sequence[style.ClassStyle], x: FloatArray, y: FloatArray
) -> set[int]:
    """Draw a point at (x, y) (n,) of each row for each class observed there, in its colour; returns these classes."""
    rows, codes, sizes = points.marks()
    colours = {s.position: s.colour for s in styles}
    order = np.argsort(-sizes, kind="stable")  # small ones on top
    drawn = [colours.get(int(k), style.GUIDE) for k in codes[order]]
    area = AREA * sizes[order] ** 2
    at = rows[order]
    panel.scatter(x[at], y[at], s=area, c=drawn, edgecolors="black", linewidths=0.4, zorder=3, clip_on=False)
    return set(codes.tolist())


def square(colour: Any) -> Any:
    """A square for the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="s", linestyle="none", color=colour)


def observed_rows(
    fit: Fitted, data: Any = None, y: Any = None, *, offset: Any = None, available: Any = None, limit: int = POINTS
) -> Observed:
    """The rows of the fit that hold observations, or new ones, with observed classes if these are known."""
    if data is None:
        if any(argument is not None for argument in (y, offset, available)):
            raise ValueError("y, offset and available belong to new data; give data too")
        if isinstance(fit.training, RowsOfSource):
            return _of_sample(fit, fit.training, limit)
        return _of_training(fit, training_of(fit, "a picture of the data"), limit)
    population = population_of(fit, data, None, offset, None, available, asked=ask(fit, KNOWN))
    parts = [encode_variables(fit.schema, rows) for rows in population.chunks()]
    frame = pd.concat([rows.frame for rows in population.chunks()])
    whole = _joined(parts, frame.index)
    response = find_response(fit.schema, data) if y is None else y
    counts = None if response is None else new_counts(fit.schema, data, response, weights=None, rows=whole)
    chosen = _evenly(np.arange(whole.n_rows), limit)
    return _checked(
        fit,
        whole.take(chosen)._replace(index=frame.index[chosen]),
        frame.iloc[chosen],
        None if counts is None else counts[chosen],
        np.asarray(observation_coordinate(frame.index))[chosen],
        whole.n_rows,
    )


def _of_sample(fit: Fitted, data: RowsOfSource, limit: int) -> Observed:
    """Rows of a sample, where all are read in passes; they have no labels but their places in it."""
    sample = data.rows.sample
    index = pd.Index([f"{i} of the sample" for i in range(sample.n_obs)])
    observed = _of_training(fit, training_data(replace(sample, index=index), None), limit)
    return observed._replace(n_all=data.rows.summary.moments.n_used)


def _of_training(fit: Fitted, training: TrainingData, limit: int) -> Observed:
    given = np.flatnonzero(training.totals > 0)
    chosen = _evenly(given, limit)
    frame = pd.DataFrame({name: training.column(name).iloc[chosen] for name in training.variables})
    counts = np.empty((len(chosen), len(fit.schema.classes)))
    for block in training.given_blocks():
        own = slice(*np.searchsorted(chosen, [block.place.start, block.place.stop]))
        counts[own] = block.counts[chosen[own] - block.first]
    rows = training.take(training.row_map[chosen])._replace(index=training.index[chosen])
    labels = np.asarray(observation_coordinate(training.index))[chosen]
    return _checked(fit, rows, frame, counts, labels, len(given))


def _checked(fit: Fitted, rows: Rows, frame: pd.DataFrame, counts: Any, labels: Any, n_all: int) -> Observed:
    """The rows in the limit of the fit."""
    check_logits(fit.schema, fit, rows)
    return Observed(in_the_limit(fit, rows), frame, counts, labels, n_all)


def _evenly(positions: IntArray, n: int) -> IntArray:
    """At most ``n`` of the positions, evenly spaced."""
    return positions[np.linspace(0, len(positions) - 1, min(n, len(positions))).astype(np.int64)]


def _joined(parts: list[Rows], index: Any) -> Rows:
    """Rows of all blocks."""
    if len(parts) == 1:
        return parts[0]
    X = np.concatenate([part.X for part in parts])
    offset, available, beyond = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("offset", "available", "beyond")
    )
    return Rows(X, index, offset, available=available, beyond=beyond)


def check_label_rows(label_rows: Any) -> None:
    """Raise unless the number of rows to name is a whole number of at least zero."""
    if isinstance(label_rows, bool) or not isinstance(label_rows, int | np.integer):
        raise TypeError(f"label_rows={shown(label_rows)} must be a whole number, 0 for no names")
    if label_rows < 0:
        raise ValueError(f"label_rows={shown(label_rows)} must not be negative")


def largest(values: FloatArray, n: int) -> IntArray:
    """Positions of the ``n`` largest values, the largest first; of equal ones the first."""
    return np.argsort(-values, kind="stable")[:n]


def name_points(panel: Any, x: FloatArray, y: FloatArray, labels: Any, which: IntArray) -> None:
    """Write the labels of some rows beside their points, towards the middle of the panel, clear of names and points."""
    low, high = panel.get_xlim()
    points_per_pixel = 72 / panel.figure.get_figure(root=True).dpi
    marks = panel.transData.transform(np.column_stack([x, y])) * points_per_pixel
    taken: list[tuple[float, float, float, float]] = []
    for i in which:
        text, left = f"row {labels[i]}", x[i] > 0.5 * (low + high)
        at = marks[i]
        side, width = (-5 if left else 5), LETTER_POINTS * len(text)
        start = at[0] + side - (width if left else 0)
        low_end = at[1] - 0.5 * LINE_POINTS
        boxes = [(shift, (start, low_end + shift, start + width, low_end + shift + LINE_POINTS)) for shift in SHIFTS]
        free = [(s, box) for s, box in boxes if not any(_meet(box, t) for t in taken)] or boxes[-1:]
        shift, box = min(free, key=lambda place: _covered(place[1], marks))  # the nearest of those that cover least
        taken.append(box)
        place = {"xytext": (side, shift), "textcoords": "offset points", "ha": "right" if left else "left"}
        look = {"va": "center", "fontsize": "x-small", "color": style.QUIET}
        panel.annotate(text, (x[i], y[i]), **look, **place, **style.AS_IT_IS)


def _covered(box: tuple[float, ...], marks: FloatArray) -> int:
    """Number of points (n, 2) that a box (left, bottom, right, top) hides."""
    left, bottom, right, top = box
    x, y = marks.T
    return int(((x > left) & (x < right) & (y > bottom) & (y < top)).sum())


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
