"""Numbers as labels: a response that looks measured is doubted once, and codes are not."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs

RNG = np.random.default_rng(3)
X = RNG.normal(size=(200, 2))
PRICES = RNG.integers(0, 10_000, size=200)
TEXT = r"y: \d+ distinct numbers in 200 rows, each of which is a class without order. A measured response needs another"


@pytest.mark.parametrize(
    "y",
    [PRICES, PRICES * 1.0, PRICES.tolist(), pd.Series(PRICES, dtype="Int64"), PRICES.astype(np.uint16)],
    ids=["integers", "floats", "list", "nullable", "unsigned"],
)
def test_a_measured_response_is_doubted(y: object) -> None:
    with pytest.warns(UserWarning, match=TEXT) as caught:
        bs.SoftmaxRegression(X, y)
    assert len(caught) == 1
    assert len(str(caught[0].message)) < 250
    with pytest.warns(UserWarning, match="^price: "):
        bs.SoftmaxRegression.from_formula("price ~ x", pd.DataFrame({"price": PRICES, "x": X[:, 0]}))


def test_what_the_warning_advises_silences_it() -> None:
    for y, classes in (
        (PRICES, np.unique(PRICES)),
        (pd.Series(PRICES).astype("category"), None),
        (pd.Series(PRICES).astype(str), None),
        (pd.get_dummies(PRICES).astype(int), None),
    ):
        bs.SoftmaxRegression(X, y, classes=classes)  # a warning would be an error


def test_codes_are_not_doubted() -> None:
    for y in (
        np.arange(200) % 10,  # digits
        1950 + np.arange(200) % 40,  # years, five rows each
        RNG.poisson(3, size=200),  # a few rare values beside common ones
        np.arange(200) % 2 == 0,
    ):
        bs.SoftmaxRegression(X, y)
    bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], [1, 2, 3, 1])  # an example of four rows
    bs.SoftmaxRegression(X[:10], np.arange(10))


def test_rows_that_stand_for_many_count_for_many() -> None:
    x = np.arange(20.0)[:, None]
    bs.SoftmaxRegression(x, np.arange(20), weights=np.full(20, 5.0))
    with pytest.warns(UserWarning, match="20 distinct numbers in 20 rows"):
        bs.SoftmaxRegression(x, np.arange(20), weights=np.full(20, 4.0))


def test_a_fit_does_not_repeat_the_doubt() -> None:
    with pytest.warns(UserWarning, match="distinct numbers"):
        model = bs.SoftmaxRegression(X[:60], PRICES[:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = model.map()
        fit.evaluate(X[:60], y=PRICES[:60])
        fit.predict(X[:60])
