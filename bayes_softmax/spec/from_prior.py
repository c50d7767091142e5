"""Draws of a model's parameters from their priors, for each kind of logits."""

from collections.abc import Callable

import numpy as np

from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.custom.prior import own_prior_draws
from bayes_softmax.spec.groups.logits import GroupLogits
from bayes_softmax.spec.groups.prior_draws import at_levels_of, group_prior_draws
from bayes_softmax.spec.linear import GROUPS, LINEAR
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.network.prior_draws import network_prior_draws
from bayes_softmax.spec.prior_draws import prior_draws
from bayes_softmax.spec.specification import Specification

type Drawer = Callable[[Specification, int, np.random.Generator], dict[str, FloatArray]]


def draws_from_prior(spec: Specification, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Independent draws (n, *shape) of the parameters by name; raises where a prior is improper.

    With group-level effects those of their standard deviations and correlations are among them.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "c"], logits=bs.MLP(hidden=4))
    >>> drawn = draws_from_prior(model._spec, 100, np.random.default_rng(0))
    >>> {name: values.shape for name, values in drawn.items()}
    {'hidden_1': (100, 1, 4), 'hidden_1_bias': (100, 4), 'intercept': (100, 3), 'weights': (100, 4, 3)}
    """
    return DRAWERS[spec.logits.kind](spec, n, rng)


def logits_from_prior(spec: Specification, X: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Logits (n, rows, K) of rows ``X`` as the logits take them, of independent draws from the priors.

    Of groups only the levels of these rows are drawn.
    """
    logits = spec.logits
    if isinstance(logits, GroupLogits):
        logits, X = at_levels_of(logits, X)
        drawn = group_prior_draws(spec, n, rng, logits)
    else:
        drawn = draws_from_prior(spec, n, rng)
    return logits.at(Parameters(drawn))(X).transpose(2, 1, 0)


def _linear(spec: Specification, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    return prior_draws(spec.priors, spec.coordinates, n, rng, feature_names=spec.schema.feature_names)


DRAWERS: dict[str, Drawer] = {
    LINEAR: _linear,
    NETWORK: network_prior_draws,
    CUSTOM: own_prior_draws,
    GROUPS: group_prior_draws,
}
