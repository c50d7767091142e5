"""The table of a network's layers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers.layers import layers_in_words
from tests.conftest import simulate


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("skip", [False, True])
def test_free_numbers_and_scales_are_those_of_the_free_coordinates(coding: str, skip: bool) -> None:
    X, y = simulate(60, 3, 3)
    prior = {"hidden_2": bs.Normal(0.5), "weights": bs.Normal(0.3)} | ({"x0": bs.Normal(2.0)} if skip else {})
    logits = bs.MLP((4, 2), skip=skip)
    model = bs.SoftmaxRegression(X * [1, 10, 100], y, coding=coding, logits=logits, prior=prior)
    fit = model.map(restarts=1)
    table, coordinates = fit.summary(), model._spec.network_coordinates
    assert table["free"].iloc[-1] == coordinates.dimension
    sizes = {"hidden_1": 12, "hidden_1_bias": 4, "hidden_2": 8, "hidden_2_bias": 2}
    k = 3 if coding == "full" else 2
    assert table["free"].to_dict() | sizes == table["free"].to_dict()
    assert table["free"]["weights"] == 2 * k
    assert_allclose(table["prior_sd"][["hidden_2", "hidden_2_bias", "weights"]], [0.5, 0.5, 0.3])
    theta = coordinates.from_parameters({name: array.values for name, array in fit._fitted.values.items()})
    last = theta[coordinates.hidden.dimension :].reshape(k, -1)  # intercept, units, features
    assert_allclose(table["rms"]["weights"], np.sqrt(np.mean(last[:, 1:3] ** 2)), rtol=1e-9)
    if skip:
        assert_allclose(table["rms"]["skip"], np.sqrt(np.mean(last[:, 3:] ** 2)), rtol=1e-9)
    assert "single weights are not listed" in table.attrs["note"]


def test_flat_priors_are_infinite_and_questions_about_coefficients_refused() -> None:
    X, y = simulate(60, 2, 3)
    model = bs.SoftmaxRegression(X, y, intercept=False, logits=bs.MLP(2), prior={"hidden_1": bs.Flat()})
    with pytest.warns(bs.NotConvergedWarning, match="hardly changes along some direction.*give all layers a proper"):
        fit = model.map(restarts=1)
    table = fit.summary()
    assert table.index.tolist() == ["hidden_1", "hidden_1_bias", "weights", "all"]
    assert table["prior_sd"].iloc[:2].tolist() == [np.inf, np.inf]
    with pytest.raises(ValueError, match=r"vs='b' is for coefficients, and summary\(\) of a network lists its layers"):
        fit.summary(vs="b")


def test_layers_in_words() -> None:
    X, y = simulate(20, 1, 2)
    logits = bs.SoftmaxRegression(X, y, logits=bs.MLP((3, 1), "relu", skip=True))._spec.logits
    expected = "network: 1 feature -> 3 relu units -> 1 relu unit -> 2 classes, beside linear logits"
    assert layers_in_words(logits) == expected
