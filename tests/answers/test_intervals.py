"""Intervals of draws: NumPy's quantiles and ArviZ's shortest interval."""

import arviz as az
import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.answers.intervals import Interval, draws_interval


@pytest.mark.parametrize("n", [1, 2, 3, 100, 999])
@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("prob", [0.5, 0.89, 0.999])
def test_equal_tailed_intervals_are_quantiles(n: int, axis: int, prob: float) -> None:
    draws = np.moveaxis(np.random.default_rng(0).normal(size=(n, 3, 2)), 0, axis)
    expected = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=axis)
    assert_allclose(draws_interval(draws, Interval(prob, "eti"), axis=axis), expected, rtol=1e-12, atol=1e-15)


def test_shortest_intervals_are_those_of_arviz() -> None:
    draws = np.random.default_rng(0).gamma(2.0, size=(4000, 3))
    low, high = draws_interval(draws, Interval(0.8, "hdi"))
    for j in range(3):
        assert_allclose([low[j], high[j]], az.hdi(draws[:, j], prob=0.8), rtol=1e-12)
