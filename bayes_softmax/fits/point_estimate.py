"""Point estimates as users hold them: maximum likelihood and maximum a posteriori."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from bayes_softmax.answers import decisions, evaluation, prediction, ratios
from bayes_softmax.answers import effects as effects_module
from bayes_softmax.answers import group_covariance as group_covariance_module
from bayes_softmax.answers import group_effects as group_effects_module
from bayes_softmax.answers import kfold as kfold_module
from bayes_softmax.answers import poststratify as poststratify_module
from bayes_softmax.answers import summary as summary_module
from bayes_softmax.core.attributes import OF_ESTIMATES, get_missing
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.asking import asks
from bayes_softmax.fits.estimate import Estimate
from bayes_softmax.fits.storage import writing


@dataclass(frozen=True, eq=False, repr=False)
class PointEstimate:
    """A maximum-likelihood or MAP estimate of a softmax regression.

    Made by ``SoftmaxRegression.mle()`` and ``.map()``, and read from a file by ``bs.load``.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> penguins = bs.datasets.load_penguins()
    >>> model = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins, missing="drop")
    >>> fit = model.map()
    >>> fit.converged
    True
    >>> fit.weights.to_pandas().round(2)
    category        Adelie  Chinstrap  Gentoo
    feature
    bill_length_mm   -0.81       0.50    0.31
    sex[T.male]       2.92      -1.87   -1.05
    """

    _fitted: Estimate

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

    @property
    def classes(self) -> tuple[Label, ...]:
        """Class labels in order."""
        return self._fitted.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, without the intercept."""
        return self._fitted.schema.feature_names

    @property
    def n_obs(self) -> int:
        """Number of rows of the data."""
        return self._fitted.n_obs

    @property
    def intercept(self) -> xr.DataArray:
        """(category,) logits at x = 0 of linear logits; zeros for a model without an intercept.

        A network has no such coefficients: :attr:`parameters` are its layers.
        """
        return self._fitted.intercept

    @property
    def weights(self) -> xr.DataArray:
        """(feature, category) change of linear logits per unit of the feature.

        Where the optimum lies at infinity, these are the finite values of the solver's last iterate: they predict as
        well as the optimum up to the last digits; :meth:`summary` marks the infinite ones.
        """
        return self._fitted.weights

    @property
    def parameters(self) -> xr.Dataset:
        """All parameters by name: ``intercept`` and ``weights`` of linear logits, and those of each layer of a network.

        Hidden units are in no order: they can change places, and signs, without a change of any prediction.
        """
        return xr.Dataset(dict(self._fitted.values))

    @property
    def std_error(self) -> xr.Dataset:
        """Standard errors of ``intercept`` and ``weights``, from the inverse Hessian at the estimate.

        With groups also those of the levels' effects, which include the uncertainty of weights and covariances, and of
        these covariances, by the delta method.
        """
        return self._fitted.std_error

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of all coefficients, rows and columns ``(feature, category)``; computed when first read."""
        return self._fitted.covariance

    @property
    def log_likelihood(self) -> float:
        """At the estimate, without multinomial coefficients."""
        return self._fitted.log_likelihood

    @property
    def log_prior(self) -> float:
        """Log prior density at the estimate; 0 for flat priors."""
        return self._fitted.log_prior

    @property
    def log_posterior(self) -> float:
        """Log-likelihood plus log prior."""
        return self._fitted.log_posterior

    @property
    def cross_entropy(self) -> float:
        """Minus the log-likelihood per observation."""
        return self._fitted.cross_entropy

    @property
    def converged(self) -> bool:
        """Whether the optimum is certified."""
        return self._fitted.converged

    @property
    def status(self) -> str:
        """The certificate of the optimum in words, or why there is none."""
        return self._fitted.status

    @property
    def gradient_norm(self) -> float:
        """Largest absolute gradient entry per observation, on standardised features (no unit).

        With Laplace priors it is the KKT residual, the largest distance of the gradient from the subdifferential of
        the penalty.
        """
        return self._fitted.gradient_norm

    @property
    def newton_decrement(self) -> float:
        """``sqrt(g' H^-1 g)``; half its square estimates the gap to the maximum log density."""
        return self._fitted.newton_decrement

    @property
    def n_iterations(self) -> int:
        """Iterations of the solver."""
        return self._fitted.n_iterations

    @property
    def history(self) -> FloatArray:
        """Minus the log density per observation at each iterate (for the MLE: the cross-entropy)."""
        return self._fitted.history

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader: classes without data, rows dropped."""
        return self._fitted.notes

    @property
    def prior_dominated(self) -> tuple[str, ...]:
        """Features that the prior determines more than the data, by the contraction of pairwise contrasts."""
        return self._fitted.prior_dominated

    if not TYPE_CHECKING:  # type checkers must go on finding what is not there

        def __getattr__(self, name):
            """Raise, and say what takes the place of a name known from elsewhere."""
            return get_missing(self, name, OF_ESTIMATES)

    def _brief(self) -> Brief:
        """The estimate and the quality of the optimum."""
        return self._fitted._brief()

    __repr__ = as_text
    _repr_html_ = as_markup
