"""Compiled draws of levels' effects given weights and hyperparameters, for one grouping.

Given these, levels are independent, and a level's density is strictly log-concave with few dimensions.  A draw is the
end of a few steps of the independence sampler (Tierney, *Annals of Statistics* 22, 1994), whose proposals come from a
mixture of the level's normal approximation and a t distribution around the same mode, so that it forgets its start at
a geometric rate: weights of the proposals are bounded.
"""

import math

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.level_modes import move_to_mode, rows_at, times
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.scales.cholesky import lower_transposed_product

T_SHARE, T_DF = 0.1, 5.0


@nb.njit(**nb.OPTIONS | KEPT)
def draw_levels(rows, eta, L, b, proposals, uniforms, effects):  # type: ignore[no-untyped-def]
    """Fill ``effects`` (G, m) with a draw; ``b`` (G, m) are where modes are sought from, and become the modes.

    ``proposals`` (G, steps + 1, m) are draws from the mixture around zero with unit scale, the first of which is where
    a chain begins, and ``uniforms`` (G, steps) are the logs of uniform numbers.
    """
    (G, m), K, q = b.shape, eta.shape[1], rows.terms.shape[1]
    A, X, r, at, u = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m), np.empty(m)
    work = np.empty((q, K)), np.empty((q, K)), np.empty(K)
    p = np.empty(((rows.starts[1:] - rows.starts[:-1]).max(), K))
    for g in range(G):
        first, end = rows.starts[g], rows.starts[g + 1]
        if first == end:
            b[g] = 0.0
            X[:] = 0.0
            for i in range(m):
                X[i, i] = 1.0
        else:
            move_to_mode(rows, eta, first, end, L, b[g], p, r, A, X)
        weight = -np.inf
        for step in range(proposals.shape[1]):
            z = proposals[g, step]
            lower_transposed_product(X, z, at)
            for i in range(m):
                at[i] += b[g, i]
            times(L, at, u)
            value = rows_at(rows, eta, first, end, u, p, r, work) - 0.5 * np.dot(at, at) - log_mixture(z)
            if step == 0 or uniforms[g, step - 1] < value - weight:
                weight = value
                effects[g] = u


@nb.njit(**nb.OPTIONS)
def log_mixture(z):  # type: ignore[no-untyped-def]
    """Log density of the mixture, but for the factor of a standard normal density at zero."""
    m, square = len(z), np.dot(z, z)
    constant = math.lgamma(0.5 * (T_DF + m)) - math.lgamma(0.5 * T_DF) - 0.5 * m * math.log(0.5 * T_DF)
    heavy = math.log(T_SHARE) + constant - 0.5 * (T_DF + m) * math.log1p(square / T_DF)
    normal = math.log(1.0 - T_SHARE) - 0.5 * square
    largest = max(heavy, normal)
    return largest + math.log(math.exp(heavy - largest) + math.exp(normal - largest))
