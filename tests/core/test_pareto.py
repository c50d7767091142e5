"""Pareto-smoothed importance weights where there is hardly a tail to smooth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.core.pareto import smoothed


@pytest.mark.parametrize("seed", range(20))
def test_weights_are_numbers_and_k_is_bad_where_one_point_has_all_the_weight(seed: int) -> None:
    """Log ratios hundreds apart: ArviZ's fit can give a small k, with weights that are not numbers."""
    log_ratios = -np.abs(np.random.default_rng(seed).standard_cauchy((3, 4000))) * 1000.0
    log_weights, k = smoothed(log_ratios)
    assert np.isfinite(np.exp(log_weights)).all()
    assert_allclose(np.exp(log_weights).sum(axis=1), 1.0, rtol=1e-9)
    largest = np.exp(log_weights).max(axis=1)
    assert (k[largest > 0.99] > 0.7).all()


def test_equal_ratios_have_equal_weights() -> None:
    log_weights, k = smoothed(np.full((1, 100), -3.0))
    assert_allclose(log_weights, -np.log(100.0))
    assert k.tolist() == [-np.inf]


def test_a_fit_that_gives_no_numbers_is_as_bad_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from arviz_stats.base import array_stats

    def psislw(log_likelihoods: np.ndarray, r_eff: float) -> tuple[np.ndarray, np.ndarray]:
        return np.full_like(log_likelihoods, np.nan), np.full(len(log_likelihoods), 0.025)

    monkeypatch.setattr(array_stats, "psislw", psislw)
    log_weights, k = smoothed(np.array([[0.0, -800.0, -1.0]]))
    assert k.tolist() == [np.inf]
    assert_allclose(np.exp(log_weights), [[1 / (1 + np.exp(-1)), 0.0, np.exp(-1) / (1 + np.exp(-1))]])
