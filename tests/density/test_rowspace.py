"""More features than rows: the reduced problem is the full one, at the mode and in distribution."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.density.rowspace import row_space
from bayes_softmax.fitting import problem_of
from bayes_softmax.inference.laplace import laplace_approximation
from bayes_softmax.inference.newton import newton
from tests.conftest import simulate

PRIORS = {
    "default": {},
    "flat intercept": {"prior": bs.Normal(0.7), "intercept_prior": bs.Flat()},
    "per feature": {"prior": {f"x{j}": bs.Normal(0.1 + 0.01 * j) for j in range(30)}},
    "no intercept": {"prior": bs.Normal(0.5), "intercept": False},
}


def wide_model(n_obs: int = 20, **options: object) -> bs.SoftmaxRegression:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_obs, 30)) * np.geomspace(0.1, 10, 30) + 1.0
    return bs.SoftmaxRegression(X, np.arange(n_obs) % 3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("name", PRIORS)
def test_the_mode_is_that_of_the_full_density(name: str, coding: str) -> None:
    model = wide_model(coding=coding, **PRIORS[name])
    problem, full = problem_of(model.specification), model.log_density
    assert problem.density.dimension < full.dimension
    estimate = model.map()
    assert estimate.converged
    theta = model.coordinates.from_raw(estimate.intercept.values, estimate.weights.values)
    value, gradient = full.value_gradient(theta)
    assert_allclose(value, estimate.log_posterior, rtol=1e-10)
    assert np.abs(gradient).max() < 1e-7
    exact = newton(full, np.zeros(full.dimension))
    assert_allclose(theta, exact.theta, atol=1e-7)
    assert_allclose(full.log_prior(theta), estimate.log_prior, rtol=1e-10)


@pytest.mark.parametrize("name", PRIORS)
def test_lifted_points_have_the_covariance_of_the_full_laplace_approximation(name: str) -> None:
    """Exact: the reduced covariance, lifted, plus the prior's in the complement, is the full inverse Hessian."""
    model = wide_model(**PRIORS[name])
    spec = model.specification
    reduced = row_space(spec.design, spec.priors, spec.schema.coding)
    assert reduced is not None
    problem, full = problem_of(spec), model.log_density
    small = laplace_approximation(problem.density, newton(problem.density, np.zeros(problem.density.dimension)))
    d, r = full.dimension, problem.density.dimension
    zero = problem.lift(np.zeros((1, r)), None)
    J = (problem.lift(np.eye(r), None) - zero).T
    k_b, k_w = full.coordinates.n_free_intercept, full.coordinates.weights_contrast.shape[1]
    projector = np.eye(len(reduced.sd)) - reduced.basis @ reduced.basis.T
    complement = np.zeros((d, d))
    complement[k_b:, k_b:] = np.kron(np.eye(k_w), reduced.sd[:, None] * projector * reduced.sd)
    expected = np.linalg.inv(full.hessian(problem.lift(small.mode[None], None)[0]))
    inverse = np.linalg.inv(small.factor @ small.factor.T)
    assert_allclose(J @ inverse @ J.T + complement, expected, rtol=1e-6, atol=1e-9)


def test_draws_fill_the_complement_with_the_prior() -> None:
    """A feature orthogonal to all rows keeps its prior sd: 4000 draws, tolerance 6 standard errors (4 %)."""
    n_obs = 12
    X = np.zeros((n_obs, 40))
    rng = np.random.default_rng(0)
    X[:, :39] = rng.normal(size=(n_obs, 39))
    X[:, 39] = 1e-9 * rng.normal(size=n_obs)
    model = bs.SoftmaxRegression(X, np.arange(n_obs) % 3, prior=bs.Normal(0.5))
    post = model.sample(random_seed=1, progressbar=False)
    sd = float(post.coefficients.weights[:, 39].std(axis=0).mean())
    assert_allclose(sd, 0.5 * np.sqrt(2 / 3), rtol=0.05)  # one of three zero-sum columns
    assert post.diagnostics.ok
    again = model.sample(random_seed=1, progressbar=False)
    assert_allclose(post.draws, again.draws, rtol=0)


def test_evidence_is_that_of_the_full_model() -> None:
    """The same model with and without reduction (N <= p against N > p by empty rows); 4 standard errors."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 8)), np.arange(6) % 3
    small = bs.SoftmaxRegression(X, y, prior=bs.Normal(0.3), intercept=False)
    weights = np.r_[np.ones(6), np.full(3, 1e-12)]
    large = bs.SoftmaxRegression(
        np.r_[X, X[:3] + 1e-3], np.r_[y, y[:3]], weights=weights, prior=bs.Normal(0.3), intercept=False
    )
    spec = large.specification
    assert row_space(spec.design, spec.priors, "zero-sum") is None
    a, b = (m.laplace(draws=8000, random_seed=1, progressbar=False) for m in (small, large))
    assert a.log_evidence is not None
    assert b.log_evidence is not None
    assert abs(a.log_evidence - b.log_evidence) < 0.05


def test_what_cannot_be_reduced_is_not() -> None:
    for options in ({"prior": bs.StudentT(4, 1.0)}, {"prior": bs.Normal(1.0), "intercept_prior": bs.Normal(2.0)}):
        model = wide_model(**options)
        assert problem_of(model.specification).density.dimension == model.log_density.dimension
        assert model.map().converged
    X, y = simulate(50, 3, 3)
    model = bs.SoftmaxRegression(X, y)
    assert problem_of(model.specification).density.dimension == model.log_density.dimension
