"""Compiled change of variables from whitened coordinates to weights and effects given the hyperparameters.

Formulae and symbols are at the top of :mod:`bayes_softmax.density.groups`.  The border is exact, or fixed where several
groupings are whitened level by level: there ``X`` and the common coordinates' factor ``T`` are those at the reference.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.lanes import (
    add_lower_transposed,
    dot,
    factor,
    from_lanes,
    log_diagonals,
    lower,
    subtract_factor_adjoints,
    to_lanes,
    total,
)
from bayes_softmax.density.linear import logits, products, workspace
from bayes_softmax.density.scales.cholesky import cholesky_with_inverse, lower_product, lower_transposed_product


class Border(NamedTuple):
    """Workspace of the common coordinates: ``S`` and ``b``, ``T`` the inverse of the factor of S, ``step`` is s.

    ``mean`` is ``S^-1 b``; ``Sbar``, ``bbar`` and ``sbar`` are adjoints, ``y`` a scratch.
    """

    S: FloatArray
    T: FloatArray
    Sbar: FloatArray
    b: FloatArray
    mean: FloatArray
    step: FloatArray
    bbar: FloatArray
    sbar: FloatArray
    y: FloatArray


@nb.njit(**nb.OPTIONS)
def new_border(d, exact):  # type: ignore[no-untyped-def]
    """A workspace to be filled."""
    square, vectors = np.empty((3, d if exact else 0, d)), np.empty((6, d))
    return Border(
        square[0], square[1], square[2], vectors[0], vectors[1], vectors[2], vectors[3], vectors[4], vectors[5]
    )


@nb.njit(**nb.OPTIONS)
def factor_levels(lanes, Q, G, exact, own, border):  # type: ignore[no-untyped-def]
    """Fill factors, means and slopes of G levels with precision ``Q`` (m, m); returns the log determinant of the map.

    Where the border is ``exact`` its ``S`` and ``b`` lose what the levels take; only the upper triangle of S does.
    """
    n, m, d, B = lanes.border.shape
    L, Y = workspace(m * m, B).reshape(m, m, B), workspace(m * d, B).reshape(m, d, B)
    b, log_determinant = border.b.reshape(1, d), 0.0
    for c in range(n):
        F, a, y = own.F[c], own.a[c], own.y[c]
        factor(lanes.curvature[c], Q, L, F)
        log_determinant += log_diagonals(F, min(B, G - c * B))
        lower(F, lanes.target[c], y)
        a[:] = 0.0
        add_lower_transposed(F, y, a)
        if exact:
            X = own.X[c]
            _whiten_border(F, lanes.border[c], Y, X)
            for i in range(m):
                products(Y[i], Y[i], border.S, d, True)
                excess, mean, at = y[i], a[i], lanes.effects[c, i]
                for l in range(B):
                    excess[l] = mean[l] - at[l]
                products(y[i : i + 1], lanes.border[c, i], b, 1, False)
    return log_determinant


@nb.njit(**nb.OPTIONS)
def _whiten_border(F, C, Y, X):  # type: ignore[no-untyped-def]
    """``Y = F C`` and ``X = F'Y`` (m, d, B)."""
    m, d, B = Y.shape
    X[:] = 0.0
    for i in range(m):
        for e in range(d):
            row = Y[i, e]
            row[:] = 0.0
            for j in range(i + 1):
                factor, other = F[i, j], C[j, e]
                for l in range(B):
                    row[l] += factor[l] * other[l]
            for j in range(i + 1):
                factor, into = F[i, j], X[j, e]
                for l in range(B):
                    into[l] += factor[l] * row[l]


@nb.njit(**nb.OPTIONS)
def step_of_border(w, border):  # type: ignore[no-untyped-def]
    """Factor the exact border and fill its ``step``; returns the log determinant of the map."""
    S, T, b, mean, step, y = border.S, border.T, border.b, border.mean, border.step, border.y
    d = S.shape[0]
    for e in range(d):
        for f in range(e):
            S[e, f] = S[f, e]
    log_determinant = -cholesky_with_inverse(S, T)
    lower_product(T, b, y)
    lower_transposed_product(T, y, mean)
    for e in range(d):
        y[e] += w[e]
    lower_transposed_product(T, y, step)
    return log_determinant


@nb.njit(**nb.OPTIONS)
def effects_of_levels(X, own, step, v, u):  # type: ignore[no-untyped-def]
    """Fill the effects ``u`` (G, m) at whitened coordinates ``v`` (G, m)."""
    n, m, d, B = X.shape
    s = step.reshape(1, d)
    for c in range(n):
        first, used, out = c * B, min(B, len(u) - c * B), own.u[c]
        to_lanes(v, first, used, own.v[c])
        for i in range(m):
            logits(s, X[c, i], out[i : i + 1], 1)
            row, mean = out[i], own.a[c, i]
            for l in range(B):
                row[l] = mean[l] - row[l]
        add_lower_transposed(own.F[c], own.v[c], out)
        from_lanes(out, first, used, u)


@nb.njit(**nb.OPTIONS)
def pull_back_effects(X, own, of_u, sbar, vbar):  # type: ignore[no-untyped-def]
    """Fill ``vbar`` (G, m) from the gradient in the effects (G, m), and subtract what reaches the step from ``sbar``.

    The workspace's ``u`` then holds the gradient and its ``y`` the adjoint of v.
    """
    n, m, d, B = X.shape
    into = sbar.reshape(1, d)
    for c in range(n):
        first, used, ubar = c * B, min(B, len(of_u) - c * B), own.u[c]
        to_lanes(of_u, first, used, ubar)
        lower(own.F[c], ubar, own.y[c])
        from_lanes(own.y[c], first, used, vbar)
        for i in range(m):
            products(ubar[i : i + 1], X[c, i], into, 1, False)


@nb.njit(**nb.OPTIONS)
def pull_back_border(w, border, wbar):  # type: ignore[no-untyped-def]
    """Fill ``wbar`` (d,) and the adjoints of an exact border from its ``sbar``; ``Sbar`` is symmetric."""
    T, Sbar, mean, bbar = border.T, border.Sbar, border.mean, border.bbar
    d = w.shape[0]
    lower_product(T, border.sbar, wbar)
    lower_transposed_product(T, wbar, bbar)
    for e in range(d):
        for f in range(d):
            Sbar[e, f] = -bbar[e] * mean[f]
    _subtract_factor_adjoint(T, w, wbar, Sbar)
    for e in range(d):
        for f in range(e + 1):
            Sbar[e, f] = 0.5 * (Sbar[e, f] + Sbar[f, e])
            Sbar[f, e] = Sbar[e, f]


@nb.njit(**nb.OPTIONS)
def _subtract_factor_adjoint(T, z, zbar, out):  # type: ignore[no-untyped-def]
    """Subtract ``T' Phi(z zbar') T + T'T / 2`` from ``out``; see ``lanes.subtract_factor_adjoints``.

    Row i of ``Phi(z zbar') T`` is ``z_i`` times the sum of ``zbar_j T_j`` over j < i, and half of that with j = i.
    """
    d = T.shape[0]
    total, before = np.empty(d), np.zeros(d)
    for i in range(d):
        own = T[i, : i + 1]
        for l in range(i + 1):
            half = 0.5 * zbar[i] * own[l]
            total[l] = z[i] * (before[l] + half) + 0.5 * own[l]
            before[l] += 2.0 * half
        for j in range(i + 1):
            factor, row = own[j], out[j]
            for l in range(i + 1):
                row[l] -= factor * total[l]


@nb.njit(**nb.OPTIONS)
def add_precision_adjoint(G, exact, own, border, adjoint):  # type: ignore[no-untyped-def]
    """Add to the ``adjoint`` (m, m) of the levels' prior precision; only its sum with its transpose is meaningful."""
    n, m, B = own.a.shape
    d = border.step.shape[0]
    p, scratch, Z = workspace(m, B), workspace(m, B), workspace(d, B)
    step, bbar = border.step.reshape(1, d), border.bbar.reshape(1, d)
    of_factor = workspace(m * m, B).reshape(m, m, B)
    for c in range(n):
        F, a, vbar, used = own.F[c], own.a[c], own.y[c], min(B, G - c * B)
        p[:] = 0.0
        add_lower_transposed(F, vbar, p)
        if exact:
            X = own.X[c]
            for i in range(m):
                logits(step, X[i], scratch[i : i + 1], 1)
            for i in range(m):
                for j in range(m):
                    adjoint[i, j] += dot(p[i], scratch[j])
            for i in range(m):
                logits(bbar, X[i], scratch[:1], 1)
                row, through = p[i], scratch[0]
                for l in range(B):
                    row[l] -= through[l]
                logits(border.Sbar, X[i], Z, d)
                for j in range(i + 1):
                    for e in range(d):
                        adjoint[i, j] += (1.0 if j == i else 2.0) * dot(Z[e], X[j, e])
        of_factor[:] = 0.0
        subtract_factor_adjoints(F, own.v[c], vbar, scratch, of_factor)
        for i in range(m):
            for j in range(m):
                adjoint[i, j] += total(of_factor[i, j, :used]) - dot(p[i], a[j])
