"""Proximal Newton: against closed forms on Gaussians, and against proximal gradient steps written out here."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.core.records import Penalty, Status
from bayes_softmax.inference import proximal
from bayes_softmax.inference.proximal import proximal_newton
from tests.conftest import simulate
from tests.inference.gaussian import Gaussian


def shrink(v: np.ndarray, groups: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Soft threshold of each group: the proximal map of the norms."""
    out = v.copy()
    norms = np.linalg.norm(v[groups], axis=1)
    out[groups] = np.maximum(1 - by / np.maximum(norms, 1e-300), 0)[:, None] * v[groups]
    return out


def fista(smooth, penalty: Penalty, steps: int = 20_000) -> np.ndarray:
    """Accelerated proximal gradient (Beck and Teboulle, 2009), restarted where the objective falls."""
    length = 1 / np.linalg.eigvalsh(smooth.metric(np.zeros(smooth.dimension)))[-1] / 2
    theta = ahead = np.zeros(smooth.dimension)
    momentum, best = 1.0, -np.inf
    for _ in range(steps):
        new = shrink(ahead + length * smooth.value_gradient(ahead)[1], penalty.groups, length * penalty.strengths)
        value = smooth.value(new) - penalty.value(new)
        if value < best:
            ahead, momentum, best = theta, 1.0, -np.inf
            continue
        larger = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / larger * (new - theta)
        theta, momentum, best = new, larger, value
    return theta


@pytest.mark.parametrize("size", [1, 3])
def test_identity_precision_is_one_soft_threshold(size: int) -> None:
    mean = np.array([3.0, 0.1, -0.2, 0.3, -2.0, 1.0])
    penalty = Penalty(np.arange(6).reshape(-1, size), np.full(6 // size, 0.5))
    mode = proximal_newton(Gaussian(mean, np.eye(6)), penalty, np.zeros(6))
    assert mode.status is Status.CONVERGED
    expected = shrink(mean, penalty.groups, penalty.strengths)
    assert_allclose(mode.theta, expected, atol=1e-9)
    assert_allclose(mode.theta == 0, expected == 0)
    assert mode.value == pytest.approx(-0.5 * ((expected - mean) ** 2).sum() - penalty.value(expected), abs=1e-12)


@pytest.mark.parametrize("strength", [0.3, 3.0, 30.0])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_gaussian_with_free_coordinates_equals_proximal_gradient(size: int, strength: float) -> None:
    target = Gaussian.random(14, seed=size)
    penalty = Penalty(np.arange(2, 14).reshape(-1, size), strength * np.linspace(0.5, 2.0, 12 // size))
    mode = proximal_newton(target, penalty, np.zeros(14))
    expected = fista(target, penalty)
    assert mode.converged
    assert mode.gradient_norm < 1e-10
    assert_allclose(mode.theta, expected, atol=1e-6)
    # FISTA's own zeros are exact too.
    assert ((penalty.norms(mode.theta) == 0) == (penalty.norms(expected) == 0)).all()


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_softmax_equals_proximal_gradient(coding: str) -> None:
    X, y = simulate(80, 5, 3)
    density = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.1), coding=coding).log_density
    mode = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension))
    slow = fista(density.smooth_part, density.penalty)
    assert mode.converged
    assert 0 < (density.penalty.norms(mode.theta) == 0).sum() < len(density.penalty.groups)
    assert mode.value == pytest.approx(density.value(mode.theta), rel=1e-14)
    assert density.value(slow) <= mode.value + 1e-10
    assert_allclose(mode.theta, slow, atol=1e-6)


def test_hessian_by_columns_and_small_working_sets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = simulate(60, 40, 3)
    density = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.2)).log_density
    whole = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension))
    monkeypatch.setattr(proximal, "DENSE_DIMENSION", 0)
    monkeypatch.setattr(proximal, "NEW_COORDINATES", 4)
    parts = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension))
    assert parts.converged
    assert parts.n_iterations > whole.n_iterations
    assert_allclose(parts.theta, whole.theta, atol=1e-9)


def test_the_objective_never_falls_and_the_limit_is_reported() -> None:
    X, y = simulate(100, 6, 4)
    density = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0)).log_density
    mode = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension))
    assert (np.diff(mode.history) >= -1e-12 * abs(mode.value)).all()
    short = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension), max_iterations=2)
    assert short.status is Status.MAX_ITERATIONS
    assert short.gradient_norm > 1e-8


def test_many_optima_are_one_optimum_of_the_objective() -> None:
    """Two classes, full coding: only the difference of a feature's weights is determined, and CD leaves one at zero."""
    X, y = simulate(100, 3, 2)
    density = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0), coding="full").log_density
    mode = proximal_newton(density.smooth_part, density.penalty, np.zeros(density.dimension))
    assert mode.converged
    start = np.random.default_rng(0).normal(size=density.dimension)
    other = proximal_newton(density.smooth_part, density.penalty, start)
    assert other.converged
    assert other.value == pytest.approx(mode.value, abs=1e-10)


def test_a_flat_feature_that_separates_is_not_certified() -> None:
    """The Laplace feature is held, the flat one runs away: a small residual is not called an optimum."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40), np.repeat([-1.0, 1.0], 20) + 0.1 * rng.normal(size=40)])
    model = bs.SoftmaxRegression(X, np.repeat([0, 1], 20), prior={"x0": bs.Laplace(1.0), "x1": bs.Flat()})
    with pytest.warns(bs.NotConvergedWarning, match="complete separation"):
        assert not model.map().converged
