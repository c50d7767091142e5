"""Laplace approximations of networks: their normals against NumPy, their measure beside the MAP, and every refusal."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.answers.newton_loo import newton_loo
from bayes_softmax.core.errors import ImproperPosteriorError, NotReliableWarning
from bayes_softmax.density.network.jacobian import free_jacobian
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting import beside_map, last_layer_laplace, network_laplace
from bayes_softmax.fitting.network_laplace import find_mode, sample_all_layers
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.inference.laplace import laplace_log_evidence
from bayes_softmax.inference.normals import layered_normal
from tests.conftest import simulate
from tests.density.test_network_curvature import CASES, jacobian, oracle_metric
from tests.density.test_network import points, specified
from bayes_softmax.fitting.networks import network_density

ERROR_RATE = 1e-6


def moons(hidden=3, n=120, **more) -> bs.SoftmaxRegression:
    X, y = make_moons(n, noise=0.3, random_state=0)
    return bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden, **more))


def quiet(model, *args, **more) -> Posterior:
    """A Laplace approximation whose warnings are not of interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReliableWarning)
        return model.laplace(*args, **({"random_seed": 1, "progressbar": False} | more))


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_the_jacobian_in_free_coordinates_is_that_of_differences(case) -> None:
    spec = specified(*case)
    density = network_density(spec)
    theta = points(density)[0]
    at = {name: a[0] for name, a in density.coordinates.to_parameters(theta[None]).items()}
    J = free_jacobian(spec.logits, spec.network_coordinates, at, spec.design.X)
    difference = J - jacobian(spec, density, theta)
    difference -= difference.mean(axis=1, keepdims=True)  # a common shift of all logits is none
    assert np.abs(difference).max() <= 1e-7 * np.abs(J).max()


def free_draws(spec, posterior) -> np.ndarray:
    """The draws as free vectors (S, d)."""
    arrays = posterior._fitted.parameters.arrays
    coordinates, S = spec.network_coordinates, len(arrays["intercept"])
    return np.array([coordinates.from_parameters({name: a[s] for name, a in arrays.items()}) for s in range(S)])


def p_value(model, posterior) -> float:
    """That of squared distances from the MAP by the oracle's curvature, which are chi-squared with d degrees."""
    spec = model._spec
    mode = find_mode(spec, 1)
    H = mode.density._add_prior_curvature(mode.theta, oracle_metric(spec, mode.density, mode.theta), convex=True)
    moved = free_draws(spec, posterior) - mode.theta
    return float(stats.kstest(np.einsum("sd,de,se->s", moved, H, moved), "chi2", args=(len(H),)).pvalue)


def test_draws_of_all_weights_have_the_oracles_covariance(monkeypatch) -> None:
    """One seed in a million would fail; with a curvature 10 % too large the check fails."""
    model = moons()
    assert p_value(model, quiet(model, 2000, structure="full")) > ERROR_RATE
    right = NetworkPosterior.metric
    monkeypatch.setattr(NetworkPosterior, "metric", lambda self, theta: 1.1 * right(self, theta))
    assert p_value(model, quiet(model, 2000, structure="full")) < ERROR_RATE


def linear_and_its_network():
    """A linear model, and a network that adds next to nothing to it."""
    X, y = simulate(80, 2, 3)
    priors = {"hidden_1": bs.Normal(1e-4), "weights": bs.Normal(1e-4), "x0": bs.Normal(1.0), "x1": bs.Normal(0.5)}
    linear = bs.SoftmaxRegression(X, y, prior={name: priors[name] for name in ("x0", "x1")})
    return linear, bs.SoftmaxRegression(X, y, prior=priors, logits=bs.MLP(2, skip=True))


def test_a_network_that_adds_nothing_has_the_linear_models_approximation() -> None:
    linear, network = linear_and_its_network()
    post = quiet(network, 4000, structure="full")
    density = density_of(linear._spec)
    from bayes_softmax.fitting.solvers import SolverOptions, solve

    mode = solve(density, SolverOptions())
    evidence = laplace_log_evidence(density, mode) + density.coordinates.log_jacobian
    assert_allclose(post.log_evidence, evidence, atol=1e-3)
    X = linear._spec.design.X[:7]
    V = linear._spec.logits.covariance(None, X, linear.map()._fitted.parameter_covariance)
    L = post._fitted.logits.at(post._fitted.parameters)(X)
    L = L - L.mean(axis=0)
    found = np.einsum("kns,lns->nkl", L - L.mean(axis=2, keepdims=True), L - L.mean(axis=2, keepdims=True)) / 4000
    assert_allclose(found, V, atol=0.15 * V.max())  # a standard error of a variance is 2 % of it
    found = beside_map_of(network, None)
    p = newton_loo(linear.map()._fitted, linear.map()._fitted.training)
    cells = np.arange(len(p)), linear._spec.distinct.response.codes
    assert_allclose(found.loss_of_map, -np.log(p[cells]).mean(), rtol=1e-4)


def beside_map_of(model, _):
    run = network_laplace._run(model._spec, LaplaceSettings(1000, "full", "glm", seed=1, starts=1))
    return network_laplace._measured(model._spec, run, LaplaceSettings(1000, "full", "glm", seed=1, starts=1))


def test_kronecker_factors_are_exact_for_two_classes_and_one_unit() -> None:
    """The class covariance of a row is then a number, so that each layer's block is the dense curvature's."""
    spec = moons(hidden=1)._spec
    mode = find_mode(spec, 1)
    normal = layered_normal(mode.density.layer_factors(mode.theta), mode.density.layer_order)
    T = normal.coloured(np.eye(len(mode.theta))).T
    H, n = mode.density.metric(mode.theta), spec.network_coordinates.hidden.dimension
    blocks = np.zeros_like(H)
    for layer in (slice(0, n), slice(n, None)):
        blocks[layer, layer] = np.linalg.inv(H[layer, layer])
    assert_allclose(T @ T.T, blocks, rtol=1e-7, atol=1e-10)
