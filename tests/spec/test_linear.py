"""Derivatives of linear logits against those that are made by a Jacobian, and by differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayes_softmax.core import parameters as generic
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.logits import logits_from_json, logits_to_json

N, P, K, M = 6, 3, 4, 2
RNG = np.random.default_rng(0)
LOGITS = LinearLogits(P, K)
X, CHANGE = RNG.normal(size=(N, P)), RNG.normal(size=(N, P))
DERIVATIVES = RNG.normal(size=(N, M, K))
ONE = Parameters({"intercept": RNG.normal(size=(1, K)), "weights": RNG.normal(size=(1, P, K))})


def jacobian() -> np.ndarray:
    both = np.column_stack([np.ones(N), X])
    return np.einsum("ni,kl->nkil", both, np.eye(K)).reshape(N, K, -1)


def test_derivatives_are_those_of_the_jacobian() -> None:
    root = RNG.normal(size=((P + 1) * K,) * 2)
    covariance = root @ root.T
    found = LOGITS.covariance(ONE, X, covariance)
    assert_allclose(found, generic.covariance_by_jacobian(jacobian(), covariance), rtol=1e-10)
    pulled = LOGITS.pull_back(ONE, X, DERIVATIVES)
    assert_allclose(pulled, generic.pull_back_by_jacobian(jacobian(), DERIVATIVES), rtol=1e-10)
    assert_allclose(LOGITS.at(ONE)(X)[:, :, 0], np.einsum("nkd,d->kn", jacobian(), ONE.flat()[0]), rtol=1e-10)


@pytest.mark.parametrize("change", [CHANGE, np.eye(P)[[1]]])
def test_slopes_are_those_of_differences(change: np.ndarray) -> None:
    slope = LOGITS.slope(ONE, X, change)
    by_differences = generic.slope_by_differences(LOGITS.at(ONE), X, change, np.ones(P))
    assert_allclose(np.broadcast_to(slope, by_differences.shape), by_differences, rtol=1e-7)
    pulled = LOGITS.pull_back_slope(ONE, X, change, DERIVATIVES)
    expected = generic.pull_back_slope_by_differences(
        lambda X, B: LOGITS.pull_back(ONE, X, B), X, change, DERIVATIVES, np.ones(P)
    )
    assert_allclose(pulled, expected, rtol=1e-6, atol=1e-8)


def test_bounds_hold_and_grow() -> None:
    draws = Parameters({"intercept": RNG.normal(size=(9, K)), "weights": RNG.normal(size=(9, P, K))})
    bounds = LOGITS.bounds(draws, X)
    assert (np.abs(LOGITS.at(draws)(X)).max(axis=(0, 2)) <= bounds).all()
    assert (LOGITS.bounds(draws, 2 * X) >= bounds).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "os.system", "data": {}}', "of kind 'os.system', which is none"),
        ('{"kind": "linear", "data": {"rows": 3}}', "damaged"),
        ('{"kind": "linear", "data": {"n_features": 7.0, "n_classes": 3}}', "n_features=7.0 must be a whole number"),
        ('{"kind": "linear", "data": {"n_features": 7, "n_classes": true}}', "n_classes=True must be a whole number"),
        ('{"kind": ["linear"], "data": {}}', "damaged"),
        ("[]", "damaged"),
        ("{", "damaged"),
    ],
)
def test_a_description_is_data(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        logits_from_json(text)
    assert logits_from_json(logits_to_json(LOGITS)) == LOGITS
