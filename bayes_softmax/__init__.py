"""Bayesian softmax (multinomial logistic) regression: MLE, MAP and posterior, with any contrast for free.

>>> import bayes_softmax as bs
>>> penguins = bs.datasets.load_penguins()
>>> model = bs.SoftmaxRegression.from_formula("species ~ bill_depth_mm + body_mass_g", penguins, missing="drop")
>>> round(model.mle().cross_entropy, 4)
0.3777
"""

from bayes_softmax import datasets
from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, UnusedClassWarning
from bayes_softmax.density.textbook import (
    cross_entropy,
    cross_entropy_gradient,
    log_likelihood,
    log_softmax,
    softmax,
)
from bayes_softmax.model import SoftmaxRegression
from bayes_softmax.results import plots
from bayes_softmax.results.compare import compare
from bayes_softmax.results.estimate import PointEstimate
from bayes_softmax.results.posterior import Posterior
from bayes_softmax.results.storage import load
from bayes_softmax.spec.priors import Flat, Normal, StudentT

__version__ = "0.1.0"

__all__ = [
    "Flat",
    "ImproperPosteriorError",
    "Normal",
    "NotConvergedWarning",
    "PointEstimate",
    "Posterior",
    "SoftmaxRegression",
    "StudentT",
    "UnusedClassWarning",
    "compare",
    "cross_entropy",
    "cross_entropy_gradient",
    "datasets",
    "load",
    "log_likelihood",
    "log_softmax",
    "plots",
    "softmax",
]
