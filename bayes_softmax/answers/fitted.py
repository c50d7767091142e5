"""What point estimates and posteriors have in common, so that one function answers a question for both."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.separation.limits import Limits


@runtime_checkable
class Fitted(Protocol):
    """A fit: draws of the parameters, or one estimate of them with its covariance."""

    @property
    def kind(self) -> str:
        """What was fitted: ``"mle"``, ``"map"`` or ``"posterior"``."""
        ...

    @property
    def schema(self) -> Schema:
        """Names and encodings."""
        ...

    @property
    def logits(self) -> Logits:
        """Logits of rows as a function of parameters."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Draws, or the estimate as one draw."""
        ...

    @property
    def is_prior(self) -> bool:
        """Whether these are draws from the prior, which have seen no data."""
        ...

    @property
    def n_chains(self) -> int:
        """Chains that the draws stand in, one after the other."""
        ...

    @property
    def relative_ess(self) -> float:
        """Effective over actual number of draws."""
        ...

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why averages over the draws cannot be trusted at all, in sentences."""
        ...

    @property
    def delta_covariance(self) -> FloatArray | None:
        """Covariance (d, d) of the estimate, parameters in their flat order; None where there are draws."""
        ...

    @property
    def limits(self) -> Limits | None:
        """What an estimate leaves open whose optimum is not certified; None where it is, and for draws."""
        ...

    @property
    def caution(self) -> str | None:
        """What stands beside every answer of an optimum that is not certified; None where it is, and for draws."""
        ...

    def contrast_values(self, view: View) -> tuple[FloatArray, FloatArray | None]:
        """Contrasts of the class columns (S, q, m), intercept first; standard errors (q, m) where S is one estimate.

        Of logits that are not linear there are none: a ``ValueError``.
        """
        ...

    def draw_quality(self, quantities: FloatArray) -> pd.DataFrame | None:
        """How well the draws tell quantities (S, ...) of them: sample sizes, R-hat, errors; None for an estimate."""
        ...

    @property
    def training(self) -> TrainingData | None:
        """The data of the fit; None where it was saved without."""
        ...


@runtime_checkable
class Sampled(Fitted, Protocol):
    """A fit of draws."""

    @property
    def idata(self) -> xr.DataTree:
        """The labelled draws, with statistics and data."""
        ...

    @property
    def group(self) -> str:
        """Group of ``idata`` that holds the draws."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Chains, and draws of each."""
        ...

    @property
    def draws(self) -> FloatArray:
        """Raw coefficients (chain, draw, q, K), intercept (zero if there is none) first."""
        ...

    @property
    def refit(self) -> "Refit | None":
        """Fits again without one observation of a row and class; None after loading."""
        ...


Refit = Callable[[int, int], Fitted]
FIT_FIRST = "; fit a model first: model.map() or model.sample()"


def training_of(fit: Fitted, what: str) -> TrainingData:
    """The data of a fit, or an error that says what needs them."""
    if fit.training is None:
        raise ValueError(f"{what} needs the data of the fit, which was saved without them (data=False); pass data=...")
    return fit.training


def quadratic_form(jacobian: FloatArray, covariance: FloatArray) -> FloatArray:
    """Variances (m,) of ``m`` quantities with Jacobian (m, d): the delta method."""
    variance: FloatArray = np.einsum("ij,ij->i", jacobian @ covariance, jacobian)
    return np.maximum(variance, 0.0)
