"""Remainders of second-order expansions, row by row: what the standard error of their estimated sum is made of."""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.parts import rows_of
from bayes_softmax.density.subsample.rows import SampledRows

BLOCK = 4096  # rows at a time


def remainder_errors(sample: SampledRows, V: FloatArray, steps: FloatArray) -> FloatArray:
    """Standard errors (S,) of the estimated sums of remainders at coefficients ``V`` (K, q) plus steps (S, K, q).

    A constant that all sums share moves no draw against another: errors are those of the differences from their mean.
    """
    first, second = np.zeros(len(steps)), np.zeros(len(steps))
    squares, shared = sample.squares, sample.shared
    for start in range(0, sample.design.n_obs, BLOCK):
        rows = slice(start, start + BLOCK)
        values = _remainders(rows_of(sample.design, rows), V, steps)
        values -= values.mean(axis=0)
        first += values @ shared[rows]
        second += np.square(values) @ squares[rows]
    errors: FloatArray = np.sqrt(np.maximum(second - first**2, 0.0))
    return errors


def _remainders(design: Design, V: FloatArray, steps: FloatArray) -> FloatArray:
    """Remainders (S, n) of the log-likelihoods of rows."""
    Z = design.standardised()
    logits = Z @ V.T  # (n, K)
    if design.offset is not None:
        logits = logits + design.offset
    if design.available is not None:
        logits = np.where(design.available, logits, -np.inf)
    logits -= logits.max(axis=1, keepdims=True)
    expected = np.exp(logits)
    expected /= expected.sum(axis=1, keepdims=True)
    found = np.empty((len(steps), design.n_obs))
    for s, step in enumerate(steps):
        move = Z @ step.T
        mean = np.einsum("nk,nk->n", expected, move)
        move -= mean[:, None]
        variance = np.einsum("nk,nk,nk->n", expected, move, move)
        # log of the mean of exp(move), less the first two orders: what is observed is linear, and has no remainder
        found[s] = 0.5 * variance - np.log(np.einsum("nk,nk->n", expected, np.exp(move)))
    remainders: FloatArray = found * design.totals
    return remainders
