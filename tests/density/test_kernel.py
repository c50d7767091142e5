"""The compiled density: derivatives against stencils, the textbook, and itself by other routes."""

import numba as nb
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.core.threads import MAX_PARTS, PART_WORK, ranges
from bayes_softmax.density import simd
from bayes_softmax.density.packing import BLOCK_ROWS, aligned, block_rows, pack_rows
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
    ("laplace", "normal", "zero-sum", "uncentred"),
    ("mixed laplace", "flat", "reference", "counts"),
    ("laplace", "student", "full", "labels"),
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


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_surrogate_of_laplace_priors_is_smooth_definite_and_a_bounded_distance_away(coding: str) -> None:
    """Its derivatives at the kink itself by stencils; there its curvature is one over the prior's variance."""
    model = build("mixed laplace", "normal", coding)
    density, surrogate = model.log_density, model.log_density.surrogate
    zero = np.zeros(density.dimension)
    assert_allclose(
        surrogate.value_gradient(zero)[1], stencil(surrogate.value, zero), rtol=1e-7, atol=1e-7 * density.total_weight
    )
    H = surrogate.hessian(zero)
    expected = -stencil(lambda t: surrogate.value_gradient(t)[1], zero)
    assert_allclose(H, expected, rtol=1e-7, atol=1e-9 * np.abs(H).max())
    groups, strengths = density.penalty
    k = groups.shape[1]
    likelihood = density.smooth_part.hessian(zero)  # with the normal priors
    bend = np.diag(H - likelihood)[groups]
    assert_allclose(bend, (strengths**2 / (k + 1))[:, None] * np.ones(k), rtol=1e-9)
    thetas = 30 * np.random.default_rng(0).normal(size=(50, density.dimension))
    gaps = density.values(thetas) - surrogate.values(thetas)
    assert (gaps >= 0).all()
    assert (gaps <= (k + 1) * len(groups)).all()
    assert surrogate.penalty is not None
    assert build("normal", "normal", coding).log_density.penalty is None


def test_laplace_density_at_its_kink_has_the_subgradient_zero() -> None:
    density = density_of(("laplace", "normal", "zero-sum", "labels"))
    zero = np.zeros(density.dimension)
    assert_allclose(density.value_gradient(zero)[1], density.smooth_part.value_gradient(zero)[1])
    assert density.value(zero) == pytest.approx(density.smooth_part.value(zero), rel=1e-15)
    assert np.isfinite(density.hessian(zero)).all()


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_many_points_at_once_equal_one_at_a_time(case: tuple[str, str, str, str]) -> None:
    density = density_of(case)
    thetas = np.random.default_rng(6).normal(size=(700, density.dimension))  # more than one stack
    assert_allclose(density.values(thetas)[::50], [density.value_gradient(t)[0] for t in thetas[::50]], rtol=1e-13)


@pytest.mark.parametrize("n_classes", range(2, 13))
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 8, 13])
def test_every_size_of_tile_equals_the_textbook(n_classes: int, n_features: int) -> None:
    """Several blocks, the last one short; classes and features that leave every remainder."""
    X, y = simulate(BLOCK_ROWS[0] + 37, n_features, n_classes)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0))
    assert_equals_textbook(model, X, y)


@pytest.mark.parametrize("n_obs", [1, 23, 24, 25, 72, 120, 121, 264, 265, 30_000])
def test_every_number_of_rows_equals_the_textbook(n_obs: int) -> None:
    """One block or many, padded or not, in one part or several."""
    X = np.random.default_rng(n_obs).normal(size=(n_obs, 17))
    y = np.random.default_rng(1).integers(3, size=n_obs)
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), classes=[0, 1, 2], intercept=False)
    assert_equals_textbook(model, X, y)


def assert_equals_textbook(model: bs.SoftmaxRegression, X: np.ndarray, y: np.ndarray) -> None:
    density = model.log_density
    theta = np.random.default_rng(0).normal(size=density.dimension)
    intercept, weights = (a[0] for a in density.coordinates.to_raw(theta[None]))
    expected = bs.log_likelihood(intercept + X @ weights, y)
    assert_allclose(density.value(theta) - density.log_prior(theta), expected, rtol=1e-12)
    Z = model._spec.design.standardised()
    engine = density.coordinates.to_engine(theta[None])[0]
    gradient = density.coordinates.pull_back(-len(y) * bs.cross_entropy_gradient(Z, engine.T, y).T)
    value, found = density.value_gradient(theta)
    prior = found - gradient  # N(0, sd) on raw weights: a gradient that does not depend on the data
    assert_allclose(value, density.value(theta), rtol=1e-13)
    without = bs.SoftmaxRegression(
        X, y, prior=bs.Normal(1e9), classes=model.classes, intercept=bool(model._spec.design.has_intercept)
    )
    _, bare = without.log_density.value_gradient(theta)
    scale = np.abs(gradient).max() + 1
    of_weights = [density.coordinates.split(g)[1] for g in (bare, gradient)]
    assert_allclose(*of_weights, atol=1e-11 * scale)
    assert np.isfinite(prior).all()


def test_work_is_cut_by_its_size_alone() -> None:
    assert ranges(40, 0.5 * PART_WORK) == [(0, 40)]
    assert ranges(40, 2.5 * PART_WORK) == [(0, 20), (20, 40)]
    assert ranges(3, 100 * PART_WORK) == [(0, 1), (1, 2), (2, 3)]
    parts = ranges(1001, 100 * PART_WORK)
    assert len(parts) == MAX_PARTS
    assert [first for first, _ in parts[1:]] == [end for _, end in parts[:-1]]


def test_packing_keeps_every_row_on_a_cache_line() -> None:
    A = np.arange(300.0 * 5).reshape(300, 5)
    for B in BLOCK_ROWS:
        packed = pack_rows(A, B)
        assert packed.ctypes.data % 64 == 0
        assert (packed.strides[1] // 64) % 2 == 1  # an odd number of lines: features spread over the cache's sets
        assert_allclose(packed.transpose(0, 2, 1).reshape(-1, 5)[:300], A)
        assert packed.sum() == A.sum()
    assert aligned((2, 3)).ctypes.data % 64 == 0
    assert block_rows(10, 5) == 24
    assert block_rows(100_000, 21) == 264
    assert block_rows(100_000, 5000) == 24


@pytest.mark.parametrize(
    "case",
    [
        ("normal", "normal", "zero-sum", "labels"),
        ("student", "student", "reference", "labels"),
        ("default", "default", "zero-sum", "no intercept"),
        ("normal", "normal", "full", "uncentred"),
    ],
    ids=ids,
)
def test_block_metric_is_exact_where_all_rows_are_alike(case: tuple[str, str, str, str]) -> None:
    """At zero coefficients every row has the same class covariance, so the Kronecker form is the metric itself."""
    density = density_of(case)
    theta = np.zeros(density.dimension)
    metric = density.block_metric(theta)
    assert metric is not None
    dense = np.zeros((density.dimension,) * 2)
    k, m = metric.precisions.shape[:2]
    for e in range(k):
        lifted = np.kron(metric.mixing[:, e], np.eye(m))
        dense += lifted.T @ metric.precisions[e] @ lifted
    assert_allclose(dense, density.metric(theta), rtol=1e-7, atol=1e-7 * np.abs(dense).max())


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
        model._spec.design.standardised(), density.coordinates.to_engine(theta[None])[0].T, y
    )
    assert_allclose(gradient, density.coordinates.pull_back(60 * textbook.T), rtol=1e-10, atol=1e-9)
    assert np.isfinite(density.hessian(theta)).all()


def test_exponential_is_accurate_to_rounding() -> None:
    @nb.njit
    def over(x, m, s):  # type: ignore[no-untyped-def]
        simd.exp_row(x.ctypes.data, m.ctypes.data, s.ctypes.data, x.shape[0])

    x = -np.concatenate([np.linspace(0, 1, 50_000), np.random.default_rng(0).uniform(0, 700, 50_000)])
    out, total = x + 3.0, np.ones_like(x)
    over(out, np.full_like(x, 3.0), total)
    assert np.abs(out / np.exp((x + 3.0) - 3.0) - 1).max() < 4e-16
    assert_allclose(total, 1 + out, rtol=1e-15)
    special = np.array([0.0, -1e9, -np.inf, np.nan] * 2)
    over(special, np.zeros(8), np.zeros(8))
    assert special[0] == 1.0
    assert special[1] == special[2] < 1e-300
    assert np.isnan(special[3])


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
