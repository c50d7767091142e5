"""Draws of the parameters from their priors, labelled like a posterior; they need no density."""

import numpy as np

from bayes_softmax.core.checks import check_counts
from bayes_softmax.core.methods import of_self
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, seed_of
from bayes_softmax.core.records import Draws
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting.labelling import labelled_posterior
from bayes_softmax.fitting.settings import refuse_too_many
from bayes_softmax.spec.from_prior import draws_from_prior
from bayes_softmax.spec.groups.log_prior import group_hyperparameters
from bayes_softmax.spec.specification import HasSpecification

TITLE = "prior (independent draws, no data)"


@of_self
def sample_prior(
    model: HasSpecification, draws: int = 1000, *, random_seed: RandomSeed = None, rng: RandomNumbers = None
) -> Posterior:
    """Draw the coefficients, or a network's weights and biases, from their priors, before the classes are observed.

    Of groups the covariances are drawn from their hyperpriors, and the effects of all levels given these.

    The result has the methods of a posterior (``posterior_predictive`` is then the prior predictive); its draws are in
    the group ``prior`` of ``idata``.

    Parameters
    ----------
    draws
        Number of independent draws.
    random_seed, rng
        Integer or NumPy Generator; or as ``rng`` whatever ``np.random.default_rng`` takes.

    Raises
    ------
    ValueError
        If a prior is improper.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
    >>> model.sample_prior(draws=100, random_seed=1).predict_proba([[1.0]]).shape
    (1, 2)
    """
    check_counts(draws=draws)
    spec, generator = model._spec, np.random.default_rng(seed_of(random_seed, rng))
    refuse_too_many(spec, "sample_prior", 1, draws)
    drawn = {name: values[None] for name, values in draws_from_prior(spec, draws, generator).items()}  # one chain
    of_groups = group_hyperparameters(spec.groups)
    hyper = {name: drawn.pop(name) for name in of_groups}
    none = Draws(np.empty(0), {}, 0)
    return Posterior(labelled_posterior(spec, drawn, none, TITLE, {}, group="prior", hyper=hyper or None))
