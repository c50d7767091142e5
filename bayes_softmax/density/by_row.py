"""The log-likelihood summed row by row, for use where the kernel's difference of two large sums loses digits.

The kernel subtracts ``sum n_i logsumexp_i`` from ``<V, Y'Z>``.  Where the classes are nearly separated, both are large
and almost equal: their difference can be rounding error, even positive.  Here each term is the logarithm of a
probability.
"""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.textbook import log_softmax
from bayes_softmax.spec.coding import Coordinates

BLOCK = 16384  # rows at once
NEARLY_PERFECT = 1e-3  # log-likelihood per observation: closer to zero than this, it is summed row by row


def without_rounding(value: float, design: Design, coordinates: Coordinates, theta: FloatArray) -> float:
    """The kernel's log-likelihood at the free vector ``theta`` (d,), replaced by the sum over rows if near zero."""
    if value <= -NEARLY_PERFECT * design.total_weight:
        return value
    return log_likelihood_by_row(design, coordinates.to_engine(theta[None])[0])


def log_likelihood_by_row(design: Design, V: FloatArray) -> float:
    """Log-likelihood at engine coefficients ``V`` (K, q), at most zero."""
    first, (centre, scale) = int(design.has_intercept), design.standardisation
    counts, total = design.dense_counts(), 0.0
    for start in range(0, design.n_obs, BLOCK):
        rows = slice(start, start + BLOCK)
        logits = ((design.features.at(rows) - centre) / scale) @ V[:, first:].T
        if first:
            logits += V[:, 0]
        if design.offset is not None:
            logits += design.offset[rows]
        if design.available is not None:
            logits[~design.available[rows]] = -np.inf
        observed = counts[rows] > 0
        total += float(counts[rows][observed] @ log_softmax(logits)[observed])
    return total
