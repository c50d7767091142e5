"""Maxima with redundant coordinates: found, certified, and told from what is not determined."""

import numpy as np
import pytest

from bayes_softmax.core.records import FloatArray, Status
from bayes_softmax.inference.redundant import RedundantMode, maximise_redundant


def gaussian(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    A = rng.normal(size=(n, n))
    return A @ A.T + np.eye(n), rng.normal(size=n)


def maximised(value_gradient, identified, d, start=None) -> RedundantMode:
    start = np.full(d, 0.5) if start is None else start
    return maximise_redundant(value_gradient, start, 10.0, np.ones(d), identified, max_iterations=200)


def test_a_quadratic_of_sums_is_certified_with_the_covariance_of_the_sums():
    H, b = gaussian(np.random.default_rng(0), 2)
    S = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # the first two coordinates are redundant

    def value_gradient(x):
        return float(b @ S @ x - 0.5 * x @ S.T @ H @ S @ x), S.T @ (b - H @ S @ x)

    found = maximised(value_gradient, lambda x: S, 3)
    assert found.converged
    np.testing.assert_allclose(S @ found.theta, np.linalg.solve(H, b), atol=1e-8)
    np.testing.assert_allclose(S @ found.covariance @ S.T, np.linalg.inv(H), rtol=1e-5)


def test_a_constant_direction_of_what_is_identified_is_not_certified():
    def value_gradient(x):
        return -0.5 * float(x[0] ** 2), np.array([-x[0], 0.0])

    assert maximised(value_gradient, lambda x: np.eye(2), 2).status is Status.SINGULAR


def test_a_saddle_of_signed_sds_is_left():
    def value_gradient(x):  # the maximum is at x = +-1, zero is stationary
        return float(x[0] ** 2 - 0.5 * x[0] ** 4), np.array([2 * x[0] - 2 * x[0] ** 3])

    found = maximised(value_gradient, lambda x: 2 * x[None], 1, np.zeros(1))
    assert found.converged
    assert abs(found.theta[0]) == pytest.approx(1.0, abs=1e-8)


def test_a_variance_of_zero_is_a_certified_maximum():
    def value_gradient(x):
        return -float(x[0] ** 2 + x[0] ** 4), np.array([-2 * x[0] - 4 * x[0] ** 3])

    found = maximised(value_gradient, lambda x: 2 * x[None], 1)
    assert found.converged
    assert abs(found.theta[0]) < 1e-7


def test_a_maximum_at_infinity_is_not_certified():
    def value_gradient(x):
        return -float(np.log1p(np.exp(-x[0]))), np.array([1.0 / (1.0 + np.exp(x[0]))])

    assert maximised(value_gradient, lambda x: np.eye(1), 1).status in (Status.UNBOUNDED, Status.SINGULAR)


def test_too_few_iterations_are_said():
    def value_gradient(x):  # Rosenbrock's valley, upside down
        a, b = 1 - x[0], x[1] - x[0] ** 2
        return -float(a**2 + 1e3 * b**2), np.array([2 * a + 4e3 * x[0] * b, -2e3 * b])

    found = maximise_redundant(
        value_gradient, np.array([-1.2, 1.0]), 10.0, np.ones(2), lambda x: np.eye(2), max_iterations=1
    )
    assert found.status is Status.MAX_ITERATIONS
    assert maximised(value_gradient, lambda x: np.eye(2), 2, np.array([-1.2, 1.0])).converged
