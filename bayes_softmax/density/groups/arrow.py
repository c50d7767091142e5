"""Compiled change of variables from whitened coordinates to weights and effects given the hyperparameters.

Formulae and symbols are at the top of :mod:`bayes_softmax.density.groups`.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.scales.cholesky import cholesky_with_inverse, lower_product, lower_transposed_product


class ArrowData(NamedTuple):
    """Second-order expansion of a log-likelihood at a reference.

    ``common`` (d,) and ``effects`` (G, m) are the reference; ``curvature`` (G, m, m) is A, ``target`` (G, m)
    ``A_g u_0g + r_g``, and ``border`` (G, m, d) C.  The common coordinates are the weights, and the effects of other
    groupings.
    """

    common: FloatArray
    effects: FloatArray
    curvature: FloatArray
    target: FloatArray
    border: FloatArray


class ArrowFactors(NamedTuple):
    """What the reverse sweep needs of a change of variables.

    ``F`` (G, m, m) are the inverses of the levels' factors, ``X`` (G, m, d), ``a`` (G, m), ``T`` (d, d) the inverse of
    the border's factor, and ``step`` (d,) and ``mean`` (d,) are s and its mean.
    """

    F: FloatArray
    X: FloatArray
    a: FloatArray
    T: FloatArray
    step: FloatArray
    mean: FloatArray


@nb.njit(**nb.OPTIONS)
def new_factors(G, m, d):  # type: ignore[no-untyped-def]
    """Factors to be filled."""
    return ArrowFactors(
        np.empty((G, m, m)), np.empty((G, m, d)), np.empty((G, m)), np.empty((d, d)), np.empty(d), np.empty(d)
    )


@nb.njit(**nb.OPTIONS)
def from_whitened(arrow, precision, S, b, w, v, factors, theta, u):  # type: ignore[no-untyped-def]
    """Fill ``factors``, the common coordinates ``theta`` (d,) and effects ``u`` (G, m); returns the log determinant.

    ``precision`` (m, m) is that of a level's effects, ``S`` (d, d) and ``b`` (d,) curvature and gradient of the common
    coordinates, priors included, which are overwritten; ``w`` (d,) and ``v`` (G, m) are whitened coordinates.
    """
    (G, m), d = u.shape, theta.shape[0]
    F, X, a, T, step, mean = factors
    P, y, Y = np.empty((m, m)), np.empty(m), np.empty((m, d))
    log_determinant = 0.0
    for g in range(G):
        for i in range(m):
            for j in range(i + 1):
                P[i, j] = arrow.curvature[g, i, j] + precision[i, j]
        log_determinant -= cholesky_with_inverse(P, F[g])
        lower_product(F[g], arrow.target[g], y)
        lower_transposed_product(F[g], y, a[g])
        _whiten_border(F[g], arrow.border[g], Y)
        _add_border(F[g], Y, S, X[g])
        for i in range(m):
            excess, row = a[g, i] - arrow.effects[g, i], arrow.border[g, i]
            for e in range(d):
                b[e] -= row[e] * excess
    log_determinant -= cholesky_with_inverse(S, T)
    z = np.empty(d)
    lower_product(T, b, z)
    lower_transposed_product(T, z, mean)
    for e in range(d):
        z[e] += w[e]
    lower_transposed_product(T, z, step)
    for e in range(d):
        theta[e] = arrow.common[e] + step[e]
    for g in range(G):
        lower_transposed_product(F[g], v[g], u[g])
        for i in range(m):
            total, row = 0.0, X[g, i]
            for e in range(d):
                total += row[e] * step[e]
            u[g, i] += a[g, i] - total
    return log_determinant


@nb.njit(**nb.OPTIONS)
def _whiten_border(F, border, Y):  # type: ignore[no-untyped-def]
    """``Y = F C`` (m, d) for the inverse F of a level's factor."""
    m, d = Y.shape
    for i in range(m):
        row = Y[i]
        row[:] = 0.0
        for j in range(i + 1):
            factor, other = F[i, j], border[j]
            for e in range(d):
                row[e] += factor * other[e]


@nb.njit(**nb.OPTIONS)
def _add_border(F, Y, S, X):  # type: ignore[no-untyped-def]
    """Subtract ``Y'Y`` from the lower triangle of ``S``, and fill ``X = F'Y``."""
    m, d = Y.shape
    X[:] = 0.0
    for i in range(m):
        row = Y[i]
        for j in range(i + 1):
            factor, into = F[i, j], X[j]
            for e in range(d):
                into[e] += factor * row[e]
        for e in range(d):
            factor, into = row[e], S[e]
            for f in range(e + 1):
                into[f] -= factor * row[f]


@nb.njit(**nb.OPTIONS)
def subtract_factor_adjoint(F, z, zbar, out):  # type: ignore[no-untyped-def]
    """Subtract ``F' Phi(z zbar') F + F'F / 2`` from ``out`` (m, m), for the inverse F of a factor.

    It is the derivative in ``LL'`` of ``-log det L`` and of ``g' L^-T z`` with ``zbar = L^-1 g``; only its sum with its
    transpose is meaningful.
    """
    m = F.shape[0]
    total = np.empty(m)
    for i in range(m):
        # row i of Phi(z zbar') F + F / 2
        for l in range(m):
            total[l] = 0.5 * F[i, l] if l <= i else 0.0
        for j in range(i + 1):
            factor = z[i] * zbar[j] * (0.5 if j == i else 1.0)
            for l in range(j + 1):
                total[l] += factor * F[j, l]
        for j in range(i + 1):
            factor, row = F[i, j], out[j]
            for l in range(i + 1):
                row[l] -= factor * total[l]


@nb.njit(**nb.OPTIONS)
def pull_back(factors, w, v, of_theta, of_u, wbar, vbar, of_precision):  # type: ignore[no-untyped-def]
    """Reverse sweep: fill ``wbar`` (d,) and ``vbar`` (G, m), and *add* to ``of_precision`` (m, m).

    ``of_theta`` (d,) and ``of_u`` (G, m) are the gradients of the log joint density.  Only the sum of ``of_precision``
    with its transpose is meaningful.  The log determinant of the map is differentiated too.  Returns the adjoints of S
    (d, d), symmetric, and of b (d,).
    """
    (G, m), d = of_u.shape, of_theta.shape[0]
    F, X, T = factors.F, factors.X, factors.T
    sbar, bbar, y = of_theta.copy(), np.empty(d), np.empty(m)
    for g in range(G):
        lower_product(F[g], of_u[g], vbar[g])
        for i in range(m):
            factor, row = of_u[g, i], X[g, i]
            for e in range(d):
                sbar[e] -= factor * row[e]
    lower_product(T, sbar, wbar)
    lower_transposed_product(T, wbar, bbar)
    Sbar = _border_adjoint(factors, w, wbar, bbar)
    for g in range(G):
        lower_transposed_product(F[g], vbar[g], y)
        _add_level_adjoint(factors, g, Sbar, bbar, y, of_precision)
        subtract_factor_adjoint(F[g], v[g], vbar[g], of_precision)
    return Sbar, bbar


@nb.njit(**nb.OPTIONS)
def _border_adjoint(factors, w, wbar, bbar):  # type: ignore[no-untyped-def]
    """The adjoint (d, d) of S, symmetric."""
    d = w.shape[0]
    Sbar = np.zeros((d, d))
    for e in range(d):
        for f in range(d):
            Sbar[e, f] = -bbar[e] * factors.mean[f]
    subtract_factor_adjoint(factors.T, w, wbar, Sbar)
    for e in range(d):
        for f in range(e + 1):
            Sbar[e, f] = 0.5 * (Sbar[e, f] + Sbar[f, e])
            Sbar[f, e] = Sbar[e, f]
    return Sbar


@nb.njit(**nb.OPTIONS)
def _add_level_adjoint(factors, g, Sbar, bbar, y, of_precision):  # type: ignore[no-untyped-def]
    """Add what reaches ``P_g`` through ``a_g`` and ``X_g``; ``y`` is ``P_g^-1 of_u_g``."""
    m, d = factors.X.shape[1:]
    X, a, step = factors.X[g], factors.a[g], factors.step
    row = np.empty(d)
    for i in range(m):
        for e in range(d):
            row[e] = y[i] * step[e]
        through_mean = y[i]
        for f in range(d):
            factor, other = X[i, f], Sbar[f]
            through_mean -= factor * bbar[f]
            for e in range(d):
                row[e] += factor * other[e]
        for j in range(m):
            total, other = -through_mean * a[j], X[j]
            for e in range(d):
                total += row[e] * other[e]
            of_precision[i, j] += total
