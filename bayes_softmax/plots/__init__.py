"""Pictures, as matplotlib figures: ``figure.savefig(path)`` saves one, and a notebook shows it."""

from bayes_softmax.plots.checks import calibration, posterior_predictive
from bayes_softmax.plots.coefficients import compare, forest
from bayes_softmax.plots.prior_predictive import prior
from bayes_softmax.plots.probabilities import effects, probabilities

__all__ = ["calibration", "compare", "effects", "forest", "posterior_predictive", "prior", "probabilities"]
