"""Pictures of coefficients: one panel per feature, one row per class, one mark per fit."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_softmax.answers.compare import check_comparable
from bayes_softmax.answers.contrasts import Average, build_view
from bayes_softmax.answers.fitted import Fit, Fitted
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.summary import contrast_statistics
from bayes_softmax.core.checks import did_you_mean, listed
from bayes_softmax.core.checks import shown as in_words
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.plots import style
from bayes_softmax.spec.linear import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Marks(NamedTuple):
    """Centres and interval ends of a fit's coefficients, each (q, m), and their legend entry."""

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
        The reference of the contrasts; default the average of all classes.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    features
        Which features to show (``"intercept"`` among them); default: all features without the intercept.

    Returns
    -------
    matplotlib.figure.Figure
        Show it, or save it with ``figure.savefig(path)``.
    """
    fitted = style.check_fit(fit, "forest")
    return _draw({fitted.kind: fitted}, vs, resolve_interval(ci_prob, ci_kind), features)


def compare(
    *unnamed: Fit,
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
    comparable = check_comparable(fits, unnamed)
    return _draw(comparable, vs, resolve_interval(ci_prob, ci_kind), features)


def _draw(fits: dict[str, Fitted], vs: Label | None, interval: Interval, features: Sequence[str] | None) -> "Figure":
    first = next(iter(fits.values()))
    view = build_view(first.schema, Average.OF_ALL if vs is None else vs)
    names = [INTERCEPT, *first.schema.feature_names]
    shown = _features(features, names)
    marks = {name: _marks(fit, vs, interval) for name, fit in fits.items()}
    height = 1.1 + style.ROW_HEIGHT * len(view.names) * max(len(fits), 1.6)
    figure, panels = style.panel_grid(len(shown), height=height, sharey=True)
    for panel, feature in zip(panels, shown, strict=True):
        drawn = _panel(panel, feature, names.index(feature), marks, view.names)
    style.legend_below(figure, drawn)
    return style.finished(figure)


def _features(features: Sequence[str] | None, names: list[str]) -> list[str]:
    """Features to show, checked; the intercept only if named, or if there is no feature."""
    if features is None:
        return names[1:] or names
    if not isinstance(features, Iterable):
        raise TypeError(f"features={in_words(features)} must be the name of a feature, or a sequence of names")
    chosen = [features] if isinstance(features, str) else list(features)
    if not chosen:
        raise ValueError("features is empty; name at least one")
    for feature in chosen:
        if feature not in names:
            hint = did_you_mean(feature, names)
            raise ValueError(f"features: {in_words(feature)} is not one of {listed(names)}{hint}")
    return chosen


def _marks(fit: Fitted, vs: Label | None, interval: Interval) -> _Marks:
    """Centre and interval of every coefficient, with their legend entry."""
    view = build_view(fit.schema, Average.OF_ALL if vs is None else vs)
    values, error = fit.contrast_values(view)
    centre, _, low, high, _ = contrast_statistics(values, error, interval).values()
    percent = f"{100 * interval.prob:g} %"
    if error is None:
        return _Marks(centre, low, high, f"mean, {percent} {interval.kind.upper()}")
    arrows = "" if np.isfinite(centre).all() else "; \u2192 infinite, \u2194 not determined"
    return _Marks(centre, low, high, f"estimate, {percent} Wald interval{arrows}")


def _infinite(panel: Any, centres: FloatArray, y: FloatArray, colour: str) -> None:
    """Draw an arrow at the border for an infinite estimate, in both directions where its sign is not determined."""
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


def _panel(panel: Any, feature: str, row: int, marks: dict[str, _Marks], contrasts: Sequence[str]) -> dict[str, Any]:
    """Draw one feature: each fit's mark for each contrast, the first at the top; returns the legend's marks."""
    drawn = {}
    positions = np.arange(len(contrasts))[::-1]
    spread = np.linspace(0.24, -0.24, len(marks)) if len(marks) > 1 else np.zeros(1)
    panel.axvline(0.0, color="0.75", linewidth=1, zorder=0)
    for i, (name, mark) in enumerate(marks.items()):
        colour, marker = style.COLOURS[i % len(style.COLOURS)], style.MARKERS[i % len(style.MARKERS)]
        y = positions + spread[i]
        panel.hlines(y, mark.low[row], mark.high[row], color=colour, linewidth=1.6)
        centre = np.where(np.isfinite(mark.centre[row]), mark.centre[row], np.nan)
        (drawn[f"{name} ({mark.label})"],) = panel.plot(centre, y, marker, color=colour, markersize=5)
        _infinite(panel, mark.centre[row], y, colour)
    style.name_rows(panel, positions, contrasts)
    panel.set_ylim(-0.6, len(contrasts) - 0.4)
    style.title(panel, feature)
    unit = "logit at x = 0" if feature == INTERCEPT else "logit per unit"
    panel.set_xlabel(unit, fontsize="small")
    style.tidy(panel)
    return drawn
