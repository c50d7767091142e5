"""What a point estimate holds: the optimum, its certificate, and the uncertainty behind every answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contraction import MANY_COEFFICIENTS, prior_dominated, prior_notes
from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.fitted import RefitCells
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.tables import size_in_words
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.checks import counted
from bayes_softmax.core.parameters import Parameters, size_of
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.fits.coefficients import contrasts_of, covariance_table, errors_after
from bayes_softmax.fits.search import Search, search_lines
from bayes_softmax.fits.storage.records import EstimateRecord
from bayes_softmax.fits.words import certificate_line, covariance_refused, likelihood_line
from bayes_softmax.separation.limits import Limits, contrast_limits, no_rays, own_contrasts
from bayes_softmax.spec.linear import INTERCEPT, LINEAR, WEIGHTS, require_linear

CACHED = ("effective", "limits", "parameter_covariance", "parameters", "raw_covariance", "variances")
NEXT_STEP = "Next: model.map_path() or a wider prior shows by how much"
TITLES = {"mle": "Maximum-likelihood estimate", "map": "Maximum a posteriori (MAP) estimate"}


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A maximum-likelihood or MAP estimate as answers see it; users hold a ``PointEstimate``.

    Attributes
    ----------
    kind, values
        ``"mle"`` or ``"map"``; the estimate of each parameter, by name.
    log_likelihood, log_prior, converged, status, gradient_norm, newton_decrement, n_iterations, history
        As in ``PointEstimate``, where they are documented.
    total_weight
        Number of observations, with their weights.
    schema, logits
        Names and encodings; logits of rows as a function of the parameters.
    notes
        Remarks for the reader: classes without data, rows dropped.
    covariance_of
        Computes the covariance of all parameters; None for a network, whose weights have none that is of use.
    training
        The data, for scores and averages over them; None if the fit was saved without data.
    variance_of
        Computes the blocks of :attr:`variances`, for models with too many coefficients for a full covariance.
    refit_cells
        Estimates again from other numbers of the observations, for cross-validation; None after loading.
    search, effective_of
        How the optimum of a network was searched for, and what computes its effective numbers of parameters on demand.
    """

    kind: str
    values: Mapping[str, xr.DataArray]
    log_likelihood: float
    log_prior: float
    total_weight: float
    n_obs: int
    converged: bool
    status: str
    gradient_norm: float
    newton_decrement: float
    n_iterations: int
    history: FloatArray
    schema: Schema
    logits: Logits
    covariance_of: Callable[[], FloatArray] | None = None
    notes: tuple[str, ...] = ()
    training: TrainingData | RowsOfSource | None = None
    limits_of: Callable[[], Limits] | None = None
    variance_of: Callable[[], FloatArray] | None = None
    refit_cells: RefitCells | None = None
    search: Search | None = None
    effective_of: Callable[[], Mapping[str, float]] | None = None

    @property
    def intercept(self) -> xr.DataArray:
        """(category,) logits at x = 0 of linear logits; zeros for a model without an intercept."""
        require_linear(self.logits, "the intercept")
        return self.values[INTERCEPT]

    @property
    def weights(self) -> xr.DataArray:
        """(feature, category) change of linear logits per unit of the feature.

        Where the optimum lies at infinity, these are the finite values of the solver's last iterate: they predict as
        well as the optimum up to the last digits; :meth:`summary` marks the infinite ones.
        """
        require_linear(self.logits, "the weights")
        return self.values[WEIGHTS]

    @property
    def log_posterior(self) -> float:
        """Log-likelihood plus log prior."""
        return self.log_likelihood + self.log_prior

    @property
    def cross_entropy(self) -> float:
        """Minus the log-likelihood per observation."""
        return -self.log_likelihood / self.total_weight

    @cached_property
    def limits(self) -> Limits | None:
        """Directions left undetermined where no finite, unique optimum is certified; None where one is."""
        return None if self.limits_of is None else self.limits_of()

    @property
    def caution(self) -> str | None:
        """Note on every answer from an optimum that is not certified; None where it is."""
        if self.converged:
            return None
        first = self.status.removeprefix("not certified: ").split("; ")[0].split(": ")[0]
        return f"these are answers of {self.kind}() without a certified optimum ({first}): see .status"

    @property
    def recession(self) -> FloatArray:
        """Directions (R, q, K) of the raw coefficients along which the likelihood never falls; usually R = 0.

        They determine which contrasts are infinite or undetermined:
        :func:`bayes_softmax.separation.limits.contrast_limits`.
        """
        return no_rays(self.schema) if self.limits is None else self.limits.rays

    @cached_property
    def parameter_covariance(self) -> FloatArray:
        """Covariance (d, d) of all parameters, for linear logits of finite contrasts; a ``ValueError`` if too large."""
        if self.variance_of is not None or self.covariance_of is None:
            raise ValueError(covariance_refused(size_of(self.logits.shapes)))
        return self.covariance_of()

    @property
    def limiting_covariance(self) -> FloatArray:
        """Covariance (q, K, q, K) of the raw coefficients, valid for finite contrasts."""
        q, K = 1 + self.weights.sizes["feature"], self.weights.sizes["category"]
        return self.parameter_covariance[: q * K, : q * K].reshape(q, K, q, K)  # before effects of groups

    @cached_property
    def variances(self) -> FloatArray:
        """Covariance (q, K, K) over the classes in each row of coefficients, intercept first, for finite contrasts.

        NaN where too many coefficients are jointly undetermined for their covariance to be formed.
        """
        if self.variance_of is not None:
            return self.variance_of()
        blocks: FloatArray = np.einsum("ikil->ikl", self.limiting_covariance)
        return blocks

    @cached_property
    def raw_covariance(self) -> FloatArray:
        """Covariance (q, K, q, K) of the raw coefficients, intercept first; NaN for those without a finite optimum."""
        infinite = contrast_limits(self.recession, own_contrasts(self.schema)) != 0
        open_pair = infinite[:, :, None, None] | infinite[None, None]
        return np.where(open_pair, np.nan, self.limiting_covariance) if infinite.any() else self.limiting_covariance

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of all coefficients, rows and columns ``(feature, category)``; computed when first read."""
        require_linear(self.logits, "the covariance of coefficients")
        return covariance_table(self.schema, self.raw_covariance)

    @property
    def std_error(self) -> xr.Dataset:
        """Standard errors of all parameters; with very many effects of levels those of the coefficients alone."""
        require_linear(self.logits, "standard errors")
        infinite = contrast_limits(self.recession, own_contrasts(self.schema)) != 0
        variance = np.einsum("ikk->ik", self.variances)
        error = np.where(infinite, np.nan, np.sqrt(np.maximum(variance, 0.0)))
        found = {"intercept": self.intercept.copy(data=error[0]), "weights": self.weights.copy(data=error[1:])}
        if self.variance_of is None and self.logits.kind != LINEAR:
            found |= errors_after(self.values, self.parameter_covariance)
        return xr.Dataset(found)

    def contrast_values(self, view: View) -> tuple[FloatArray, FloatArray]:
        """Contrasts of the class columns as one draw (1, q, m), intercept first, and their standard errors (q, m).

        Where the optimum is not finite, the estimate is inf, -inf, or NaN if not determined, and its error NaN.
        """
        coefficients = np.vstack([self.intercept.values, self.weights.values])
        return contrasts_of(coefficients, self.variances, contrast_limits(self.recession, view.matrix), view)

    def draw_quality(self, quantities: FloatArray) -> None:
        """None: there are no draws."""
        return

    @property
    def prior_dominated(self) -> tuple[str, ...]:
        """Features that the prior determines more than the data, by the contraction of pairwise contrasts."""
        require_linear(self.logits, "prior_dominated")
        return prior_dominated(self.schema, self.variances)

    @cached_property
    def parameters(self) -> Parameters:
        """The estimate as one draw."""
        return Parameters({name: self.values[name].values[None] for name in self.logits.shapes})

    @cached_property
    def effective(self) -> Mapping[str, float] | None:
        """Effective number of parameters of a network by name; None where it is not known."""
        known = {} if self.search is None else self.search.effective
        return known or (None if self.effective_of is None else self.effective_of() or None)

    @property
    def is_estimate(self) -> bool:
        """True."""
        return True

    @property
    def is_prior(self) -> bool:
        """False."""
        return False

    @property
    def n_chains(self) -> int:
        """One."""
        return 1

    @property
    def relative_ess(self) -> float:
        """One."""
        return 1.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """Empty: there are no draws."""
        return ()

    @property
    def delta_covariance(self) -> FloatArray | None:
        """Covariance (d, d) of the parameters, the source of the uncertainty of every answer; None if it has none.

        Weights that a Laplace prior holds at exactly zero have no standard error; here they count as known.  Where
        the optimum lies at infinity, it is the covariance of the limiting model, valid for contrasts finite there.
        """
        if self.covariance_of is None:
            return None
        covariance = self.parameter_covariance
        if not self.converged:
            return covariance
        known = self.raw_covariance.reshape(covariance.shape) if self.logits.kind == LINEAR else covariance
        return np.nan_to_num(known)

    @property
    def record(self) -> EstimateRecord:
        """The record that a file keeps."""
        kept = set(EstimateRecord._fields) - {"values", "covariance", "variances", "search"}
        large, known = self.variance_of is not None, self.covariance_of is not None
        return EstimateRecord(
            **{name: getattr(self, name) for name in kept},
            values={name: values.values for name, values in self.values.items()},
            covariance=self.parameter_covariance if known and not large else None,
            variances=self.variances if large else None,
            search=self._search,
        )

    @property
    def _search(self) -> Search | None:
        """The search, with effective numbers of parameters if they were asked for: to save them compiles nothing."""
        known = self.__dict__.get("effective")
        return self.search._replace(effective=known) if self.search is not None and known else self.search

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: computed values in place of the functions that compute them."""
        lazy: dict[str, Any] = {"limits_of": None if self.limits is None else partial(Limits, *self.limits)}
        lazy |= {"search": self._search, "effective_of": None}
        if self.variance_of is not None:
            lazy |= {"covariance_of": partial(np.empty, 0), "variance_of": partial(np.copy, self.variances)}
        elif self.covariance_of is not None:
            lazy["covariance_of"] = partial(np.copy, self.parameter_covariance)
        return {k: v for k, v in self.__dict__.items() if k not in CACHED} | lazy

    def _brief(self) -> Brief:
        """The estimate and the quality of the optimum."""
        small = self.logits.kind == LINEAR and self.weights.size <= MANY_COEFFICIENTS
        names = self.prior_dominated if self.schema.prior_sd and small else ()
        posterior = None if self.kind == "mle" else self.log_posterior
        return Brief(
            f"{TITLES[self.kind]}: {size_in_words(self.schema)}, {counted(self.n_obs, 'row')}",
            (
                likelihood_line(self.log_likelihood, self.cross_entropy, posterior),
                self.status,
                *search_lines(self.search, self.logits, self.kind),
                certificate_line(self.n_iterations, self.gradient_norm, self.newton_decrement),
            ),
            (*self.notes, *prior_notes(names, NEXT_STEP)),
        )

    __repr__ = as_text
    _repr_html_ = as_markup
