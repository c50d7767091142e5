"""The protocol that point estimates and posteriors share, so that one function answers a question for both."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr

from bayes_softmax.answers.contrasts import View
from bayes_softmax.answers.diagnostics import Diagnostics
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import Cells, TrainingData
from bayes_softmax.core.checks import shown
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.separation.limits import Limits


class Answering(Protocol):
    """What answers about rows need of a fit: how their logits come about, and where these are not finite."""

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
        """Draws of the parameters, or the estimate as one draw."""
        ...

    @property
    def n_chains(self) -> int:
        """Number of chains; the draws are their concatenation."""
        ...

    @property
    def is_estimate(self) -> bool:
        """Whether this is one estimate, and not draws."""
        ...

    @property
    def delta_covariance(self) -> FloatArray | None:
        """Covariance of estimated parameters, if there is one and it is needed."""
        ...

    @property
    def limits(self) -> Limits | None:
        """Directions that the estimate leaves undetermined."""
        ...

    @property
    def caution(self) -> str | None:
        """Note on every answer from an optimum that is not certified."""
        ...


class FitAlone(NamedTuple):
    """A fit without its data, which is sent to where rows are."""

    schema: Schema
    logits: Logits
    parameters: Parameters
    n_chains: int
    is_estimate: bool
    delta_covariance: FloatArray | None
    limits: Limits | None
    caution: str | None


def alone(fit: Answering, parameters: Parameters | None = None, *, covariance: bool = False) -> FitAlone:
    """The fit without its data, perhaps with some of its draws; with its covariance where that is needed."""
    needed = covariance or (fit.caution is not None and fit.limits is not None)
    own = fit.parameters if parameters is None else parameters
    uncertain = (fit.delta_covariance if needed else None, fit.limits, fit.caution)
    return FitAlone(fit.schema, fit.logits, own, fit.n_chains, fit.is_estimate, *uncertain)


@runtime_checkable
class Fitted(Protocol):
    """A fit: draws of the parameters, or one estimate of them with its covariance."""

    @property
    def kind(self) -> str:
        """Kind of fit: ``"mle"``, ``"map"`` or ``"posterior"``."""
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
        """Draws of the parameters, or the estimate as one draw."""
        ...

    @property
    def is_prior(self) -> bool:
        """Whether these are draws from the prior, without data."""
        ...

    @property
    def n_chains(self) -> int:
        """Number of chains; the draws are their concatenation."""
        ...

    @property
    def relative_ess(self) -> float:
        """Effective number of draws relative to the actual one."""
        ...

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons why averages over the draws are unusable, in sentences."""
        ...

    @property
    def is_estimate(self) -> bool:
        """Whether this is one estimate, and not draws."""
        ...

    @property
    def delta_covariance(self) -> FloatArray | None:
        """Covariance (d, d) of estimated parameters in their flat order; None for draws, and for one of a network."""
        ...

    @property
    def limits(self) -> Limits | None:
        """Directions that an estimate without a certified optimum leaves undetermined; else None, as for draws."""
        ...

    @property
    def caution(self) -> str | None:
        """Note on every answer from an optimum that is not certified; else None, as for draws."""
        ...

    @property
    def effective(self) -> Mapping[str, float] | None:
        """Effective number of parameters of a network by the name of the parameter; None where it is not known."""
        ...

    def contrast_values(self, view: View) -> tuple[FloatArray, FloatArray | None]:
        """Contrasts of the class columns (S, q, m), intercept first; standard errors (q, m) of an estimate (S = 1).

        Raises ``ValueError`` for logits that are not linear.
        """
        ...

    def draw_quality(self, quantities: FloatArray) -> pd.DataFrame | None:
        """ESS, R-hat and Monte Carlo error of quantities (S, ...) of the draws; None for an estimate."""
        ...

    @property
    def training(self) -> TrainingData | RowsOfSource | None:
        """The data of the fit; None if it was saved without data."""
        ...


@runtime_checkable
class Sampled(Fitted, Protocol):
    """A fit that consists of draws."""

    @property
    def idata(self) -> xr.DataTree:
        """The labelled draws, with sampler statistics and data."""
        ...

    @property
    def group(self) -> str:
        """Group of ``idata`` that holds the draws."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains, and of draws per chain."""
        ...

    @property
    def draws(self) -> FloatArray:
        """Raw coefficients (chain, draw, q, K), intercept first (zero if there is none)."""
        ...

    @property
    def diagnostics(self) -> Diagnostics:
        """Convergence of the draws."""
        ...

    @property
    def seen(self) -> str:
        """What was fitted to all rows and is the same in all draws, as a clause; empty if nothing was."""
        ...

    @property
    def refit(self) -> "Refit | None":
        """Refits without one observation of a given row and class; None after loading."""
        ...


@runtime_checkable
class Refittable(Fitted, Protocol):
    """A fit that can be made again of other observations."""

    @property
    def refit_cells(self) -> "RefitCells | None":
        """Makes the same fit of other numbers of the observations, with a seed; None after loading."""
        ...


@runtime_checkable
class Fit(Protocol):
    """A fit as users hold it, which shows answers and keeps to itself what they are made of."""

    @property
    def _fitted(self) -> Fitted:
        """What answers see."""
        ...


Refit = Callable[[int, int], Fitted]
RefitCells = Callable[[Cells, int], Fitted]
NO_INTERVALS = (
    "an estimate of a network has no intervals, since a normal approximation of all its weights is far too wide; "
    "model.sample(layers='last'), model.ensemble() and model.laplace() have them"
)
FIT_FIRST = "; fit a model first: model.map() or model.sample()"


def fitted_of(fit: object, name: str) -> Fitted:
    """What answers see of a fit, the argument ``name``."""
    if not isinstance(fit, Fit):
        raise TypeError(f"{name} is of type {type(fit).__name__}, not a PointEstimate or Posterior{FIT_FIRST}")
    return fit._fitted


def training_of(fit: Fitted, what: str, *, instead: str = "save it with data=True") -> TrainingData:
    """The data of a fit, or an error naming the method that needs them, and what to do ``instead``."""
    if fit.training is None:
        raise ValueError(f"{what} needs the data of the fit, which was saved without them (data=False); {instead}")
    if isinstance(fit.training, RowsOfSource):
        pass_data = "; pass data=..., or fit" if "data=..." in instead else "; fit"
        raise ValueError(
            f"{what} needs rows of the data in memory, and those of {fit.training.name} are read in passes, since they "
            f"are too many{pass_data} a sample of them, as a data frame"
        )
    return fit.training


def refuse_intervals(fit: Fitted, ci_prob: float | None) -> None:
    """Raise if an interval is asked of an estimate that has none."""
    if ci_prob is not None and without_intervals(fit):
        raise ValueError(f"ci_prob={shown(ci_prob)}: {NO_INTERVALS}")


def without_intervals(fit: Fitted) -> tuple[str, ...]:
    """The note on answers whose standard errors and intervals are NaN because the estimate has none."""
    return (NO_INTERVALS,) if fit.is_estimate and fit.delta_covariance is None else ()


def quadratic_form(jacobian: FloatArray, covariance: FloatArray) -> FloatArray:
    """Delta-method variances (m,) of ``m`` quantities with Jacobian (m, d)."""
    variance: FloatArray = np.einsum("ij,ij->i", jacobian @ covariance, jacobian)
    return np.maximum(variance, 0.0)
