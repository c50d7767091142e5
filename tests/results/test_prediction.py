"""Predictions on other base rates, with missing values, decisions at costs, and what is uncertain about them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.results import probabilities
from tests.conftest import simulate


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"map": overlapping.map(), "sample": posterior}


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_other_base_rates_follow_bayes_rule_in_every_draw(fits, posterior, penguins, kind) -> None:
    fit, new = fits[kind], penguins.iloc[:5]
    rates = {"Gentoo": 0.7, "Adelie": 0.2, "Chinstrap": 0.1}
    P = posterior.predict_draws(new).values if kind == "sample" else fit.predict_proba(new).to_numpy()[None, None]
    base = penguins["species"].value_counts(normalize=True)
    factor = np.array([rates[c] / base[c] for c in fit.schema.classes])
    by_hand = P * factor / (P * factor).sum(axis=-1, keepdims=True)
    assert_allclose(fit.predict_proba(new, class_prior=rates), by_hand.mean(axis=(0, 1)), rtol=1e-9)
    table = fit.predict_proba(new, 0.8, class_prior=rates)
    assert_allclose(table.xs(table.columns[0][1], axis=1, level=1), by_hand.mean(axis=(0, 1)), rtol=1e-9)
    certain = fit.predict_proba(new, class_prior={"Gentoo": 1.0, "Adelie": 0.0, "Chinstrap": 0.0})
    assert (certain["Gentoo"] == 1).all()
    assert (fit.predict(new, class_prior={"Gentoo": 1.0, "Adelie": 0.0, "Chinstrap": 0.0}) == "Gentoo").all()


def test_shifted_base_rates_are_those_of_a_resampled_population() -> None:
    """A model fitted to one mix of classes, shifted, is the model fitted to another mix (only the intercept moves).

    Both fits are of the same 200 000 rows a class; the sampling error of a logit is about 0.005.
    """
    rng = np.random.default_rng(0)
    n = 200_000
    X = np.concatenate([rng.normal(m, 1.0, size=n) for m in (-1.0, 0.0, 1.0)])[:, None]
    y = np.repeat([0, 1, 2], n)
    even = bs.SoftmaxRegression(X, y).mle()
    skewed = bs.SoftmaxRegression(X, y, weights=np.repeat([1.0, 2.0, 7.0], n)).mle()
    new = np.linspace(-2, 2, 9)[:, None]
    shifted = even.predict_proba(new, class_prior={0: 0.1, 1: 0.2, 2: 0.7})
    assert_allclose(shifted, skewed.predict_proba(new), atol=0.004)


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ({"Adelie": 1.0}, "class_prior has no probability for class 'Chinstrap'"),
        ({"Adelie": 0.5, "Chinstrap": 0.1, "Gentoo": 0.1}, "must be probabilities that sum to 1"),
        ({"Adelie": 0.5, "Chinstrap": 0.4, "Gento": 0.1}, "class_prior='Gento' is not a class; did you mean 'Gentoo'"),
    ],
)
def test_impossible_base_rates_are_named(fits, penguins, rates, text) -> None:
    with pytest.raises(ValueError, match=text):
        fits["map"].predict_proba(penguins, class_prior=rates)


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_missing_values_give_missing_answers_on_request(fits, penguins, kind) -> None:
    fit, new = fits[kind], penguins.iloc[:4].set_axis(list("abcd")).copy()
    new.loc["b", "sex"] = None
    new.loc["d", "bill_length_mm"] = np.nan
    with pytest.raises(ValueError, match=r"'bill_length_mm' has a missing value in row d|'sex' has a missing value"):
        fit.predict_proba(new)
    table = fit.predict_proba(new, missing="nan")
    assert table.isna().all(axis=1).tolist() == [False, True, False, True]
    assert_allclose(table.loc[["a", "c"]], fit.predict_proba(new.loc[["a", "c"]]), rtol=1e-12)
    assert fit.predict_proba(new, 0.9, missing="nan").isna().all(axis=1).tolist() == [False, True, False, True]
    labels = fit.predict(new, missing="nan")
    assert labels.isna().tolist() == [False, True, False, True]
    assert labels["a"] == fit.predict(new.loc[["a"]])["a"]
    assert fit.uncertainty(new, missing="nan")["total"].isna().tolist() == [False, True, False, True]
    with pytest.raises(ValueError, match="missing='skip' is not known"):
        fit.predict(new, missing="skip")


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
    draws = rng.multivariate_normal(flat, fit.raw_covariance.reshape(9, 9), size=20_000).reshape(-1, 3, 3)
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
        ([[0, 1], [1, 0]], TypeError, "cost is a list; give a pandas DataFrame"),
        (pd.DataFrame({"Adelie": [1.0]}), ValueError, "cost has no column for class 'Chinstrap'"),
        (
            pd.DataFrame({"Adelie": [1.0], "Chinstrap": [np.nan], "Gentoo": [0.0]}),
            ValueError,
            "cost is nan for decision",
        ),
        (pd.DataFrame({"Adeli": [1.0]}), ValueError, "did you mean 'Adelie'"),
    ],
)
def test_bad_costs_are_named(fits, penguins, cost, error, text) -> None:
    with pytest.raises(error, match=text):
        fits["map"].decide(penguins, cost)


def test_uncertainty_splits_entropy(fits, posterior, penguins) -> None:
    P = posterior.predict_draws(penguins.iloc[:9]).values.reshape(-1, 9, 3)
    table = posterior.uncertainty(penguins.iloc[:9])
    mean = P.mean(axis=0)
    assert_allclose(table["total"], -(mean * np.log(mean)).sum(axis=1), rtol=1e-9)
    assert_allclose(table["aleatoric"], -(P * np.log(P)).sum(axis=2).mean(axis=0), rtol=1e-9)
    assert_allclose(table["total"] - table["aleatoric"], table["epistemic"], atol=1e-12)
    assert (table["total"] <= np.log(3)).all()
    # The normal approximation of an estimate says about the same where there are data.
    assert np.abs(fits["map"].uncertainty(penguins) - posterior.uncertainty(penguins)).to_numpy().max() < 0.1


def test_large_answers_are_announced(posterior, penguins, monkeypatch, capsys) -> None:
    monkeypatch.setattr(probabilities, "ANNOUNCED_BYTES", 1000)
    posterior.predict_draws(penguins)
    assert "predict_draws(): 4 x 500 x 333 x 3 numbers, 0.0 GiB" in capsys.readouterr().err
    monkeypatch.undo()
    posterior.predict_draws(penguins)
    assert capsys.readouterr().err == ""


def test_polars_frames_and_arrays_predict(penguins) -> None:
    import polars as pl

    fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins).map()
    theirs = fit.predict_proba(pl.from_pandas(penguins[["bill_length_mm", "sex"]]))
    assert_allclose(theirs, fit.predict_proba(penguins), rtol=1e-12)
    array = bs.SoftmaxRegression(penguins[["bill_length_mm"]].to_numpy(), penguins["species"]).map()
    assert array.predict_proba(np.array([[40.0], [np.nan]]), missing="nan").isna().all(axis=1).tolist() == [False, True]
