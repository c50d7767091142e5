"""A picture of the prior predictive distribution of the class probabilities."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import check_counts, counted
from bayes_softmax.core.checks import shown as in_words
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, generator_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.schema import Schema
from bayes_softmax.density.textbook import softmax
from bayes_softmax.plots import style
from bayes_softmax.plots.dots import rows_height
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Panel, Picture
from bayes_softmax.plots.style import ClassStyle
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.registry import FamilyPrior
from bayes_softmax.spec.from_prior import logits_from_prior
from bayes_softmax.spec.priors import repeated
from bayes_softmax.spec.specification import HasSpecification, Specification

NEAR_CERTAIN = 0.99  # a probability that leaves the data little to change
BY_HAND = Normal(2.5)  # a common choice for coefficients of unscaled features
MAX_ROWS = 100  # rows of the data, evenly spaced, whose probabilities are computed
MAX_CLASSES = 12  # shown
OURS, OTHER = "0.2", "0.6"  # greys of the two priors: colours are for classes


class ImpliedProbabilities(NamedTuple):
    """Class probabilities (draws, rows, K) that a prior implies for rows of the data."""

    probabilities: FloatArray

    @property
    def largest(self) -> FloatArray:
        """(draws, rows) largest class probability of each row."""
        largest: FloatArray = self.probabilities.max(axis=2)
        return largest

    @property
    def share_near_certain(self) -> float:
        """Share of draws and rows with a class above 0.99."""
        return float((self.largest > NEAR_CERTAIN).mean())


def implied_probabilities(spec: Specification, draws: int, rng: np.random.Generator) -> ImpliedProbabilities:
    """Class probabilities of the data's rows under the priors of a model."""
    design = spec.design
    rows: NDArray[np.int64] = np.flatnonzero(design.totals > 0)
    rows = rows[np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(np.int64)]
    X, offset, available = design.encoded(rows)
    logits = logits_from_prior(spec, X, draws, rng)
    if offset is not None:
        logits += offset
    if available is not None:
        logits[:, ~available] = -np.inf
    return ImpliedProbabilities(softmax(logits))


def _under(spec: Specification, prior: FamilyPrior) -> Specification:
    """The model with one prior for all of its raw coefficients, or weights and biases; groups keep theirs."""
    priors = replace(
        spec.priors,
        features=repeated(prior, len(spec.priors.by_default)),
        learned=(),
        is_jeffreys=False,
        intercept=None if spec.priors.intercept is None else prior,
        intercept_at="zero",
    )
    hidden = spec.hidden
    if hidden is not None:
        hidden = hidden.with_scale(registry.family_of(prior).numbers(prior)[0])
    return replace(spec, priors=priors, hidden=hidden)


@drawing
def prior(
    model: HasSpecification,
    *,
    draws: int = 2000,
    against: FamilyPrior | None = BY_HAND,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    classes: Sequence[Label] | None = None,
    colors: Any = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Class probabilities that the prior implies before any data: their concentration, and their range by class.

    Parameters
    ----------
    model
        A ``SoftmaxRegression`` with proper priors.
    draws
        Draws from the prior.
    against
        Prior of all raw coefficients, including the intercept at x = 0, to compare with the model's; of a network a
        normal one of all weights and biases; groups keep their own.  Default ``Normal(2.5)``.  None shows the model's
        prior alone, as it is with ``CustomLogits``.
    random_seed, rng
        Integer or NumPy Generator; or as ``rng`` whatever ``np.random.default_rng`` takes.  Default: the same picture
        every time.
    classes
        Classes to show, in this order; default the first twelve.
    colors
        See :class:`~bayes_softmax.plots.look.Look`.
    title
        Heading of the figure.
    figsize
        See :class:`~bayes_softmax.plots.look.Look`.
    ax
        Two axes to draw into.
    figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        ``axes["largest"]``: the distribution, over draws and rows of the data, of the largest class probability of a
        row, with the share of rows that have a class above 0.99.  ``axes["classes"]``: the probability of each class.

    Raises
    ------
    ValueError
        If a prior is improper.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
    >>> bs.plots.prior(model, draws=100).axes["classes"].get_title()
    'Probability of each class'
    """
    if not isinstance(model, HasSpecification):
        raise TypeError(f"model: plots.prior shows the prior of a model, and this is of type {type(model).__name__}")
    look = Look(ax, figure, figsize, classes, colors, title)
    check_counts(draws=draws)
    generator = generator_of(random_seed, rng, default=0)
    if against is not None and not registry.is_family(against, proper=True, kinked=False):
        possible = registry.names(proper=True, kinked=False)
        raise TypeError(f"against={in_words(against)} must be {possible} or None")
    spec = model._spec
    if spec.logits.kind == CUSTOM:
        against = None  # a prior of coefficients, which a function of the user's own does not have
    if spec.hidden is not None and not (against is None or isinstance(against, Normal)):
        raise TypeError(f"against={in_words(against)} must be Normal, as the priors of hidden layers are, or None")
    styles = look.class_styles(spec.schema.classes)
    if classes is None:
        styles = styles[:MAX_CLASSES]
    shown = [("this model's prior", OURS, implied_probabilities(spec, draws, generator))]
    if against is not None:
        on = "raw coefficients" if spec.hidden is None else "all weights and biases"
        label = f"{against} on {on}{', the same groups' if spec.groups else ''}"
        shown.append((label, OTHER, implied_probabilities(_under(spec, against), draws, generator)))
    height = max(2.4, 1.2 * rows_height([s.name for s in styles], len(shown)))
    canvas = look.canvas([[Panel("largest", height), Panel("classes", height)]], width=4.6)
    left, right = canvas.panels
    entries = _largest_probability_panel(left, shown, len(spec.schema.classes))
    _class_panel(right, shown, spec.schema, styles)
    canvas.heading()
    canvas.legend(entries)
    return canvas.finished()


def _largest_probability_panel(
    panel: Any, shown: list[tuple[str, str, ImpliedProbabilities]], n_classes: int
) -> dict[str, Any]:
    """Draw the distribution of the largest class probability; returns legend entries with the share nearly certain."""
    bins, entries = np.linspace(1.0 / n_classes, 1.0, 31), {}
    for label, colour, implied in shown:
        text = f"{label}: {100 * implied.share_near_certain:.0f} % of rows have a class above {NEAR_CERTAIN}"
        weights = np.full(implied.largest.size, 100.0 / implied.largest.size)
        panel.hist(implied.largest.ravel(), bins, weights=weights, color=colour, alpha=0.25)
        _, _, (entries[text],) = panel.hist(
            implied.largest.ravel(), bins, weights=weights, histtype="step", color=colour, linewidth=1.8
        )
    panel.axvline(1.0 / n_classes, color="0.4", linewidth=1, linestyle=":")
    panel.text(1.0 / n_classes, 0.97, f" all {n_classes} classes alike", transform=panel.get_xaxis_transform(),
               va="top", fontsize="small", color=style.QUIET)  # fmt: skip
    style.axis_label(panel, "x", "largest class probability of a row")
    style.axis_label(panel, "y", "share of draws and rows, %")
    style.title(panel, "Certainty of the prior before any data")
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)
    return entries


def _class_panel(
    panel: Any, shown: list[tuple[str, str, ImpliedProbabilities]], schema: Schema, styles: list[ClassStyle]
) -> None:
    """Draw median, central 50 % and 90 % of each class's probability over draws and rows."""
    positions = np.arange(len(styles))[::-1]
    spread = np.linspace(0.16, -0.16, len(shown)) if len(shown) > 1 else np.zeros(1)
    for shift, (_, grey, implied) in zip(spread, shown, strict=True):
        p = implied.probabilities[..., [s.position for s in styles]].reshape(-1, len(styles))
        ends = np.quantile(p, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        colours = [s.colour for s in styles] if grey == OURS else [grey] * len(styles)
        panel.hlines(positions + shift, ends[0], ends[4], colors=colours, linewidth=1.4)
        panel.hlines(positions + shift, ends[1], ends[3], colors=colours, linewidth=5)
        panel.scatter(ends[2], positions + shift, 22, facecolors="white", edgecolors=colours, zorder=3, clip_on=False)
    panel.axvline(1.0 / len(schema.classes), color="0.4", linewidth=1, linestyle=":")
    style.name_rows(panel, positions, [s.name for s in styles])
    panel.set_ylim(-0.6, len(styles) - 0.4)
    panel.set_xlim(-0.02, 1.02)
    more = len(schema.classes) - len(styles)
    rest = f" (and {counted(more, 'more class', 'more classes')})" if more else ""
    style.axis_label(panel, "y", schema.response_name + rest)
    style.axis_label(panel, "x", "prior probability: median, 50 % and 90 %")
    style.title(panel, "Probability of each class")
    style.number_axis(panel, "x")
    style.tidy(panel)
