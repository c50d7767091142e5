"""A ternary plot: predictive probabilities of three classes as points of a triangle."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import Fit, Fitted
from bayes_softmax.answers.mean_probabilities import mean_probabilities
from bayes_softmax.answers.probabilities import over_blocks, thinned_draws
from bayes_softmax.core.checks import check_flags, counted, listed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Label
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.observed import Observed, observed_rows, scatter_classes
from bayes_softmax.plots.picture import Panel, Picture

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
CLOUDS, CLOUD_DRAWS = 60, 100  # rows whose draws are shown, and draws of each
PANEL, HEIGHT = 4.6, 3.9  # inches
TICKS = (0.25, 0.5, 0.75)
NEGLIGIBLE = 1e-9  # probability of the three classes together below which their shares mean nothing


class Triangle(NamedTuple):
    """Shares (n, 3) of the probability of three classes in rows ``kept`` (n,), and those of some draws (m, S, 3)."""

    kept: IntArray
    shares: FloatArray
    clouds: FloatArray
    clouded: IntArray


@drawing
def ternary(
    fit: Fit,
    data: Any = None,
    y: Any = None,
    *,
    draws: bool = False,
    offset: Any = None,
    available: Any = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Predictive probabilities of three classes, a point for each row in the colour of its observed class.

    A corner is certainty of its class, the centre a tie of all three, an edge the absence of the class opposite.  Grey
    lines separate the regions in which each class is the most probable.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    data, y
        Rows to show, and their observed classes; default those of the fit.  At most 1000 rows are shown, evenly spaced.
        Where classes are not known, points are grey.
    draws
        Whether to show, for up to 60 rows, the probabilities of 100 draws as a cloud; needs a posterior.
    offset, available
        (N, K) for ``data``, if the model has an offset or choice sets that are not among its columns.
    classes
        Three classes: left, right and top corner.  Needed with more than three; rows observed in another class are
        left out, and probabilities are conditional on these three.
    colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With one panel, ``"ternary"``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins().dropna()
    >>> fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", penguins).map()
    >>> bs.plots.ternary(fit, classes=["Gentoo", "Adelie", "Chinstrap"])
    Picture of 1 panel: 'ternary'
    """
    look = Look(ax, figure, figsize, classes, colors, title)
    fitted = style.check_fit(fit, "ternary")
    check_flags(draws=draws)
    if draws and fitted.is_estimate:
        raise ValueError("draws=True needs a posterior: model.laplace() or model.sample()")
    styles = _three(look.class_styles(fitted.schema.classes), fitted)
    points = observed_rows(fitted, data, y, offset=offset, available=available)
    points.warn(fitted)
    positions = [s.position for s in styles]
    found = find_shares(fitted, points, positions, with_draws=draws)
    points = points.of(found.kept).only(positions)
    canvas = look.canvas([[Panel("ternary", HEIGHT)]], width=PANEL)
    (panel,) = canvas.panels
    _draw_triangle(panel, styles)
    _draw_clouds(panel, found, points, styles)
    scatter_classes(panel, points, styles, *(found.shares @ CORNERS).T)
    canvas.heading(_heading(fitted, styles, points))
    return canvas.finished()


def _three(styles: Sequence[style.ClassStyle], fit: Fitted) -> Sequence[style.ClassStyle]:
    """The three classes, checked."""
    K = len(fit.schema.classes)
    if K < 3:
        raise ValueError(f"fit: a triangle shows three classes, and this fit has {counted(K, 'class', 'classes')}")
    if len(styles) != 3:
        known = listed(fit.schema.classes)
        raise ValueError(f"classes: a triangle shows three classes; name three of the {K} ({known})")
    return styles


def find_shares(fit: Fitted, points: Observed, classes: Sequence[int], *, with_draws: bool) -> Triangle:
    """Shares of three classes among their probabilities, in the rows where one of them was observed or none is known.

    Rows that give them no probability are left out: their shares mean nothing.
    """
    P = mean_probabilities(fit, points.rows)[:, classes]
    usable = P.sum(axis=1) > NEGLIGIBLE
    if points.counts is not None:
        usable &= points.counts[:, classes].sum(axis=1) > 0
    kept = np.flatnonzero(usable)
    if not len(kept):
        raise ValueError("classes: no row was observed in one of the three with a probability above zero")
    clouded = kept[np.linspace(0, len(kept) - 1, min(CLOUDS, len(kept))).astype(np.int64)] if with_draws else kept[:0]
    clouds = np.empty((0, 0, 3))
    if with_draws:
        few = thinned_draws(fit, CLOUD_DRAWS, fit.n_chains)
        drawn = np.concatenate(over_blocks(few, points.rows.take(clouded), lambda P, _: P.transpose(1, 2, 0)))
        clouds = _normalised(drawn[..., classes])
    return Triangle(kept, _normalised(P[kept]), clouds, clouded)


def _normalised(P: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        shares: FloatArray = P / P.sum(axis=-1, keepdims=True)
    return shares


def _draw_triangle(panel: Any, styles: Sequence[style.ClassStyle]) -> None:
    """Draw edges, a grid at quarters with its numbers, the borders of the three regions, and the corners' names."""
    outline = np.vstack([CORNERS, CORNERS[:1]])
    panel.plot(*outline.T, color=style.QUIET, linewidth=1.0, zorder=1, clip_on=False)
    for k in range(3):
        for share in TICKS:
            ends = np.zeros((2, 3))
            ends[:, k] = share
            ends[0, (k + 1) % 3], ends[1, (k + 2) % 3] = 1 - share, 1 - share
            panel.plot(*(ends @ CORNERS).T, color="0.9", linewidth=0.7, zorder=0)
        middle = np.full(3, 0.5)
        middle[k] = 0.0
        panel.plot(*np.vstack([CORNERS.mean(axis=0), middle @ CORNERS]).T, color=style.GUIDE, linewidth=1.0, zorder=1)
    _number_edges(panel, styles)
    for corner, s, shift in zip(CORNERS, styles, (-20, -20, 8), strict=True):
        options = {"xytext": (0, shift), "textcoords": "offset points", "color": s.colour, "fontweight": "bold"}
        va = "bottom" if shift > 0 else "top"
        panel.annotate(style.wrapped(s.name), corner, ha="center", va=va, **options, **style.AS_IT_IS)
    panel.set(xlim=(-0.08, 1.08), ylim=(-0.12, 0.98), aspect="equal")
    panel.axis("off")


def _number_edges(panel: Any, styles: Sequence[style.ClassStyle]) -> None:
    """Write the share of each class along the edge that leads to its corner, in its colour."""
    sides: list[tuple[tuple[int, int], str, str]] = [
        ((-4, 3), "right", "center"),  # from the top to the left corner
        ((0, -4), "center", "top"),  # from left to right
        ((4, 3), "left", "center"),  # from right to top
    ]
    for k, (s, (shift, ha, va)) in enumerate(zip(styles, sides, strict=True)):
        for share in TICKS:
            at = np.zeros(3)
            at[k], at[(k - 1) % 3] = share, 1 - share
            options = {"xytext": shift, "textcoords": "offset points", "fontsize": "x-small", "color": s.colour}
            panel.annotate(f"{share:g}", at @ CORNERS, ha=ha, va=va, **options)


def _draw_clouds(panel: Any, found: Triangle, points: Observed, styles: Sequence[style.ClassStyle]) -> None:
    """Draw the draws of some rows as small dots, in the colour of the class observed most there."""
    for shares, row in zip(found.clouds, found.clouded, strict=True):
        colour: Any = style.GUIDE
        if points.counts is not None:
            own = points.counts[int(np.searchsorted(found.kept, row)), [s.position for s in styles]]
            colour = styles[int(own.argmax())].colour
        panel.plot(*(shares @ CORNERS).T, ".", color=colour, markersize=1.6, alpha=0.35, markeredgewidth=0, zorder=2)


def _heading(fit: Fitted, styles: Sequence[style.ClassStyle], points: Observed) -> str:
    K = len(fit.schema.classes)
    coloured = "" if points.counts is None else ", by observed class"
    of_three = "" if K == 3 else f"conditional on three of {K} classes"
    return "\n".join(part for part in (f"Predictive probabilities{coloured}", of_three, points.remark) if part)
