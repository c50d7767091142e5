"""Point estimates of networks: restarts, certificate, separation, and what they refuse."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.core.errors import NotConvergedWarning
from bayes_softmax.fitting.networks import network_density
from tests.conftest import simulate


@pytest.fixture(scope="module")
def moons():
    return make_moons(200, noise=0.3, random_state=0)


@pytest.fixture(scope="module")
def net(moons) -> bs.PointEstimate:
    return bs.SoftmaxRegression(*moons, logits=bs.MLP(4)).map(random_seed=1)


def test_the_certificate_is_that_of_the_density(moons, net) -> None:
    model = bs.SoftmaxRegression(*moons, logits=bs.MLP(4))
    density, spec = network_density(model._spec), model._spec
    theta = spec.network_coordinates.from_parameters({k: v.values for k, v in net._fitted.values.items()})
    value, gradient = density.value_gradient(theta)
    assert_allclose(net.log_posterior, value, rtol=1e-10)
    assert np.abs(gradient).max() / 200 <= 1e-9
    assert net.gradient_norm <= 1e-10
    assert net.converged
    assert net.status == "converged to a local optimum: the gradient vanishes and the curvature is positive definite"
    assert_allclose(net.history[-1], -value / 200, rtol=1e-12)
    assert len(net.history) == net.n_iterations + 1
    assert (np.diff(net.history) <= 1e-12).all()
    text = repr(net)
    assert "8 starts: " in text
    assert "network: 2 features -> 4 tanh units -> 2 classes" in text


def test_seeds_and_restarts(moons, net) -> None:
    model = bs.SoftmaxRegression(*moons, logits=bs.MLP(4))
    assert_array_equal(model.map().predict_proba(moons[0]), net.predict_proba(moons[0]))  # a fixed seed by default
    one, other = (model.map(restarts=1, random_seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.predict_proba(moons[0]), other.predict_proba(moons[0]))
    assert one.log_posterior <= net.log_posterior + 1e-9
    assert "1 start: whether others end better is not known (restarts=)" in repr(one)


def test_more_starts_are_no_worse(moons) -> None:
    model = bs.SoftmaxRegression(*moons, logits=bs.MLP(10))
    values = [model.map(restarts=n, random_seed=3).log_posterior for n in (1, 3, 6)]
    assert values[0] <= values[1] + 1e-9
    assert values[1] <= values[2] + 1e-9


def test_what_separates_the_data_has_no_likeliest_network(moons) -> None:
    X, y = moons
    model = bs.SoftmaxRegression(X[:60], y[:60], logits=bs.MLP(20))
    with pytest.warns(NotConvergedWarning, match=r"mle\(\) not certified: the network separates all 60 observations"):
        fit = model.mle(restarts=2)
    assert "log-likelihood rises towards 0" in fit.status
    assert "map() has a prior to decide" in fit.status
    assert not fit.converged
    assert fit.log_likelihood > -0.01
    assert model.map(restarts=2).converged


def test_an_unfinished_run_says_so(moons) -> None:
    with pytest.warns(NotConvergedWarning, match="stopped at the iteration limit before the gradient vanished; raise"):
        fit = bs.SoftmaxRegression(*moons, logits=bs.MLP(4)).map(max_iterations=3, restarts=1)
    assert not fit.converged
    assert fit.n_iterations == 3


def test_relu_units_end_at_kinks(moons) -> None:
    fit = bs.SoftmaxRegression(*moons, logits=bs.MLP(10, "relu")).map(restarts=2)
    assert fit.converged
    assert fit.status.startswith("converged to a local optimum at kinks of relu units")
    assert fit.n_iterations < 2000
    assert fit.gradient_norm > 1e-6


def test_without_hidden_layers_it_is_the_linear_model() -> None:
    X, y = simulate(80, 3, 3)
    linear, none = (bs.SoftmaxRegression(X, y, **logits) for logits in ({}, {"logits": bs.MLP(())}))
    for kind in ("mle", "map"):
        a, b = getattr(linear, kind)(), getattr(none, kind)(restarts=3, random_seed=1)
        assert_allclose(b.weights, a.weights, rtol=0, atol=1e-8)
        assert_array_equal(b.summary(), a.summary())
        assert b.notes == ("restarts=3 is for networks: linear logits are fitted from one start, not at random",)


def test_wrong_solvers_and_questions_are_refused(moons) -> None:
    model = bs.SoftmaxRegression(*moons, logits=bs.MLP(2))
    with pytest.raises(ValueError, match=r"check_separation\(\) is for linear logits.*mle\(\) says"):
        model.check_separation()
    with pytest.raises(ValueError, match="solver='newton-cg' is for linear logits; a network is fitted by 'lbfgs'"):
        model.map("newton-cg")
    with pytest.raises(ValueError, match="learning_rate is for solver='gradient-descent', and a network"):
        model.map(learning_rate=0.1)
    with pytest.raises(ValueError, match="solver='lbgfs' is not known"):
        model.map("lbgfs")


def test_it_is_pickled_and_saved_with_its_search(net, moons, tmp_path) -> None:
    net.save(tmp_path / "net.nc")
    for again in (pickle.loads(pickle.dumps(net)), bs.load(tmp_path / "net.nc")):
        assert repr(again) == repr(net)
        assert_array_equal(again.predict_proba(moons[0]), net.predict_proba(moons[0]))
        pd.testing.assert_frame_equal(again.summary(), net.summary())


def test_folds_are_fitted_from_the_same_starts(net) -> None:
    one, other = net.kfold(k=3), net.kfold(k=3)
    assert_array_equal(one.elpd_i, other.elpd_i)
    assert one.elpd < net.log_likelihood
