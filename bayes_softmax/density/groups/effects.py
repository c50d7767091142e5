"""Compiled effects of levels in the logits of a block of rows, and the block's residuals pulled back to them."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray


class Grouping(NamedTuple):
    """Rows of one grouping, packed as the features are.

    ``codes`` (n, B) is the level of each row, ``terms`` (n, q, B) what multiplies its effects (1 for an intercept, zero
    where padded), ``observed`` (G, q, K-1) the sum of terms times counts over each level's rows, and ``contrasts``
    (K-1, k) the differences from the last class of a unit of each free coordinate.
    """

    codes: IntArray
    terms: FloatArray
    observed: FloatArray
    contrasts: FloatArray


@nb.njit(**nb.OPTIONS)
def effective(rows, u, U):  # type: ignore[no-untyped-def]
    """Fill ``U`` (G, q, K-1), differences of the effects from those of the last class, for free ones ``u`` (G, q k)."""
    (G, q, K1), k = U.shape, rows.contrasts.shape[1]
    for g in range(G):
        for t in range(q):
            for c in range(K1):
                total = 0.0
                for a in range(k):
                    total += rows.contrasts[c, a] * u[g, t * k + a]
                U[g, t, c] = total


@nb.njit(**nb.OPTIONS)
def add_effects(codes, terms, U, c, L):  # type: ignore[no-untyped-def]
    """Add the effects to the logits of the first ``c`` rows of a block."""
    q, K1 = U.shape[1:]
    for i in range(c):
        level = U[codes[i]]
        for t in range(q):
            term, effect = terms[t, i], level[t]
            for k in range(K1):
                L[k, i] += term * effect[k]


@nb.njit(**nb.OPTIONS)
def pull_effects(codes, terms, L, c, Ubar):  # type: ignore[no-untyped-def]
    """Subtract the expected counts ``L`` of the first ``c`` rows, times each term, from ``Ubar`` (G, q, K-1)."""
    q, K1 = Ubar.shape[1:]
    for i in range(c):
        level = Ubar[codes[i]]
        for t in range(q):
            term, into = terms[t, i], level[t]
            for k in range(K1):
                into[k] -= term * L[k, i]


@nb.njit(**nb.OPTIONS)
def free_effects(rows, U, Ubar, of_u):  # type: ignore[no-untyped-def]
    """The observed part of the log-likelihood; fills the gradient ``of_u`` (G, q k) from ``Ubar``."""
    (G, q, K1), k, value = U.shape, rows.contrasts.shape[1], 0.0
    total = np.empty(K1)
    for g in range(G):
        for t in range(q):
            for c in range(K1):
                value += rows.observed[g, t, c] * U[g, t, c]
                total[c] = Ubar[g, t, c] + rows.observed[g, t, c]
            for a in range(k):
                pulled = 0.0
                for c in range(K1):
                    pulled += rows.contrasts[c, a] * total[c]
                of_u[g, t * k + a] = pulled
    return value
