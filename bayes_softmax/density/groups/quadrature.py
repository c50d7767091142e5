r"""Compiled marginal log-likelihood of levels by adaptive Gauss-Hermite quadrature, and its exact derivatives.

A level's effects are :math:`u = L b` with :math:`b \sim N(0, I)` and any root :math:`LL' = \Sigma`, which may be
singular: a variance of zero is no exception.  With the log-likelihood ``f`` of the level's rows, its gradient r and
curvature A in u,

.. math:: h(b) = f(Lb) - \tfrac12 b'b, \quad \hat b = \arg\max h, \quad P = I + L'A(L\hat b)L = FF', \quad
          b_j = \hat b + F^{-\top} z_j, \quad V = \log \sum_j \omega_j e^{h(b_j)} - \log\det F.

With a single node at zero V is Laplace's approximation (Liu and Pierce, *Biometrika* 81, 1994).  The reverse sweep
differentiates this rule as it is computed, the places of the nodes included.  With the posterior weights
:math:`\pi_j` of the nodes and :math:`s_j = L' r(Lb_j) - b_j`,

.. math:: \bar b &= \sum_j \pi_j s_j + L'\kappa, \quad Q = F^{-\top}, \quad \bar Q = \sum_j \pi_j s_j z_j' \\
          \bar P &= -F^{-\top} \Phi(\bar Q'Q) F^{-1} - \tfrac12 P^{-1}, \quad \lambda = P^{-1} \bar b

where :math:`\kappa` is the derivative of :math:`\langle L\bar PL', A(u)\rangle` in u, and :math:`\lambda` takes the
derivative of the mode: :math:`L' r(L\hat b) = \hat b`.
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.level_adjoints import add_adjoints, add_at_mode
from bayes_softmax.density.groups.level_modes import move_to_mode
from bayes_softmax.density.log_prior import KEPT
from bayes_softmax.density.scales.cholesky import lower_transposed_product
from bayes_softmax.density.simd import WIDTH, exp_row

ROWS_OF_PRODUCT = 32  # rows whose sums of exponentials, each from 1 to K, are multiplied before the logarithm is taken
MOST_KEPT = 2**24  # expected counts at the nodes, of one level, that are kept rather than computed twice


class Nodes(NamedTuple):
    """Places (J, m) of quadrature nodes, in sds of a level's posterior, and the logs (J,) of their weights."""

    places: FloatArray
    log_weights: FloatArray


def hermite_nodes(n: int, m: int) -> Nodes:
    """Products of ``n`` Gauss-Hermite nodes in each of ``m`` dimensions, padded by nodes without weight.

    With ``n = 1`` the rule is Laplace's.
    """
    if n == 1:
        return Nodes(np.zeros((1, m)), np.zeros(1))
    x, w = np.polynomial.hermite.hermgauss(n)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*[np.arange(n)] * m, indexing="ij")], axis=1)
    places, log_weights = np.zeros((-(-(n**m) // WIDTH) * WIDTH, m)), np.full(-(-(n**m) // WIDTH) * WIDTH, -np.inf)
    places[: n**m] = np.sqrt(2.0) * x[grid]
    log_weights[: n**m] = (np.log(w) + x**2 - 0.5 * np.log(np.pi))[grid].sum(axis=1)
    return Nodes(places, log_weights)


@nb.njit(**nb.OPTIONS | KEPT)
def log_marginals(rows, eta, L, nodes, b, of_eta, Lbar):  # type: ignore[no-untyped-def]
    """Marginal log-likelihood (V summed over the levels), from the logits ``eta`` (N, K) of the rows without effects.

    ``b`` (G, m) are where the modes are sought from, and become the modes.  ``of_eta`` (N, K) and ``Lbar`` (m, m) are
    filled with the derivatives; without rows, nothing is differentiated.
    """
    (G, m), K, q, J, value = b.shape, eta.shape[1], rows.terms.shape[1], len(nodes.log_weights), 0.0
    A, X, r, sums = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.zeros(m + m * m)
    most = (rows.starts[1:] - rows.starts[:-1]).max()
    kept = most if most * K * J <= MOST_KEPT else 1
    space = (
        np.empty((kept, K, J)),
        np.empty((q, K, J)),
        np.empty((q, K, J)),
        np.empty((J, m)),
        np.empty(m),
        np.empty((5, J)),
    )
    p = np.empty((most, K))
    of_eta[:], Lbar[:] = 0.0, 0.0
    for g in range(G):
        first, end = rows.starts[g], rows.starts[g + 1]
        if first == end:
            b[g] = 0.0
            continue
        at_mode, half = move_to_mode(rows, eta, first, end, L, b[g], p, r, A, X)
        value -= half
        if J > 1:
            value += _integrate(rows, eta, first, end, L, nodes, b[g], X, space, sums, of_eta, Lbar)
        else:
            value += at_mode
            add_at_mode(rows, first, end, p, r, b[g], of_eta, Lbar)
        if len(of_eta):
            add_adjoints(rows, first, end, L, b[g], p, r, A, X, sums, of_eta, Lbar)
    return value


@nb.njit(**nb.OPTIONS)
def _integrate(rows, eta, first, end, L, nodes, b, X, space, sums, of_eta, Lbar):  # type: ignore[no-untyped-def]
    """Log of the weighted sum over nodes; fills ``sums`` (m + m m,), ``bbar`` then ``Qbar``, and *adds* derivatives."""
    m, n, K, J, (q, k) = (
        len(b),
        end - first,
        eta.shape[1],
        len(nodes.log_weights),
        (len(rows.terms[0]), rows.contrasts.shape[1]),
    )
    P, U, R, at, s, work = space
    values, weights, product = work[3], work[4], work[2]
    for j in range(J):
        lower_transposed_product(X, nodes.places[j], at[j])
        at[j] += b
        for t in range(q):
            for c in range(K):
                U[t, c, j] = 0.0
        for a in range(m):
            effect = 0.0
            for l in range(m):
                effect += L[a, l] * at[j, l]
            for c in range(K):
                U[a // k, c, j] += rows.contrasts[c, a % k] * effect
        values[j], product[j] = nodes.log_weights[j] - 0.5 * np.dot(at[j], at[j]), 1.0
    R[:] = 0.0
    for i in range(n):
        own = P[i] if len(P) > 1 else P[0]
        _row_at_nodes(rows, eta, first + i, U, own, work, values)
        if i % ROWS_OF_PRODUCT == ROWS_OF_PRODUCT - 1:
            _take_logs(values, product)
        for t in range(q):
            term = rows.terms[first + i, t]
            for c in range(K):
                count, into = rows.counts[first + i, c], R[t, c]
                for j in range(J):
                    into[j] += term * (count - own[c, j])
    _take_logs(values, product)
    largest, total = values.max(), 0.0
    for j in range(J):
        weights[j] = math.exp(values[j] - largest)
        total += weights[j]
    for j in range(J):
        weights[j] /= total
    sums[:] = 0.0
    if len(of_eta):
        _weigh_rows(rows, eta, first, end, P, U, work, of_eta)
        _weigh_nodes(rows, L, nodes, at, R, weights, s, sums, Lbar)
    return largest + math.log(total)


@nb.njit(**nb.OPTIONS)
def _row_at_nodes(rows, eta, i, U, P, work, values):  # type: ignore[no-untyped-def]
    """Fill expected counts ``P`` (K, J) of row i at all nodes; *adds* to ``values`` (J,) and multiplies ``work[2]``.

    The row's log-likelihood at a node is what is added, minus the log of the factor.
    """
    (K, J), counts, total = P.shape, rows.counts[i], rows.totals[i]
    largest, sums, product = work[0], work[1], work[2]
    for j in range(J):
        largest[j], sums[j] = -np.inf, 0.0
    for c in range(K):
        row, at = P[c], eta[i, c]
        for j in range(J):
            row[j] = at
        for t in range(U.shape[0]):
            term, effects = rows.terms[i, t], U[t, c]
            for j in range(J):
                row[j] += term * effects[j]
        for j in range(J):
            largest[j] = max(largest[j], row[j])
        if counts[c] != 0.0:
            for j in range(J):
                values[j] += counts[c] * row[j]
    for c in range(K):
        exp_row(P[c].ctypes.data, largest.ctypes.data, sums.ctypes.data, J)
    if total == 1.0:
        for j in range(J):
            values[j] -= largest[j]
            product[j] *= sums[j]
    else:
        for j in range(J):
            values[j] -= total * (largest[j] + math.log(sums[j]))
    for j in range(J):
        sums[j] = total / sums[j]
    for c in range(K):
        for j in range(J):
            P[c, j] *= sums[j]


@nb.njit(**nb.OPTIONS)
def _take_logs(values, product):  # type: ignore[no-untyped-def]
    """Subtract the logs of the factors, which begin anew."""
    for j in range(len(values)):
        values[j] -= math.log(product[j])
        product[j] = 1.0


@nb.njit(**nb.OPTIONS)
def _weigh_rows(rows, eta, first, end, P, U, work, of_eta):  # type: ignore[no-untyped-def]
    """Add the rows' residuals (N, K), averaged over the nodes."""
    weights, K = work[4], eta.shape[1]
    for i in range(first, end):
        own = P[i - first] if len(P) > 1 else P[0]
        if len(P) == 1 and end - first > 1:  # not kept
            _row_at_nodes(rows, eta, i, U, own, work, work[3])
        for c in range(K):
            total, row = 0.0, own[c]
            for j in range(len(weights)):
                total += weights[j] * row[j]
            of_eta[i, c] += rows.counts[i, c] - total


@nb.njit(**nb.OPTIONS)
def _weigh_nodes(rows, L, nodes, at, R, weights, s, sums, Lbar):  # type: ignore[no-untyped-def]
    """Fill ``sums`` from the gradients at the nodes, and add to ``Lbar``."""
    (K, k), m = rows.contrasts.shape, L.shape[0]
    r = np.empty(m)
    for j in range(len(weights)):
        if weights[j] == 0.0:
            continue
        for a in range(m):
            r[a] = 0.0
            for c in range(K):
                r[a] += rows.contrasts[c, a % k] * R[a // k, c, j]
            r[a] *= weights[j]
        for i in range(m):
            s[i] = -weights[j] * at[j, i]
            for l in range(m):
                s[i] += L[l, i] * r[l]
                Lbar[i, l] += r[i] * at[j, l]
        for i in range(m):
            sums[i] += s[i]
            for l in range(m):
                sums[m + i * m + l] += s[i] * nodes.places[j, l]
