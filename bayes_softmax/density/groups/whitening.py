"""Compiled change of variables of all groupings, and its reverse sweep.

A grouping belongs to the border, or is whitened level by level, alone or in a chain of nested groupings.
"""

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.arrow import (
    add_precision_adjoint,
    effects_of_levels,
    factor_levels,
    pull_back_border,
    pull_back_effects,
    step_of_border,
)
from bayes_softmax.density.groups.nested import (
    add_adjoints_in_chain,
    effects_in_chain,
    eliminate,
    pull_back_in_chain,
)
from bayes_softmax.density.groups.priors import add_common_priors, pull_back_common_priors
from bayes_softmax.density.groups.table import chain_work, line, own_work, prior_work, read_lanes, read_parents
from bayes_softmax.density.scales.cholesky import lower_product, lower_transposed_product


@nb.njit(**nb.OPTIONS)
def change_of_variables(data, z, x, work, priors, border):  # type: ignore[no-untyped-def]
    """Fill a point of the model, given factored ``priors``; returns the log determinant of the map."""
    d, exact = data.slope.shape[0], data.sizes[1] > 0
    if exact:
        border.S[:] = data.curvature
        border.b[:] = data.slope
        add_common_priors(data.groupings, data.common, border.S, border.b, priors)
    log_determinant = _factor_chain(data, d, work, priors)
    for j in range(data.groupings.shape[0]):
        t = line(data.groupings, j)
        if t.at >= d and t.in_chain == 0:
            own, Q = own_work(t, d, exact, work), prior_work(t, priors).precision
            log_determinant += factor_levels(read_lanes(t, d), Q, t.G, exact, own, border)
    if exact:
        log_determinant += step_of_border(z[:d], border)
    else:
        lower_transposed_product(data.curvature, z[:d], border.step)
    for e in range(d):
        x[e] = data.common[e] + border.step[e]
    for j in range(data.groupings.shape[0]):
        t = line(data.groupings, j)
        if t.at >= d and t.in_chain == 0:
            own, m, end = own_work(t, d, exact, work), t.q * t.k, t.at + t.G * t.q * t.k
            X = own.X if exact else read_lanes(t, d).border
            effects_of_levels(X, own, border.step, z[t.at : end].reshape(t.G, m), x[t.at : end].reshape(t.G, m))
    _effects_of_chain(data, d, z, x, work, border.step)
    return log_determinant


@nb.njit(**nb.OPTIONS)
def pull_back(data, z, of_x, out, work, priors, border):  # type: ignore[no-untyped-def]
    """Fill the gradient ``out`` in all whitened coordinates but hyperparameters; *adds* to the priors' adjoints."""
    d, exact = data.slope.shape[0], data.sizes[1] > 0
    border.sbar[:] = of_x[:d]
    _pull_back_chain(data, d, of_x, out, work, border.sbar)
    for j in range(data.groupings.shape[0]):
        t = line(data.groupings, j)
        if t.at >= d and t.in_chain == 0:
            own, m, end = own_work(t, d, exact, work), t.q * t.k, t.at + t.G * t.q * t.k
            X = own.X if exact else read_lanes(t, d).border
            pull_back_effects(X, own, of_x[t.at : end].reshape(t.G, m), border.sbar, out[t.at : end].reshape(t.G, m))
    if exact:
        pull_back_border(z[:d], border, out[:d])
        pull_back_common_priors(data.groupings, data.common, border.Sbar, border.bbar, priors)
    else:
        lower_product(data.curvature, border.sbar, out[:d])
    _add_chain_adjoints(data, d, work, priors)
    for j in range(data.groupings.shape[0]):
        t = line(data.groupings, j)
        if t.at >= d and t.in_chain == 0:
            adjoint = prior_work(t, priors).adjoint
            add_precision_adjoint(t.G, exact, own_work(t, d, exact, work), border, adjoint)


@nb.njit(**nb.OPTIONS)
def _factor_chain(data, d, work, priors):  # type: ignore[no-untyped-def]
    """Eliminate the chain's levels, inner ones first; returns the log determinant of the map."""
    L, log_determinant = len(data.chain), 0.0
    for i in range(L):
        chain = chain_work(line(data.groupings, data.chain[i]), work)
        chain.W[:] = 0.0
        chain.g[:] = 0.0
    for i in range(L):
        t, above = line(data.groupings, data.chain[i]), line(data.groupings, data.chain[min(i + 1, L - 1)])
        own, Q = own_work(t, d, False, work), prior_work(t, priors).precision
        chain, next_chain = chain_work(t, work), chain_work(above, work)
        log_determinant += eliminate(read_lanes(t, d), Q, t.G, own, chain, read_parents(t), next_chain)
    return log_determinant


@nb.njit(**nb.OPTIONS)
def _effects_of_chain(data, d, z, x, work, step):  # type: ignore[no-untyped-def]
    """Fill the chain's effects, outer ones first."""
    L = len(data.chain)
    for i in range(L - 1, -1, -1):
        t, above = line(data.groupings, data.chain[i]), line(data.groupings, data.chain[min(i + 1, L - 1)])
        m, end, X = t.q * t.k, t.at + t.G * t.q * t.k, read_lanes(t, d).border
        v, u = z[t.at : end].reshape(t.G, m), x[t.at : end].reshape(t.G, m)
        own, chain, next_chain = own_work(t, d, False, work), chain_work(t, work), chain_work(above, work)
        effects_in_chain(X, own, chain, step, v, u, read_parents(t), next_chain)


@nb.njit(**nb.OPTIONS)
def _pull_back_chain(data, d, of_x, out, work, sbar):  # type: ignore[no-untyped-def]
    """Fill the chain's part of ``out``, inner levels first."""
    L = len(data.chain)
    for i in range(L):
        t, above = line(data.groupings, data.chain[i]), line(data.groupings, data.chain[min(i + 1, L - 1)])
        m, end, X = t.q * t.k, t.at + t.G * t.q * t.k, read_lanes(t, d).border
        of_u, vbar = of_x[t.at : end].reshape(t.G, m), out[t.at : end].reshape(t.G, m)
        own, chain, next_chain = own_work(t, d, False, work), chain_work(t, work), chain_work(above, work)
        pull_back_in_chain(X, own, chain, of_u, sbar, vbar, read_parents(t), next_chain)


@nb.njit(**nb.OPTIONS)
def _add_chain_adjoints(data, d, work, priors):  # type: ignore[no-untyped-def]
    """Add to the adjoints of the chain's precisions, outer levels first."""
    L = len(data.chain)
    for i in range(L - 1, -1, -1):
        t, above = line(data.groupings, data.chain[i]), line(data.groupings, data.chain[min(i + 1, L - 1)])
        own, chain, next_chain = own_work(t, d, False, work), chain_work(t, work), chain_work(above, work)
        add_adjoints_in_chain(t.G, own, chain, read_parents(t), next_chain, prior_work(t, priors).adjoint)
