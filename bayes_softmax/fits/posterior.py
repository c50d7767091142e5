"""Posteriors as users hold them; they answer the same questions as a point estimate, and some of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from bayes_softmax.answers import (
    decisions,
    evaluation,
    prediction,
    predictive,
    probability_draws,
    ratios,
    sensitivity,
    stacking,
)
from bayes_softmax.answers import effects as effects_module
from bayes_softmax.answers import group_covariance as group_covariance_module
from bayes_softmax.answers import group_effects as group_effects_module
from bayes_softmax.answers import kfold as kfold_module
from bayes_softmax.answers import loo as loo_module
from bayes_softmax.answers import poststratify as poststratify_module
from bayes_softmax.answers import summary as summary_module
from bayes_softmax.answers.diagnostics import Diagnostics
from bayes_softmax.answers.fitted import Refit
from bayes_softmax.core.attributes import OF_DRAWS, get_missing
from bayes_softmax.data.design import Label
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.asking import asks
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fits.storage import writing


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws from the posterior of a softmax regression.

    Made by ``SoftmaxRegression.sample()`` and ``.laplace()``, and read from a file by ``bs.load``.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins, missing="drop")
    >>> posterior = model.sample(random_seed=1, progressbar=False)
    >>> dict(posterior.idata.posterior.sizes)
    {'chain': 4, 'draw': 1000, 'feature': 2, 'category': 3}
    """

    _fitted: PosteriorDraws

    # The same questions to every kind of fit.
    summary = asks(summary_module.summary)
    predict_proba = asks(prediction.predict_proba)
    predict = asks(prediction.predict)
    uncertainty = asks(prediction.uncertainty)
    decide = asks(decisions.decide)
    effects = asks(effects_module.effects)
    contrast = asks(effects_module.contrast)
    poststratify = asks(poststratify_module.poststratify)
    group_effects = asks(group_effects_module.group_effects)
    group_covariance = asks(group_covariance_module.group_covariance)
    odds_ratios = asks(ratios.odds_ratios)
    evaluate = asks(evaluation.evaluate)
    kfold = asks(kfold_module.kfold)
    save = asks(writing.save)
    # Those to draws alone.
    posterior_predictive = asks(predictive.posterior_predictive)
    predict_draws = asks(probability_draws.predict_draws)
    add_log_likelihood = asks(sensitivity.add_log_likelihood)
    add_log_prior = asks(sensitivity.add_log_prior)
    prior_sensitivity = asks(sensitivity.prior_sensitivity)
    loo = asks(loo_module.loo)
    stacking_weights = asks(stacking.stacking_weights)

    @property
    def classes(self) -> tuple[Label, ...]:
        """Class labels in order."""
        return self._fitted.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, without the intercept."""
        return self._fitted.schema.feature_names

    @property
    def idata(self) -> xr.DataTree:
        """The draws, labelled: an ``xarray.DataTree`` that ArviZ reads, as in ``az.summary(post.idata)``.

        Its groups are ``posterior`` (``prior`` for ``sample_prior()``), with ``intercept`` and ``weights`` of all K
        categories, ``sample_stats``, ``observed_data`` and ``constant_data``.  Of a network ``az.summary`` lists
        weights whose R-hat says nothing, since hidden units can be exchanged: read :attr:`diagnostics` instead.
        """
        return self._fitted.idata

    @property
    def engine(self) -> str:
        """The sampler, and why it was chosen."""
        return self._fitted.engine

    @property
    def diagnostics(self) -> Diagnostics:
        """Divergences, and worst R-hat and ESS over coefficients (in their own coding) and hyperparameters.

        Of a network over what the draws say of the data: class probabilities, log-likelihood and log posterior.
        """
        return self._fitted.diagnostics

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds per stage."""
        return self._fitted.timings

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader on the data, and on how the draws were made."""
        return self._fitted.notes

    @property
    def pareto_k(self) -> float | None:
        """For ``laplace()``, tail index of the importance weights, reliable below 0.7; None for Markov chains.

        None, too, where nothing weighs the draws: those of a linearised network.
        """
        return self._fitted.pareto_k

    @property
    def ess(self) -> float | None:
        """For ``laplace()``, effective sample size by the importance weights; None for Markov chains.

        Where nothing weighs the draws it is their number.
        """
        return self._fitted.ess

    @property
    def log_evidence(self) -> float | None:
        """For ``laplace()``, log of the normalising constant; None for Markov chains.

        Under proper priors it is the log marginal likelihood; of a network that of one mode, and where its draws are
        not weighed, or their weights not reliable, by Laplace's formula.
        """
        return self._fitted.log_evidence

    @property
    def prior_dominated(self) -> tuple[str, ...]:
        """Features that the prior determines more than the data, by the contraction of pairwise contrasts."""
        return self._fitted.prior_dominated

    @property
    def refit(self) -> Refit | None:
        """Refits without one observation, for exact leave-one-out of a loaded fit (:meth:`loo`); None after loading."""
        return self._fitted.refit

    if not TYPE_CHECKING:  # type checkers must go on finding what is not there

        def __getattr__(self, name):
            """Raise, and say what takes the place of a name known from elsewhere."""
            return get_missing(self, name, OF_DRAWS)

    def _brief(self) -> Brief:
        """The draws, the engine and the diagnostics."""
        return self._fitted._brief()

    __repr__ = as_text
    _repr_html_ = as_markup
