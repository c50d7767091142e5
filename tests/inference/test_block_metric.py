"""The block metric as a preconditioner and as a whitening."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.core.records import BlockMetric
from bayes_softmax.inference import block_metric
from bayes_softmax.inference.block_metric import (
    block_whitening,
    preconditioner,
    unwhiten,
    whiten_gradient,
)
from bayes_softmax.inference.conjugate import conjugate_gradients
from bayes_softmax.inference.newton import newton, newton_cg
from tests.conftest import simulate


def random_metric(k: int, m: int) -> tuple[BlockMetric, np.ndarray]:
    """A block metric, and the same as a dense matrix."""
    rng = np.random.default_rng(k * m)
    roots = rng.normal(size=(k, m, m)) + 2 * np.eye(m)
    metric = BlockMetric(roots @ roots.transpose(0, 2, 1), np.linalg.qr(rng.normal(size=(k, k)))[0])
    units = np.eye(k * m).reshape(k * m, k, m)
    mixed = np.einsum("ce,scm->sem", metric.mixing, units)
    image = np.einsum("ce,emn,sen->scm", metric.mixing, metric.precisions, mixed)
    return metric, image.reshape(k * m, k * m)


@pytest.mark.parametrize("limit", [0, 100])
def test_preconditioner_solves_with_the_metric(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_metric, "INVERSE_LIMIT", limit)
    metric, dense = random_metric(3, 4)
    r = np.random.default_rng(0).normal(size=12)
    assert_allclose(preconditioner(metric)(r), np.linalg.solve(dense, r), rtol=1e-10)


def test_whitening_is_a_root_of_the_inverse() -> None:
    metric, dense = random_metric(3, 4)
    whitening = block_whitening(np.arange(12.0), metric)
    T = (unwhiten(whitening, np.eye(12)) - whitening.mode).T
    assert_allclose(T @ T.T, np.linalg.inv(dense), rtol=1e-5, atol=1e-6)  # T is rounded to single precision,
    assert_allclose(whitening.log_determinant, np.linalg.slogdet(T)[1], rtol=1e-10)  # and exact as what it is
    g = np.random.default_rng(0).normal(size=12)
    assert_allclose(whiten_gradient(whitening, g), T.T @ g, rtol=1e-10)


def test_conjugate_gradients_need_one_step_with_the_metric_itself() -> None:
    metric, dense = random_metric(2, 5)
    calls = []

    def product(v: np.ndarray) -> np.ndarray:
        calls.append(1)
        return dense @ v

    g = np.random.default_rng(0).normal(size=10)
    assert_allclose(conjugate_gradients(product, g, 1e-8, preconditioner(metric)), np.linalg.solve(dense, g), rtol=1e-7)
    assert len(calls) == 1


def test_preconditioned_newton_finds_the_optimum_of_exact_newton() -> None:
    X, y = simulate(400, 30, 6)
    model = bs.SoftmaxRegression(X * np.geomspace(1e-3, 1e3, 30), y)
    density = model.log_density
    assert density.hessian_work > 12 * density.work  # newton() takes conjugate gradients here
    exact = newton(replace(density, definite=False), np.zeros(density.dimension))
    for solver in (newton, newton_cg):
        found = solver(density, np.zeros(density.dimension))
        assert found.converged
        assert_allclose(found.theta, exact.theta, atol=1e-8)
        assert found.value >= exact.value - 1e-10 * abs(exact.value)
