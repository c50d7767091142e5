"""Certificates of local modes: from values and gradients, with and without a matrix, and at kinks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.inference import local_mode as module
from bayes_softmax.inference.local_mode import Curvature, hessian_by_differences, kink_residual, local_mode


def quadratic(H: np.ndarray, at: np.ndarray):
    def density(x):
        return -0.5 * float((x - at) @ H @ (x - at)), -H @ (x - at)

    return density


def spectrum(*values: float) -> np.ndarray:
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values), len(values))))
    return Q * np.array(values) @ Q.T


@pytest.mark.parametrize("few", [500, 0])
def test_newton_steps_take_out_what_is_left(few: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "FEW", few)
    H, at = spectrum(1.0, 5.0, 100.0, 2.0), np.array([1.0, -2.0, 0.5, 3.0])
    density = quadratic(H, at)
    found = local_mode(density, at + 1e-4, 10.0, np.ones(4))
    assert found.curvature is (Curvature.DEFINITE if few else Curvature.NOT_NEGATIVE)
    assert_allclose(found.theta, at, rtol=0, atol=1e-9 if few else 2e-5)  # conjugate gradients end at 1 %
    assert found.gradient_norm < 0.1 * np.abs(density(at + 1e-4)[1]).max() / 10
    assert found.direction is None


@pytest.mark.parametrize("few", [500, 0])
def test_a_saddle_is_seen_with_a_direction_that_rises(few: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "FEW", few)
    H, at = spectrum(3.0, 0.5, 20.0, -0.01), np.ones(4)
    density = quadratic(H, at)
    found = local_mode(density, at, 10.0, np.ones(4))
    assert found.curvature is Curvature.INDEFINITE
    assert density(at + found.direction)[0] > density(at)[0]


def test_a_flat_direction_is_neither() -> None:
    found = local_mode(quadratic(spectrum(3.0, 0.0, 1.0), np.ones(3)), np.ones(3), 10.0, np.ones(3))
    assert found.curvature is Curvature.FLAT
    assert np.isnan(found.newton_decrement)


def test_the_decrement_estimates_the_gap() -> None:
    """Of log cosh, nearly quadratic there: half its square against the true gap before any step."""

    def density(x):
        return -float(np.log(np.cosh(x)).sum()), -np.tanh(x)

    H = hessian_by_differences(density, np.array([0.3, -0.2]), np.ones(2))
    assert_allclose(H, np.diag(1 - np.tanh([0.3, -0.2]) ** 2), rtol=1e-8, atol=1e-9)
    found = local_mode(density, np.array([0.01, -0.02]), 1.0, np.ones(2))
    assert 0.5 * found.newton_decrement**2 <= 1e-10


def test_at_a_kink_gradients_around_cancel_and_elsewhere_they_do_not() -> None:
    def density(x):  # minus |x_0| + x_1^2, whose mode is at zero, where it has no gradient
        return -abs(x[0]) - x[1] ** 2, np.array([-1.0 if x[0] >= 0 else 1.0, -2 * x[1]])

    found = local_mode(density, np.zeros(2), 1.0, np.ones(2), kinked=True)
    assert found.curvature is Curvature.KINKED
    assert found.gradient_norm == 1.0
    assert found.residual < 1e-3
    assert kink_residual(density, np.array([0.1, 0.0]), 1.0) > 0.99
