"""Curves of probabilities along a variable: how they are computed, and drawn in a panel."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.averages import average_changes
from bayes_softmax.answers.cautions import warn_of
from bayes_softmax.answers.changes import Level
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.intervals import Interval
from bayes_softmax.answers.population import Population
from bayes_softmax.answers.probabilities import thinned_draws
from bayes_softmax.answers.quantities import summary_columns
from bayes_softmax.answers.variables import Covariate
from bayes_softmax.core.records import FloatArray
from bayes_softmax.plots import style
from bayes_softmax.plots.style import ClassStyle

# More draws would move a line by less than its width.
PICTURE_DRAWS, GRID = 400, 41
LINES = ("-", "--", ":", "-.")  # where colours come again


class Curve(NamedTuple):
    """Probabilities (values, K) with the ends of their intervals, along a variable; ``rug`` are values in the data."""

    variable: Covariate
    values: Sequence[Any]
    centre: FloatArray
    low: FloatArray
    high: FloatArray
    rug: FloatArray


def grid_of(variable: Covariate, seen: Population) -> tuple[Sequence[Any], FloatArray]:
    """Values to compute a curve at, over the range in the data or the levels, and the values in the rows seen."""
    if variable.levels:
        return variable.levels, np.zeros(0)
    low, high = variable.low, variable.high
    if not np.isfinite(high - low):  # features of an array carry no range
        low, high = seen.range_of(variable.name)
    rug = np.concatenate([part.frame[variable.name].to_numpy(dtype=np.float64) for part in seen.chunks()])
    return np.linspace(low, high, GRID).tolist(), rug


def curve_along(fit: Fitted, rows: Population, seen: Population, variable: Covariate, interval: Interval) -> Curve:
    """Average probabilities along a variable over its range in the data, or at its levels."""
    values, rug = grid_of(variable, seen)
    changes = [Level({variable.name: value}) for value in values]
    averages = average_changes(fit, rows, changes, thinned_draws(fit, PICTURE_DRAWS, fit.n_chains))
    warn_of(fit, averages.cautions)
    columns = list(summary_columns(averages.quantities, interval).values())
    shape = (len(values), len(fit.schema.classes))
    centre, lower, upper = (np.clip(columns[i].reshape(shape), 0, 1) for i in (0, 2, 3))
    return Curve(variable, values, centre, lower, upper, rug)


def draw_line(panel: Any, curve: Curve, s: ClassStyle, *, bands: bool = True, by_class: bool = True) -> None:
    """The curve of one class, with its band; lines differ where colours come again, and names do not stand by."""
    k = s.position
    if bands:
        panel.fill_between(curve.values, curve.low[:, k], curve.high[:, k], color=s.colour, alpha=0.2, linewidth=0)
    kind = "-" if by_class else LINES[(k // style.MANY_CLASSES) % len(LINES)]
    panel.plot(curve.values, curve.centre[:, k], color=s.colour, linewidth=1.8, linestyle=kind, clip_on=False)


def finish_curve(panel: Any, curve: Curve, top: float) -> None:
    """Axes of a panel of curves, and the values in the data as strokes at the bottom."""
    panel.vlines(
        np.unique(curve.rug), 0, 0.04, transform=panel.get_xaxis_transform(), color="0.3", alpha=0.35, linewidth=0.7
    )
    panel.set_ylim(-0.06 * top, 1.01 * top)
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)
