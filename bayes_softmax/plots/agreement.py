"""Probabilities of rows, and the share of the draws that agree on the most probable class."""

import numpy as np

from bayes_softmax.answers.delta import normal_logits
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import affordable_nodes, at_levels
from bayes_softmax.answers.mean_probabilities import mean_probabilities
from bayes_softmax.answers.moved_rows import normal_rows
from bayes_softmax.answers.population import Population
from bayes_softmax.answers.probabilities import over_blocks, thinned_draws
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.records import FloatArray

DRAWS = 400  # more would move a border by less than a cell


def probabilities_and_agreement(fit: Fitted, population: Population, rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Mean probabilities (n, K), and the share (n,) of draws with the same most probable class.

    ``rows`` are encoded, with levels as those of the population.
    """
    thinned, agreement, asked = thinned_draws(fit, DRAWS, fit.n_chains), np.empty(rows.n_rows), population.asked
    n_nodes = affordable_nodes(rows.n_rows, thinned.parameters.n_draws, fit.logits.n_classes) if asked.averaged else 1
    at = at_levels(thinned, fit.schema, asked, population.n_levels, n_nodes=n_nodes)
    draws, rows = at.draws, at.place(rows)
    P = mean_probabilities(draws, rows)
    chosen = np.nan_to_num(P, nan=-1.0).argmax(axis=1)

    def compare(drawn: FloatArray, block: slice) -> None:
        agreement[block] = (drawn.argmax(axis=0) == chosen[block, None]).mean(axis=1)

    if not fit.is_estimate:
        over_blocks(draws, rows, compare)
    elif fit.delta_covariance is None:
        agreement[:] = np.nan
    elif rows.nodes is not None:
        over_blocks(*normal_rows(fit, asked, rows), compare)
    else:
        known = normal_logits(fit, rows, compare, covariance=fit.delta_covariance)
        agreement[~known] = np.nan
    agreement[np.isnan(P[:, 0])] = np.nan
    return P, agreement
