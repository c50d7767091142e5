"""Pictures of chains: the coefficients, or what else is judged, that mix worst, as traces and as ranks."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.stats import rankdata

from bayes_softmax.answers.convergence import convergence_table
from bayes_softmax.answers.fitted import FIT_FIRST, Fit, Sampled
from bayes_softmax.answers.function_space import (
    HYPERPARAMETERS,
    PARAMETERS,
    PROBABILITIES,
    UNIDENTIFIED,
    judged_quantities,
    levels_judged,
)
from bayes_softmax.answers.labels import observation_coordinate
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.core.checks import check_counts, did_you_mean, listed, shown
from bayes_softmax.core.records import RELIABLE_PARETO_K, FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.plots import style
from bayes_softmax.plots.look import Look, drawing
from bayes_softmax.plots.picture import Panel, Picture
from bayes_softmax.spec.groups.structure import covariance_name
from bayes_softmax.spec.linear import GROUPS, INTERCEPT

MOST, BINS = 5, 20  # coefficients shown; bars of the ranks of a chain
HEIGHT, WIDTH = 1.1, 3.6  # inches of a panel
LINES = 2000  # draws of a chain that a line shows
NONE_VARIES = "features, classes: none of these coefficients varies; another class is the reference"
TWO = 2


@runtime_checkable
class Weighted(Protocol):
    """Draws that may have been made by importance weights."""

    @property
    def pareto_k(self) -> float | None:
        """Tail index of the weights; None for chains."""


class Chains(NamedTuple):
    """Quantities that were drawn, worst first: names, draws (m, chain, draw), R-hat and bulk ESS (m,)."""

    names: list[str]
    draws: FloatArray
    r_hat: FloatArray
    ess: FloatArray


@drawing
def traces(
    post: Fit,
    *,
    features: Sequence[str] | None = None,
    most: int = MOST,
    classes: Sequence[Label] | None = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    figure: Any = None,
) -> Picture:
    """Chains of the coefficients that mix worst: draws in their order on the left, ranks on the right.

    Coefficients are ordered by R-hat and then by effective sample size.  Where chains agree, every chain has as many of
    the smallest ranks (of all draws together) as of the largest, so that its line stays level; the grey band holds 95 %
    of the bars of independent draws (Vehtari et al., *Bayesian Analysis* 16, 2021).

    Weights of a network have no convergence of their own (:class:`~bayes_softmax.answers.diagnostics.Diagnostics`): in
    their place are the log-likelihood, the log posterior and class probabilities at rows of the data.

    Parameters
    ----------
    post
        Posterior of ``model.sample()``.
    features
        Features to choose from (``"intercept"`` among them); default all, and learned scales.
    most
        Number of coefficients shown; the heading says how many are not.
    classes
        Classes whose coefficients to choose from; default all.
    title, figsize, ax, figure
        See :class:`~bayes_softmax.plots.look.Look`.

    Returns
    -------
    Picture
        With two panels for each coefficient, ``"weights: feature, class"`` and ``"weights: feature, class: ranks"``.

    Raises
    ------
    ValueError, TypeError
        If these are not chains: estimates, draws of ``laplace()`` or from the prior.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"])
    >>> post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    >>> bs.plots.traces(post, most=1, features="x0")
    Picture of 2 panels: 'x0, b', 'x0, b: ranks'
    """
    look = Look(ax, figure, figsize, classes, None, title)
    chains = _checked_chains(post)
    check_counts(most=most)
    positions = [s.position for s in look.class_styles(chains.schema.classes)]
    found = find_chains(chains, _chosen(chains, features), None if classes is None else positions)
    shown_names = found.names[:most]
    rows = [[Panel(name, HEIGHT), Panel(f"{name}: ranks", HEIGHT)] for name in shown_names]
    canvas = look.canvas(rows, width=WIDTH)
    colours = _chain_colours(found.draws.shape[1])
    for i, name in enumerate(shown_names):
        left, right = canvas.panels[2 * i : 2 * i + 2]
        _draw_trace(left, found.draws[i], colours)
        _draw_ranks(right, found.draws[i], colours)
        style.title(left, name)
        style.title(right, f"R-hat {found.r_hat[i]:.3f}, ESS {found.ess[i]:.0f}")
    style.axis_label(canvas.panels[-2], "x", "draw")
    style.axis_label(canvas.panels[-1], "x", "rank among the draws of all chains")
    what = "quantities" if chains.logits.kind in UNIDENTIFIED else "coefficients"
    canvas.heading(_heading(found, len(shown_names), what))
    return canvas.finished()


def _checked_chains(post: object) -> Sampled:
    """What answers see of a posterior; raises for what has no chains to show."""
    inside = post._fitted if isinstance(post, Fit) else None
    if not isinstance(inside, Sampled):
        kind = type(post).__name__
        raise TypeError(f"post: plots.traces shows the chains of a posterior, and this is of type {kind}{FIT_FIRST}")
    if inside.is_prior:
        raise ValueError(
            "post: these are independent draws from the prior; plots.traces shows chains of model.sample()"
        )
    if inside.diagnostics.independent:
        raise ValueError("post: these are independent draws, and no chains: plots.traces shows those of model.sample()")
    if isinstance(inside, Weighted) and inside.pareto_k is not None:
        raise ValueError(
            "post: the draws of laplace() are no chains; their check is Pareto k, here "
            f"{inside.pareto_k:.2f} (reliable below {RELIABLE_PARETO_K})"
        )
    return inside


def _chosen(post: Sampled, features: Any) -> list[str] | None:
    """Names of the features to choose from, checked; None for all."""
    if features is None:
        return None
    chosen = [features] if isinstance(features, str) else features
    if not isinstance(chosen, Sequence):
        raise TypeError(f"features={shown(features)} must be the name of a feature, or a sequence of names")
    known = [INTERCEPT, *post.schema.feature_names]
    for name in chosen:
        if name not in known:
            raise ValueError(f"features: {shown(name)} is not one of {listed(known)}{did_you_mean(name, known)}")
    if post.logits.kind in UNIDENTIFIED:
        raise ValueError(
            f"features={shown(features)} is for coefficients: the chains of a network are shown by what they say of "
            "the data; leave it out"
        )
    if not chosen:
        raise ValueError("features is empty; name at least one")
    return list(chosen)


def find_chains(post: Sampled, features: Sequence[str] | None, classes: Sequence[int] | None) -> Chains:
    """The quantities that vary, those of the largest R-hat and then of the smallest ESS first.

    With two classes whose coefficients are each other's negative, only those of the second.
    """
    names, parts = [], []
    for name, draws, own in _quantities(post):
        if (features is None or own[0] in features) and (classes is None or own[1] is None or own[1] in classes):
            names.append(name)
            parts.append(draws)
    varying = [i for i, draws in enumerate(parts) if np.ptp(draws) > 0]
    if not varying:
        raise ValueError(NONE_VARIES)
    draws = np.stack([parts[i] for i in varying])
    table = convergence_table(np.moveaxis(draws, 0, 2))
    r_hat, ess = table["r_hat"].to_numpy(dtype=np.float64), table["ess_bulk"].to_numpy(dtype=np.float64)
    order = np.lexsort((np.nan_to_num(ess, nan=0.0), -np.round(np.nan_to_num(r_hat, nan=np.inf), 3)))
    return Chains([names[varying[i]] for i in order], draws[order], r_hat[order], ess[order])


def _quantities(post: Sampled) -> list[tuple[str, FloatArray, tuple[str | None, int | None]]]:
    """Name, draws (chain, draw), and feature and class of all that is judged.

    That are coefficients and learned scales, or, of logits that are not linear, quantities of
    :mod:`bayes_softmax.answers.function_space`.
    """
    named = post.logits.is_linear or post.logits.kind == GROUPS
    return _parameters(post) if named else _parameters(post) + _said_of_the_data(post)


def _said_of_the_data(post: Sampled) -> list[tuple[str, FloatArray, tuple[str | None, int | None]]]:
    """What draws say of the data: log-likelihood, log posterior, and probabilities of classes in rows."""
    judged, training = judged_quantities(post), post.training
    found: list[tuple[str, FloatArray, tuple[str | None, int | None]]] = []
    for kind, draws in judged.kinds.items():
        if kind in (PROBABILITIES, PARAMETERS, HYPERPARAMETERS):
            continue
        found.append((kind, draws[:, :, 0], (None, None)))
    if training is None or isinstance(training, RowsOfSource):
        return found
    labels = np.asarray(observation_coordinate(training.index))
    given = dict(zip(training.row_map[::-1].tolist(), labels[::-1].tolist(), strict=True))  # the first of equal rows
    probabilities = judged.kinds[PROBABILITIES]
    for place, (row, code) in enumerate(judged.probabilities.tolist()):
        name = f"P({post.schema.classes[code]}) in row {given[row]}"
        found.append((name, probabilities[:, :, place], (None, code)))
    return found


def _parameters(post: Sampled) -> list[tuple[str, FloatArray, tuple[str | None, int | None]]]:
    """Coefficients and learned scales, those alone of a network, whose units switch; covariances and some effects."""
    dataset, K = post.idata[post.group].dataset, len(post.schema.classes)
    learned = [str(name) for name in np.atleast_1d(dataset.attrs.get("hyperparameters", []))]
    found: list[tuple[str, FloatArray, tuple[str | None, int | None]]] = []
    named = [] if post.logits.kind in UNIDENTIFIED else [name for name in post.logits.shapes if name in dataset]
    levels = levels_judged(post.logits)
    covariances = {covariance_name(name) for name in levels}
    for variable in [*named, *learned]:
        array = dataset[variable].transpose("chain", "draw", ...)
        if variable in levels:
            array = array.isel({f"{variable}_level": levels[variable]})
        dims = [str(dim) for dim in array.dims[2:]]
        mirrored = dims[-1:] == ["category"] and K == TWO and np.array_equal(array[..., 0], -array[..., 1])
        for place in np.ndindex(array.shape[2:]):
            at = dict(zip(dims, place, strict=True))
            feature = str(array["feature"].values[at["feature"]]) if "feature" in at else None
            if (mirrored and at["category"] == 0) or (variable in covariances and place[:2] < place[2:]):
                continue
            parts = [post.schema.classes[i] if dim == "category" else array[dim].values[i] for dim, i in at.items()]
            short = variable if feature is None or variable in learned else ""
            own = feature if feature is not None else INTERCEPT if variable == INTERCEPT else None
            name = ", ".join(str(part) for part in [*([short] if short else []), *parts])
            found.append((name, array.values[(..., *place)], (own, at.get("category"))))
    return found


def _chain_colours(n: int) -> list[Any]:
    """A colour for each chain, none of them that of a class."""
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.85, n)))


def _draw_trace(panel: Any, draws: FloatArray, colours: Sequence[Any]) -> None:
    """Draw the chains (chain, draw) over each other."""
    step = -(-draws.shape[1] // LINES)
    for chain, colour in zip(draws, colours, strict=True):
        panel.plot(np.arange(len(chain))[::step], chain[::step], color=colour, linewidth=0.5, alpha=0.7)
    panel.set_xlim(0, draws.shape[1] - 1)
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)


def rank_shares(draws: FloatArray) -> FloatArray:
    """(chain, bins) share of each chain's draws in equal ranges of the ranks of all, times the number of ranges."""
    ranks = rankdata(draws, method="average").reshape(draws.shape)
    edges = np.linspace(0.5, draws.size + 0.5, BINS + 1)
    counts = np.stack([np.histogram(chain, edges)[0] for chain in ranks])
    shares: FloatArray = counts * BINS / draws.shape[1]
    return shares


def rank_band(n_chains: int, n_draws: int) -> float:
    """Distance from 1 within which 95 % of the shares of independent draws lie: their number is hypergeometric."""
    return 1.96 * float(np.sqrt((BINS - 1) * (1 - 1 / n_chains) / n_draws))


def _draw_ranks(panel: Any, draws: FloatArray, colours: Sequence[Any]) -> None:
    """Draw the bars' tops for each chain, with the band of independent draws."""
    shares = rank_shares(draws)
    edges = np.linspace(0, draws.size, BINS + 1)
    half = rank_band(*draws.shape)
    panel.axhspan(max(1 - half, 0.0), 1 + half, color="0.92", zorder=0)
    panel.axhline(1.0, color=style.GUIDE, linewidth=0.8, zorder=0)
    for own, colour in zip(shares, colours, strict=True):
        panel.stairs(own, edges, baseline=None, color=colour, linewidth=1.2)
    panel.set(xlim=(0, draws.size), ylim=(0.0, max(2.0, 1.05 * float(shares.max()))))
    for axis in "xy":
        style.number_axis(panel, axis)
    style.tidy(panel)


def _heading(found: Chains, n: int, what: str) -> str:
    total = len(found.names)
    rest = f"the {n} that mix worst of {total:,} {what}" if n < total else ""
    if 0 < n < total and np.isfinite(found.r_hat[n]):
        rest += f"; the others have R-hat at most {found.r_hat[n:].max():.3f}, ESS at least {found.ess[n:].min():.0f}"
    return "\n".join(part for part in ("Chains", rest) if part)
