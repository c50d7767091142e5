"""The logits of a network, linear in its parameters: against differences, and what a file may say of them."""

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.core.parameters import Parameters, size_of
from bayes_softmax.core.protocols import Logits
from bayes_softmax.spec.logits import logits_from_json, logits_to_json
from bayes_softmax.spec.network import linearised as module
from bayes_softmax.spec.network.linearised import LinearisedNetwork
from tests.spec.test_network_logits import CASES, M, N, jacobian, made, named


def linearised(case):
    """Linearised logits at a point, draws of their parameters, and rows."""
    spec, draws, X = made(*case)
    point = draws.flat()[0] + 0.1
    return LinearisedNetwork(spec.logits, tuple(point.tolist())), draws, X


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_logits_are_the_networks_first_order_expansion(case, monkeypatch) -> None:
    logits, draws, X = linearised(case)
    point = np.array(logits.point)
    J, at = jacobian(logits.network, logits.at_point, X), logits.network.at(logits.at_point)(X)[:, :, 0].T
    expected = at[:, :, None] + np.einsum("nkd,sd->nks", J, draws.flat() - point)
    L = logits.at(draws)(X)
    assert_allclose(L, expected.transpose(1, 0, 2), atol=1e-7)
    bounds = logits.bounds(draws, X)
    assert (np.abs(L).max(axis=(0, 2)) <= bounds).all()
    assert (logits.bounds(draws, 2 * X) >= bounds).all()
    monkeypatch.setattr(module, "NUMBERS", 100)  # a draw at a time
    assert_allclose(logits.at(draws)(X), L, rtol=1e-12)


@pytest.mark.parametrize("case", CASES[1::5], ids=str)
def test_its_derivatives_are_those_of_differences(case) -> None:
    logits, draws, X = linearised(case)
    one, rng = Parameters({name: a[:1] for name, a in draws.arrays.items()}), np.random.default_rng(4)
    J, d = jacobian(logits, one, X), size_of(logits.shapes)
    B, A = rng.normal(size=(N, M, 3)), rng.normal(size=(d, d))
    assert_allclose(logits.pull_back(one, X, B), np.einsum("nmk,nkd->md", B, J), atol=1e-7)
    V = np.einsum("nkd,de,nle->nkl", J, A @ A.T, J)
    assert_allclose(logits.covariance(one, X, A @ A.T), V, rtol=1e-6, atol=1e-6)
    h, change = 1e-6, rng.normal(size=(N, 3))
    ends = [logits.at(draws)(X + sign * h * change) for sign in (1, -1)]
    assert_allclose(logits.slope(draws, X, change), (ends[0] - ends[1]) / (2 * h), atol=1e-6)
    ends = [jacobian(logits, one, X + sign * 1e-4 * change) for sign in (1, -1)]
    found = logits.pull_back_slope(one, X, change, B)
    assert_allclose(found, np.einsum("nmk,nkd->md", B, (ends[0] - ends[1]) / 2e-4), atol=2e-4)


@pytest.mark.parametrize("case", CASES[2::5], ids=str)
def test_pytensor_computes_the_same(case) -> None:
    logits, draws, X = linearised(case)
    import pytensor.tensor as pt

    variables = {name: pt.constant(a[1]) for name, a in draws.arrays.items()}
    found = pm.draw(logits.expression(pt.constant(X), variables))
    assert_allclose(found, logits.at(draws)(X)[:, :, 1].T, rtol=1e-10, atol=1e-10)


def test_a_file_gives_the_same_function_and_damage_is_refused() -> None:
    logits, draws, _ = linearised(CASES[1])
    assert isinstance(logits, Logits)
    assert logits_from_json(logits_to_json(logits)) == logits
    assert named(logits, draws.flat()).n_draws == draws.n_draws
    good = logits.to_data()
    for name, bad, said in (
        ("network", 5, "network=5 must be the logits of a network"),
        ("network", good["network"] | {"hidden": [-1]}, "hidden="),
        ("point", 1.0, "point=1.0 must be a list"),
        ("point", [1.0], "finite numbers"),
        ("point", [float("nan"), *good["point"][1:]], "finite numbers"),
        ("point", ["a", *good["point"][1:]], "finite numbers"),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            LinearisedNetwork(**good | {name: bad})
