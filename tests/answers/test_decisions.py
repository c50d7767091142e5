"""Decisions at costs: the best by hand, how sure of it, and cost tables that are refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, drawn: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"map": overlapping.map(), "sample": drawn}


def test_expected_costs_stay_within_the_costs(fits, penguins) -> None:
    cost = pd.DataFrame(
        {"Gentoo": [0.0, 4.0], "Adelie": [3.0, 1.0], "Chinstrap": [8.0, 1.0]},
        index=["release", "keep"],
    )
    table = fits["map"].decide(penguins, cost, 0.999)
    own = cost.loc[table["decision"]].to_numpy()
    assert (table["wald99_9_lb"] >= own.min(axis=1)).all()
    assert (table["wald99_9_ub"] <= own.max(axis=1)).all()
    assert (table["wald99_9_lb"] == own.min(axis=1)).any()


def test_decisions_are_those_of_least_expected_cost(fits, posterior, penguins) -> None:
    cost = pd.DataFrame(
        {"Gentoo": [0.0, 4.0, 9.0], "Adelie": [3.0, 1.0, 0.0], "Chinstrap": [8.0, 1.0, 2.0]},
        index=["release", "keep", "ring"],
    )
    matrix = cost[["Adelie", "Chinstrap", "Gentoo"]].to_numpy()
    for fit in fits.values():
        table = fit.decide(penguins, cost, 0.8)
        expected = fit.predict_proba(penguins).to_numpy() @ matrix.T
        assert list(table["decision"]) == [cost.index[d] for d in expected.argmin(axis=1)]
        assert_allclose(table["expected_cost"], expected.min(axis=1), rtol=1e-10)
        assert_allclose(table["extra_cost"], np.sort(expected, axis=1)[:, 1] - expected.min(axis=1), atol=1e-12)
        assert list(table.index) == list(penguins.index)
    drawn = posterior.predict_draws(penguins.iloc[:6]).values.reshape(-1, 6, 3) @ matrix.T
    table = posterior.decide(penguins.iloc[:6], cost, 0.8)
    best = drawn.mean(axis=0).argmin(axis=1)
    chosen = drawn[:, np.arange(6), best]
    assert_allclose(table["eti80_lb"], np.quantile(chosen, 0.1, axis=0), rtol=1e-8)
    assert_allclose(table["p_best"], (drawn.argmin(axis=2) == best).mean(axis=0), atol=1e-12)


def test_decisions_of_an_estimate_agree_with_draws_of_its_normal_approximation() -> None:
    """20 000 draws of N(estimate, covariance): sd of the cost to 4 %, p_best to 0.015 (four standard errors)."""
    X, y = simulate(5000, 2, 3)  # enough for the probabilities to be linear in the coefficients within the errors
    fit = bs.SoftmaxRegression(X, y).mle()
    cost = pd.DataFrame(1.0 - np.eye(3), index=[0, 1, 2], columns=[0, 1, 2])
    table = fit.decide(X[:20], cost, 0.6827)
    rng = np.random.default_rng(0)
    flat = np.vstack([fit.intercept.values, fit.weights.values]).ravel()
    draws = rng.multivariate_normal(flat, fit._fitted.raw_covariance.reshape(9, 9), size=20_000).reshape(-1, 3, 3)
    P = bs.softmax(np.einsum("ni,sik->nsk", np.column_stack([np.ones(20), X[:20]]), draws))
    best = fit.predict(X[:20]).to_numpy()
    sd = (1 - P[np.arange(20), :, best]).std(axis=1)
    assert_allclose((table["wald68_27_ub"] - table["wald68_27_lb"]) / 2, sd, rtol=0.04)
    second = table["second_best"].to_numpy(dtype=int)
    wins = (P[np.arange(20), :, best] > P[np.arange(20), :, second]).mean(axis=1)
    assert_allclose(table["p_best"], wins, atol=0.015)


@pytest.mark.parametrize(
    ("cost", "error", "text"),
    [
        ([[0, 1], [1, 0]], TypeError, "cost is of type list; give a pandas DataFrame"),
        (pd.DataFrame({"Adelie": [1.0]}), ValueError, "cost has no column for class 'Chinstrap'"),
        (
            pd.DataFrame({"Adelie": [1.0], "Chinstrap": [np.nan], "Gentoo": [0.0]}),
            ValueError,
            "cost is nan for decision",
        ),
        (pd.DataFrame({"Adeli": [1.0]}), ValueError, "did you mean 'Adelie'"),
        (
            pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=["Adelie", "Chinstrap", "Gentoo", "Adelie"]),
            ValueError,
            "cost has 2 columns for class 'Adelie'",
        ),
        (
            pd.DataFrame({"Adelie": [1.0], "Chinstrap": ["low"], "Gentoo": [0.0]}, index=["ring"]),
            TypeError,
            "cost is the text 'low' for decision 'ring' and class 'Chinstrap'; expected a number",
        ),
        (
            pd.DataFrame({"Adelie": [1.0], "Chinstrap": [None], "Gentoo": [0.0]}),
            ValueError,
            "cost is None for decision 0 and class 'Chinstrap'; expected a finite number",
        ),
    ],
)
def test_bad_costs_are_named(fits, penguins, cost, error, text) -> None:
    with pytest.raises(error, match=text):
        fits["map"].decide(penguins, cost)


@pytest.mark.parametrize(
    ("classes", "columns", "text"),
    [
        ([0, 1], ["0", "1"], "cost: '0' is not a class: class 0 is of type int, not str"),
        ([0, 1], [False, True], "cost: False is not a class: class 0 is of type int, not bool"),
        ([False, True], [0, 1], "cost: 0 is not a class: class False is of type bool, not int"),
        (["0", "1"], [0, 1], "cost: 0 is not a class: class '0' is of type str, not int"),
    ],
)
def test_classes_of_another_type_are_told_apart(classes, columns, text) -> None:
    X, y = simulate(30, 1, 2)
    fit = bs.SoftmaxRegression(X, np.array(classes)[y]).map()
    cost = pd.DataFrame(1.0 - np.eye(2), index=["a", "b"])
    assert set(fit.decide(X, cost.set_axis(classes, axis=1))["decision"]) <= {"a", "b"}
    with pytest.raises(ValueError, match=text):
        fit.decide(X, cost.set_axis(columns, axis=1))
    with pytest.raises(ValueError, match=text.replace("cost", "class_prior")):
        fit.predict(X, class_prior=dict.fromkeys(columns, 0.5))


@pytest.mark.parametrize(
    ("rows", "columns"),
    [("class", "decision"), ("observed", None), (None, "Decision"), ("species", None), ("observed", "predicted")],
)
def test_a_table_of_costs_that_is_named_the_wrong_way_round_is_refused(fits, penguins, rows, columns) -> None:
    names = ["Adelie", "Chinstrap", "Gentoo"]
    cost = pd.DataFrame(1.0 - np.eye(3), index=names, columns=names)
    with pytest.raises(ValueError, match="needs a row for each decision and a column for each observed class: pass"):
        fits["map"].decide(penguins, cost.rename_axis(index=rows, columns=columns))
    right = fits["map"].decide(penguins, cost.rename_axis(index="decision", columns="observed"))
    assert right.equals(fits["map"].decide(penguins, cost))
