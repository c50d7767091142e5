"""The compiled log joint density of weights, effects and hyperparameters, on whitened coordinates.

Formulae and symbols are at the top of :mod:`bayes_softmax.density.groups`.  A point of the model is flat: common
coordinates (d,), which are the weights and the effects of groupings that belong to the border, then the effects of each
grouping that is whitened level by level.  A whitened point has one coordinate for each of these, and then the
standardised hyperparameters (H,).
"""

import math
from typing import NamedTuple

import numpy as np

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.groups.arrow import new_border
from bayes_softmax.density.groups.effects import add_effects, effective, free_effects, pull_effects
from bayes_softmax.density.groups.priors import add_effects_priors, add_hyperpriors, factor_priors
from bayes_softmax.density.groups.stretch import (
    effects_variance,
    precision_products,
    pull_back_stretch,
    scale_adjoints,
    scale_precisions,
    stretch_of,
)
from bayes_softmax.density.groups.table import line, read_grouping
from bayes_softmax.density.groups.whitening import change_of_variables, pull_back
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


class GroupsData(NamedTuple):
    """Everything that the joint density reads.

    ``linear`` are the rows and the weights' priors; ``groupings`` (J, ``table.GROUPING_SIZE``) addresses and sizes;
    ``sizes`` are the number of weights, whether the border is exact, and the sizes of the workspaces of effects and of
    covariances; ``chain`` are lines of nested groupings, inner ones first, or empty; ``common`` (d,) are the common
    coordinates at the reference.  With an exact border ``curvature`` (d, d) and ``slope`` (d,) are theirs there, with
    the priors of the weights alone; with a fixed one ``curvature`` is the inverse of the factor T.
    ``h = location + root e`` for ``location`` (H,) and ``root`` (H, H); ``stretch`` is read by ``stretch.py``.
    """

    linear: KernelData
    groupings: IntArray
    sizes: IntArray
    chain: IntArray
    common: FloatArray
    curvature: FloatArray
    slope: FloatArray
    location: FloatArray
    root: FloatArray
    stretch: FloatArray


@nb.njit(**nb.OPTIONS)
def log_joint_of_rows(data, x, of_x):  # type: ignore[no-untyped-def]
    """Log-likelihood and log prior of the weights at a point of the model; fills the gradient."""
    V, G, J, n_weights = (
        np.empty_like(data.linear.YZ),
        np.zeros_like(data.linear.YZ),
        len(data.groupings),
        data.sizes[0],
    )
    size = 0
    for j in range(J):
        t = line(data.groupings, j)
        size += t.G * t.q * t.K1
    U, Ubar = np.empty(size), np.zeros(size)
    engine_coefficients(data.linear, x[:n_weights], V)
    at = 0
    for j in range(J):
        t = line(data.groupings, j)
        end, m = at + t.G * t.q * t.K1, t.q * t.k
        effective(read_grouping(t), x[t.at : t.at + t.G * m].reshape(t.G, m), U[at:end].reshape(t.G, t.q, t.K1))
        at = end
    value = _log_likelihood(data, V, G, U, Ubar)
    value += linear_term(data.linear.YZ, V, G)
    free_gradient(data.linear, G, of_x[:n_weights])
    value += log_prior_gradient(data.linear, x[:n_weights], of_x[:n_weights])
    at = 0
    for j in range(J):
        t = line(data.groupings, j)
        end, m = at + t.G * t.q * t.K1, t.q * t.k
        shape, into = (t.G, t.q, t.K1), of_x[t.at : t.at + t.G * m].reshape(t.G, m)
        value += free_effects(read_grouping(t), U[at:end].reshape(shape), Ubar[at:end].reshape(shape), into)
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
            t = line(data.groupings, j)
            end, own = at + t.G * t.q * t.K1, read_grouping(t)
            add_effects(own.codes[b], own.terms[b], U[at:end].reshape(t.G, t.q, t.K1), c, L)
            at = end
        value -= softmax_block(L, work, totals, rows.available, b, c, K - 1)
        products(L, rows.Z[b], G, K - 1, False)
        at = 0
        for j in range(J):
            t = line(data.groupings, j)
            end, own = at + t.G * t.q * t.K1, read_grouping(t)
            pull_effects(own.codes[b], own.terms[b], L, c, Ubar[at:end].reshape(t.G, t.q, t.K1))
            at = end
    return value


@nb.njit(**nb.OPTIONS)
def _stretched_map(data, z, x, work, priors, border):  # type: ignore[no-untyped-def]
    """Fill the point ``x`` of the model, given factored ``priors``: log determinant of the map, kappa, its variance."""
    variance = effects_variance(data.groupings, data.stretch, priors)
    kappa = stretch_of(data.stretch, variance)
    scale_precisions(data.groupings, kappa * kappa, priors)
    log_determinant = change_of_variables(data, z, x, work, priors, border) + len(x) * math.log(kappa)
    scale_precisions(data.groupings, 1.0 / (kappa * kappa), priors)
    x *= kappa
    return log_determinant, kappa, variance


@nb.njit(**nb.OPTIONS | KEPT)
def whitened_log_joint(data, z, out):  # type: ignore[no-untyped-def]
    """Log density of a whitened point, without its constants; fills ``out`` with its gradient."""
    d, H = data.slope.shape[0], data.location.shape[0]
    n = z.shape[0] - H
    h, of_h = data.location + data.root @ z[n:], np.zeros(H)
    x, of_x, border = np.empty(n), np.empty(n), new_border(d, data.sizes[1] > 0)
    work, priors = workspace(1, data.sizes[2]).reshape(-1), np.empty(data.sizes[3])
    value = factor_priors(data.groupings, h, priors)
    log_determinant, kappa, variance = _stretched_map(data, z, x, work, priors, border)
    value += log_determinant
    value += log_joint_of_rows(data, x, of_x)
    quadratic = add_effects_priors(data.groupings, x, of_x, priors)
    value += quadratic
    of_log_kappa = n + of_x @ x
    of_x *= kappa
    scale_adjoints(data.groupings, 1.0 / (kappa * kappa), priors)  # the sweep adds those in the scaled precisions
    pull_back(data, z, of_x, out, work, priors, border)
    scale_adjoints(data.groupings, kappa * kappa, priors)
    of_log_kappa += 2.0 * (precision_products(data.groupings, priors) - quadratic)  # the latter is that of the prior
    pull_back_stretch(data.groupings, data.stretch, variance, of_log_kappa, h, of_h, priors)
    value += add_hyperpriors(data.groupings, h, of_h, priors)
    out[n:] = data.root.T @ of_h
    return value


@nb.njit(**nb.OPTIONS | KEPT)
def log_conditional(data, x, h, of_x):  # type: ignore[no-untyped-def]
    """Log-likelihood plus log prior of weights and effects given ``h``, without constants; fills the gradient."""
    priors = np.empty(data.sizes[3])
    value = factor_priors(data.groupings, h, priors) + log_joint_of_rows(data, x, of_x)
    return value + add_effects_priors(data.groupings, x, of_x, priors)


@nb.njit(**nb.OPTIONS | KEPT)
def to_models(data, hs, zs, xs):  # type: ignore[no-untyped-def]
    """Fill points of the model (S, n) for hyperparameters (S, H) and whitened points (S, dimension)."""
    for s in range(zs.shape[0]):
        _to_model(data, hs[s], zs[s], xs[s])


@nb.njit(**nb.OPTIONS)
def _to_model(data, h, z, x):  # type: ignore[no-untyped-def]
    """Fill the point ``x`` of the model; of the whitened point ``z`` the hyperparameters are not read."""
    border = new_border(data.slope.shape[0], data.sizes[1] > 0)
    work, priors = workspace(1, data.sizes[2]).reshape(-1), np.empty(data.sizes[3])
    factor_priors(data.groupings, h, priors)
    _stretched_map(data, z, x, work, priors, border)
