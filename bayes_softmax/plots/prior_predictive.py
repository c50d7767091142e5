"""A picture of the prior predictive distribution of the class probabilities."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import check_counts, counted
from bayes_softmax.core.checks import shown as in_words
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, generator_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.density.textbook import softmax
from bayes_softmax.plots import style
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.registry import FamilyPrior
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.priors import PriorTable, repeated
from bayes_softmax.spec.specification import Specification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR_CERTAIN = 0.99  # a probability that leaves the data little to change
BY_HAND = Normal(2.5)  # a common choice for coefficients of unscaled features
MAX_ROWS = 100  # rows of the data, evenly spaced, whose probabilities are computed
MAX_CLASSES = 12  # shown


@runtime_checkable
class HasPrior(Protocol):
    """The part of a model that defines its prior predictive distribution."""

    @property
    def priors(self) -> PriorTable:
        """One family for each coefficient row."""

    @property
    def specification(self) -> Specification:
        """The features of the data, and the logits."""

    @property
    def schema(self) -> Schema:
        """Names."""


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


def implied_probabilities(
    model: HasPrior, draws: int, rng: np.random.Generator, priors: PriorTable
) -> ImpliedProbabilities:
    """Class probabilities of the data's rows under given priors for the model's coordinates."""
    spec = model.specification
    design = spec.design
    rows: NDArray[np.int64] = np.flatnonzero(design.totals > 0)
    rows = rows[np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(np.int64)]
    drawn = Parameters(prior_draws(priors, spec.coordinates, draws, rng, feature_names=design.feature_names))
    X, offset, available = design.encoded(rows)
    logits = spec.logits.at(drawn)(X).transpose(2, 1, 0)
    if offset is not None:
        logits += offset
    if available is not None:
        logits[:, ~available] = -np.inf
    return ImpliedProbabilities(softmax(logits))


def prior(
    model: HasPrior,
    *,
    draws: int = 2000,
    against: FamilyPrior | None = BY_HAND,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
) -> "Figure":
    """Class probabilities that the prior implies before any data: their concentration, and their range by class.

    Parameters
    ----------
    model
        A ``SoftmaxRegression`` with proper priors.
    draws
        Draws from the prior.
    against
        Prior of all raw coefficients, including the intercept at x = 0, to compare with the model's; default
        ``Normal(2.5)``.  None shows the model's prior alone.
    random_seed, rng
        Integer or NumPy Generator; or as ``rng`` whatever ``np.random.default_rng`` takes.  Default: the same picture
        every time.

    Returns
    -------
    matplotlib.figure.Figure
        Left: the distribution, over draws and rows of the data, of the largest class probability of a row, with the
        share of rows that have a class above 0.99.  Right: the probability of each class.

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
    >>> bs.plots.prior(model, draws=100).axes[1].get_title()
    'Probability of each class'
    """
    import matplotlib.pyplot as plt

    if not isinstance(model, HasPrior):
        raise TypeError(f"model: plots.prior shows the prior of a model, and this is of type {type(model).__name__}")
    check_counts(draws=draws)
    generator = generator_of(random_seed, rng, default=0)
    if against is not None and not registry.is_family(against, proper=True, kinked=False):
        possible = registry.names(proper=True, kinked=False)
        raise TypeError(f"against={in_words(against)} must be {possible} or None")
    shown = [("this model's prior", style.COLOURS[0], implied_probabilities(model, draws, generator, model.priors))]
    if against is not None:
        other = replace(
            model.priors,
            features=repeated(against, len(model.priors.by_default)),
            learned=(),
            is_jeffreys=False,
            intercept=None if model.priors.intercept is None else against,
            intercept_at="zero",
        )
        label = f"{against} on raw coefficients"
        shown.append((label, style.COLOURS[1], implied_probabilities(model, draws, generator, other)))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 4.0), layout="constrained", gridspec_kw={"width_ratios": (1.5, 1)}
    )
    _largest_probability_panel(left, shown, len(model.schema.classes))
    _class_panel(right, shown, model.schema)
    return style.finished(figure)


def _largest_probability_panel(panel: Any, shown: list[tuple[str, str, ImpliedProbabilities]], n_classes: int) -> None:
    """Draw the distribution of the largest class probability, with the share that is nearly certain."""
    bins = np.linspace(1.0 / n_classes, 1.0, 31)
    for label, colour, implied in shown:
        text = f"{label}: {100 * implied.share_near_certain:.0f} % of rows have a class above {NEAR_CERTAIN}"
        weights = np.full(implied.largest.size, 100.0 / implied.largest.size)
        panel.hist(implied.largest.ravel(), bins, weights=weights, color=colour, alpha=0.25)
        panel.hist(
            implied.largest.ravel(), bins, weights=weights, histtype="step", color=colour, linewidth=1.8, label=text
        )
    panel.axvline(1.0 / n_classes, color="0.4", linewidth=1, linestyle=":")
    panel.text(1.0 / n_classes, 0.97, f" all {n_classes} classes alike", transform=panel.get_xaxis_transform(),
               va="top", fontsize="small", color="0.35")  # fmt: skip
    panel.set_xlabel("largest class probability of a row")
    panel.set_ylabel("share of draws and rows, %")
    panel.set_title("Certainty of the prior before any data", fontsize="medium")
    style.tidy(panel)
    panel.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.17))


def _class_panel(panel: Any, shown: list[tuple[str, str, ImpliedProbabilities]], schema: Schema) -> None:
    """Draw median, central 50 % and 90 % of each class's probability over draws and rows."""
    labels = [str(label) for label in schema.classes[:MAX_CLASSES]]
    positions = np.arange(len(labels))[::-1]
    spread = np.linspace(0.14, -0.14, len(shown)) if len(shown) > 1 else np.zeros(1)
    for shift, (_, colour, implied) in zip(spread, shown, strict=True):
        p = implied.probabilities[..., : len(labels)].reshape(-1, len(labels))
        ends = np.quantile(p, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        panel.hlines(positions + shift, ends[0], ends[4], color=colour, linewidth=1.4)
        panel.hlines(positions + shift, ends[1], ends[3], color=colour, linewidth=5)
        panel.plot(ends[2], positions + shift, "o", color="white", markeredgecolor=colour, markersize=5)
    panel.axvline(1.0 / len(schema.classes), color="0.4", linewidth=1, linestyle=":")
    style.name_rows(panel, positions, labels)
    panel.set_ylim(-0.6, len(labels) - 0.4)
    panel.set_xlim(-0.02, 1.02)
    more = len(schema.classes) - len(labels)
    panel.set_ylabel(
        schema.response_name + (f" (and {counted(more, 'more class', 'more classes')})" if more else ""),
        **style.AS_IT_IS,
    )
    panel.set_xlabel("prior probability: median, 50 % and 90 %")
    panel.set_title("Probability of each class", fontsize="medium")
    style.tidy(panel)
