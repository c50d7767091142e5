"""The reference at which a model with effects is whitened, and sampling from there."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize

from bayes_softmax.core.records import Draws, FloatArray
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.posterior import GroupsPosterior
from bayes_softmax.density.groups.reference import at_mode, at_reference
from bayes_softmax.inference.nuts import nuts
from tests.density.grouped import Grouped, grouped, specification

K = 3


def simulated(n_levels: int, rows: int, sd: float, *, second: int = 0, max_border: int = 64) -> Grouped:
    """``rows`` rows for each level, effects of two free coordinates, and perhaps a second, crossed grouping."""
    rng = np.random.default_rng(n_levels)
    codes, X = np.repeat(np.arange(n_levels), rows), rng.normal(size=(n_levels * rows, 1))
    levels = [LevelRows(codes, n_levels, np.ones((len(X), 1)))]
    effects = sd * rng.normal(size=(n_levels, K))
    eta = X * np.array([0.5, 0.0, -0.5]) + (effects - effects.mean(axis=1, keepdims=True))[codes]
    if second:
        other = rng.permutation(np.arange(len(X)) % second)
        levels.append(LevelRows(other, second, np.ones((len(X), 1))))
        eta += 0.5 * rng.normal(size=(second, K))[other]
    y = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    return grouped(specification(X, y), levels, max_border=max_border)


def sampled(density: GroupsPosterior, draws: int = 200, tune: int = 200) -> Draws:
    options = {"draws": draws, "tune": tune, "chains": 2, "cores": 2, "target_accept": None, "progressbar": False}
    return nuts(density, seed=1, spread=density.spread, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_border", [64, 0])
def test_the_reference_is_the_conditional_mode(max_border: int) -> None:
    density = at_mode(simulated(30, 5, 0.8, second=6, max_border=max_border).density)
    start = density.reference

    def negative(moved: FloatArray) -> float:
        x = density.layout.flat(start) + moved
        return -density.log_conditional(density.layout.point(x, start.hyper))

    found = minimize(negative, np.zeros(density.layout.size), method="BFGS", options={"maxiter": 40})
    assert found.fun > negative(np.zeros(density.layout.size)) - 1e-3
    whitened = density.to_model(np.zeros(density.dimension))
    for part, at_zero in zip(start, whitened, strict=True):
        np.testing.assert_allclose(at_zero, part, atol=0.02)


def test_the_reference_is_at_the_mode_of_the_hyperparameters() -> None:
    """Of their approximate marginal posterior: the log density at whitened zeros, the expansion held."""
    density = at_mode(simulated(60, 6, 0.8).density)
    gradient = density.value_gradient(np.zeros(density.dimension))[1]
    assert np.abs(gradient[-6:]).max() < 0.1  # of six hyperparameters, in units of their sds


def one_row() -> Grouped:
    return simulated(100, 1, 0.5)


def thousand_rows() -> Grouped:
    return simulated(8, 1000, 1.0)


def no_effects() -> Grouped:
    return simulated(60, 5, 0.0)


def crossed() -> Grouped:
    return simulated(40, 8, 0.7, second=12, max_border=0)


@pytest.mark.parametrize("made", [one_row, thousand_rows, no_effects, crossed])
def test_no_divergences(made: Callable[[], Grouped]) -> None:
    density = at_reference(made().density)
    draws = sampled(density)
    assert draws.stats["diverging"].sum() == 0


def test_averaged_sds_are_larger_than_those_at_the_mode() -> None:
    """Few observations a level: the sds at the mode of Laplace's approximation are too small."""
    at_the_mode = at_mode(simulated(150, 4, 1.0).density)
    density = at_reference(simulated(150, 4, 1.0).density)
    assert (density.reference.hyper[:3].mean() - at_the_mode.reference.hyper[:3].mean()) > 0.1
