"""Levels of groups in answers: their own effects, new ones drawn from the population, or an average over it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.nodes import FEWEST_NODES, NODES, Nodes, new_effects, nodes_over
from bayes_softmax.answers.probabilities import HasLogits, ThinnedDraws, announce, thinned_draws
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.checks import counted, listed
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, seed_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.groups.choices import Levels, read_levels
from bayes_softmax.data.groups.grouping import AVERAGE, KNOWN, KNOWN_OR_NEW, NEW, code_columns
from bayes_softmax.data.schema import Schema
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.structure import covariance_name

# Probabilities that an answer may evaluate; beyond, it takes fewer nodes or draws, with a message.
EVALUATIONS = 4e9
FEWEST_DRAWS = 200
NODE_EVALUATIONS = 5e8  # from which on fewer nodes are taken: their errors average out over the draws


class Asked(NamedTuple):
    """What is asked of the levels: a choice for each grouping, levels of the rows by value, a seed for new effects."""

    choices: Mapping[str, str]
    groups: Any = None
    seed: int = 0

    @property
    def all_known(self) -> bool:
        """Whether all rows have the effects of their own levels, or there are no groups."""
        return all(choice == KNOWN for choice in self.choices.values())

    @property
    def averaged(self) -> tuple[str, ...]:
        """Groupings that are averaged over."""
        return tuple(name for name, choice in self.choices.items() if choice == AVERAGE)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Groupings that may have effects drawn from the population."""
        return tuple(name for name, choice in self.choices.items() if choice in (NEW, KNOWN_OR_NEW))

    @property
    def all_averaged(self) -> bool:
        """Whether there are groups, and all are averaged over."""
        return bool(self.choices) and len(self.averaged) == len(self.choices)


def ask(
    fit: Fitted,
    levels: Levels,
    groups: Any = None,
    random_seed: RandomSeed = None,
    rng: RandomNumbers = None,
    *,
    default: str = KNOWN,
) -> Asked:
    """What is asked, checked; effects can be drawn for a posterior alone."""
    asked = Asked(read_levels(fit.schema.groups, levels, default), groups, seed_of(random_seed, rng))
    if fit.is_estimate and asked.drawn:
        raise ValueError(
            f"levels={asked.choices[asked.drawn[0]]!r}: effects of new levels are drawn once for each draw of a "
            "posterior, and a point estimate has none; levels='average' averages over the population, "
            "model.laplace() and model.sample() have draws"
        )
    return asked


class AtLevels(NamedTuple):
    """Draws whose groupings have the levels of the rows asked about, and nodes if some are averaged over."""

    draws: HasLogits
    nodes: Nodes | None = None

    def place(self, rows: Rows) -> Rows:
        """The rows, marked to be averaged over."""
        return rows if self.nodes is None else rows._replace(nodes=self.nodes)


def at_levels(
    draws: HasLogits,
    schema: Schema,
    asked: Asked,
    n_levels: Mapping[str, int],
    *,
    n_nodes: int = NODES,
    shifted: bool = True,
) -> AtLevels:
    """The draws, with the levels that are asked for: ``n_levels`` of each grouping, coded from 0.

    New levels have one draw of their effects for each draw of the parameters.  ``shifted`` nodes differ from draw to
    draw, unless there is one.
    """
    if asked.all_known:
        return AtLevels(draws)
    logits, parameters = draws.logits, draws.parameters
    assert isinstance(logits, GroupLogits)
    arrays, sizes = dict(parameters.arrays), dict[str, int]()
    generator = np.random.default_rng(asked.seed)
    for shape in logits.groups:
        name, choice = shape.name, asked.choices[shape.name]
        sizes[name] = shape.n_levels
        if choice == AVERAGE:
            sizes[name], arrays[name] = 1, np.zeros((parameters.n_draws, 1, shape.n_terms, logits.n_classes))
        elif choice != KNOWN:
            kept = shape.n_levels if choice == KNOWN_OR_NEW else 0
            sizes[name] = max(n_levels[name], kept, 1)
            announce(f"effects of new levels of {name!r}", (sizes[name], parameters.n_draws, logits.n_classes))
            drawn = new_effects(parameters[covariance_name(name)], sizes[name] - kept, generator)
            arrays[name] = np.concatenate([parameters[name][:, :kept], drawn], axis=1)
    changed = logits.with_levels(sizes)
    view = ThinnedDraws(changed, Parameters(arrays, parameters.held))
    if not asked.averaged:
        return AtLevels(view)
    terms = {g.name: g.terms for g in schema.groups if g.name in asked.averaged}
    shifted = shifted and parameters.n_draws > 1
    return AtLevels(view, nodes_over(changed, view.parameters, terms, n_nodes=n_nodes, shifted=shifted))


def affordable_number(n_rows: int, n_draws: int, n_classes: int) -> int:
    """Number of draws for an average over levels with the fewest nodes: all, or as many as a budget allows."""
    enough = int(max(FEWEST_DRAWS, EVALUATIONS / max(1, n_rows * n_classes * FEWEST_NODES)))
    if enough < n_draws:
        LOGGER.info(f"averaging {n_rows:,} rows over the population of levels in {enough} of {n_draws} draws")
    return min(enough, n_draws)


def at_levels_of_data(fit: Fitted, draws: HasLogits, asked: Asked, n_rows: int) -> AtLevels:
    """The draws for the data of a fit, whose levels are known and may be taken for as many new ones."""
    n_levels = {g.name: g.n_levels for g in fit.schema.groups}
    if asked.averaged:
        K, S = fit.logits.n_classes, draws.parameters.n_draws
        draws = thinned_draws(draws, affordable_number(n_rows, S, K), fit.n_chains)
    n_nodes = affordable_nodes(n_rows, draws.parameters.n_draws, fit.logits.n_classes) if asked.averaged else NODES
    return at_levels(draws, fit.schema, asked, n_levels, n_nodes=n_nodes)


def levels_of_rows(schema: Schema, X: FloatArray) -> dict[str, int]:
    """Number of levels of each grouping that the codes of encoded rows reach."""
    if not schema.groups:
        return {}
    return levels_of_codes(schema, X[:, code_columns(len(schema.feature_names), schema.groups)])


def levels_of_codes(schema: Schema, codes: FloatArray) -> dict[str, int]:
    """The same of the codes (n, groupings)."""
    largest = codes.max(axis=0) if len(codes) else np.zeros(codes.shape[1])
    return {g.name: int(n) + 1 for g, n in zip(schema.groups, largest, strict=True)}


def affordable_nodes(n_rows: int, n_draws: int, n_classes: int, *, passes: int = 1) -> int:
    """Number of nodes for an answer: the default one, or as many as a budget allows, a power of two."""
    enough = NODE_EVALUATIONS / max(1, passes * n_rows * n_draws * n_classes)
    n_nodes = int(2.0 ** np.floor(np.log2(np.clip(enough, FEWEST_NODES, NODES))))
    if n_nodes < NODES:
        LOGGER.info(f"averaging over the population of levels by {n_nodes} nodes in place of {NODES}, for so many rows")
    return n_nodes


def recoded(schema: Schema, X: FloatArray, asked: Asked) -> FloatArray:
    """Encoded rows of known levels, coded as is asked: zero where they are averaged over."""
    if not asked.averaged:
        return X
    X = X.copy()
    for g, at in zip(schema.groups, code_columns(len(schema.feature_names), schema.groups), strict=True):
        if g.name in asked.averaged:
            X[:, at] = 0.0
    return X


def in_words(asked: Asked) -> str | None:
    """Which levels an answer is for; None without groups."""
    said = {
        KNOWN: "for the known levels of",
        NEW: "for new levels of",
        KNOWN_OR_NEW: "for known or new levels of",
        AVERAGE: "averaged over the population of",
    }
    parts = []
    for choice, words in said.items():
        names = [name for name, own in asked.choices.items() if own == choice]
        if names:
            parts.append(f"{words} {listed(names)}")
    return ", ".join(parts) or None


def nodes_note(nodes: Nodes | None) -> str | None:
    """The note on an average over the population."""
    if nodes is None:
        return None
    dimensions = counted(nodes.roots.shape[2], "dimension")
    return f"averaged over the population of levels by {nodes.n_nodes} quadrature nodes in {dimensions}"
