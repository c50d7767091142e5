"""Compiled priors of effects and hyperparameters, and their derivatives."""

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.covariance import add_log_hyperprior, covariance_root, pull_back_root
from bayes_softmax.density.groups.table import line, prior_work, read_covariance
from bayes_softmax.density.scales.cholesky import cholesky_with_inverse


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
def factor_priors(groupings, h, work):  # type: ignore[no-untyped-def]
    """Fill the covariances' workspaces; returns the log density of zero effects, without its constant."""
    value = 0.0
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        own, h_own = prior_work(t, work), h[t.first_hyper : t.first_hyper + t.n_hyper]
        value -= t.G * precision_of(read_covariance(t), h_own, own.R, own.root, own.inverse, own.precision)
    return value


@nb.njit(**nb.OPTIONS)
def add_effects_prior(precision, u, of_u, adjoint):  # type: ignore[no-untyped-def]
    """The quadratic part of the log density of effects (G, m); *adds* its gradient in effects.

    Fills its gradient ``adjoint`` (m, m) in the precision.
    """
    G, m = u.shape
    adjoint[:] = 0.0
    for g in range(G):
        row, of_row = u[g], of_u[g]
        for i in range(m):
            total, factor = 0.0, 0.5 * row[i]
            for j in range(m):
                total += precision[i, j] * row[j]
                adjoint[i, j] -= factor * row[j]
            of_row[i] -= total
    value = 0.0
    for i in range(m):
        for j in range(m):
            value += precision[i, j] * adjoint[i, j]
    return value


@nb.njit(**nb.OPTIONS)
def add_effects_priors(groupings, x, of_x, work):  # type: ignore[no-untyped-def]
    """The quadratic parts for all groupings at a point of the model; *adds* gradients, fills the ``adjoint``s."""
    value = 0.0
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        m, own = t.q * t.k, prior_work(t, work)
        u, of_u = x[t.at : t.at + t.G * m].reshape(t.G, m), of_x[t.at : t.at + t.G * m].reshape(t.G, m)
        value += add_effects_prior(own.precision, u, of_u, own.adjoint)
    return value


@nb.njit(**nb.OPTIONS)
def add_hyperpriors(groupings, h, of_h, work):  # type: ignore[no-untyped-def]
    """Log prior of the hyperparameters; *adds* its gradient and what comes through the precisions' ``adjoint``s."""
    value = 0.0
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        cov, own = read_covariance(t), prior_work(t, work)
        h_own, of_own = h[t.first_hyper : t.first_hyper + t.n_hyper], of_h[t.first_hyper : t.first_hyper + t.n_hyper]
        value += add_log_hyperprior(cov, h_own, of_own)
        pull_back_precision(cov, h_own, own, t.G, of_own)
    return value


@nb.njit(**nb.OPTIONS)
def pull_back_precision(cov, h, own, n_levels, gradient):  # type: ignore[no-untyped-def]
    """Add the derivatives in ``h``, from those in a precision and of ``-n_levels`` half log determinants of Sigma."""
    precision = own.precision
    symmetric = 0.5 * (own.adjoint + own.adjoint.T)
    of_sigma = -(precision @ symmetric @ precision) - 0.5 * n_levels * precision
    pull_back_root(cov, h, own.R, 2.0 * (of_sigma @ own.root), gradient)


@nb.njit(**nb.OPTIONS)
def add_common_priors(groupings, x0, S, b, work):  # type: ignore[no-untyped-def]
    """Add the priors of effects that are common coordinates to their curvature ``S`` and gradient ``b`` at ``x0``."""
    d = S.shape[0]
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        m, Q = t.q * t.k, prior_work(t, work).precision
        for at in range(t.at, t.at + t.G * m if t.at < d else t.at, m):
            for i in range(m):
                for l in range(m):
                    S[at + i, at + l] += Q[i, l]
                    b[at + i] -= Q[i, l] * x0[at + l]


@nb.njit(**nb.OPTIONS)
def pull_back_common_priors(groupings, x0, Sbar, bbar, work):  # type: ignore[no-untyped-def]
    """The reverse: *add* to the ``adjoint``s of these groupings' precisions."""
    d = Sbar.shape[0]
    for j in range(groupings.shape[0]):
        t = line(groupings, j)
        m, adjoint = t.q * t.k, prior_work(t, work).adjoint
        for at in range(t.at, t.at + t.G * m if t.at < d else t.at, m):
            for i in range(m):
                for l in range(m):
                    adjoint[i, l] += Sbar[at + i, at + l] - bbar[at + i] * x0[at + l]
