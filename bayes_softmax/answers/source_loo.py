r"""Leave-one-out of rows that are read in passes, from a sample of them, by the difference estimator.

For each row :math:`\tilde\pi_n = \log p(y_n \mid \bar\theta)` at the mean of the draws is close to its leave-one-out
density :math:`\pi_n` and costs one draw: one pass sums it over all rows.  A uniform sample of m rows tells the rest,

.. math:: \widehat{\mathrm{elpd}} = \sum_{n=1}^N \tilde\pi_n + \frac Nm \sum_{n \in S} (\pi_n - \tilde\pi_n),

whose error due to the sample is that of the differences, which are small: Magnusson, Andersen, Jonasson and Vehtari,
*ICML* 2019 and *AISTATS* 2020.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayes_softmax.answers.fitted import Fitted, Sampled
from bayes_softmax.answers.loo_limits import check_draws, good_k, warn_of_doubts
from bayes_softmax.answers.pointwise import Pointwise, row_loo
from bayes_softmax.answers.probabilities import (
    HasLogits,
    ThinnedDraws,
    over_blocks,
    row_log_likelihood,
    sum_over_blocks,
)
from bayes_softmax.answers.rows import Rows
from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import training_data
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.gathering import part_of

LOO_ROWS = 4000  # of the sample: their error is a few per cent of the score's own standard error


class Sums(NamedTuple):
    """Number of scored rows, and sums of their values and of the squares of these."""

    n: int
    total: float
    squares: float


class SampleScores(NamedTuple):
    """Of the rows of a sample: leave-one-out, log density at the mean of the draws; sums of the latter over all rows.

    ``rows`` are keys of the sampled rows, the same for fits to the same source.
    """

    found: Pointwise
    at_mean: FloatArray
    over_all: Sums
    rows: tuple[Any, ...]

    @property
    def n(self) -> int:
        """Number of rows in all."""
        return self.over_all.n


class Estimated(NamedTuple):
    """A sum over all rows, its standard error over rows, and the error of its estimate from a sample."""

    total: float
    se: float
    subsampling_se: float


def source_loo(fit: Sampled, data: RowsOfSource) -> Any:
    """ArviZ's ``ELPDDataLOOSubsample``, with pointwise values of the sampled rows."""
    from arviz_stats.utils import ELPDDataLOOSubsample

    scores = scores_of_sample(fit, data)
    found, n_draws = scores.found, fit.parameters.n_draws
    elpd = estimated(found.elpd, scores.at_mean, scores.over_all)
    m, limit = len(found.elpd), good_k(n_draws)
    return ELPDDataLOOSubsample(
        elpd=elpd.total,
        se=elpd.se,
        p=scores.n * float((found.lppd - found.elpd).mean()),
        n_samples=n_draws,
        n_data_points=scores.n,
        scale="log",
        warning=bool((~(found.pareto_k <= limit)).any()) or bool(fit.doubts),
        good_k=limit,
        elpd_i=xr.DataArray(found.elpd, dims="obs", name="elpd_i"),
        pareto_k=xr.DataArray(found.pareto_k, dims="obs", name="pareto_k"),
        subsampling_se=elpd.subsampling_se,
        subsample_size=m,
        loo_subsample_observations=np.arange(m),
        elpd_loo_approx=xr.DataArray(scores.at_mean, dims="obs", name="elpd_loo_approx"),
    )


def estimated(own: FloatArray, near: FloatArray, over_all: Sums) -> Estimated:
    """Sum over all rows of values that are known in a sample, ``own`` (m,), from ``near`` ones known everywhere."""
    n, m = over_all.n, len(own)
    apart = own - near
    total = over_all.total + n * float(apart.mean())
    spread = float(apart.var(ddof=1)) if m > 1 else 0.0
    of_sample = n**2 * (1 - m / n) * spread / m
    squares = over_all.squares + n * float((own**2 - near**2).mean())
    over_rows = max(squares - (total**2 - of_sample) / n, 0.0) * n / max(n - 1, 1)
    return Estimated(total, float(np.sqrt(over_rows)), float(np.sqrt(of_sample)))


def scores_of_sample(fit: Sampled, data: RowsOfSource) -> SampleScores:
    """Leave-one-out of the rows of a sample, and what is near it for all rows.

    Raises ``ValueError`` for counts, or weights: an observation is a row here.
    """
    if data.rows.reader.options.weights is not None or data.rows.sample.response.codes is None:
        raise ValueError(
            f"loo() of rows that are read in passes ({data.name}) needs rows of one observation each, without weights "
            "or counts; fit a sample of them, as a data frame"
        )
    check_draws(fit)
    scored = np.flatnonzero(data.rows.sample.totals > 0)[:LOO_ROWS]
    design = part_of(data.rows.sample, scored)
    design = design.without_weights()
    mean = mean_parameters(fit)
    at_mean = log_probabilities(mean, design)
    over_all = data.total(partial(_sums, mean), _added, "log density of all rows")
    found = row_loo(fit, training_data(design, None), fit.relative_ess)
    found = found._replace(pareto_k=warn_of_doubts(fit, found.pareto_k))
    limit = good_k(fit.parameters.n_draws)
    bad = int((~(found.pareto_k <= limit)).sum())
    if bad and not fit.doubts:
        warn_caller(
            f"leave-one-out: Pareto k is above {limit:.2f} for {bad} of {len(scored)} sampled rows: their estimates "
            "are too optimistic",
            NotReliableWarning,
        )
    return SampleScores(found, at_mean, over_all, tuple(scored.tolist()))


def mean_parameters(fit: Fitted) -> ThinnedDraws:
    """The mean of the draws, as one draw."""
    arrays = {name: values.mean(axis=0, keepdims=True) for name, values in fit.parameters.arrays.items()}
    return ThinnedDraws(fit.logits, Parameters(arrays, fit.parameters.held))


def log_probabilities(fit: HasLogits, design: Design) -> FloatArray:
    """(n,) log probability of the class of each row, at one draw."""
    rows, codes = rows_of(design), design.response.codes
    assert codes is not None
    parts = over_blocks(fit, rows, lambda L, block: L[codes[block], np.arange(block.stop - block.start), 0], log=True)
    return np.concatenate(parts)


def rows_of(design: Design) -> Rows:
    """The rows of a design, encoded."""
    X, offset, available = design.encoded(slice(None))
    return Rows(X, design.index, offset, available=available)


def _sums(fit: HasLogits, design: Design) -> Sums:
    scored = design.totals > 0
    values = log_probabilities(fit, design)[scored]
    return Sums(int(scored.sum()), float(values.sum()), float((values**2).sum()))


def _added(a: Sums, b: Sums) -> Sums:
    return Sums(a.n + b.n, a.total + b.total, a.squares + b.squares)


def log_likelihood_of_source(fit: Fitted, data: RowsOfSource) -> FloatArray:
    """Log-likelihood (S,) of all rows under each draw, in one pass."""
    draws = ThinnedDraws(fit.logits, fit.parameters)
    return data.total(partial(_log_likelihood, draws), np.add, "log-likelihood of the draws")


def _log_likelihood(fit: HasLogits, design: Design) -> FloatArray:
    counts = design.dense_counts()

    def summed(L: FloatArray, block: slice) -> FloatArray:
        return np.asarray(row_log_likelihood(L, counts[block]).sum(axis=0))

    return sum_over_blocks(fit, rows_of(design), summed, log=True)
