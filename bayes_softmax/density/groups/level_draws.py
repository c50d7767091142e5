"""Compiled draws of levels' effects given weights and hyperparameters, for one grouping.

Given these, levels are independent, and a level's density is strictly log-concave with few dimensions.  Proposals come
from a mixture of the level's normal approximation and a t distribution around the same mode, so that their weights are
bounded.  The mean of the weights is an unbiased estimate of the level's marginal likelihood, and one proposal is chosen
by its weight: with that estimate in the importance weight of a draw, the level is a draw from the posterior too (Tran,
Scharth, Pitt and Kohn, arXiv:1309.3339).
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
    """Fill ``effects`` (G, m) with a draw; returns the log of an estimate of the marginal likelihood.

    ``b`` (G, m) are where modes are sought from, and become the modes; ``proposals`` (G, R, m) are draws from the
    mixture around zero with unit scale, and ``uniforms`` (G,) choose among them.
    """
    (G, m), R, K, q, total = b.shape, proposals.shape[1], eta.shape[1], rows.terms.shape[1], 0.0
    A, X, r, at, u = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m), np.empty((R, m))
    work, weights = (np.empty((q, K)), np.empty((q, K)), np.empty(K)), np.empty(R)
    p = np.empty(((rows.starts[1:] - rows.starts[:-1]).max(), K))
    for g in range(G):
        first, end, half = rows.starts[g], rows.starts[g + 1], 0.0
        if first < end:
            half = move_to_mode(rows, eta, first, end, L, b[g], p, r, A, X)[1]
        else:
            b[g], X[:] = 0.0, np.eye(m)
        for s in range(R):
            lower_transposed_product(X, proposals[g, s], at)
            for i in range(m):
                at[i] += b[g, i]
            times(L, at, u[s])
            value = rows_at(rows, eta, first, end, u[s], p, r, work)
            weights[s] = value - 0.5 * np.dot(at, at) - log_mixture(proposals[g, s])
        largest, mass = weights.max(), 0.0
        for s in range(R):
            mass += math.exp(weights[s] - largest)
        total += largest + math.log(mass / R) - half
        left, chosen = uniforms[g] * mass, 0
        for s in range(R):
            left -= math.exp(weights[s] - largest)
            chosen = s
            if left <= 0.0:
                break
        effects[g] = u[chosen]
    return total


@nb.njit(**nb.OPTIONS)
def log_mixture(z):  # type: ignore[no-untyped-def]
    """Log density of the mixture, but for the factor of a standard normal density at zero."""
    m, square = len(z), np.dot(z, z)
    constant = math.lgamma(0.5 * (T_DF + m)) - math.lgamma(0.5 * T_DF) - 0.5 * m * math.log(0.5 * T_DF)
    heavy = math.log(T_SHARE) + constant - 0.5 * (T_DF + m) * math.log1p(square / T_DF)
    normal = math.log(1.0 - T_SHARE) - 0.5 * square
    largest = max(heavy, normal)
    return largest + math.log(math.exp(heavy - largest) + math.exp(normal - largest))
