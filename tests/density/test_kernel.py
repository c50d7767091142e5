"""The compiled density: derivatives against stencils, the textbook, and itself by other routes."""

import numba as nb
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.density import kernel
from bayes_softmax.density.posterior import SoftmaxPosterior
from tests.cases import build
from tests.conftest import simulate

CASES = [
    ("default", "default", "zero-sum", "labels"),
    ("mixed", "normal", "zero-sum", "weighted counts"),
    ("student", "student", "reference", "real weights"),
    ("student", "flat", "full", "offset"),
    ("mixed", "student", "full", "uncentred"),
    ("flat", "flat", "reference", "counts"),
    ("normal", "normal", "zero-sum", "two classes"),
    ("default", "default", "zero-sum", "no intercept"),
    ("default", "default", "zero-sum", "intercept only"),
]
ids = " / ".join


def density_of(case: tuple[str, str, str, str]) -> SoftmaxPosterior:
    model = build(*case)
    return model.log_density


def stencil(f, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Five-point derivative of ``f`` along each coordinate."""
    rows = [
        (8 * (f(x + h * e) - f(x - h * e)) - f(x + 2 * h * e) + f(x - 2 * h * e)) / (12 * h) for e in np.eye(len(x))
    ]
    return np.array(rows)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_gradient_hessian_and_products(case: tuple[str, str, str, str]) -> None:
    density = density_of(case)
    theta = np.random.default_rng(5).normal(size=density.dimension)
    value, gradient = density.value_gradient(theta)
    assert_allclose(value, density.value(theta), rtol=1e-14)
    assert_allclose(gradient, stencil(density.value, theta), rtol=1e-7, atol=1e-7 * np.abs(gradient).max())
    H = density.hessian(theta)
    expected = -stencil(lambda t: density.value_gradient(t)[1], theta)
    assert_allclose(H, expected, rtol=1e-7, atol=1e-9 * np.abs(H).max())
    metric = density.metric(theta)
    assert np.linalg.eigvalsh(metric).min() >= -1e-10 * np.abs(metric).max()
    product = density.hessian_vector(theta)
    assert_allclose(product(theta), metric @ theta, rtol=1e-10, atol=1e-10 * np.abs(metric @ theta).max())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_many_points_at_once_equal_one_at_a_time(case: tuple[str, str, str, str]) -> None:
    density = density_of(case)
    thetas = np.random.default_rng(6).normal(size=(700, density.dimension))  # more than one stack
    assert_allclose(density.values(thetas)[::50], [density.value_gradient(t)[0] for t in thetas[::50]], rtol=1e-13)


def test_kernel_equals_textbook_over_several_blocks() -> None:
    """More rows than a block, so that the last one is shorter."""
    X, y = simulate(2 * kernel.BLOCK + 37, 4, 5)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0))
    density = model.log_density
    theta = np.random.default_rng(0).normal(size=density.dimension)
    intercept, weights = (a[0] for a in density.coordinates.to_raw(theta[None]))
    expected = bs.log_likelihood(intercept + X @ weights, y)
    assert_allclose(density.value(theta) - density.log_prior(theta), expected, rtol=1e-13)


@pytest.mark.parametrize("size", [1e3, 1e5])
def test_extreme_logits_are_finite_and_exact(size: float) -> None:
    X, y = simulate(60, 2, 4)
    model = bs.SoftmaxRegression(X, y, prior=bs.Flat(), intercept_prior=bs.Flat())
    density = model.log_density
    theta = size * np.random.default_rng(0).normal(size=density.dimension)
    intercept, weights = (a[0] for a in density.coordinates.to_raw(theta[None]))
    value, gradient = density.value_gradient(theta)
    assert_allclose(value, bs.log_likelihood(intercept + X @ weights, y), rtol=1e-12)
    textbook = -bs.cross_entropy_gradient(
        model.design.standardised(), density.coordinates.to_engine(theta[None])[0].T, y
    )
    assert_allclose(gradient, density.coordinates.pull_back(60 * textbook.T), rtol=1e-10, atol=1e-9)
    assert np.isfinite(density.hessian(theta)).all()


def test_exponential_is_accurate_to_rounding() -> None:
    @nb.njit
    def over(x, out):  # type: ignore[no-untyped-def]
        for i in range(len(x)):
            out[i] = kernel._exp(x[i])

    x = -np.concatenate([np.linspace(0, 1, 50_001), np.random.default_rng(0).uniform(0, 700, 50_000)])
    out = np.empty_like(x)
    over(x, out)
    assert np.abs(out / np.exp(x) - 1).max() < 1e-15
    special = np.array([0.0, -1e9, -np.inf, np.nan])
    out = np.empty(4)
    over(special, out)
    assert out[0] == 1.0
    assert out[1] == out[2] < 1e-300
    assert np.isnan(out[3])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_input_is_not_hidden(bad: float) -> None:
    density = density_of(CASES[0])
    theta = np.zeros(density.dimension)
    theta[1] = bad
    assert not np.isfinite(density.value_gradient(theta)[0])
    assert not np.isfinite(density.values(theta[None])[0])


def test_zero_weights_are_as_if_the_row_were_absent() -> None:
    X, y = simulate(30, 2, 3)
    weights = np.ones(30)
    weights[::3] = 0
    kept = weights > 0
    a = bs.SoftmaxRegression(X, y, weights=weights).map()
    b = bs.SoftmaxRegression(X[kept], y[kept]).map()
    assert_allclose(a.weights, b.weights, rtol=1e-6)
