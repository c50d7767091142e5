"""Effective numbers of a network's parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.fitting.network_effective import effective_by_hessian, effective_by_layers
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.inference import local_mode
from tests.conftest import simulate


def estimated(prior: object = None, **options: object) -> tuple[bs.SoftmaxRegression, bs.PointEstimate]:
    X, y = simulate(120, 2, 3)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(3, skip=True), prior=prior, **options)
    return model, model.map(restarts=2)


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_the_sum_is_the_trace(coding: str) -> None:
    model, fit = estimated(coding=coding)
    spec, density = model._spec, network_density(model._spec)
    theta = spec.network_coordinates.from_parameters({k: v.values for k, v in fit._fitted.values.items()})
    H = local_mode.hessian_by_differences(density.value_gradient, theta, np.ones(len(theta)))
    likelihood = H - density.prior_curvature(theta)
    effective = fit.summary()["effective"]
    assert_allclose(effective["all"], np.trace(np.linalg.solve(H, likelihood)), rtol=1e-5)
    assert_allclose(effective.iloc[:-1].sum(), effective["all"], rtol=1e-12)
    assert (effective < fit.summary()["free"]).all()


def test_a_tight_prior_leaves_none_and_the_intercept_is_determined() -> None:
    _, fit = estimated(prior=bs.Normal(1e-3))
    effective = fit.summary()["effective"]
    assert effective[["hidden_1", "hidden_1_bias", "weights", "skip"]].abs().max() < 0.05
    assert effective["intercept"] > 1.5  # of two


def test_by_layers_it_is_exact_where_layers_do_not_interact() -> None:
    """Under nearly flat priors of a last layer whose hidden weights are nearly fixed all of it is determined."""
    prior = {"hidden_1": bs.Normal(1e-4), "weights": bs.Normal(100.0), "x0": bs.Normal(100.0), "x1": bs.Normal(100.0)}
    X, y = simulate(120, 2, 3)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(3, skip=True), prior=prior)
    theta = np.random.default_rng(0).normal(size=model._spec.network_coordinates.dimension) * 1e-4
    found = effective_by_layers(model._spec, theta)
    assert found["skip"] > 3.99  # of four
    assert abs(found["hidden_1"]) < 1e-3
    assert set(found) == {"hidden_1", "hidden_1_bias", "weights", "skip", "intercept"}


def test_a_scale_that_halves_the_information_halves_the_number() -> None:
    """Of one coordinate: likelihood and prior of equal curvature determine half of it each."""
    model, _ = estimated()
    d = model._spec.network_coordinates.dimension
    found = effective_by_hessian(model._spec, 2.0 * np.eye(d), np.eye(d))
    assert_allclose(sum(found.values()), d / 2)
    assert_allclose(found["skip"], 2.0)
