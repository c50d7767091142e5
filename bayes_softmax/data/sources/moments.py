"""Sums over encoded rows that say all a model needs to know of them: moments of features, ranges, class totals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Standardisation

BLOCK = 2048  # rows summed at once: they stay in the second-level cache
TILE = 16


class Moments(NamedTuple):
    """Sums over rows.

    ``gram`` (p + 1, p + 1) is the weighted Gram matrix of a one and the features, provisionally standardised;
    ``values`` (2, p) are the smallest and the largest value of each feature, ``many`` (p,) whether it has a third, all
    of rows that hold an observation; ``others`` (2, p) the ends over rows of weight zero.  ``class_rows`` (2, K) are as
    of :meth:`Design.class_rows`.
    """

    n_obs: int
    n_dropped: int
    n_used: int
    n_forced: int
    class_counts: FloatArray
    gram: FloatArray
    values: FloatArray
    many: NDArray[np.bool_]
    others: FloatArray
    class_rows: IntArray | None
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
        totals = design.totals
        used = totals > 0
        X, w = (design.X, totals) if used.all() else (design.X[used], totals[used])
        with np.errstate(over="ignore", invalid="ignore"):  # overflow of large values, which are refused by their ends
            gram, values, many = _sums(X, None if (w == 1).all() else w, self.at)
        others = _ends(design.X[~used])
        return Moments(
            design.n_obs, design.n_dropped, int(used.sum()), design.n_forced, design.class_counts(), gram, values, many,
            others, design.class_rows(), design.weights is not None,
        )  # fmt: skip


def _ends(X: FloatArray) -> FloatArray:
    """The smallest and the largest values (2, p) of columns; NaN of no rows."""
    return np.array([X.min(axis=0), X.max(axis=0)]) if len(X) else np.full((2, X.shape[1]), np.nan)


def _sums(X: FloatArray, w: FloatArray | None, at: Standardisation) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Gram matrix, ends and whether there is a third value of features (N, p) of weights (N,), or None for ones.

    Everything is computed of a block while it is in the cache, so memory is read once.  ``TILE`` rows are taken for
    one where each column is treated alike: NumPy is slow at loops over few features.
    """
    N, p = X.shape
    gram, low, high = np.zeros((p + 1, p + 1)), np.full(p, np.nan), np.full(p, np.nan)
    if not p:
        gram[0, 0] = float(N) if w is None else w.sum()
        return gram, np.array([low, high]), np.zeros(0, dtype=bool)
    centre, scale = np.tile(at.centre, TILE), np.tile(at.scale, TILE)
    padded, product = np.empty((BLOCK // TILE, TILE * p)), np.empty((BLOCK, p))
    for start in range(0, N, BLOCK):
        block = X[start : start + BLOCK]
        n = len(block)
        if n % TILE:  # repeat the last row
            block = np.concatenate([block, np.broadcast_to(block[-1], (-n % TILE, p))])
        tiles = np.ascontiguousarray(block).reshape(-1, TILE * p)
        low = np.fmin(low, tiles.min(axis=0).reshape(TILE, p).min(axis=0))
        high = np.fmax(high, tiles.max(axis=0).reshape(TILE, p).max(axis=0))
        scaled = np.subtract(tiles, centre, out=padded[: len(tiles)])
        scaled /= scale
        z = scaled.reshape(-1, p)[:n]
        weights = np.ones(n) if w is None else w[start : start + BLOCK]
        left = z if w is None else np.multiply(z, weights[:, None], out=product[:n])
        gram[0, 0] += weights.sum()
        gram[0, 1:] += weights @ z
        gram[1:, 1:] += left.T @ z
    gram[1:, 0] = gram[0, 1:]
    values = np.array([low, high])
    return gram, values, _has_more(X, values)


def _has_more(X: FloatArray, values: FloatArray) -> NDArray[np.bool_]:
    """Which features have a value beside the smallest and the largest."""
    few = X[:: max(len(X) // 64, 1)]  # most columns show a third value among a few rows
    more = np.array(((few != values[0]) & (few != values[1])).any(axis=0))
    rest = np.flatnonzero(~more)
    more[rest] = ((X[:, rest] != values[0, rest]) & (X[:, rest] != values[1, rest])).any(axis=0)
    return more


def merged_moments(a: Moments, b: Moments) -> Moments:
    """The sums over the rows of both."""
    low, high = values = _merged_ends(a.values, b.values)
    found = np.array([a.values, b.values])
    # No rows, no values; a third one is in one of the two between the ends of both.
    third = ((found > low) & (found < high)).any(axis=(0, 1))
    return Moments(
        a.n_obs + b.n_obs,
        a.n_dropped + b.n_dropped,
        a.n_used + b.n_used,
        a.n_forced + b.n_forced,
        a.class_counts + b.class_counts,
        a.gram + b.gram,
        values,
        a.many | b.many | third,
        _merged_ends(a.others, b.others),
        None if a.class_rows is None or b.class_rows is None else a.class_rows + b.class_rows,
        a.has_weights or b.has_weights,
    )


def _merged_ends(a: FloatArray, b: FloatArray) -> FloatArray:
    """The smallest and the largest values (2, p) of both; NaN where neither has rows."""
    return np.array([np.fmin(a[0], b[0]), np.fmax(a[1], b[1])])
