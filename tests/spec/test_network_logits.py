"""Logits of a network in NumPy, with their derivatives, and what a file may say of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters, size_of
from bayes_softmax.core.protocols import Logits
from bayes_softmax.spec.logits import logits_from_json, logits_to_json
from bayes_softmax.spec.network import logits as module
from bayes_softmax.spec.network.activations import ACTIVATIONS
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from tests.conftest import simulate
from tests.density import network_oracle

S, N, M = 6, 11, 3
CASES = [(a, h, skip) for a in ACTIVATIONS for h in ((4,), (5, 3)) for skip in (False, True)]


def made(activation="tanh", hidden=(4,), skip=False, few=S):
    """Specification, draws of its parameters, and rows."""
    X, y = simulate(40, 3, 3)
    spec = network_specification(
        bs.SoftmaxRegression(X + np.array([5.0, 0.0, -2.0]), y)._spec, MLP(hidden, activation, skip)
    )
    rng = np.random.default_rng(2)
    arrays = {name: 0.6 * rng.normal(size=(few, *shape)) for name, shape in spec.logits.shapes.items()}
    return spec, Parameters(arrays), spec.design.X[:N]


def jacobian(logits, draw, X, h=1e-6):
    """Derivatives (n, K, d) by differences."""
    flat, columns = draw.flat()[0], []
    for step in h * np.eye(len(flat)):
        up, down = (logits.at(named(logits, at[None]))(X)[:, :, 0].T for at in (flat + step, flat - step))
        columns.append((up - down) / (2 * h))
    return np.moveaxis(columns, 0, -1)


def named(logits, flat):
    """Parameters of flat vectors (S, d)."""
    ends = np.cumsum([int(np.prod(shape)) for shape in logits.shapes.values()])
    parts = np.split(flat, ends[:-1], axis=1)
    return Parameters({n: a.reshape(-1, *s) for (n, s), a in zip(logits.shapes.items(), parts, strict=True)})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_logits_are_those_of_the_oracle_for_every_draw_and_bounded(case, monkeypatch) -> None:
    spec, draws, X = made(*case)
    L = spec.logits.at(draws)(spec.design.X)
    for s in range(S):
        one = {name: a[s] for name, a in draws.arrays.items()}
        assert_allclose(L[:, :, s].T, network_oracle.logits(spec, one), rtol=1e-12, atol=1e-14)
    bounds = spec.logits.bounds(draws, X)
    assert (np.abs(L[:, :N]).max(axis=(0, 2)) <= bounds).all()
    assert (spec.logits.bounds(draws, 2 * X) >= bounds).all()
    monkeypatch.setattr(module, "NUMBERS", 100)  # a draw at a time
    assert_allclose(spec.logits.at(draws)(spec.design.X), L, rtol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivatives_are_those_of_differences(case, monkeypatch) -> None:
    spec, draws, X = made(*case)
    logits, one = spec.logits, Parameters({name: a[:1] for name, a in draws.arrays.items()})
    rng, d = np.random.default_rng(4), size_of(spec.logits.shapes)
    J = jacobian(logits, one, X)
    B = rng.normal(size=(N, M, 3))
    pulled = np.einsum("nmk,nkd->md", B, J)
    A = rng.normal(size=(d, d))
    V = A @ A.T
    covariance = np.einsum("nkd,de,nle->nkl", J, V, J)
    for numbers in (2**21, 100):
        monkeypatch.setattr(module, "NUMBERS", numbers)
        assert_allclose(logits.pull_back(one, X, B), pulled, atol=1e-7)
        assert_allclose(logits.covariance(one, X, V), covariance, rtol=1e-6, atol=1e-6)
    h = 1e-6
    for change in (rng.normal(size=(N, 3)), np.array([[1.0, 0.0, 0.0]])):
        at = logits.at(draws)
        slope = logits.slope(draws, X, change)
        assert_allclose(slope, (at(X + h * change) - at(X - h * change)) / (2 * h), atol=1e-7)
        found = logits.pull_back_slope(one, X, change, B)
        ends = [jacobian(logits, one, X + sign * 1e-4 * change) for sign in (1, -1)]
        assert_allclose(found, np.einsum("nmk,nkd->md", B, (ends[0] - ends[1]) / 2e-4), atol=2e-4)


@pytest.mark.parametrize("n_parts", [1, 2])
@pytest.mark.parametrize("case", [("tanh", (4,), False), ("gelu", (5, 3), True)], ids=str)
def test_held_layers_give_the_logits_and_slopes_of_draws_that_repeat_them(case, n_parts) -> None:
    spec, draws, X = made(*case)
    logits, size = spec.logits, S // n_parts
    held = {name: draws[name][::size] for name in logits.hidden_parameters}
    last = {name: a for name, a in draws.arrays.items() if name not in held}
    once = Parameters(last, held)
    repeated = Parameters(last | {name: once[name] for name in held})
    assert all(len(a) == S for a in repeated.arrays.values())
    assert_allclose(logits.at(once)(X), logits.at(repeated)(X), rtol=1e-12, atol=1e-14)
    for change in (X[::-1].copy(), np.array([[1.0, 0.0, -2.0]])):
        assert_allclose(logits.slope(once, X, change), logits.slope(repeated, X, change), rtol=1e-12, atol=1e-14)
    assert_allclose(logits.bounds(once, X), logits.bounds(repeated, X), rtol=1e-14)
    few, all_few = once.thinned(2, 2), repeated.thinned(2, 2)
    assert few.n_draws == 2
    assert_allclose(logits.at(few)(X), logits.at(all_few)(X), rtol=1e-12, atol=1e-14)
    assert once.flat().shape == (S, size_of({name: a.shape[1:] for name, a in last.items()}))


def test_it_offers_what_answers_ask_of_logits() -> None:
    spec, *_ = made(skip=True, hidden=(5, 2))
    assert isinstance(spec.logits, Logits)
    assert list(spec.logits.shapes) == list(spec.logits.dims)
    assert {name: len(dims) for name, dims in spec.logits.dims.items()} == {
        name: len(shape) for name, shape in spec.logits.shapes.items()
    }


def test_a_file_gives_the_same_function_and_damage_is_refused() -> None:
    logits = made(skip=True)[0].logits
    assert logits_from_json(logits_to_json(logits)) == logits
    good = logits.to_data()
    for name, bad, said in (
        ("hidden", [4.0], "hidden="),
        ("hidden", [-1], "hidden="),
        ("hidden", [], "LinearLogits"),
        ("activation", "tanhh", "did you mean 'tanh'"),
        ("skip", 1, "skip=1 must be True or False"),
        ("centre", [0.0], "centre="),
        ("scale", [1.0, 0.0, 1.0], "scales positive"),
        ("scale", [1.0, "a", 1.0], "scale="),
        ("centre", 5, "centre=5"),
        ("n_classes", 3.0, "n_classes=3.0"),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            type(logits)(**good | {name: bad})


@pytest.mark.parametrize(("hidden", "skip"), [((4,), False), ((3, 5), True)])
def test_sums_of_gradients_are_those_of_differences(hidden, skip):
    p, K, S, n = 3, 4, 5, 7
    logits = module.NetworkLogits(p, K, hidden, "tanh", skip, (0.5, -1.0, 0.0), (2.0, 0.5, 1.0))
    rng = np.random.default_rng(0)
    parameters = Parameters({name: rng.normal(size=(S, *shape)) for name, shape in logits.shapes.items()})
    X, w, h = rng.normal(size=(n, p)), rng.uniform(0.5, 2.0, size=n), 1e-5

    def probabilities(X):
        return softmax(logits.at(parameters)(X), axis=0)

    found = logits.sum_of_gradients(parameters, X, probabilities(X), w)
    for j in range(p):
        step = h * np.eye(p)[j]
        slopes = (probabilities(X + step) - probabilities(X - step)) / (2 * h)
        assert_allclose(found[j], np.einsum("n,kns->ks", w, slopes), atol=1e-8)
