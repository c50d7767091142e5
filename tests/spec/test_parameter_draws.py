"""The prior of draws of parameters: equal to the compiled density's, with the variables of the ``pm.Model``."""

import numpy as np
import pytest

import bayes_softmax as bs
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.spec.parameter_draws import log_prior_of_draws, random_variables_of_draws
from tests.conftest import simulate

PRIORS = {
    "default": None,
    "by layer": {"hidden_1": bs.Normal(0.5), "weights": bs.StudentT(4, 1.0)},
    "by layer and feature": {"hidden_1": bs.Normal(0.5), "weights": bs.Normal(2.0), "x0": bs.Laplace(1.0)},
}


@pytest.mark.parametrize("prior", list(PRIORS))
@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_prior_of_draws_of_a_network(coding: str, prior: str) -> None:
    X, y = simulate(40, 2, 3)
    skip = prior != "by layer"
    logits = bs.MLP(hidden=(4, 3), skip=skip)
    model = bs.SoftmaxRegression(X + 5.0, y, coding=coding, prior=PRIORS[prior], logits=logits)
    spec, density = model._spec, network_density(model._spec)
    thetas = np.random.default_rng(0).normal(size=(6, density.dimension))
    drawn = spec.network_coordinates.to_parameters(thetas)
    np.testing.assert_allclose(log_prior_of_draws(spec, drawn), [density.log_prior(theta) for theta in thetas])
    chains = {name: values[None] for name, values in drawn.items()}
    found, variables = random_variables_of_draws(spec, chains), {v.name: v for v in model.pymc_model.free_RVs}
    assert set(found) == set(variables) - set(chains)
    for name, values in found.items():
        assert values.shape[2:] == tuple(variables[name].shape.eval())


def test_logits_that_are_no_network() -> None:
    X, y = simulate(40, 2, 3)
    with pytest.raises(TypeError, match=r"logits='mlp' must be MLP"):
        bs.SoftmaxRegression(X, y, logits="mlp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'weigths' is no layer .*did you mean 'weights'"):
        bs.SoftmaxRegression(X, y, logits=bs.MLP(3), prior={"weigths": bs.Normal(1.0)})


def test_without_hidden_layers_it_is_the_linear_model() -> None:
    X, y = simulate(40, 2, 3)
    linear, network = (bs.SoftmaxRegression(X, y, logits=logits).map() for logits in (None, bs.MLP(())))
    np.testing.assert_array_equal(linear.weights, network.weights)
