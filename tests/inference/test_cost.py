"""Forecasts: measured, in the right order of magnitude, and readable."""

import time

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.fits.forecast import duration
from bayes_softmax.inference import cost
from bayes_softmax.inference.cost import measure
from tests.conftest import simulate
from tests.inference.gaussian import Gaussian


def test_forecast_is_within_a_factor_of_ten_of_the_run() -> None:
    """Loose, because machines are noisy: a forecast in wrong units or per wrong chain is off by more."""
    X, y = simulate(4000, 10, 4)
    model = bs.SoftmaxRegression(X, y)
    model.sample(draws=5, tune=5, engine="nuts", progressbar=False)  # loads what is compiled
    found = model.forecast(draws=500, chains=2, cores=2)
    start = time.perf_counter()
    model.sample(draws=500, chains=2, cores=2, engine="nuts", progressbar=False, random_seed=1)
    taken = time.perf_counter() - start
    total = found.mode_seconds + found.sampling_seconds["nuts"]
    assert 0.1 < total / taken < 10


def test_more_draws_and_fewer_cores_take_longer() -> None:
    X, y = simulate(500, 3, 3)
    model = bs.SoftmaxRegression(X, y)
    fast = model.forecast(draws=100, chains=4, cores=4)
    slow = model.forecast(draws=10_000, chains=4, cores=1)
    for engine in ("nuts", "independence", "laplace"):
        assert slow.sampling_seconds[engine] > 5 * fast.sampling_seconds[engine]
    assert slow.memory_bytes > 10 * fast.memory_bytes


def test_the_text_and_the_table_name_what_they_are_about() -> None:
    X, y = simulate(100, 2, 3)
    found = bs.SoftmaxRegression(X, y).forecast(draws=250, cores=2)
    text = repr(found)
    for words in (
        "4 chains x 250 draws after 200 tuning steps on 2 cores",
        "6 dimensions",
        "gradients per draw",
        "MiB",
    ):
        assert words in text
    frame = found.to_frame()
    assert list(frame.index) == ["nuts", "independence", "laplace"]
    assert np.allclose(frame["total_seconds"], frame["mode_seconds"] + frame["sampling_seconds"])


def test_any_log_density_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "BUDGET", 0.01)
    found = measure(Gaussian.random(5))
    assert found.dimension == 5
    assert min(found.gradient, found.value, found.mode) > 0


def test_durations_have_units_a_person_would_use() -> None:
    assert [duration(s) for s in (0.0123, 2.0, 180.0, 7200.0)] == ["12 ms", "2.0 s", "3 min", "2.0 h"]


def test_bad_arguments_are_named() -> None:
    X, y = simulate(30, 2, 3)
    with pytest.raises(ValueError, match="draws=0 must be at least 1"):
        bs.SoftmaxRegression(X, y).forecast(draws=0)
