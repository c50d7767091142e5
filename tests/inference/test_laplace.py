"""The Laplace approximation is exact for a Gaussian."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.inference.block_metric import unwhiten
from bayes_softmax.inference.laplace import covariance, laplace_approximation, laplace_whitening
from bayes_softmax.inference.newton import newton
from tests.inference.gaussian import Gaussian


def test_exact_on_a_gaussian() -> None:
    target = Gaussian.random(5)
    laplace = laplace_approximation(target, newton(target, np.zeros(5)))
    assert_allclose(laplace.mode, target.mean, rtol=1e-10)
    assert_allclose(covariance(laplace) @ target.precision, np.eye(5), atol=1e-10)


def test_unwhitened_points_have_the_covariance() -> None:
    target = Gaussian.random(4)
    whitening = laplace_whitening(target, newton(target, np.zeros(4)))
    steps = unwhiten(whitening, np.eye(4)) - whitening.mode
    assert_allclose(steps.T @ steps, np.linalg.inv(target.precision), atol=1e-6)  # rounded to single precision,
    assert_allclose(whitening.log_determinant, np.linalg.slogdet(steps)[1], rtol=1e-12)  # and exact as what it is


def test_a_direction_without_curvature_is_refused() -> None:
    target = Gaussian(np.zeros(2), np.diag([1.0, 0.0]))
    mode = newton(Gaussian(np.zeros(2), np.eye(2)), np.zeros(2))
    with pytest.raises(ValueError, match="not positive definite"):
        laplace_approximation(target, mode)
