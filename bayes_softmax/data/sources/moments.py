"""Sums over encoded rows that say all a model needs to know of them: moments of features, ranges, class totals."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design, Standardisation

BLOCK = 4096  # rows summed at once: they stay in the second-level cache


class Moments(NamedTuple):
    """Sums over rows.

    ``gram`` (p + 1, p + 1) is the weighted Gram matrix of a one and the features, provisionally standardised;
    ``values`` (2, p) are the smallest and the largest value of each feature, ``many`` (p,) whether it has a third.
    Features are those of rows that hold an observation.
    """

    n_obs: int
    n_dropped: int
    n_used: int
    n_forced: int
    class_counts: FloatArray
    gram: FloatArray
    values: FloatArray
    many: NDArray[np.bool_]
    has_weights: bool

    @property
    def total_weight(self) -> float:
        """Observations in all."""
        return float(self.class_counts.sum())

    @property
    def has_two_values(self) -> NDArray[np.bool_]:
        """Which features have two values at most."""
        return ~self.many

    def about(self, at: Standardisation) -> tuple[FloatArray, FloatArray]:
        """Mean and sd (ddof 0) of the features, of which ``at`` was the provisional standardisation."""
        total = self.gram[0, 0]
        mean = self.gram[0, 1:] / total
        variance = np.diag(self.gram)[1:] / total - mean**2
        return at.centre + at.scale * mean, at.scale * np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True)
class Provisional:
    """A standardisation from a sample of the rows, in which sums keep their digits."""

    at: Standardisation

    def of_rows(self, design: Design) -> Moments:
        """The sums over the rows of a design."""
        totals, p = design.totals, design.n_features
        used = totals > 0
        X, w = (design.X, totals) if used.all() else (design.X[used], totals[used])
        gram = np.zeros((p + 1, p + 1))
        for start in range(0, len(X), BLOCK):
            block = slice(start, start + BLOCK)
            Z = np.ones((len(X[block]), p + 1))
            Z[:, 1:] = (X[block] - self.at.centre) / self.at.scale
            gram += (Z * w[block, None]).T @ Z
        values = np.array([X.min(axis=0), X.max(axis=0)]) if len(X) else np.full((2, p), np.nan)
        return Moments(
            design.n_obs, design.n_dropped, int(used.sum()), design.n_forced, design.class_counts(), gram, values,
            _has_more(X, values), design.weights is not None,
        )  # fmt: skip


def _has_more(X: FloatArray, values: FloatArray) -> NDArray[np.bool_]:
    """Which features have a value beside the smallest and the largest."""
    few = X[:: max(len(X) // 64, 1)]  # most columns show a third value among a few rows
    more = np.array(((few != values[0]) & (few != values[1])).any(axis=0))
    rest = np.flatnonzero(~more)
    more[rest] = ((X[:, rest] != values[0, rest]) & (X[:, rest] != values[1, rest])).any(axis=0)
    return more


def merged_moments(a: Moments, b: Moments) -> Moments:
    """The sums over the rows of both."""
    both = np.array([a.values, b.values])
    low, high = np.fmin(both[0, 0], both[1, 0]), np.fmax(both[0, 1], both[1, 1])
    known = np.where(np.isnan(both), low, both)  # no rows, no values
    third = ((known != low) & (known != high)).any(axis=(0, 1))
    return Moments(
        a.n_obs + b.n_obs,
        a.n_dropped + b.n_dropped,
        a.n_used + b.n_used,
        a.n_forced + b.n_forced,
        a.class_counts + b.class_counts,
        a.gram + b.gram,
        np.array([low, high]),
        a.many | b.many | third,
        a.has_weights or b.has_weights,
    )


def moments_of(designs: Iterable[Design], provisional: Provisional) -> Moments | None:
    """The sums over the rows of several designs; None of none."""
    total: Moments | None = None
    for design in designs:
        found = provisional.of_rows(design)
        total = found if total is None else merged_moments(total, found)
    return total
