"""Contrasts whose maximum-likelihood estimate is infinite or not determined, told by rays of the recession cone."""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.schema import Schema

ROUNDING = 1e-7  # of a ray's coefficients in a row: a contrast below is zero


def no_rays(schema: Schema) -> FloatArray:
    """The rays (0, q, K) of an estimate that is finite and unique."""
    return np.zeros((0, 1 + len(schema.feature_names), len(schema.classes)))


def contrast_limits(rays: FloatArray, matrix: FloatArray) -> FloatArray:
    """What an optimum at infinity makes of contrasts: 0 where they are finite, inf or -inf, NaN if not determined.

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
    """(K, K) the contrasts that the columns of a coding are: against the first class, or against the average."""
    K = len(schema.classes)
    base = np.eye(K)[:, :1] if schema.coding == "reference" else np.full((K, 1), 1.0 / K)
    return np.eye(K) - base
