"""Records of fits as stored: values only, in place of the functions that compute them."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import xarray as xr

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema
from bayes_softmax.fits.search import Search
from bayes_softmax.separation.limits import Limits


class EstimateRecord(NamedTuple):
    """A point estimate: values of the parameters by name, and their certificate.

    Its uncertainty is ``covariance`` (d, d), or ``variances`` (q, K, K) where that is too large to be formed; that of a
    network has none.
    """

    kind: str
    schema: Schema
    logits: Logits
    values: Mapping[str, FloatArray]
    log_likelihood: float
    log_prior: float
    total_weight: float
    gradient_norm: float
    newton_decrement: float
    n_obs: int
    n_iterations: int
    converged: bool
    status: str
    history: FloatArray
    notes: tuple[str, ...]
    covariance: FloatArray | None
    variances: FloatArray | None
    limits: Limits | None
    training: TrainingData | RowsOfSource | None
    search: Search | None


class PosteriorRecord(NamedTuple):
    """Posterior draws, and how they were made."""

    idata: xr.DataTree
    schema: Schema
    engine: str
    tune: int
    notes: tuple[str, ...]
    timings: Mapping[str, float]
    pareto_k: float | None
    ess: float | None
    log_evidence: float | None
    training: TrainingData | RowsOfSource | None
    logits: Logits
    seen: str


Record = EstimateRecord | PosteriorRecord


class Recorded(Protocol):
    """A fit that provides the record to store."""

    @property
    def record(self) -> Record:
        """All values to store."""
        ...
