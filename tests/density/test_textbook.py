"""The textbook functions: identities a student would check by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs


def test_softmax_sums_to_one_ignores_shifts_and_survives_huge_logits() -> None:
    eta = np.random.default_rng(0).normal(size=(5, 4)) * 3
    p = bs.softmax(eta)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    assert_allclose(bs.softmax(eta + 1e3), p, rtol=1e-11)
    assert_allclose(bs.softmax([1e6, 0, -1e6]), [1, 0, 0], atol=0)
    assert_allclose(bs.log_softmax([1e6, 0.0]), [0, -1e6], rtol=1e-15)


def test_two_classes_are_the_sigmoid() -> None:
    difference = np.linspace(-30, 30, 41)
    p = bs.softmax(np.column_stack([np.zeros_like(difference), difference]))
    assert_allclose(p[:, 1], 1 / (1 + np.exp(-difference)), rtol=1e-14)


def test_log_likelihood_is_the_log_of_a_product_and_cross_entropy_its_negative_mean() -> None:
    rng = np.random.default_rng(1)
    eta, y = rng.normal(size=(6, 3)), rng.integers(3, size=6)
    product = np.prod(bs.softmax(eta)[np.arange(6), y])
    assert_allclose(bs.log_likelihood(eta, y), np.log(product), rtol=1e-13)
    assert_allclose(bs.cross_entropy(eta, y), -np.log(product) / 6, rtol=1e-13)
    assert_allclose(bs.cross_entropy(eta, np.eye(3)[y]), bs.cross_entropy(eta, y), rtol=1e-15)


def test_weight_two_is_the_row_twice() -> None:
    rng = np.random.default_rng(2)
    eta, y = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    twice = np.repeat(np.arange(4), [1, 2, 3, 1])
    weighted = bs.cross_entropy(eta, y, weights=[1, 2, 3, 1])
    assert_allclose(weighted, bs.cross_entropy(eta[twice], y[twice]), rtol=1e-14)


def test_impossible_class_with_zero_count_adds_nothing() -> None:
    assert bs.log_likelihood([[0.0, -np.inf]], [[2, 0]]) == 0.0


def test_gradient_matches_a_five_point_stencil() -> None:
    rng = np.random.default_rng(3)
    X, W, y = rng.normal(size=(7, 2)), rng.normal(size=(2, 3)), rng.integers(3, size=7)
    w, h = rng.uniform(0.5, 2, size=7), 1e-3

    def value(step: float, j: int, k: int) -> float:
        moved = W.copy()
        moved[j, k] += step
        return bs.cross_entropy(X @ moved, y, w)

    stencil = [
        [(8 * (value(h, j, k) - value(-h, j, k)) - value(2 * h, j, k) + value(-2 * h, j, k)) / (12 * h)
         for k in range(3)]
        for j in range(2)
    ]  # fmt: skip
    assert_allclose(bs.cross_entropy_gradient(X, W, y, w), stencil, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("y", "error", "text"),
    [
        ([0, 3], ValueError, r"y\[1\]=3 is outside 0..2"),
        ([0, -1], ValueError, r"y\[1\]=-1 is outside 0..2"),
        ([0.0, 1.0], TypeError, "y has dtype float64"),
        ([0], ValueError, "y has 1 entry, the logits have 2 rows"),
        ([[1, 0], [0, 1]], ValueError, r"y has shape \(2, 2\)"),
    ],
)
def test_bad_labels_are_named(y: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.log_likelihood(np.zeros((2, 3)), y)


def test_bad_weights_are_named() -> None:
    with pytest.raises(ValueError, match=r"weights has shape \(3,\), expected \(2,\)"):
        bs.log_likelihood(np.zeros((2, 3)), [0, 1], weights=[1, 1, 1])
