"""Modes of networks, from random starts."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.fitting.networks import network_density, network_modes
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from tests.conftest import simulate


@pytest.fixture(scope="module")
def moons():
    X, y = make_moons(400, noise=0.3, random_state=0)
    return X, y


def test_a_network_bends_around_two_moons(moons) -> None:
    X, y = moons
    linear = bs.SoftmaxRegression(X[::2], y[::2])
    spec = network_specification(linear._spec, MLP(hidden=10))
    found = network_modes(spec, 6, np.random.default_rng(1))
    assert found.is_stationary
    assert found.n_at_best >= 1
    density = network_density(spec)
    value, gradient = density.value_gradient(found.points[0])
    assert_allclose(value, found.values[0], rtol=1e-12)
    assert np.abs(gradient).max() / density.total_weight <= 1e-6
    at = Parameters(density.coordinates.to_parameters(found.points[:1]))
    L = spec.logits.at(at)(X[1::2])[:, :, 0]
    log_p = L - np.logaddexp(L[0], L[1])
    loss = -log_p[y[1::2], np.arange(200)].mean()
    assert loss < 0.3 < linear.map().evaluate(X[1::2], y[1::2]).log_loss


def test_the_same_seed_finds_the_same_modes(moons) -> None:
    spec = network_specification(bs.SoftmaxRegression(*moons)._spec, MLP(hidden=3, activation="gelu"))
    one, other = (network_modes(spec, 3, np.random.default_rng(5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


def test_the_best_mode_is_no_worse_than_scikit_learns() -> None:
    """The same penalised cross-entropy: Normal(s) on weights; biases are free there, so they are here."""
    X, y = simulate(150, 3, 3)
    linear = bs.SoftmaxRegression(X, y, coding="full", intercept_prior=bs.Flat())._spec
    scale = 0.8
    spec = network_specification(linear, MLP(hidden=4), bs.Normal(scale))
    free = tuple(np.append(np.inf, layer[1:]) for layer in spec.hidden.scales)
    spec = replace(spec, hidden=replace(spec.hidden, scales=free))
    found = network_modes(spec, 8, np.random.default_rng(0))
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    options = {"activation": "tanh", "solver": "lbfgs", "alpha": scale**-2, "max_iter": 5000, "tol": 1e-10}
    theirs = min(
        (MLPClassifier((4,), random_state=seed, **options).fit(Z, y) for seed in range(8)), key=lambda net: net.loss_
    )
    constant = spec.hidden.log_prior_constant - 12 * (0.5 * np.log(2 * np.pi) + np.log(scale))
    assert_allclose(-(found.values[0] - constant) / 150, theirs.loss_, rtol=1e-5)


def test_what_cannot_be_run_is_refused(moons) -> None:
    linear = bs.SoftmaxRegression(*moons)._spec
    with pytest.raises(ValueError, match="restarts=0 must be at least 1"):
        network_modes(network_specification(linear, MLP()), 0, np.random.default_rng(0))
    kinked = network_specification(linear, MLP(), {"weights": bs.Laplace(1.0)})
    with pytest.raises(ValueError, match="a Laplace prior has a kink at zero"):
        network_modes(kinked, 1, np.random.default_rng(0))
    with pytest.raises(TypeError, match="logits of kind 'linear' are not those of a network"):
        network_density(linear)


def test_the_map_of_a_network_predicts_and_is_saved(moons, tmp_path) -> None:
    X, y = moons
    model = bs.SoftmaxRegression(X[::2], y[::2], logits=MLP(hidden=10))
    fit = model.map(restarts=2)
    assert fit.converged
    assert fit.evaluate(X[1::2], y[1::2]).log_loss < 0.29
    P = fit.predict_proba(X[1::2])
    assert_array_equal(model.map(restarts=2).predict_proba(X[1::2]), P)
    fit.save(tmp_path / "fit.nc")
    assert_array_equal(bs.load(tmp_path / "fit.nc").predict_proba(X[1::2]), P)
