"""The joint density of weights, effects and hyperparameters: against an oracle in NumPy, and its derivatives."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.groups.arrow import ArrowData, new_factors
from bayes_softmax.density.groups.covariance import CovarianceData, add_log_hyperprior, covariance_root, pull_back_root
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.expansion import ExpansionRows, expand
from bayes_softmax.density.groups.kernel import GroupsData, to_model, whitened_log_joint
from bayes_softmax.density.packing import pack_rows
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.spec.specification import Specification

N, K, SHAPE = 700, 3, 2.0
CODINGS = ["zero-sum", "reference"]


class Case(NamedTuple):
    """A model with two groupings at arbitrary numbers; ``kept`` holds the arrays whose addresses ``data`` has."""

    spec: Specification
    data: GroupsData
    kept: tuple[tuple[Grouping, CovarianceData], ...]
    codes: tuple[IntArray, ...]
    terms: tuple[FloatArray, ...]
    point: FloatArray


def stencil(function, x, e):  # type: ignore[no-untyped-def]
    step = 1e-3 * e
    return (8 * (function(x + step) - function(x - step)) - function(x + 2 * step) + function(x - 2 * step)) / 12e-3


def covariance_data(q: int, contrasts: FloatArray, coding: str) -> tuple[CovarianceData, int]:
    columns = np.eye(contrasts.shape[1]) if coding == "reference" else contrasts
    n = q * len(columns)
    pair = np.full((n, n), -1)
    pair[np.tril_indices(n, -1)] = np.arange(n * (n - 1) // 2)
    power = np.array([0.0] + [n - i - 1 + 2 * SHAPE - 2 for i in range(1, n)])
    mapping = np.ascontiguousarray(np.kron(np.eye(q), columns))
    family = np.arange(n) % 2
    priors = family, np.where(family, 3.0, 0.0), np.linspace(1.0, 2.5, n)
    return CovarianceData(mapping, np.arange(n), pair, power, *priors), n + n * (n - 1) // 2


def case(coding: str) -> Case:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(N, 2)), rng.integers(0, K, N)
    spec = bs.SoftmaxRegression(X, y, prior=bs.Normal(2.0), intercept_prior=bs.Normal(2.0), coding=coding)._spec
    base = density_of(spec)
    rows, C = base.likelihood.parts[0].native(), spec.coordinates.weights_contrast
    n_blocks, B, k, at = int(rows[4]), int(rows[6]), C.shape[1], base.dimension
    codes, terms = (
        (rng.integers(0, 40, N), rng.integers(0, 6, N)),
        (np.column_stack([np.ones(N), X[:, 0]]), np.ones((N, 1))),
    )
    lines, kept, first = [], [], 0
    for j, (level, term) in enumerate(zip(codes, terms, strict=True)):
        q, G = term.shape[1], int(level.max()) + 1
        cov, n_hyper = covariance_data(q, C, coding)
        observed = np.zeros((G, q, K - 1))
        np.add.at(observed, level, term[:, :, None] * np.eye(K)[y][:, None, :-1])
        packed = np.zeros((n_blocks, B), dtype=np.int64)
        packed.ravel()[:N] = level
        own = Grouping(packed, pack_rows(term, B), observed, np.ascontiguousarray(C[:-1] - C[-1]))
        sizes = (n_blocks, B, q, G, len(cov.mapping), k, len(cov.scale), K - 1, first, n_hyper, at if j else 0)
        lines.append([*(a.ctypes.data for a in (*own, *cov)), *sizes])
        kept.append((own, cov))
        first, at = first + n_hyper, at + (G * q * k if j else 0)
    d, G, m = at, 40, 2 * k
    A = rng.normal(size=(G, m, m))
    arrow = ArrowData(
        0.3 * rng.normal(size=d), 0.3 * rng.normal(size=(G, m)), A @ A.transpose(0, 2, 1),
        rng.normal(size=(G, m)), 0.1 * rng.normal(size=(G, m, d)),
    )  # fmt: skip
    root = 0.3 * np.eye(first) + 0.05 * rng.normal(size=(first, first))
    moved = rng.normal(size=d), 0.2 * rng.normal(size=first), root
    data = GroupsData(base.data, np.array(lines, dtype=np.int64), arrow, 60.0 * np.eye(d), *moved)
    return Case(spec, data, tuple(kept), codes, terms, rng.normal(size=d + G * m + first))


def oracle(given: Case) -> float:
    """The log density at the point, from the map to the model's parameters and textbook formulae."""
    spec, data, z, (G, m), d = (
        given.spec,
        given.data,
        given.point,
        given.data.arrow.effects.shape,
        len(given.data.slope),
    )
    h = data.location + data.root @ z[d + G * m :]
    theta, u = np.empty(d), np.empty((G, m))
    total = to_model(data, h, z[:d].copy(), z[d : d + G * m].reshape(G, m).copy(), new_factors(G, m, d), theta, u)
    n_weights = density_of(spec).dimension
    found = spec.coordinates.to_parameters(theta[None, :n_weights])
    eta = found["intercept"][0] + spec.design.X @ found["weights"][0]
    C, effects = spec.coordinates.weights_contrast, (u, theta[n_weights:].reshape(6, -1))
    for (_, cov), codes, terms, own in zip(given.kept, given.codes, given.terms, effects, strict=True):
        n = len(cov.mapping)
        eta += np.einsum("nt,nta,ka->nk", terms, own[codes].reshape(N, -1, C.shape[1]), C)
        log_sds, partial, h = h[:n], np.tanh(h[n : n + n * (n - 1) // 2]), h[n + n * (n - 1) // 2 :]
        R, place = np.eye(n), 0
        for i in range(1, n):
            left = 1.0
            for j in range(i):
                R[i, j] = partial[place] * np.sqrt(left)
                total += 0.5 * np.log(left) + np.log(1 - partial[place] ** 2)
                left, place = left * (1 - partial[place] ** 2), place + 1
            R[i, i] = np.sqrt(left)
            total += (n - i - 1 + 2 * SHAPE - 2) * np.log(R[i, i])
        root, sds = cov.mapping.T @ (np.exp(log_sds)[:, None] * R), np.exp(log_sds)
        normal = multivariate_normal(np.zeros(len(root)), root @ root.T)
        total += normal.logpdf(own).sum() + 0.5 * own.size * np.log(2 * np.pi)
        squared = (sds / cov.scale) ** 2
        t = -0.5 * (cov.df + 1) * np.log1p(squared / np.maximum(cov.df, 1))
        total += float((log_sds + np.where(cov.family == 0, -0.5 * squared, t)).sum())
    y = spec.design.response.codes
    largest = eta.max(axis=1)
    total += (eta[np.arange(N), y] - largest - np.log(np.exp(eta - largest[:, None]).sum(axis=1))).sum()
    base = density_of(spec)
    return float(total + base.log_prior(theta[:n_weights]) - base.log_prior_constant)


@pytest.mark.parametrize("coding", CODINGS)
def test_the_joint_density_equals_the_oracle(coding: str) -> None:
    given = case(coding)
    found = whitened_log_joint(given.data, given.point, np.empty_like(given.point))
    assert found == pytest.approx(oracle(given), rel=1e-12)


@pytest.mark.parametrize("coding", CODINGS)
def test_gradient_against_stencils(coding: str) -> None:
    given = case(coding)
    gradient = np.empty_like(given.point)
    whitened_log_joint(given.data, given.point, gradient)
    d, n_effects = len(given.data.slope), given.data.arrow.effects.size
    last = len(given.point)
    tried = [*range(4), d - 1, *range(d, d + 6), d + n_effects - 1, *range(d + n_effects, last)]

    def value(z: FloatArray) -> float:
        return float(whitened_log_joint(given.data, z, np.empty_like(z)))

    found = [stencil(value, given.point, np.eye(1, last, i)[0]) for i in tried]
    np.testing.assert_allclose(gradient[tried], found, rtol=1e-8, atol=1e-8 * np.abs(gradient).max())


def test_covariances_and_hyperpriors_against_stencils() -> None:
    contrasts = np.linalg.qr(np.column_stack([np.ones(3), np.eye(3)[:, :2]]))[0][:, 1:]
    cov, n_hyper = covariance_data(2, contrasts, "zero-sum")
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
