"""A picture of decision regions: the most probable class over two variables, and how sure that is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.cautions import in_the_limit, row_cautions, warn_of
from bayes_softmax.answers.fitted import Fit, Fitted, refuse_intervals
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.levels import Asked, ask, in_words
from bayes_softmax.answers.population import MEANS, Population, encode_variables, population_of
from bayes_softmax.answers.variables import Covariate, Setting, check_setting, chosen_variables, level_name
from bayes_softmax.core.checks import counted, listed, shown
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.choices import Levels
from bayes_softmax.data.groups.grouping import AVERAGE
from bayes_softmax.plots import style
from bayes_softmax.plots.agreement import probabilities_and_agreement
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.observed import Observed, observed_rows, scatter_classes, square
from bayes_softmax.plots.picture import Panel, Picture

GRID, DRAWS = 101, 300  # cells along each axis, draws: more would move no line by its width
PALEST, DEEPEST = 0.1, 0.62  # share of the class's colour in a cell, from a tie of all classes to certainty
PANEL, HEIGHT = 5.2, 3.9  # inches
SHOWN_VALUES = 4  # other variables in the heading
HATCH = "0.45"
NAMED_BESIDE = 6  # classes beyond which names stand in the regions
ROOM, NAME_LETTERS = 0.05, 14  # distance of a name from the border, in axes; letters in a line of it


class Regions(NamedTuple):
    """Values of two variables (nx,), (ny,), and for each cell of their grid, y first, what the fit says.

    ``probabilities`` (ny, nx, K) are averaged over the draws, ``agreement`` (ny, nx) is the share of draws whose most
    probable class is that of these averages, NaN where an estimate has no covariance.
    """

    x: FloatArray
    y: FloatArray
    probabilities: FloatArray
    agreement: FloatArray

    @property
    def chosen(self) -> IntArray:
        """(ny, nx) the most probable class."""
        chosen: IntArray = np.nan_to_num(self.probabilities, nan=-1.0).argmax(axis=2)
        return chosen

    @property
    def lead(self) -> FloatArray:
        """(ny, nx, K) probability of each class less the largest of another: zero on the border of its region."""
        ordered = np.sort(self.probabilities, axis=2)
        best, second = ordered[..., -1:], ordered[..., -2:-1]
        return self.probabilities - np.where(self.probabilities == best, second, best)


@drawing
def regions(
    fit: Fit,
    features: Sequence[str] | None = None,
    data: Any = None,
    y: Any = None,
    *,
    at: Setting | None = None,
    ci_prob: float | None = None,
    offset: Any = None,
    available: Any = None,
    levels: Levels = AVERAGE,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Decision regions: the most probable class over two numeric variables, how sure it is, and the data.

    The colour of a class is the stronger the larger its probability.  What is not settled is hatched: there, fewer than
    ``ci_prob`` of the draws (for an estimate, of its normal approximation) have the same most probable class.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    features
        Two numeric variables: along the horizontal and the vertical axis.  Default those of a model with no others.
    data, y
        Rows to show as points, and their observed classes; default those of the fit.  At most 1000 rows are shown,
        evenly spaced.  Where classes are not known, points are grey.
    at
        Values of other variables; those not named are at their mean or most frequent level over the rows, as are the
        offset and the classes on offer.
    ci_prob
        Share of draws that agree beyond which a class is settled; default that of ArviZ's intervals.
    offset, available
        (N, K) for ``data``, if the model has an offset or choice sets that are not among its columns.
    levels, groups, random_seed, rng
        Of a model with groups, whose effects the rows have, as in ``effects()``.
    classes
        Classes in colour, the others being grey; default all.
    colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With one panel, ``"regions"``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + bill_depth_mm", penguins).map()
    >>> bs.plots.regions(fit, ["bill_depth_mm", "bill_length_mm"])
    Picture of 1 panel: 'regions'
    """
    look = Look(ax, figure, figsize, classes, colors, title)
    fitted = style.check_fit(fit, "regions")
    refuse_intervals(fitted, ci_prob)
    interval, styles = resolve_interval(ci_prob, "eti"), look.class_styles(fitted.schema.classes)
    axes = _two_variables(fitted, features, data)
    names = (axes[0].name, axes[1].name)
    asked = ask(fitted, levels, groups, random_seed, rng, default=AVERAGE)
    one = typical_row(fitted, data, at, names, offset=offset, available=available, asked=asked)
    points = observed_rows(fitted, data, y, offset=offset, available=available)
    found = find_regions(fitted, one, names, [_range(variable, points) for variable in axes])
    canvas = look.canvas([[Panel("regions", HEIGHT)]], width=PANEL)
    (panel,) = canvas.panels
    coloured = _colour_regions(panel, found, styles)
    hatched = _draw_borders(panel, found, interval)
    if len(fitted.schema.classes) > NAMED_BESIDE:
        _name_regions(panel, found, fitted.schema.classes)
    dotted = scatter_classes(panel, points, styles, *(points.frame[n].to_numpy(dtype=np.float64) for n in names))
    for axis, name in zip("xy", names, strict=True):
        style.axis_label(panel, axis, name)
        style.number_axis(panel, axis)
    style.tidy(panel)
    canvas.legend({s.name: square(s.colour) for s in styles if s.position in coloured | dotted})
    of_what = "normal approximation" if fitted.is_estimate else "draws"
    agree = f"hatched: fewer than {100 * interval.prob:g} % of the {of_what} agree" if hatched else ""
    canvas.heading(_heading(one, names, [in_words(asked) or "", agree, points.remark]))
    return canvas.finished()


def _two_variables(fit: Fitted, features: Any, data: Any) -> tuple[Covariate, Covariate]:
    """The variables of the axes, checked: two different numeric ones."""
    everything = chosen_variables(fit.schema, None)
    known = listed(variable.name for variable in everything)
    numeric = [v.name for v in everything if not v.levels and v.name not in fit.schema.available_columns][:2]
    example = f"; for example regions(fit, {numeric!r})" if len(numeric) == 2 else ""
    if isinstance(features, str) and isinstance(data, str):
        both = shown([features, data])
        raise ValueError(f"features={shown(features)}: give both names in one list, as in regions(fit, {both})")
    chosen = chosen_variables(fit.schema, features)
    if isinstance(features, str) or len(chosen) != 2 or chosen[0].name == chosen[1].name:
        if features is None:
            has = counted(len(everything), "variable")
            raise ValueError(f"features: the model has {has} ({known}); name two numeric ones{example}")
        wrong = f"features={shown(features)} must name two different variables of the model"
        raise ValueError(f"{wrong} ({known}){example}")
    for variable in chosen:
        if variable.levels:
            raise ValueError(
                f"features: {shown(variable.name)} has levels, not numbers; plots.interaction shows the probabilities "
                "over a number at each level"
            )
        if variable.name in fit.schema.available_columns:
            raise ValueError(f"features: {shown(variable.name)} says which classes are on offer, and is no axis")
    return chosen[0], chosen[1]


def typical_row(
    fit: Fitted,
    data: Any,
    at: Setting | None,
    besides: Sequence[str],
    *,
    offset: Any,
    available: Any,
    asked: Asked | None = None,
) -> Population:
    """One row: means and most frequent levels, with some variables set, but none of ``besides``."""
    setting = {} if at is None else check_setting(fit.schema, at, "at")
    for name in besides:
        if name in setting:
            raise ValueError(f"at: {shown(name)} varies in the picture, and cannot be set")
    return population_of(fit, data, MEANS, offset, None, available, asked=asked).at(setting)


def _range(variable: Covariate, points: Observed) -> tuple[float, float]:
    """Range in the data of the fit, beyond which some formulas have no value; for an array that of the points."""
    if np.isfinite(variable.high - variable.low):
        return variable.low, variable.high
    values = points.frame[variable.name].to_numpy(dtype=np.float64)
    return float(values.min()), float(values.max())


def find_regions(
    fit: Fitted, one: Population, names: tuple[str, str], ranges: Sequence[tuple[float, float]]
) -> Regions:
    """Probabilities and the draws' agreement on a grid over two variables, all else as in one row."""
    x, y = (np.linspace(*_apart(*ends), GRID) for ends in ranges)
    (row,) = one.chunks()
    repeated = row.take(np.zeros(GRID * GRID, dtype=np.int64))
    frame = repeated.frame.reset_index(drop=True)
    frame[names[0]], frame[names[1]] = np.tile(x, GRID), np.repeat(y, GRID)
    rows = in_the_limit(fit, encode_variables(fit.schema, repeated._replace(frame=frame)))
    warn_of(fit, row_cautions(fit, rows, lambda positions: f"{len(positions)} of {rows.n_rows} cells of the picture"))
    P, agreement = probabilities_and_agreement(fit, one, rows)
    return Regions(x, y, P.reshape(GRID, GRID, -1), agreement.reshape(GRID, GRID))


def _apart(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis, also where new rows have a single value."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _colour_regions(panel: Any, found: Regions, styles: Sequence[style.ClassStyle]) -> set[int]:
    """Fill the cells; returns the positions of the classes that are the most probable somewhere."""
    from matplotlib.colors import to_rgb

    K = found.probabilities.shape[2]
    palette = np.full((K, 3), to_rgb(style.GUIDE))
    for s in styles:
        palette[s.position] = to_rgb(s.colour)
    top = found.probabilities.max(axis=2)
    depth = PALEST + (DEEPEST - PALEST) * (top - 1 / K) / (1 - 1 / K)
    image = 1 + depth[..., None] * (palette[found.chosen] - 1)
    unknown = np.isnan(top)
    image[unknown] = 1.0
    dx, dy = (0.5 * (values[1] - values[0]) for values in (found.x, found.y))
    extent = (found.x[0] - dx, found.x[-1] + dx, found.y[0] - dy, found.y[-1] + dy)
    panel.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="nearest", zorder=0)
    return set(found.chosen[~unknown].tolist())


def _draw_borders(panel: Any, found: Regions, interval: Interval) -> bool:
    """Draw borders of regions, and hatch what is not settled; returns whether there is any."""
    for k in np.unique(found.chosen):
        own = np.ma.masked_invalid(found.lead[..., k])
        if own.min() < 0 < own.max():
            line = {"colors": style.QUIET, "linewidths": 1.1, "zorder": 1}
            panel.contour(found.x, found.y, own, levels=[0.0], **line)
    agreement = np.ma.masked_invalid(found.agreement)
    if not agreement.min() < interval.prob:
        return False
    hatched = panel.contourf(found.x, found.y, agreement, levels=[-1.0, interval.prob], colors="none", hatches=["////"])
    hatched.set(zorder=1, edgecolor=HATCH, linewidth=0.0)
    return True


def _name_regions(panel: Any, found: Regions, classes: Sequence[Label]) -> None:
    """Write the name of each class where its region is widest, if there is room."""
    from scipy.ndimage import distance_transform_edt

    for k in np.unique(found.chosen):
        inside = np.pad(found.chosen == k, 1)  # the frame is a border too
        distance = distance_transform_edt(inside)[1:-1, 1:-1]
        i, j = np.unravel_index(distance.argmax(), distance.shape)
        if distance[i, j] > ROOM * GRID:
            text = style.wrapped(str(classes[k]), NAME_LETTERS)
            box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5}
            place = {"ha": "center", "va": "center", "zorder": 4, "bbox": box}
            panel.text(found.x[j], found.y[i], text, fontsize="x-small", **place, **style.AS_IT_IS)


def _heading(one: Population, names: Sequence[str], remarks: Sequence[str]) -> str:
    """What is shown, and at which values of the other variables."""
    (row,) = one.chunks()
    unread = {*names, *(name for g in one.groups for name in g.columns)}
    others = [f"{n} = {_short(value)}" for n, value in row.frame.iloc[0].items() if n not in unread]
    more = f", and {len(others) - SHOWN_VALUES} more at typical values" if len(others) > SHOWN_VALUES else ""
    lines = ["Most probable class" + (f" at {', '.join(others[:SHOWN_VALUES])}{more}" if others else "")]
    lines += ["points: all rows, whatever their own values of these" if others else "", *remarks]
    return "\n".join(line for line in lines if line)


def _short(value: Any) -> str:
    return (
        f"{value:.0f}"
        if isinstance(value, float) and abs(value) >= 100
        else f"{value:.2g}"
        if isinstance(value, float)
        else level_name(value)
    )
