"""Calibration: how often a class occurs where it is predicted with a given probability."""

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


def calibration_table(
    P: FloatArray,
    counts: FloatArray,
    classes: tuple[Label, ...],
    *,
    interval: Interval,
    n_bins: int,
    available: Mask | None = None,
) -> pd.DataFrame:
    """One-vs-rest table with rows ``(class, bin)``, for probabilities and weighted counts (n, K).

    Rows in which a class is not on offer carry no information on its probabilities and are left out.
    """
    totals, parts = counts.sum(axis=1), []
    for k in range(len(classes)):
        at = slice(None) if available is None else available[:, k] & (totals > 0)
        parts.append(_bins(P[at, k], counts[at, k], totals[at], interval=interval, n_bins=n_bins))
    return table_of(pd.concat(dict(zip(classes, parts, strict=True)), names=["class", "bin"]), COMMON, SHARE)


def top_label_table(P: FloatArray, counts: FloatArray, *, interval: Interval, n_bins: int) -> pd.DataFrame:
    """The same table for the most probable class of each row, confidence against accuracy, with rows ``bin``."""
    hits, totals = (counts * top_shares(P)).sum(axis=1), counts.sum(axis=1)
    table = _bins(P.max(axis=1), hits, totals, interval=interval, n_bins=n_bins).rename_axis("bin")
    return table_of(table, COMMON, SHARE)


def _bins(p: FloatArray, hits: FloatArray, totals: FloatArray, *, interval: Interval, n_bins: int) -> pd.DataFrame:
    """Bins of about equal numbers of observations: mean probability, observed frequency and its Wilson interval."""
    if not len(p):  # a class that is on offer in no row
        names = ["predicted", "observed", *interval.columns("wilson"), "n_observations"]
        return pd.DataFrame(np.empty((0, 5)), pd.RangeIndex(1, 1), names)
    order = np.argsort(p, kind="stable")
    share = np.cumsum(totals[order]) / totals.sum()
    cuts = np.unique(p[order][np.searchsorted(share, np.arange(1, n_bins) / n_bins)])
    member = np.searchsorted(cuts, p, side="right")
    n, hit, predicted = (np.bincount(member, weights=w, minlength=len(cuts) + 1) for w in (totals, hits, totals * p))
    used = n > 0
    n, hit, predicted = n[used], hit[used], predicted[used]
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
