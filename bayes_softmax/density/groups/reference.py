"""Where to whiten a model with effects: about the mode of the hyperparameters' approximate marginal posterior.

Given the expansion at a point, the log density of ``z = [0, 0, e]`` is, but for a constant, the marginal log density of
the hyperparameters by Laplace's method with the curvature held.  Its mode and the conditional mode there are found in
turn; where exactly it ends is immaterial to what is sampled.
"""

import numpy as np
from scipy.optimize import minimize

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.averaged import SD_LIMITS, at_average
from bayes_softmax.density.groups.layout import ModelPoint
from bayes_softmax.density.groups.posterior import GroupsPosterior
from bayes_softmax.density.hyper_root import hyper_root

MAX_ROUNDS = 30
TOLERANCE = 0.01  # of a hyperparameter; logs of sds
MAX_MOVE = 1.0  # of a hyperparameter in one round, as the expansion moves with them
NEWTON_STEPS = 20
SMALL_GAIN = 1e-3  # nats, at which a conditional mode is found
HALVINGS = 20
STEP = 1e-3  # for second derivatives


def at_reference(density: GroupsPosterior) -> GroupsPosterior:
    """The density whitened by the normal that is nearest to the posterior: see ``averaged.py``."""
    return at_average(at_mode(density).stretched())


def at_mode(density: GroupsPosterior) -> GroupsPosterior:
    """The density whitened at the mode of the approximate marginal posterior of the hyperparameters."""
    H = len(density.data.location)
    unit = np.eye(H)
    for _ in range(MAX_ROUNDS):
        density = at_conditional_mode(density)
        bounds = [(-MAX_MOVE, MAX_MOVE)] * H
        found = minimize(_negative, np.zeros(H), (density,), jac=True, method="L-BFGS-B", bounds=bounds).x
        density = density.at(density.to_model(_of_hyper(density, found)), unit)
        if np.abs(found).max() < TOLERANCE:
            break
    density = at_conditional_mode(density)
    return density.at(density.reference, _root(density)).bordered()


def at_conditional_mode(density: GroupsPosterior) -> GroupsPosterior:
    """The density expanded at the mode of weights and effects given its hyperparameters' location, by Newton steps."""
    root = density.data.root
    for _ in range(NEWTON_STEPS):
        start, end = density.reference, density.newton_point()
        before = density.log_conditional(start)
        gain, share = density.log_conditional(end) - before, 1.0
        while not gain >= 0.0 and share > 0.5**HALVINGS:
            share *= 0.5
            common, effects = (a + share * (b - a) for a, b in zip(start[:2], end[:2], strict=True))
            between = ModelPoint(common, effects, start.hyper)
            gain = density.log_conditional(between) - before
        if share < 1.0:
            end = between
        density = density.at(end, root)
        if gain < SMALL_GAIN:
            break
    return density


def _of_hyper(density: GroupsPosterior, e: FloatArray) -> FloatArray:
    """The whitened point at which all but the hyperparameters are zero."""
    return np.concatenate([np.zeros(density.dimension - len(e)), e])


def _negative(e: FloatArray, density: GroupsPosterior) -> tuple[float, FloatArray]:
    """Minus the approximate marginal log density of standardised hyperparameters, and its gradient."""
    value, gradient = density.value_gradient(_of_hyper(density, e))
    return (-value, -gradient[-len(e) :]) if np.isfinite(value) else (1e300, np.zeros(len(e)))


def _root(density: GroupsPosterior) -> FloatArray:
    """Symmetric root (H, H) of the hyperparameters' covariance, from the curvature of their marginal log density."""
    return hyper_root(lambda e: _negative(e, density)[1], len(density.data.location), STEP, SD_LIMITS)
