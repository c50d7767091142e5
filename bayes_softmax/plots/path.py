"""A picture of the MAP estimate along the scale of the prior, from one that rules it to maximum likelihood."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from bayes_softmax.answers.contrasts import Average, View, build_view
from bayes_softmax.answers.evaluation import evaluate
from bayes_softmax.answers.fitted import Fit
from bayes_softmax.core.checks import check_flags, did_you_mean, listed, shown
from bayes_softmax.core.errors import NotConvergedWarning
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Canvas, Panel, Picture, in_rows
from bayes_softmax.spec.linear import INTERCEPT, require_linear
from bayes_softmax.spec.specification import Specification

HEIGHT = 2.2  # inches of a panel
MOST = 12  # features shown by default
LOG_LOSS = "log loss"
BEYOND = 1.6  # place of the maximum-likelihood estimate, as a factor of the last scale


class Estimates(Protocol):
    """Estimates by the factor of the priors' scales."""

    def items(self) -> Iterable[tuple[float, Fit]]:
        """Factors with their estimates."""


@runtime_checkable
class HasPath(Protocol):
    """The part of a model that is shown."""

    @property
    def _spec(self) -> Specification:
        """What is modelled."""

    def map_path(self, scales: Sequence[float] | None = None) -> Estimates:
        """MAP estimates by the factor of the priors' scales."""

    def mle(self) -> Fit:
        """Maximum-likelihood estimate."""


class Path(NamedTuple):
    """Factors of the priors' scales (m,), contrasts there (m, q, c), and those of maximum likelihood (q, c) or None.

    ``losses`` (m, 2) are log losses in-sample and leave-one-out, if asked for.
    """

    scales: FloatArray
    values: FloatArray
    mle: FloatArray | None
    losses: FloatArray | None


@drawing
def map_path(
    model: HasPath,
    scales: Sequence[float] | None = None,
    *,
    features: Sequence[str] | None = None,
    vs: Label | None = None,
    mle: bool = True,
    loo: bool = False,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """MAP coefficients as the scales of all priors are multiplied by a factor: a panel per feature, a line per class.

    On the left the prior rules and all coefficients tend to zero; on the right they tend to the maximum-likelihood
    estimate: a dot at the border, an arrow where it is infinite, nothing where the data do not determine it.  A dashed
    line marks the model's own prior.

    Parameters
    ----------
    model
        A ``SoftmaxRegression`` whose priors have fixed scales.
    scales
        Factors, as of ``model.map_path()``; default 49 from 0.001 to 1000.
    features
        Features to show (``"intercept"`` among them); default the first twelve.
    vs
        The reference of the contrasts; default the average of all classes.
    mle
        Whether to show the maximum-likelihood estimate.
    loo
        Whether to add a panel of the log loss, in-sample and leave-one-out (by one Newton step).
    classes, colors, title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With a panel for each feature, and ``"log loss"``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"], feature_names=["dose"])
    >>> bs.plots.map_path(model, loo=True)
    Picture of 2 panels: 'dose', 'log loss'
    """
    if not isinstance(model, HasPath):
        raise TypeError(f"model: plots.map_path shows the estimates of a model, and this is of type {_kind(model)}")
    check_flags(mle=mle, loo=loo)
    require_linear(model._spec.logits, "plots.map_path")
    look = Look(ax, figure, figsize, classes, colors, title)
    schema = model._spec.schema
    view = build_view(schema, Average.OF_ALL if vs is None else vs)
    styles, columns = _contrasts(schema, view, look)
    names = [INTERCEPT, *schema.feature_names]
    chosen = _features(features, names)
    found = find_path(model, scales, view, mle=mle, loo=loo)
    canvas = look.canvas(in_rows([Panel(name, HEIGHT) for name in [*chosen, *([LOG_LOSS] if loo else [])]]))
    marks: dict[str, Any] = {}
    for panel, name in zip(canvas.panels, chosen, strict=False):
        row = names.index(name)
        marks |= _draw(panel, found, row, styles, columns)
        style.title(panel, name)
        against = view.names[0].removeprefix(f"{view.classes[0]} vs ")
        style.axis_label(panel, "y", f"{'logit at x = 0' if row == 0 else 'logit per unit'}, vs {against}")
    if loo:
        marks |= _draw_losses(canvas.panels[-1], found)
    _finish(canvas, found)
    canvas.heading(_heading(found, len(chosen), len(names) - 1, features))
    canvas.legend(marks)
    return canvas.finished()


def _kind(model: Any) -> str:
    return (
        f"{type(model).__name__}, a fit; pass the model it was made from"
        if isinstance(model, Fit)
        else (type(model).__name__)
    )


def _contrasts(schema: Schema, view: View, look: Look) -> tuple[list[style.ClassStyle], list[int]]:
    """Classes with a contrast, in the order asked for, and their columns in the view."""
    column = {schema.class_position(label): m for m, label in enumerate(view.classes)}
    styles = [s for s in look.class_styles(schema.classes) if s.position in column]
    if not styles:
        raise ValueError(f"classes={shown(look.classes)}: the contrasts are {listed(view.names)}; name one of these")
    return styles, [column[s.position] for s in styles]


def _features(features: Any, names: list[str]) -> list[str]:
    """Features to show, checked; the intercept only if named, or if there is no feature."""
    if features is None:
        return names[1 : MOST + 1] or names
    if not isinstance(features, Iterable):
        raise TypeError(f"features={shown(features)} must be the name of a feature, or a sequence of names")
    chosen = [features] if isinstance(features, str) else list(features)
    if not chosen:
        raise ValueError("features is empty; name at least one")
    for name in chosen:
        if name not in names:
            raise ValueError(f"features: {shown(name)} is not one of {listed(names)}{did_you_mean(name, names)}")
    return list(dict.fromkeys(chosen))


def find_path(model: HasPath, scales: Sequence[float] | None, view: View, *, mle: bool, loo: bool) -> Path:
    """The numbers of the picture."""
    estimates = {scale: estimate._fitted for scale, estimate in model.map_path(scales).items()}
    values = np.concatenate([estimate.contrast_values(view)[0] for estimate in estimates.values()])
    limit = None
    if mle:
        with warnings.catch_warnings():  # what is infinite is shown as such
            warnings.simplefilter("ignore", NotConvergedWarning)
            limit = model.mle()._fitted.contrast_values(view)[0][0]
    losses = None
    if loo:
        both = [[evaluate(e).log_loss, evaluate(e, loo=True).log_loss] for e in estimates.values()]
        losses = np.array(both)
    return Path(np.array(list(estimates)), values, limit, losses)


def _draw(
    panel: Any, found: Path, row: int, styles: Sequence[style.ClassStyle], columns: Sequence[int]
) -> dict[str, Any]:
    """Draw the lines of one feature, with the limits at the border; returns the legend's marks."""
    marks = {}
    panel.axhline(0.0, color=style.GUIDE, linewidth=0.8, zorder=0)
    end = BEYOND * found.scales[-1]
    for s, m in zip(styles, columns, strict=True):
        (marks[s.name],) = panel.plot(found.scales, found.values[:, row, m], color=s.colour, linewidth=1.6)
        limit = np.nan if found.mle is None else found.mle[row, m]
        last = found.values[-1, row, m]
        if np.isinf(limit):
            tip = {"arrowstyle": "-|>", "color": s.colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
            place = {"xytext": (0, -14 if limit > 0 else 14), "textcoords": "offset points"}
            panel.annotate("", (end, last), arrowprops=tip, **place)
        elif np.isfinite(limit):
            panel.plot([end], [limit], "o", color=s.colour, markersize=4.5)
    return marks


def _draw_losses(panel: Any, found: Path) -> dict[str, Any]:
    """Draw the log losses; returns the legend's marks."""
    assert found.losses is not None
    style.title(panel, LOG_LOSS)
    style.axis_label(panel, "y", "nats per observation")
    marks = {}
    for name, line, losses in zip(("in-sample", "leave-one-out"), (":", "-"), found.losses.T, strict=True):
        (marks[f"{LOG_LOSS}, {name}"],) = panel.plot(found.scales, losses, line, color=style.QUIET, linewidth=1.6)
    best = int(np.nanargmin(found.losses[:, 1]))
    panel.plot(found.scales[best], found.losses[best, 1], "o", color=style.QUIET, markersize=5)
    return marks


def _finish(canvas: Canvas, found: Path) -> None:
    """Log axes with powers of ten, and the model's own prior."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for panel in canvas.panels:
        panel.set_xscale("log")
        panel.set_xlim(found.scales[0], (BEYOND**1.5) * found.scales[-1])
        panel.xaxis.set_major_locator(LogLocator(numticks=style.MAX_TICKS))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if found.scales[0] <= 1.0 <= found.scales[-1]:
            panel.axvline(1.0, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
        style.axis_label(panel, "x", "prior scale, relative")
        style.number_axis(panel, "y")
        style.tidy(panel)


def _heading(found: Path, n: int, total: int, features: Any) -> str:
    some = f"{n} of {total} features" if features is None and n < total else ""
    own = "dashed: this model's prior" if found.scales[0] <= 1.0 <= found.scales[-1] else ""
    ends = "dots and arrows: maximum likelihood" if found.mle is not None else ""
    marks = "; ".join(part for part in (own, ends) if part)
    return "\n".join(part for part in ("MAP estimates along the scale of the prior", marks, some) if part)
