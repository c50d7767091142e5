"""The compiled log joint density of weights, effects and hyperparameters, on whitened coordinates.

Formulae and symbols are at the top of :mod:`bayes_softmax.density.groups`.  The first grouping is the one whose levels
are eliminated; the effects of the others are common coordinates, after the weights.  A point is ``[w, v, e]``: common
coordinates (d,), effects of the first grouping (G, m), and standardised hyperparameters (H,).
"""

from typing import NamedTuple

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.groups.arrow import ArrowData, from_whitened, new_factors, pull_back
from bayes_softmax.density.groups.covariance import (
    CovarianceData,
    add_log_hyperprior,
    covariance_root,
    pull_back_root,
)
from bayes_softmax.density.groups.effects import Grouping, add_effects, effective, free_effects, pull_effects
from bayes_softmax.density.kernel import KernelData, block_logits, block_totals, read_part, softmax_block
from bayes_softmax.density.linear import (
    differences,
    engine_coefficients,
    free_gradient,
    linear_term,
    products,
    workspace,
)
from bayes_softmax.density.log_prior import KEPT, log_prior_gradient
from bayes_softmax.density.scales.cholesky import cholesky_with_inverse
from bayes_softmax.density.simd import pointer

_ADDRESSES = (
    "codes",
    "terms",
    "observed",
    "contrasts",
    "mapping",
    "sd_of_column",
    "pair",
    "power",
    "family",
    "df",
    "scale",
)
_SIZES = ("n_blocks", "B", "q", "G", "n", "k", "n_sds", "K1", "first_hyper", "n_hyper", "at")
GROUPING = np.dtype([(name, np.int64) for name in (*_ADDRESSES, *_SIZES)])
GROUPING_SIZE = len(_ADDRESSES) + len(_SIZES)


class GroupsData(NamedTuple):
    """Everything that the joint density reads.

    ``linear`` are the rows and the weights' priors; ``groupings`` (J, 22) addresses and sizes, see ``GROUPING``;
    ``arrow`` the expansion; ``curvature`` (d, d) and ``slope`` (d,) those of the common coordinates at the reference,
    with the priors of the weights alone; ``location`` (H,) and ``root`` (H, H): ``h = location + root e``.
    """

    linear: KernelData
    groupings: IntArray
    arrow: ArrowData
    curvature: FloatArray
    slope: FloatArray
    location: FloatArray
    root: FloatArray


@nb.njit(**nb.OPTIONS)
def _line(groupings, j):  # type: ignore[no-untyped-def]
    return carray(pointer(groupings.ctypes.data), (groupings.shape[0],), GROUPING)[j]


@nb.njit(**nb.OPTIONS)
def _doubles(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.float64)


@nb.njit(**nb.OPTIONS)
def _integers(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.int64)


@nb.njit(**nb.OPTIONS)
def read_grouping(t):  # type: ignore[no-untyped-def]
    """Rows of one grouping."""
    return Grouping(
        _integers(t.codes, (t.n_blocks, t.B)),
        _doubles(t.terms, (t.n_blocks, t.q, t.B)),
        _doubles(t.observed, (t.G, t.q, t.K1)),
        _doubles(t.contrasts, (t.K1, t.k)),
    )


@nb.njit(**nb.OPTIONS)
def read_covariance(t):  # type: ignore[no-untyped-def]
    """Covariance of one grouping."""
    return CovarianceData(
        _doubles(t.mapping, (t.n, t.q * t.k)),
        _integers(t.sd_of_column, (t.n,)),
        _integers(t.pair, (t.n, t.n)),
        _doubles(t.power, (t.n,)),
        _integers(t.family, (t.n_sds,)),
        _doubles(t.df, (t.n_sds,)),
        _doubles(t.scale, (t.n_sds,)),
    )


@nb.njit(**nb.OPTIONS)
def log_joint_of_rows(data, theta, u, of_theta, of_u):  # type: ignore[no-untyped-def]
    """Log-likelihood and log prior of the weights; fills the gradients in common coordinates and effects."""
    V, G, J = np.empty_like(data.linear.YZ), np.zeros_like(data.linear.YZ), data.groupings.shape[0]
    n_weights = theta.shape[0]
    size = 0
    for j in range(J):
        t = _line(data.groupings, j)
        size += t.G * t.q * t.K1
        if j > 0:
            n_weights -= t.G * t.q * t.k
    U, Ubar = np.empty(size), np.zeros(size)
    engine_coefficients(data.linear, theta[:n_weights], V)
    at = 0
    for j in range(J):
        t = _line(data.groupings, j)
        end, free = at + t.G * t.q * t.K1, u if j == 0 else theta[t.at : t.at + t.G * t.q * t.k].reshape(t.G, t.q * t.k)
        effective(read_grouping(t), free, U[at:end].reshape(t.G, t.q, t.K1))
        at = end
    value = _log_likelihood(data, V, G, U, Ubar)
    value += linear_term(data.linear.YZ, V, G)
    free_gradient(data.linear, G, of_theta[:n_weights])
    value += log_prior_gradient(data.linear, theta[:n_weights], of_theta[:n_weights])
    at = 0
    for j in range(J):
        t = _line(data.groupings, j)
        end, rows = at + t.G * t.q * t.K1, read_grouping(t)
        into = of_u if j == 0 else of_theta[t.at : t.at + t.G * t.q * t.k].reshape(t.G, t.q * t.k)
        value += free_effects(rows, U[at:end].reshape(t.G, t.q, t.K1), Ubar[at:end].reshape(t.G, t.q, t.K1), into)
        at = end
    return value


@nb.njit(**nb.OPTIONS)
def _log_likelihood(data, V, G, U, Ubar):  # type: ignore[no-untyped-def]
    """Minus the log partition functions; *adds* gradients to ``G`` (K, q) and ``Ubar``."""
    (K, q), rows, J = V.shape, read_part(data.linear.parts, 0), data.groupings.shape[0]
    B, value = rows.Z.shape[2], 0.0
    D, L, work = np.empty((K - 1, q)), workspace(K, B), workspace(3, B)
    differences(V, D)
    for b in range(rows.Z.shape[0]):
        block_logits(D, rows.Z[b], rows.offset, rows.available, b, L)
        totals, c = block_totals(rows.totals, b), min(B, rows.n_obs - b * B)
        at = 0
        for j in range(J):
            t = _line(data.groupings, j)
            end, own = at + t.G * t.q * t.K1, read_grouping(t)
            add_effects(own.codes[b], own.terms[b], U[at:end].reshape(t.G, t.q, t.K1), c, L)
            at = end
        value -= softmax_block(L, work, totals, rows.available, b, c, K - 1)
        products(L, rows.Z[b], G, K - 1, False)
        at = 0
        for j in range(J):
            t = _line(data.groupings, j)
            end, own = at + t.G * t.q * t.K1, read_grouping(t)
            pull_effects(own.codes[b], own.terms[b], L, c, Ubar[at:end].reshape(t.G, t.q, t.K1))
            at = end
    return value


@nb.njit(**nb.OPTIONS)
def precision_of(cov, h, R, root, inverse, precision):  # type: ignore[no-untyped-def]
    """Fill ``root`` (m, n) and ``precision`` (m, m) of a level's effects; returns half the log determinant of Sigma."""
    m = precision.shape[0]
    covariance_root(cov, h, R, root)
    sigma = root @ root.T
    half = cholesky_with_inverse(sigma, inverse)
    for i in range(m):
        for j in range(m):
            total = 0.0
            for l in range(max(i, j), m):
                total += inverse[l, i] * inverse[l, j]
            precision[i, j] = total
    return half


@nb.njit(**nb.OPTIONS)
def add_effects_prior(precision, half_log_determinant, u, of_u, of_precision):  # type: ignore[no-untyped-def]
    """Log density of effects (G, m) without its constant; *adds* its gradients in effects and in the precision."""
    G, m = u.shape
    value, y = -G * half_log_determinant, np.empty(m)
    for g in range(G):
        for i in range(m):
            total = 0.0
            for j in range(m):
                total += precision[i, j] * u[g, j]
                of_precision[i, j] -= 0.5 * u[g, i] * u[g, j]
            y[i] = total
            value -= 0.5 * total * u[g, i]
        for i in range(m):
            of_u[g, i] -= y[i]
    return value


@nb.njit(**nb.OPTIONS)
def pull_back_precision(cov, h, R, root, precision, n_levels, of_precision, gradient):  # type: ignore[no-untyped-def]
    """Add the derivatives in ``h``, from those in a precision and of ``-n_levels`` half log determinants of Sigma."""
    symmetric = 0.5 * (of_precision + of_precision.T)
    of_sigma = -(precision @ symmetric @ precision) - 0.5 * n_levels * precision
    pull_back_root(cov, h, R, 2.0 * (of_sigma @ root), gradient)


@nb.njit(**nb.OPTIONS)
def _common_priors(data, h, S, b):  # type: ignore[no-untyped-def]
    """Add the priors of effects that are common coordinates to their curvature ``S`` and gradient ``b``."""
    for j in range(1, data.groupings.shape[0]):
        t = _line(data.groupings, j)
        cov, m = read_covariance(t), t.q * t.k
        R, root, inverse, Q = np.empty((t.n, t.n)), np.empty((m, t.n)), np.empty((m, m)), np.empty((m, m))
        precision_of(cov, h[t.first_hyper : t.first_hyper + t.n_hyper], R, root, inverse, Q)
        for g in range(t.G):
            at = t.at + g * m
            for i in range(m):
                for l in range(m):
                    S[at + i, at + l] += Q[i, l]
                    b[at + i] -= Q[i, l] * data.arrow.common[at + l]


@nb.njit(**nb.OPTIONS)
def _add_priors(data, h, theta, u, of_theta, of_u, of_h, adjoints, after):  # type: ignore[no-untyped-def]
    """Log priors of effects and hyperparameters: before the reverse sweep gradients in effects, ``after`` it in ``h``.

    ``adjoints`` are those of the first grouping's precision (m, m), of S (d, d) and of b (d,).
    """
    value, (of_precision, Sbar, bbar) = 0.0, adjoints
    for j in range(data.groupings.shape[0]):
        t = _line(data.groupings, j)
        cov, m = read_covariance(t), t.q * t.k
        own, of_own = h[t.first_hyper : t.first_hyper + t.n_hyper], of_h[t.first_hyper : t.first_hyper + t.n_hyper]
        R, root, inverse, Q = np.empty((t.n, t.n)), np.empty((m, t.n)), np.empty((m, m)), np.empty((m, m))
        half = precision_of(cov, own, R, root, inverse, Q)
        effects = u if j == 0 else theta[t.at : t.at + t.G * m].reshape(t.G, m)
        of_effects = of_u if j == 0 else of_theta[t.at : t.at + t.G * m].reshape(t.G, m)
        Qbar = np.zeros((m, m))
        if not after:
            value += add_effects_prior(Q, half, effects, of_effects, Qbar)
            continue
        add_effects_prior(Q, half, effects, np.zeros((t.G, m)), Qbar)
        if j == 0:
            Qbar += of_precision
        else:
            for g in range(t.G):
                at = t.at + g * m
                for i in range(m):
                    for l in range(m):
                        Qbar[i, l] += Sbar[at + i, at + l] - bbar[at + i] * data.arrow.common[at + l]
        value += add_log_hyperprior(cov, own, of_own)
        pull_back_precision(cov, own, R, root, Q, t.G, Qbar, of_own)
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def whitened_log_joint(data, z, out):  # type: ignore[no-untyped-def]
    """Log density of ``z = [w, v, e]``, without its constants; fills ``out`` with its gradient."""
    d, (G, m), H = data.slope.shape[0], data.arrow.effects.shape, data.location.shape[0]
    w, v, e = z[:d], z[d : d + G * m].reshape(G, m), z[d + G * m :]
    h, of_h = data.location + data.root @ e, np.zeros(H)
    theta, u, of_theta, of_u = np.empty(d), np.empty((G, m)), np.empty(d), np.empty((G, m))
    factors, of_precision = new_factors(G, m, d), np.zeros((m, m))
    value = to_model(data, h, w, v, factors, theta, u)
    value += log_joint_of_rows(data, theta, u, of_theta, of_u)
    nothing = (of_precision, np.empty((0, 0)), np.empty(0))
    value += _add_priors(data, h, theta, u, of_theta, of_u, of_h, nothing, False)
    Sbar, bbar = pull_back(factors, w, v, of_theta, of_u, out[:d], out[d : d + G * m].reshape(G, m), of_precision)
    value += _add_priors(data, h, theta, u, of_theta, of_u, of_h, (of_precision, Sbar, bbar), True)
    out[d + G * m :] = data.root.T @ of_h
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def log_conditional(data, theta, u, h):  # type: ignore[no-untyped-def]
    """Log-likelihood plus log prior of weights and effects given ``h``, without constants."""
    of_theta, of_u = np.empty(theta.shape[0]), np.empty(u.shape)
    value = log_joint_of_rows(data, theta, u, of_theta, of_u)
    nothing = (np.empty((0, 0)), np.empty((0, 0)), np.empty(0))
    return value + _add_priors(data, h, theta, u, of_theta, of_u, np.empty(0), nothing, False)


@nb.njit(**nb.OPTIONS | KEPT)
def to_model(data, h, w, v, factors, theta, u):  # type: ignore[no-untyped-def]
    """Fill common coordinates and effects for hyperparameters ``h``; returns the log determinant of the map."""
    t = _line(data.groupings, 0)
    m = t.q * t.k
    R, root, inverse, Q = np.empty((t.n, t.n)), np.empty((m, t.n)), np.empty((m, m)), np.empty((m, m))
    precision_of(read_covariance(t), h[t.first_hyper : t.first_hyper + t.n_hyper], R, root, inverse, Q)
    S, b = data.curvature.copy(), data.slope.copy()
    _common_priors(data, h, S, b)
    return from_whitened(data.arrow, Q, S, b, w, v, factors, theta, u)
