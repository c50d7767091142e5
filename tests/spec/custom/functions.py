"""Functions of the features for the tests of custom logits."""

import pymc as pm
import pytensor.tensor as pt


def linear(x):
    """The linear model under full coding, with standard normal priors."""
    weights = pm.Normal("weights", 0.0, 1.0, dims=("feature", "category"))
    return x @ weights + pm.Normal("intercept", 0.0, 2.0, dims="category")


def bent(x):
    """A bend of every feature, the scale of whose weights is learned."""
    bend = pm.Normal("bend", 0.0, 0.5, dims="feature")
    scale = pm.HalfNormal("scale", 1.0)
    weights = pm.Normal("raw", 0.0, 1.0, dims=("feature", "category"))
    pm.Deterministic("scaled", scale * weights, dims=("feature", "category"))
    return (x + bend * x**2) @ (scale * weights)


def network(x):
    """One hidden layer."""
    hidden = pt.tanh(x @ pm.Normal("h", 0.0, 1.0, dims=("feature", "unit")) + pm.Normal("b", 0.0, 1.0, dims="unit"))
    return hidden @ pm.Normal("w", 0.0, 1.0, dims=("unit", "category"))
