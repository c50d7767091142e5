"""Calibration: how often a class occurs where it is predicted with a given probability."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayes_softmax.answers.intervals import Interval
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.available import Mask
from bayes_softmax.data.design import Label
from bayes_softmax.display.digits import COMMON, Format
from bayes_softmax.display.table import table_of

SHARE = Format("share")
TIE = 1e-12  # classes this close to the highest probability tie with it: rounding must not decide between them


def top_shares(P: FloatArray) -> FloatArray:
    """Indicator (n, K) of the most probable class of each row, in equal shares where classes tie."""
    top = P.max(axis=1, keepdims=True) - P <= TIE
    shares: FloatArray = top / top.sum(axis=1, keepdims=True)
    return shares


class Cuts(NamedTuple):
    """Bounds of the bins of probabilities: of each class, and of the most probable class."""

    by_class: tuple[FloatArray, ...]
    top: FloatArray


class Bins(NamedTuple):
    """Sums over the observations in each bin (classes + 1, bins): observations, those of the class, probabilities.

    The last row is that of the most probable class; bins beyond the bounds of a class are empty.
    """

    n: FloatArray
    hits: FloatArray
    predicted: FloatArray


def cuts_of(P: FloatArray, counts: FloatArray, n_bins: int, available: Mask | None = None) -> Cuts:
    """Bounds of bins of about equal numbers of observations, for probabilities and weighted counts (n, K).

    Rows in which a class is not on offer carry no information on its probabilities and are left out.
    """
    totals = counts.sum(axis=1)
    own = [_on_offer(k, totals, available) for k in range(P.shape[1])]
    by_class = tuple(_cuts(P[at, k], totals[at], n_bins) for k, at in enumerate(own))
    return Cuts(by_class, _cuts(P.max(axis=1), totals, n_bins))


def bins_of(P: FloatArray, counts: FloatArray, cuts: Cuts, available: Mask | None = None) -> Bins:
    """Sums in the bins of probabilities and weighted counts (n, K)."""
    K, totals = P.shape[1], counts.sum(axis=1)
    n_bins = 1 + max(len(bounds) for bounds in (*cuts.by_class, cuts.top))
    found = np.zeros((3, K + 1, n_bins))
    for k, bounds in enumerate(cuts.by_class):
        at = _on_offer(k, totals, available)
        found[:, k] = _sums(bounds, P[at, k], counts[at, k], totals[at], n_bins)
    found[:, K] = _sums(cuts.top, P.max(axis=1), (counts * top_shares(P)).sum(axis=1), totals, n_bins)
    return Bins(*found)


def _on_offer(k: int, totals: FloatArray, available: Mask | None) -> Any:
    """The rows in which a class is judged."""
    return slice(None) if available is None else available[:, k] & (totals > 0)


def _cuts(p: FloatArray, totals: FloatArray, n_bins: int) -> FloatArray:
    """Bounds between bins of about equal numbers of observations; none of a class that is on offer in no row."""
    if not len(p):
        return np.empty(0)
    order = np.argsort(p, kind="stable")
    share = np.cumsum(totals[order]) / totals.sum()
    bounds: FloatArray = np.unique(p[order][np.searchsorted(share, np.arange(1, n_bins) / n_bins)])
    return bounds


def _sums(bounds: FloatArray, p: FloatArray, hits: FloatArray, totals: FloatArray, n_bins: int) -> FloatArray:
    """(3, bins) sums of observations, hits and probabilities."""
    member = np.searchsorted(bounds, p, side="right")
    return np.array([np.bincount(member, weights=w, minlength=n_bins) for w in (totals, hits, totals * p)])


def calibration_table(bins: Bins, classes: tuple[Label, ...], interval: Interval) -> pd.DataFrame:
    """One-vs-rest table with rows ``(class, bin)``."""
    parts = [_table(bins, k, interval) for k in range(len(classes))]
    return table_of(pd.concat(dict(zip(classes, parts, strict=True)), names=["class", "bin"]), COMMON, SHARE)


def top_label_table(bins: Bins, interval: Interval) -> pd.DataFrame:
    """The same table for the most probable class of each row, confidence against accuracy, with rows ``bin``."""
    return table_of(_table(bins, -1, interval).rename_axis("bin"), COMMON, SHARE)


def _table(bins: Bins, k: int, interval: Interval) -> pd.DataFrame:
    """Mean probability, observed frequency and its Wilson interval in the bins that have observations."""
    used = bins.n[k] > 0
    n, hit, predicted = (sums[k, used] for sums in bins)
    observed, z2 = hit / n, ndtri(0.5 + 0.5 * interval.prob) ** 2
    middle = (hit + 0.5 * z2) / (n + z2)
    half = np.sqrt(z2 * (observed * (1 - observed) * n + 0.25 * z2)) / (n + z2)
    low, high = interval.columns("wilson")
    columns = {"predicted": predicted / n, "observed": observed, low: middle - half, high: middle + half}
    return pd.DataFrame(columns | {"n_observations": n}, index=pd.RangeIndex(1, len(n) + 1))


def calibration_error(table: pd.DataFrame) -> float:
    """Mean absolute difference of observed and predicted frequencies, weighted by the observations per bin."""
    predicted, observed, n = (table[name].to_numpy() for name in ("predicted", "observed", "n_observations"))
    return float((np.abs(predicted - observed) * n).sum() / n.sum())
