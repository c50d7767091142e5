"""Compiled activations and their slopes, held to SciPy's and to derivatives, in the tails and at zero too."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.density.linear import workspace
from bayes_softmax.density.network.activations import WORK_ROWS, activate
from bayes_softmax.spec.network.activations import ACTIVATIONS, code_of, unit_rms

U = np.concatenate([np.linspace(-38.0, 38.0, 2391), [0.0, -0.0, 1e-300, -1e-300, 1e-8, -1e-8, 600.0, -600.0, np.nan]])


def compiled(name: str, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    units, slopes, work = u[None].copy(), np.empty((1, len(u))), workspace(WORK_ROWS, len(u))
    work[0] = 0.0
    activate(code_of(name), units, slopes, work)
    return units[0], slopes[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_those_of_numpy(name: str) -> None:
    value, slope = compiled(name, U)
    tail = 1e-300  # below, results are subnormal or zero
    assert_allclose(value, ACTIVATIONS[name].value(U), rtol=3e-13, atol=tail if name != "tanh" else 2e-16)
    assert_allclose(slope, ACTIVATIONS[name].slope(U), rtol=3e-13, atol=1e-15)
    assert np.isnan(value[-1])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_derivatives(name: str) -> None:
    u, h = np.linspace(-6.0, 6.0, 48) + 1e-3, 1e-5
    f = ACTIVATIONS[name].value
    assert_allclose(ACTIVATIONS[name].slope(u), (f(u + h) - f(u - h)) / (2 * h), atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bounds_bound_and_the_rms_is_that_of_draws(name: str) -> None:
    size = np.abs(U[:-1])
    assert (np.abs(ACTIVATIONS[name].value(U[:-1])) <= ACTIVATIONS[name].bound(size)).all()
    draws = ACTIVATIONS[name].value(2.5 * np.random.default_rng(0).normal(size=200_000))
    assert_allclose(unit_rms(name, 2.5), np.sqrt(np.square(draws).mean()), rtol=0.02)
