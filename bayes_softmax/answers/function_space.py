"""What draws of parameters say of their data: quantities that do not depend on how a function is parametrised.

Hidden units of a network can be exchanged, and those of odd activations change their sign, without a change of the
logits.  Chains that agree in all that a model predicts may then disagree in every weight, so convergence is judged by
class probabilities, by the log-likelihood and by the log posterior of the draws.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.chain_modes import ChainMode, chain_modes
from bayes_softmax.answers.fitted import Sampled
from bayes_softmax.answers.probabilities import HasLogits, over_blocks, row_log_likelihood, sum_over_blocks
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.network.logits import NETWORK

PROBABILITIES, LOG_LIKELIHOOD, LOG_POSTERIOR = "class probabilities", "log-likelihood", "log posterior"
PARAMETERS, HYPERPARAMETERS = "parameters", "hyperparameters"
MOST_ROWS, MOST_PROBABILITIES = 200, 1000
SMALLEST = 0.001  # of a mean probability: R-hat of a class that is excluded in a row says nothing of the answers
# Statistics that tell something of the draws of a fit that was saved without its data, the best first: NUTS' density is
# that of the coordinates in which it runs, and differs from the log posterior by a constant.
BY_THE_SAMPLER = {"logp": LOG_POSTERIOR, "lp": LOG_POSTERIOR, "log_prior": "log prior"}
START = "start_log_posterior"  # statistic of the draws: log posterior of the mode from which their chain started
UNIDENTIFIED = frozenset({NETWORK})  # kinds of logits whose parameters are not judged, since their labels switch


class Judged(NamedTuple):
    """Draws (chain, draw, m) of quantities by which convergence is judged, by the name of their kind."""

    kinds: dict[str, FloatArray]

    def all(self, shape: tuple[int, int]) -> FloatArray:
        """All of them, (chain, draw, m)."""
        return np.concatenate([np.empty((*shape, 0)), *self.kinds.values()], axis=2)


def judged_quantities(fit: Sampled, parameters: FloatArray, hyper: FloatArray) -> Judged:
    """What a posterior of logits that are not linear is judged by.

    Parameters and hyperparameters are (chain, draw, m) in their own coding.  Without the data of the fit, or a user's
    function that makes its logits, no probability and no likelihood is known.
    """
    kinds = {} if fit.logits.kind in UNIDENTIFIED else {PARAMETERS: parameters}
    if hyper.shape[2]:
        kinds[HYPERPARAMETERS] = hyper
    stats = {str(name): values.values[:, :, None] for name, values in fit.idata["sample_stats"].data_vars.items()}
    if fit.training is None or (isinstance(fit.logits, OwnLogits) and not fit.logits.is_known):
        name = next((name for name in BY_THE_SAMPLER if name in stats), None)
        return Judged(kinds if name is None else kinds | {BY_THE_SAMPLER[name]: stats[name]})
    likelihood = log_likelihood(fit, fit.training).reshape(*fit.shape, 1)
    kinds[LOG_LIKELIHOOD] = likelihood
    if "log_prior" in stats:
        kinds[LOG_POSTERIOR] = likelihood + stats["log_prior"]
    kinds[PROBABILITIES] = probabilities_of_rows(fit, fit.training).reshape(*fit.shape, -1)
    return Judged(kinds)


def modes_of(judged: Judged, stats: Mapping[str, Any], shape: tuple[int, int]) -> tuple[ChainMode, ...]:
    """The chains, grouped by the modes between which they do not mix.

    Parameters are left out: the labels of some may switch without a change of what the model says.
    """
    kinds = {name: draws for name, draws in judged.kinds.items() if name != PARAMETERS}
    draws = Judged(kinds or judged.kinds).all(shape)
    height = judged.kinds.get(LOG_POSTERIOR)
    start = stats.get(START)
    return chain_modes(draws, None if height is None else height[:, :, 0], None if start is None else start[:, 0])


def log_likelihood(fit: HasLogits, training: TrainingData) -> FloatArray:
    """Log-likelihood (S,) of the data under each draw."""
    total: FloatArray = np.zeros(fit.parameters.n_draws)
    for part in training.blocks():

        def summed(L: FloatArray, block: slice, counts: FloatArray = part.counts) -> FloatArray:
            return np.asarray(row_log_likelihood(L, counts[block]).sum(axis=0))

        total += sum_over_blocks(fit, part.rows, summed, log=True)
    return total


def probabilities_of_rows(fit: Sampled, training: TrainingData) -> FloatArray:
    """Probabilities (S, m) of classes that have some, in rows evenly spaced over the data."""
    rows = spaced(training.n_rows, MOST_ROWS)

    def likely(P: FloatArray, _: slice) -> FloatArray:
        told = P[: max(len(P) - (len(P) == 2), 1)]  # of two classes one says what the other does
        return np.ascontiguousarray(told[told.mean(axis=2) > SMALLEST].T)

    found = np.concatenate(over_blocks(fit, training.take(rows), likely), axis=1)
    return found[:, spaced(found.shape[1], MOST_PROBABILITIES)]


def spaced(n: int, most: int) -> IntArray:
    """At most ``most`` of ``n`` positions, evenly spaced."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).round().astype(np.int64))
