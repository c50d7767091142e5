"""L-BFGS from several starts: order, counts, and what is said where runs do not end at an optimum."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.inference.restarts import lbfgs_restarts


def wells(x):
    """Modes at -1 with the value 0, and at 1 with the value -0.1."""
    low = 0.1 / (1.0 + np.exp(-20.0 * x))
    slope = 20.0 * low * (1.0 - low / 0.1)
    return -float((np.square(x * x - 1.0) + low).sum()), -(4.0 * x * (x * x - 1.0) + slope)


def test_runs_are_ordered_by_their_values_and_counted() -> None:
    found = lbfgs_restarts(wells, np.array([[1.2], [-1.1], [0.9], [-0.8]]), 1.0)
    assert_allclose(found.points[:2].ravel(), -1.0, atol=1e-4)
    assert_allclose(found.points[2:].ravel(), 1.0, atol=1e-4)
    assert set(found.starts[:2].tolist()) == {1, 3}
    assert found.n_at_best == 2
    assert found.is_stationary
    assert (np.diff(found.values) <= 0).all()


def test_the_iteration_limit_leaves_a_gradient_that_is_told() -> None:
    scale = np.logspace(0, 4, 50)
    found = lbfgs_restarts(lambda x: (-0.5 * float(scale @ (x * x)), -scale * x), np.ones((1, 50)), 10.0, 3)
    assert found.n_iterations.tolist() == [3]
    assert not found.is_stationary
    assert_allclose(found.gradient_norms[0], np.abs(scale * found.points[0]).max() / 10.0)


def test_a_run_that_ends_at_no_number_comes_last() -> None:
    def broken(x):
        value = -float(x @ x) if x[0] > 0 else np.nan
        return value, -2.0 * x

    found = lbfgs_restarts(broken, np.array([[-1.0], [1.0]]), 1.0)
    assert found.starts.tolist() == [1, 0]
    assert np.isnan(found.values[1])
    assert found.n_at_best == 1


def test_an_interruption_ends_all_runs() -> None:
    """Ctrl-C in one thread: the other run, which would take all its iterations, ends too."""
    main, calls = threading.main_thread(), {"others": 0}

    def density(x):
        if threading.current_thread() is main:
            raise KeyboardInterrupt
        calls["others"] += 1
        return -float(np.abs(x).sum() ** 1.5), -1.5 * np.abs(x).sum() ** 0.5 * np.sign(x)

    with pytest.raises(KeyboardInterrupt):
        lbfgs_restarts(density, np.ones((6, 3)), 1.0, max_iterations=10**6)
    assert calls["others"] < 10**4


def test_at_kinks_a_run_ends_where_it_gains_no_more() -> None:
    def density(x):  # a ridge along which L-BFGS creeps
        return -float(np.abs(x[0] - x[1]) + 0.5 * x @ x), -np.array([np.sign(x[0] - x[1]), -np.sign(x[0] - x[1])]) - x

    kinked = lbfgs_restarts(density, np.array([[3.0, -2.0]]), 100.0, kinked=True)
    assert kinked.values[0] > -0.05
    assert kinked.n_iterations[0] < 500
    assert not kinked.at_limit[0]
    assert len(kinked.history) == kinked.n_iterations[0]
    one = lbfgs_restarts(density, np.array([[3.0, -2.0]]), 100.0, max_iterations=1)
    assert one.at_limit[0]
