"""Pictures of coefficients: one panel per feature or factor, coloured by class, one mark per fit."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.comparable import check_comparable
from bayes_softmax.answers.contrasts import Average, View, build_view
from bayes_softmax.answers.fitted import Fit, Fitted
from bayes_softmax.answers.intervals import Interval, resolve_interval
from bayes_softmax.answers.summary import contrast_statistics
from bayes_softmax.core.checks import did_you_mean, listed
from bayes_softmax.core.checks import shown as in_words
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema
from bayes_softmax.plots import dots, style
from bayes_softmax.plots.groups import Group, coefficient_groups
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Picture
from bayes_softmax.plots.style import ClassStyle
from bayes_softmax.spec.linear import INTERCEPT, require_linear

MARKS_IN_A_ROW = 9  # of several fits


class _Marks(NamedTuple):
    """Centres and interval ends of a fit's coefficients, each (q, m), and their legend entry."""

    centre: FloatArray
    low: FloatArray
    high: FloatArray
    label: str


@drawing
def forest(
    fit: Fit,
    *,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    features: Sequence[str] | None = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Coefficients of one fit with their intervals: a panel for each feature, a row for each class.

    The features of one factor, or of one spline, share a panel, a row for each level and a colour for each class.

    Parameters
    ----------
    fit
        Point estimate or posterior.
    vs
        The reference of the contrasts; default the average of all classes.
    ci_prob, ci_kind
        Probability and kind of the intervals; defaults are ArviZ's.
    features
        Which features to show (``"intercept"`` among them), or factors by their names; default: all features without
        the intercept.
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With ``figure``, ``axes`` by feature, and ``savefig(path)``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"]).map()
    >>> bs.plots.forest(fit, vs="a")
    Picture of 1 panel: 'dose'
    """
    fitted = style.check_fit(fit, "forest")
    require_linear(fitted.logits, "plots.forest")
    look = Look(ax, figure, figsize, classes, colors, title)
    return _draw({fitted.kind: fitted}, vs, resolve_interval(ci_prob, ci_kind), features, look)


@drawing
def compare(
    *unnamed: Fit,
    vs: Label | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    features: Sequence[str] | None = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
    **fits: Fit,
) -> Picture:
    """Coefficients of several fits side by side, in common coordinates, with a marker for each fit.

    Where classes and fits are so many that their marks would crowd, each level of a factor has a panel.

    Parameters
    ----------
    vs, ci_prob, ci_kind, features, classes, colors, title, figsize, ax, figure
        As in :func:`forest`.
    **fits
        Point estimates and posteriors by name.

    Returns
    -------
    Picture
        As of :func:`forest`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> bs.plots.compare(mle=model.mle(), map=model.map())
    Picture of 1 panel: 'x0'
    """
    comparable = check_comparable(fits, unnamed)
    for name, fitted in comparable.items():
        require_linear(fitted.logits, f"plots.compare, {name}")
    look = Look(ax, figure, figsize, classes, colors, title)
    return _draw(comparable, vs, resolve_interval(ci_prob, ci_kind), features, look)


def _draw(
    fits: dict[str, Fitted], vs: Label | None, interval: Interval, features: Sequence[str] | None, look: Look
) -> Picture:
    schema = next(iter(fits.values())).schema
    view = build_view(schema, Average.OF_ALL if vs is None else vs)
    styles, columns = contrasts_shown(schema, view, look)
    marks = {name: _marks(fit, vs, interval) for name, fit in fits.items()}
    groups = _chosen(features, schema, together=len(styles) <= style.MANY_CLASSES and _few(len(styles), len(fits)))
    against = view.names[0].removeprefix(f"{view.classes[0]} vs ")
    several = [_dots(group, list(marks.values()), styles, columns, against) for group in groups]
    rows = dots.rows_of_panels(several)
    canvas = look.canvas(rows, left=dots.names_width(several))
    dots.draw_all(canvas, rows, several)
    entries = dict(dots.marker_legend([f"{name} ({mark.label})" for name, mark in marks.items()]))
    if not all(np.isfinite(one.ends.centre).all() for one in several):
        entries |= dots.arrow_legend()
    if any(len(group.features) > 1 for group in groups):
        entries |= dots.class_legend(styles)
    canvas.heading()
    canvas.legend(entries)
    return canvas.finished()


def _few(n_classes: int, n_fits: int) -> bool:
    """Whether the marks of all classes and fits can be told apart in one row; else each level has its own panel."""
    return n_fits == 1 or n_classes * n_fits <= MARKS_IN_A_ROW


def contrasts_shown(schema: Schema, view: View, look: Look) -> tuple[list[ClassStyle], list[int]]:
    """Classes with a contrast, in the order asked for, and their columns in the view."""
    column = {schema.class_position(label): m for m, label in enumerate(view.classes)}
    styles = [s for s in look.class_styles(schema.classes) if s.position in column]
    if not styles:
        raise ValueError(
            f"classes={in_words(look.classes)}: the contrasts shown are {listed(view.names)}; name one of these classes"
        )
    return styles, [column[s.position] for s in styles]


def _dots(
    group: Group, marks: Sequence[_Marks], styles: Sequence[ClassStyle], columns: Sequence[int], against: str
) -> dots.Dots:
    """The marks of one panel: rows are classes, or the features of a factor, which then have marks for all classes."""
    grid = [[getattr(mark, part)[np.ix_(group.features, columns)] for mark in marks] for part in _Marks._fields[:3]]
    centre, low, high = (np.stack(part, axis=2) for part in grid)  # (features, classes, fits)
    colours = [s.colour for s in styles for _ in marks]
    shape, rows, kinds = (len(styles), len(marks)), tuple(s.name for s in styles), dots.markers(len(marks))
    each = [[s.colour] * len(marks) for s in styles]
    if len(group.features) > 1:
        shape, rows, kinds = (len(group.rows), len(colours)), group.rows, kinds * len(styles)
        each = [colours] * len(rows)
    unit = "logit at x = 0" if group.features == (0,) else "logit" if len(group.features) > 1 else "logit per unit"
    ends = dots.Ends(*(part.reshape(shape) for part in (centre, low, high)))
    return dots.Dots(group.name, group.title, rows, ends, each, kinds, f"{unit}, vs {against}", arrows=True)


def _chosen(features: Sequence[str] | None, schema: Schema, *, together: bool) -> list[Group]:
    """Panels to show, checked; the intercept only if named, or if there is no feature."""
    groups = coefficient_groups(schema, together=together)
    names = [INTERCEPT, *schema.feature_names]
    if features is None:
        return groups[1:] or groups
    if not isinstance(features, Iterable):
        raise TypeError(f"features={in_words(features)} must be the name of a feature, or a sequence of names")
    chosen = [features] if isinstance(features, str) else list(features)
    if not chosen:
        raise ValueError("features is empty; name at least one")
    panels: dict[int, set[int]] = {}
    for feature in chosen:
        for g, group in enumerate(groups):
            among = [j for j in group.features if feature in (names[j], group.name)]
            if among:
                panels.setdefault(g, set()).update(among)
                break
        else:
            known = list(dict.fromkeys([*names, *(group.name for group in groups)]))
            hint = did_you_mean(feature, known)
            raise ValueError(f"features: {in_words(feature)} is not one of {listed(names)}{hint}")
    return [_part(groups[g], kept, names) for g, kept in panels.items()]


def _part(group: Group, kept: set[int], names: Sequence[str]) -> Group:
    """A panel of some features of a group, called like the feature if it is one."""
    if len(kept) == 1:
        (j,) = kept
        return Group(names[j], names[j], (j,), (names[j],))
    pairs = [(j, row) for j, row in zip(group.features, group.rows, strict=True) if j in kept]
    return group._replace(features=tuple(j for j, _ in pairs), rows=tuple(row for _, row in pairs))


def _marks(fit: Fitted, vs: Label | None, interval: Interval) -> _Marks:
    """Centre and interval of every coefficient, with their legend entry."""
    view = build_view(fit.schema, Average.OF_ALL if vs is None else vs)
    values, error = fit.contrast_values(view)
    centre, _, low, high, _ = contrast_statistics(values, error, interval).values()
    percent = f"{100 * interval.prob:g} %"
    if error is None:
        return _Marks(centre, low, high, f"mean, {percent} {interval.kind.upper()}")
    return _Marks(centre, low, high, f"estimate, {percent} Wald interval")
