"""Solvers and their certificate."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.core.records import Status
from bayes_softmax.inference.certificate import certify
from bayes_softmax.inference.first_order import gradient_descent, lbfgs
from bayes_softmax.inference.newton import newton, newton_cg
from tests.conftest import simulate
from tests.inference.gaussian import Gaussian

SOLVERS = {"newton": newton, "newton-cg": newton_cg, "lbfgs": lbfgs, "gradient-descent": gradient_descent}


@pytest.mark.parametrize("name", SOLVERS)
def test_gaussian_optimum_is_exact(name: str) -> None:
    target = Gaussian.random(6)
    mode = SOLVERS[name](target, np.zeros(6))
    assert mode.status is Status.CONVERGED
    assert_allclose(mode.theta, target.mean, atol=1e-5 if name in ("lbfgs", "gradient-descent") else 1e-8)


def test_newton_needs_one_step_on_a_gaussian() -> None:
    target = Gaussian.random(4)
    assert newton(target, np.zeros(4)).n_iterations <= 2


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_every_solver_ends_at_newtons_answer_with_a_certificate(solver: str) -> None:
    X, y = simulate(300, 3, 3)
    model = bs.SoftmaxRegression(X * [1, 1e3, 1e-3], y)
    exact, found = model.mle(), model.mle(solver=solver)
    assert found.converged
    assert found.gradient_norm < 1e-8
    assert_allclose(found.log_likelihood, exact.log_likelihood, rtol=1e-12)
    assert_allclose(found.weights, exact.weights, rtol=1e-4, atol=1e-9)


def test_gradient_descent_history_falls_to_the_optimum() -> None:
    X, y = simulate(200, 2, 3)
    model = bs.SoftmaxRegression(X, y)
    found, best = model.mle(solver="gradient-descent", learning_rate=0.5), model.mle()
    gaps = found.history - best.cross_entropy
    assert (np.diff(gaps) <= 1e-14).all()  # a few roundings of a number near 1
    assert gaps[0] > 0.01
    assert abs(gaps[-1]) < 1e-12
    assert_allclose(found.weights, best.weights, atol=1e-6)


def test_too_large_a_learning_rate_is_reported_not_hidden() -> None:
    X, y = simulate(200, 2, 3)
    model = bs.SoftmaxRegression(X, y)
    with pytest.warns(bs.NotConvergedWarning, match="iteration limit"):
        found = model.mle(solver="gradient-descent", learning_rate=500.0, max_iterations=50)
    assert not found.converged


def test_a_small_gradient_on_separated_data_is_not_called_converged() -> None:
    """On the way to infinity the gradient vanishes; the Newton step does not."""
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = bs.SoftmaxRegression(X, ["a", "a", "b", "b"])
    with pytest.warns(bs.NotConvergedWarning, match="complete separation: class 'a' is separated from 'b'"):
        found = model.mle()
    assert not found.converged
    assert found.gradient_norm < 1e-8
    assert np.isnan(found.std_error["weights"]).all()


def test_collinear_columns_are_named() -> None:
    X, y = simulate(100, 2, 3)
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
    with pytest.warns(bs.NotConvergedWarning, match="linear combinations of the others"):
        found = bs.SoftmaxRegression(X, y).mle()
    assert not found.converged
    assert bs.SoftmaxRegression(X, y).map().converged


def test_certificate_of_a_point_that_is_not_the_optimum() -> None:
    target = Gaussian.random(3)
    mode = certify(target, target.mean + 0.1, 0, [])
    assert mode.status is Status.MAX_ITERATIONS
    assert mode.newton_decrement > 1e-3


def test_student_t_prior_far_from_zero_converges() -> None:
    """The Hessian is indefinite on the way; the metric takes over."""
    X, y = simulate(400, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.StudentT(2, 1e-3), intercept_prior=bs.Flat())
    assert model.map().converged


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"solver": "sgd"}, ValueError, "solver='sgd' is not known; use one of 'newton'"),
        ({"learning_rate": 0.1}, ValueError, "learning_rate is for solver='gradient-descent'"),
        ({"max_iterations": 0}, ValueError, "max_iterations=0 must be at least 1"),
        ({"max_iterations": 2.5}, TypeError, "max_iterations=2.5 must be a whole number"),
        (
            {"solver": "gradient-descent", "learning_rate": -1.0},
            ValueError,
            "learning_rate=-1.0 must be a number above 0",
        ),
    ],
)
def test_bad_options(options: dict, error: type[Exception], text: str) -> None:
    X, y = simulate(20, 1, 2)
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(X, y).mle(**options)
