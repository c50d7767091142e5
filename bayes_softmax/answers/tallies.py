"""Sums over observations from which scores are made; those of two sets of rows add up to those of both."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.calibration import Bins, Cuts, bins_of, top_shares
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.available import Mask


class Predicted(NamedTuple):
    """Predicted probabilities (n, K), their logarithms, finite where the former underflow, and classes on offer."""

    P: FloatArray
    log_P: FloatArray
    available: Mask | None = None


class Mean(NamedTuple):
    """Mean of a score over observations of total ``weight``, and the sum of squared deviations from it."""

    weight: float
    mean: float
    squares: float

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN if it is infinite."""
        return float(np.sqrt(self.squares / max(self.weight - 1, 1) / self.weight))


class Tally(NamedTuple):
    """Sums over scored observations: scores by name, null log loss, confusion (K, K), bins of probabilities."""

    means: dict[str, Mean]
    null: Mean
    confusion: FloatArray
    bins: Bins

    @property
    def total(self) -> float:
        """Observations in all."""
        return self.null.weight


def tally_of(predicted: Predicted, counts: FloatArray, rates: FloatArray, cuts: Cuts) -> Tally:
    """The sums for weighted counts (n, K); ``rates`` (K,) or (n, K) are the null model's."""
    P = predicted.P
    right = top_shares(P)
    brier = (P**2).sum(axis=1, keepdims=True) - 2 * P + 1.0
    scores = {"accuracy": right, "log_loss": -predicted.log_P, "brier": brier}
    if predicted.available is not None:  # the null model, too, is renormalised over the classes on offer
        rates = rates * predicted.available
    with np.errstate(divide="ignore", invalid="ignore"):
        null = np.broadcast_to(-np.log(rates / rates.sum(axis=-1, keepdims=True)), counts.shape)
    return Tally(
        {name: _mean(values, counts) for name, values in scores.items()},
        _mean(null, counts),
        counts.T @ right,
        bins_of(P, counts, cuts, predicted.available),
    )


def _mean(values: FloatArray, counts: FloatArray) -> Mean:
    """Mean of a score (n, K) over the observations of ``counts`` (n, K)."""
    used = counts > 0
    v, w = values[used], counts[used]
    if not len(w):
        return Mean(0.0, 0.0, 0.0)
    mean = float(np.average(v, weights=w))
    squares = float((w * (v - mean) ** 2).sum()) if np.isfinite(mean) else float("nan")
    return Mean(float(w.sum()), mean, squares)


def added_tallies(a: Tally, b: Tally) -> Tally:
    """The sums over the observations of both."""
    return Tally(
        {name: _added(mean, b.means[name]) for name, mean in a.means.items()},
        _added(a.null, b.null),
        a.confusion + b.confusion,
        Bins(*(x + y for x, y in zip(a.bins, b.bins, strict=True))),
    )


def _added(a: Mean, b: Mean) -> Mean:
    """Mean and squares of both: Chan, Golub and LeVeque, *American Statistician* 37 (1983)."""
    if not (a.weight and b.weight):
        return a if a.weight else b
    weight = a.weight + b.weight
    if not (np.isfinite(a.mean) and np.isfinite(b.mean)):
        return Mean(weight, a.mean + b.mean, float("nan"))
    apart = b.mean - a.mean
    squares = a.squares + b.squares + apart**2 * a.weight * b.weight / weight
    return Mean(weight, a.mean + apart * b.weight / weight, squares)
