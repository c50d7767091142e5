r"""Limits of contrasts and of rows under linear logits whose optimum lies at infinity, or is not unique.

A contrast of coefficients, or a difference of two logits of a row, is a linear function on the recession cone: finite
where it is zero on all of it, infinite where it has one sign, else not determined.

On the way to the supremum the probabilities of a row whose differences are finite or infinite have a limit: that of the
*limiting conditional model* (Geyer, *Electronic Journal of Statistics* 3, 2009).  Classes that are infinitely far below
another one have probability 0 there; the others share 1 as in any softmax regression, with standard errors.  These are
errors *given* that the excluded classes are impossible.  That they are is not certain: data in which a class was never
seen with some values are only the most probable under a model that excludes it.  So a probability of 0 or 1 has no
interval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.schema import Schema

ROUNDING = 1e-7  # relative to a ray's coefficients in a row: a contrast below is zero
BLOCK_NUMBERS = 4_000_000  # logits along rays that are held at a time


class Limits(NamedTuple):
    """Directions along which the likelihood never falls.

    ``rays`` (R, q, K) of the raw coefficients, intercept first, decide contrasts of coefficients; ``rows`` (R', K, q)
    of the standardised features, a constant first, decide rows; ``lines`` (m, K, q) among these span what no
    observation sees.  ``centre`` and ``scale`` (p,) standardise.
    """

    rays: FloatArray
    rows: FloatArray
    lines: FloatArray
    centre: FloatArray
    scale: FloatArray


class InTheLimit(NamedTuple):
    """The classes of ``n`` rows in the limit.

    ``excluded`` (n, K): probability 0.  ``loose`` (n, K): not determined, because both signs occur on the cone.
    ``unknown`` (n,): no observation informs a difference between two classes that are not excluded.
    """

    excluded: NDArray[np.bool_]
    loose: NDArray[np.bool_]
    unknown: NDArray[np.bool_]


def no_rays(schema: Schema) -> FloatArray:
    """The rays (0, q, K) of an estimate that is finite and unique."""
    return np.zeros((0, 1 + len(schema.feature_names), len(schema.classes)))


def limits_of_rays(rays: FloatArray) -> Limits:
    """Limits where only the rays of contrasts are known: they do not decide the sign of a row's differences."""
    rows, p = rays.transpose(0, 2, 1), rays.shape[1] - 1
    return Limits(rays, np.concatenate([rows, -rows]), rows[:0], np.zeros(p), np.ones(p))


def rows_in_the_limit(limits: Limits, X: FloatArray, available: NDArray[np.bool_] | None = None) -> InTheLimit:
    """Which classes of rows ``X`` (n, >= p) are excluded, and which not determined, among those on offer (n, K)."""
    n, (R, K, _) = len(X), limits.rows.shape
    found = InTheLimit(np.zeros((n, K), bool), np.zeros((n, K), bool), np.zeros(n, bool))
    step = max(1, BLOCK_NUMBERS // max((R + len(limits.lines)) * K, 1))
    for start in range(0, n, step):
        block = slice(start, start + step)
        own = X[block, : len(limits.centre)]  # the features come first: groups' levels follow, whose effects are finite
        Z = np.column_stack([np.ones(len(own)), (own - limits.centre) / limits.scale])
        offered = np.ones((len(Z), K), dtype=bool) if available is None else available[block]
        for part, values in zip(found, _judged(limits, Z, offered), strict=True):
            part[block] = values
    return found


def _judged(limits: Limits, Z: FloatArray, offered: NDArray[np.bool_]) -> InTheLimit:
    """The same for standardised rows (n, q) with a constant first."""
    n, K = len(Z), limits.rows.shape[1]
    above, below = (np.zeros((n, K, K), dtype=bool) for _ in range(2))
    hidden = np.zeros((n, K, K), dtype=bool)
    logits, sizes = _along(limits.rows, Z)
    unseen, unseen_sizes = _along(limits.lines, Z)
    for k in range(K):
        for l in range(k):
            moved = logits[..., k] - logits[..., l]
            above[:, k, l] = below[:, l, k] = (moved > sizes).any(axis=1)
            below[:, k, l] = above[:, l, k] = (moved < -sizes).any(axis=1)
            moved = np.abs(unseen[..., k] - unseen[..., l])
            hidden[:, k, l] = hidden[:, l, k] = (moved > unseen_sizes).any(axis=1)
    pairs = offered[:, :, None] & offered[:, None, :]
    above, below, hidden = above & pairs, below & pairs, hidden & pairs
    excluded = (below & ~above).any(axis=2)
    loose = (below & above).any(axis=2) & ~excluded
    both = ~(excluded[:, :, None] | excluded[:, None, :])
    return InTheLimit(excluded, loose, (hidden & both).any(axis=(1, 2)))


def _along(directions: FloatArray, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logits (n, R, K) of rows along directions (R, K, q), and their rounding errors (n, R)."""
    moved: FloatArray = np.moveaxis(directions @ Z.T, 2, 0)
    largest = np.abs(directions).max(axis=(1, 2), initial=0.0)
    return moved, ROUNDING * np.abs(Z).max(axis=1, initial=0.0)[:, None] * largest


def moving_pairs(limits: Limits, D: FloatArray) -> NDArray[np.bool_]:
    """(n, K, K) pairs of classes whose logits a change ``D`` (n, p) of the features moves to infinity."""
    moved, sizes = _along(limits.rows, np.column_stack([np.zeros(len(D)), D / limits.scale]))
    gaps = np.abs(moved[..., :, None] - moved[..., None, :])
    pairs: NDArray[np.bool_] = (gaps > sizes[..., None, None]).any(axis=1)
    return pairs


def contrast_limits(rays: FloatArray, matrix: FloatArray) -> FloatArray:
    """Limits of contrasts at an optimum at infinity: 0 where they are finite, inf or -inf, NaN if not determined.

    Parameters
    ----------
    rays
        (R, q, K) directions of the raw coefficients along which the likelihood never falls, enough of them that a
        contrast which takes two signs takes them here.
    matrix
        (K, m) contrasts of the class columns.

    Returns
    -------
    ndarray
        (q, m).

    Examples
    --------
    >>> rays = np.array([[[0.0, 1.0, 1.0]], [[0.0, 2.0, 1.0]]])
    >>> contrast_limits(rays, np.array([[-1.0, 0.0, 0.0], [1.0, 1.0, -1.0], [0.0, -1.0, 1.0]])).tolist()
    [[inf, inf, -inf]]
    """
    moved = rays @ matrix
    moved[np.abs(moved) <= ROUNDING * np.abs(rays).max(axis=2, keepdims=True, initial=0.0)] = 0.0
    up, down = (moved > 0).any(axis=0), (moved < 0).any(axis=0)
    return np.select([up & down, up, down], [np.nan, np.inf, -np.inf], 0.0)


def own_contrasts(schema: Schema) -> FloatArray:
    """(K, K) contrasts in the columns of a coding: against the first class, or against the average."""
    K = len(schema.classes)
    base = np.eye(K)[:, :1] if schema.coding == "reference" else np.full((K, 1), 1.0 / K)
    return np.eye(K) - base
