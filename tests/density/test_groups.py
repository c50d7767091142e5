"""Compiled parts of models with effects: covariances, expansions, and matrices of many levels side by side."""

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import add_log_hyperprior, covariance_root, pull_back_root
from bayes_softmax.density.groups.expansion import ExpansionRows, expand
from bayes_softmax.density.groups.lanes import add_lower_transposed, factor, log_diagonals, lower
from tests.density.grouped import covariance_data, stencil

K = 3


def test_covariances_and_hyperpriors_against_stencils() -> None:
    contrasts = np.linalg.qr(np.column_stack([np.ones(3), np.eye(3)[:, :2]]))[0][:, 1:]
    cov, n_hyper = covariance_data(2, contrasts, "zero-sum"), 21
    cov = cov._replace(sd_of_column=np.array([0, 0, 0, 1, 2, 1]), pair=np.where(cov.pair % 3 == 1, -1, cov.pair))
    rng = np.random.default_rng(1)
    h, weights = 0.5 * rng.normal(size=n_hyper), rng.normal(size=(4, 6))
    R, root, gradient = np.empty((6, 6)), np.empty((4, 6)), np.zeros(n_hyper)

    def value(h: FloatArray) -> float:
        covariance_root(cov, h, R, root)
        return float(add_log_hyperprior(cov, h, np.zeros(n_hyper)) + (weights * root).sum())

    found = [stencil(value, h, e) for e in np.eye(n_hyper)]
    covariance_root(cov, h, R, root)
    add_log_hyperprior(cov, h, gradient)
    pull_back_root(cov, h, R, weights, gradient)
    np.testing.assert_allclose(gradient, found, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.diag(R @ R.T), 1.0, rtol=1e-12)


def test_expansion_against_dense_jacobians() -> None:
    rng = np.random.default_rng(2)
    n, q, G, k = 30, 3, (4, 3), K - 1
    Q = rng.normal(size=(K, 2 * k))
    X, P, residuals = rng.normal(size=(n, q)), rng.dirichlet(np.ones(K), n), rng.normal(size=(n, K))
    codes, terms = np.array([rng.integers(0, size, n) for size in G]), rng.normal(size=(n, 3))
    weights = np.repeat(np.arange(k), q), np.tile(np.arange(q), k)
    n_weights, m = k * q, 2 * k
    d = n_weights + G[1] * k
    rows = ExpansionRows(X, *weights, codes, terms, np.array([2, 1]), np.array([k, k]), k, np.array([0, n_weights]))
    A, r, C, H, slope = (np.zeros(s) for s in ((G[0], m, m), (G[0], m), (G[0], m, d), (d, d), d))
    expand(rows, Q, P, residuals, A, r, C, H, slope)
    J = np.zeros((n, K, d + G[0] * m))  # of the logits in common coordinates, then in effects of the first grouping
    for i in range(n):
        for a in range(k):
            J[i, :, a * q : (a + 1) * q] = np.outer(Q[:, a], X[i])
            J[i, :, n_weights + codes[1, i] * k + a] = Q[:, k + a] * terms[i, 2]
            for t in range(2):
                J[i, :, d + codes[0, i] * m + t * k + a] = Q[:, k + a] * terms[i, t]
    S = np.einsum("ik,kl->ikl", P, np.eye(K)) - P[:, :, None] * P[:, None]
    curvature, gradient = np.einsum("ike,ikl,ilf->ef", J, S, J), np.einsum("ike,ik->e", J, residuals)
    np.testing.assert_allclose(H, curvature[:d, :d], atol=1e-12)
    np.testing.assert_allclose(slope, gradient[:d], atol=1e-12)
    np.testing.assert_allclose(r.ravel(), gradient[d:], atol=1e-12)
    np.testing.assert_allclose(C.reshape(-1, d), curvature[d:, :d], atol=1e-12)
    for g in range(G[0]):
        own = slice(d + g * m, d + (g + 1) * m)
        np.testing.assert_allclose(A[g], curvature[own, own], atol=1e-12)


def test_factors_in_lanes_against_numpy() -> None:
    rng = np.random.default_rng(3)
    m, B = 5, 24
    roots, Q, x = rng.normal(size=(B, m, m)), np.diag(rng.uniform(1, 2, m)), rng.normal(size=(m, B))
    A = roots @ roots.transpose(0, 2, 1)
    L, F = np.empty((m, m, B)), np.zeros((m, m, B))
    factor(np.ascontiguousarray(A.transpose(1, 2, 0)), Q, L, F)
    found, lowered, raised = F.transpose(2, 0, 1), np.empty((m, B)), np.zeros((m, B))
    np.testing.assert_allclose(found, np.linalg.inv(np.linalg.cholesky(A + Q)), atol=1e-12)
    lower(F, x, lowered)
    add_lower_transposed(F, x, raised)
    np.testing.assert_allclose(lowered, np.einsum("lij,jl->il", found, x), atol=1e-12)
    np.testing.assert_allclose(raised, np.einsum("lji,jl->il", found, x), atol=1e-12)
    np.testing.assert_allclose(log_diagonals(F, 7), -0.5 * np.linalg.slogdet(A + Q)[1][:7].sum(), rtol=1e-12)
