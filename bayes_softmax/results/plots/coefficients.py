"""Pictures of coefficients: one panel a feature, one row a class, one mark a fit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.results.compare import Fit, check_comparable
from bayes_softmax.results.contrasts import Average, build_view
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.intervals import Interval, draws_interval, normal_quantile, resolve_interval
from bayes_softmax.results.labels import INTERCEPT
from bayes_softmax.results.plots.style import COLOURS, MARKERS, ROW_HEIGHT, finished, legend_below, panel_grid, tidy
from bayes_softmax.spec.design import Label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Marks(NamedTuple):
    """Centres and ends of a fit's coefficients, each (q, m)."""

    centre: FloatArray
    low: FloatArray
    high: FloatArray
    label: str


def forest(
    fit: Fit,
    *,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    features: Sequence[str] | None = None,
) -> "Figure":
    """Coefficients of one fit with their intervals: a panel for each feature, a row for each class.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    vs
        What each class is contrasted with; default the average of all classes.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    features
        Which features to show (``"intercept"`` among them); default: all features without the intercept.

    Returns
    -------
    matplotlib.figure.Figure
        Show it, or save it with ``figure.savefig(path)``.
    """
    name = "posterior" if not isinstance(fit, PointEstimate) else fit.kind
    return _draw({name: fit}, vs, resolve_interval(ci_prob, ci_kind), features)


def compare(
    *,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    features: Sequence[str] | None = None,
    **fits: Fit,
) -> "Figure":
    """Coefficients of several fits side by side, in common coordinates; arguments as in :func:`forest`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> figure = bs.plots.compare(mle=model.mle(), map=model.map())
    """
    check_comparable(fits)
    return _draw(fits, vs, resolve_interval(ci_prob, ci_kind), features)


def _draw(fits: dict[str, Fit], vs: Label | None, interval: Interval, features: Sequence[str] | None) -> "Figure":
    first = next(iter(fits.values()))
    view = build_view(first.schema, Average.OF_ALL if vs is None else vs)
    names = [INTERCEPT, *first.schema.feature_names]
    shown = list(features) if features is not None else (names[1:] or names)
    if not shown:
        raise ValueError("features is empty; name at least one")
    for feature in shown:
        if feature not in names:
            raise ValueError(f"features: {feature!r} is not one of {', '.join(map(repr, names))}")
    marks = {name: _marks(fit, vs, interval) for name, fit in fits.items()}
    height = 1.1 + ROW_HEIGHT * len(view.names) * max(len(fits), 1.6)
    figure, panels = panel_grid(len(shown), height=height, sharey=True)
    for panel, feature in zip(panels, shown, strict=True):
        _panel(panel, feature, names.index(feature), marks, view.names)
    legend_below(figure, panels[0])
    return finished(figure)


def _marks(fit: Fit, vs: Label | None, interval: Interval) -> _Marks:
    """Centre and interval of every coefficient, and what they are called in the legend."""
    view = build_view(fit.schema, Average.OF_ALL if vs is None else vs)
    percent = f"{100 * interval.prob:g} %"
    if isinstance(fit, PointEstimate):
        estimate, error = fit.contrasts(view)
        half = normal_quantile(interval) * error
        arrows = "" if np.isfinite(estimate).all() else "; \u2192 infinite, \u2194 not determined"
        return _Marks(estimate, estimate - half, estimate + half, f"estimate, {percent} Wald interval{arrows}")
    draws = fit.contrast_draws(view)
    flat = draws.reshape(-1, *draws.shape[2:])
    low, high = draws_interval(flat, interval)
    return _Marks(flat.mean(axis=0), low, high, f"mean, {percent} {interval.kind.upper()}")


def _infinite(panel: Any, centres: FloatArray, y: FloatArray, colour: str) -> None:
    """An arrow at the border for an infinite estimate, both ways where the data do not determine its sign."""
    for centre, at in zip(centres, y, strict=True):
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


def _panel(panel: Any, feature: str, row: int, marks: dict[str, _Marks], contrasts: Sequence[str]) -> None:
    """One feature: every fit's mark for every contrast, the first at the top."""
    positions = np.arange(len(contrasts))[::-1]
    spread = np.linspace(0.24, -0.24, len(marks)) if len(marks) > 1 else np.zeros(1)
    panel.axvline(0.0, color="0.75", linewidth=1, zorder=0)
    for i, (name, mark) in enumerate(marks.items()):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        y = positions + spread[i]
        panel.hlines(y, mark.low[row], mark.high[row], color=colour, linewidth=1.6)
        centre = np.where(np.isfinite(mark.centre[row]), mark.centre[row], np.nan)
        panel.plot(centre, y, marker, color=colour, markersize=5, label=f"{name} ({mark.label})")
        _infinite(panel, mark.centre[row], y, colour)
    panel.set_yticks(positions, contrasts)
    panel.set_ylim(-0.6, len(contrasts) - 0.4)
    panel.set_title(feature, fontsize="medium")
    unit = "logit at x = 0" if feature == INTERCEPT else "logit per unit"
    panel.set_xlabel(unit, fontsize="small")
    tidy(panel)
