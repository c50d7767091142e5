"""What draws are judged by where not by each coefficient: quantities that do not depend on the parametrisation.

Hidden units of a network can be exchanged, and those of odd activations change their sign, without a change of the
logits.  Chains that agree in all that a model predicts may then disagree in every weight, so convergence is judged by
class probabilities, by the log-likelihood and by the log posterior of the draws.

The standard deviations and correlations of group-level effects are not identified, but the covariance of the effects
is; and of the effects of thousands of levels some exceed any limit by chance.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.answers.chain_modes import ChainMode, chain_modes
from bayes_softmax.answers.fitted import Sampled
from bayes_softmax.answers.probabilities import HasLogits, over_blocks, row_log_likelihood, sum_over_blocks
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.structure import covariance_name
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.linearised import LINEARISED
from bayes_softmax.spec.network.logits import NETWORK

PROBABILITIES, LOG_LIKELIHOOD, LOG_POSTERIOR = "class probabilities", "log-likelihood", "log posterior"
PARAMETERS, HYPERPARAMETERS = "parameters", "hyperparameters"
WEIGHTS_KIND, COVARIANCES, EFFECTS = "weights", "covariances", "effects of levels"
MOST_ROWS, MOST_PROBABILITIES = 200, 400
MOST_EFFECTS = 400  # of each grouping
SMALLEST = 0.001  # of a mean probability: R-hat of a class that is excluded in a row says nothing of the answers
# Statistics that tell something of the draws of a fit that was saved without its data, the best first: NUTS' density is
# that of the coordinates in which it runs, and differs from the log posterior by a constant.
BY_THE_SAMPLER = {"logp": LOG_POSTERIOR, "lp": LOG_POSTERIOR, "log_prior": "log prior"}
START = "start_log_posterior"  # statistic of the draws: log posterior of the mode from which their chain started
UNIDENTIFIED = frozenset({NETWORK, LINEARISED})  # kinds of logits whose parameters have no meaning of their own


class Judged(NamedTuple):
    """Draws (chain, draw, m) of quantities by which convergence is judged, by the name of their kind.

    ``probabilities`` are the distinct row and the class (m, 2) of each probability.
    """

    kinds: dict[str, FloatArray]
    probabilities: IntArray

    def all(self, shape: tuple[int, int]) -> FloatArray:
        """All of them, (chain, draw, m)."""
        return np.concatenate([np.empty((*shape, 0)), *self.kinds.values()], axis=2)


def judged_quantities(fit: Sampled) -> Judged:
    """What a posterior of logits that are not linear is judged by.

    Without the data of the fit, or a user's function that makes its logits, no probability and no likelihood is known.
    """
    if isinstance(fit.logits, GroupLogits):
        return group_quantities(fit, fit.logits)
    named = fit.logits.kind not in UNIDENTIFIED
    kinds = {PARAMETERS: fit.parameters.flat().reshape(*fit.shape, -1)} if named else {}
    hyper = hyperparameters(fit)
    if hyper.shape[2]:
        kinds[HYPERPARAMETERS] = hyper
    stats = {str(name): values.values[:, :, None] for name, values in fit.idata["sample_stats"].data_vars.items()}
    unknown = isinstance(fit.logits, OwnLogits) and not fit.logits.is_known
    if fit.training is None or isinstance(fit.training, RowsOfSource) or unknown:
        told = [name for name in BY_THE_SAMPLER if name in stats][:1]
        kinds |= {BY_THE_SAMPLER[name]: stats[name] for name in told}
        return Judged(kinds, np.empty((0, 2), dtype=np.int64))
    likelihood = log_likelihood(fit, fit.training).reshape(*fit.shape, 1)
    kinds[LOG_LIKELIHOOD] = likelihood
    if "log_prior" in stats:
        kinds[LOG_POSTERIOR] = likelihood + stats["log_prior"]
    values, places = probabilities_of_rows(fit, fit.training)
    kinds[PROBABILITIES] = values.reshape(*fit.shape, -1)
    return Judged(kinds, places)


def group_quantities(fit: Sampled, logits: GroupLogits) -> Judged:
    """Weights with the intercept, covariances of effects, and effects of levels evenly spaced among all."""
    parameters, shape = fit.parameters, fit.shape
    kinds = {WEIGHTS_KIND: coefficients_alone(fit)}
    covariances, effects = [], []
    for g in logits.groups:
        matrix = parameters[covariance_name(g.name)].reshape(parameters.n_draws, -1, g.n_terms * logits.n_classes)
        lower = np.tril_indices(matrix.shape[1])
        covariances.append(matrix[:, lower[0], lower[1]])
        effects.append(parameters[g.name][:, levels_judged(logits)[g.name]].reshape(parameters.n_draws, -1))
    for kind, parts in ((COVARIANCES, covariances), (EFFECTS, effects)):
        kinds[kind] = np.concatenate(parts, axis=1).reshape(*shape, -1)
    return Judged(kinds, np.empty((0, 2), dtype=np.int64))


def levels_judged(logits: Logits) -> dict[str, IntArray]:
    """Positions of the levels of each grouping whose effects are judged."""
    groups, K = (logits.groups, logits.n_classes) if isinstance(logits, GroupLogits) else ((), 1)
    return {g.name: spaced(g.n_levels, max(MOST_EFFECTS // (g.n_terms * K), 1)) for g in groups}


def coefficients_alone(fit: Sampled) -> FloatArray:
    """Intercept and weights (chain, draw, m)."""
    parts = [fit.parameters[name].reshape(*fit.shape, -1) for name in (INTERCEPT, WEIGHTS)]
    return np.concatenate(parts, axis=2)


def hyperparameters(fit: Sampled) -> FloatArray:
    """Hyperparameters (chain, draw, m), where scales were learned."""
    draws = fit.idata[fit.group].dataset
    names = [str(name) for name in np.atleast_1d(draws.attrs.get("hyperparameters", []))]
    parts = [draws[name].values.reshape(*fit.shape, -1) for name in names]
    return np.concatenate([np.empty((*fit.shape, 0)), *parts], axis=2)


def modes_of(judged: Judged, stats: Mapping[str, Any], shape: tuple[int, int]) -> tuple[ChainMode, ...]:
    """The chains, grouped by the modes between which they do not mix.

    Parameters are left out: the labels of some may switch without a change of what the model says.  With groups there
    are none.
    """
    if WEIGHTS_KIND in judged.kinds:
        return ()
    kinds = {name: draws for name, draws in judged.kinds.items() if name != PARAMETERS}
    draws = judged._replace(kinds=kinds or judged.kinds).all(shape)
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


def probabilities_of_rows(fit: Sampled, training: TrainingData) -> tuple[FloatArray, IntArray]:
    """Probabilities (S, m) of classes that have some, in rows evenly spaced over the data; row and class (m, 2)."""
    rows = spaced(training.n_rows, MOST_ROWS)

    def likely(P: FloatArray, block: slice) -> tuple[FloatArray, IntArray]:
        told = P.mean(axis=2) > SMALLEST
        if len(P) == 2:  # one class says what the other does
            told[0] &= ~told[1]
        classes, at = np.nonzero(told)
        return np.ascontiguousarray(P[classes, at].T), np.column_stack([rows[block][at], classes])

    values, places = zip(*over_blocks(fit, training.take(rows), likely), strict=True)
    kept = spaced(sum(map(len, places)), MOST_PROBABILITIES)
    return np.concatenate(values, axis=1)[:, kept], np.concatenate(places)[kept]


def spaced(n: int, most: int) -> IntArray:
    """At most ``most`` of ``n`` positions, evenly spaced."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).round().astype(np.int64))
