"""Collapsing equal rows: nothing is lost, nothing is collapsed that differs, and it can be switched off."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.data import collapse
from tests.conftest import simulate


def repeated(n_obs: int = 600, n_patterns: int = 20, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    patterns, _ = simulate(n_patterns, 3, n_classes)
    rng = np.random.default_rng(1)
    return patterns[rng.integers(n_patterns, size=n_obs)], rng.integers(n_classes, size=n_obs)


def both(X: np.ndarray, y: np.ndarray, **options: object) -> tuple[bs.SoftmaxRegression, bs.SoftmaxRegression]:
    return tuple(bs.SoftmaxRegression(X, y, collapse=c, **options) for c in (True, False))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("form", ["labels", "weights", "counts", "weighted counts", "offset"])
def test_the_density_is_the_same(form: str) -> None:
    X, y = repeated()
    rng = np.random.default_rng(2)
    options: dict[str, object] = {}
    if "weight" in form:
        options["weights"] = rng.uniform(0.5, 2, size=len(y))
    if "count" in form:
        y = rng.integers(4, size=(len(y), 3)) + 1
    if form == "offset":
        options["offset"] = rng.integers(2, size=(len(X), 3)).astype(float)
    collapsed, full = both(X, y, **options)
    assert collapsed._spec.collapsed is not None
    assert collapsed._spec.collapsed.design.n_obs <= 20 * (8 if form == "offset" else 1)
    assert full._spec.collapsed is None
    theta = np.random.default_rng(3).normal(size=full.log_density.dimension)
    value, gradient = full.log_density.value_gradient(theta)
    found, found_gradient = collapsed.log_density.value_gradient(theta)
    assert_allclose(found, value, rtol=1e-12)
    assert_allclose(found_gradient, gradient, rtol=1e-10, atol=1e-10)
    assert_allclose(collapsed.map().weights, full.map().weights, rtol=1e-8, atol=1e-10)


def test_row_map_leads_every_row_to_its_pattern() -> None:
    X, y = repeated()
    found = bs.SoftmaxRegression(X, y)._spec.collapsed
    assert found is not None
    assert_allclose(found.design.X[found.row_map], X)
    assert found.design.response.counts is not None
    for k in range(3):
        assert_allclose(np.bincount(found.row_map, y == k), found.design.response.counts[:, k])


def test_the_summary_says_so() -> None:
    X, y = repeated()
    text = "600 rows were collapsed to 20 distinct ones, without loss"
    assert text in repr(bs.SoftmaxRegression(X, y))
    assert text in repr(bs.SoftmaxRegression(X, y).map())
    assert "collapsed" not in repr(bs.SoftmaxRegression(X, y, collapse=False))
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y)
    assert "collapsed" not in repr(bs.SoftmaxRegression.from_formula("y ~ a + b", frame, collapse=False))
    assert "collapsed" in repr(bs.SoftmaxRegression.from_formula("y ~ a + b", frame))


def test_rows_that_differ_are_left_alone() -> None:
    X, y = simulate(500, 3, 3)
    assert bs.SoftmaxRegression(X, y)._spec.collapsed is None


def test_rows_that_differ_in_a_late_column_are_left_alone() -> None:
    X = np.ones((500, 40))
    X[::2, :39] = 2.0
    X[:, 39] = np.arange(500)
    assert bs.SoftmaxRegression(X, np.arange(500) % 3)._spec.collapsed is None


def test_zero_and_minus_zero_are_one_pattern() -> None:
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 2.0]] * 20)
    found = bs.SoftmaxRegression(X, np.arange(60) % 3)._spec.collapsed
    assert found is not None
    assert found.design.n_obs == 2


def test_a_collision_of_hashes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash that cannot tell patterns apart, the comparison of rows must refuse to collapse."""
    X, y = repeated()
    monkeypatch.setattr(collapse, "row_hashes", lambda arrays: np.zeros(len(arrays[0]), dtype=np.uint64))
    assert bs.SoftmaxRegression(X, y)._spec.collapsed is None


def test_few_repeats_do_not_pay() -> None:
    X, y = simulate(3000, 2, 3)
    X[:600] = X[600:1200]
    assert bs.SoftmaxRegression(X, y)._spec.collapsed is None
