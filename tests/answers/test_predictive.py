"""Predictive checks: class frequencies of replicated data, against direct simulation; nothing about codes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers import rows
from tests.conftest import simulate
from tests.inside import changed


def test_shares_are_those_of_direct_simulation(posterior, penguins) -> None:
    """Mean and sd of replicated shares from 2000 x 333 Gumbel draws: within 5 Monte Carlo standard errors."""
    P = posterior.predict_draws(penguins).values.reshape(-1, 333, 3)
    rng = np.random.default_rng(0)
    drawn = (np.log(P) + rng.gumbel(size=P.shape)).argmax(axis=2)
    shares = np.stack([(drawn == k).mean(axis=1) for k in range(3)], axis=1)
    table = posterior.posterior_predictive(n_draws=2000, random_seed=1)
    error = shares.std(axis=0) * np.sqrt(2 / 2000)
    assert (np.abs(table["replicated"].to_numpy() - shares.mean(axis=0)) / error).max() < 5
    width = (table["eti89_ub"] - table["eti89_lb"]).to_numpy()
    expected = np.diff(np.quantile(shares, [0.055, 0.945], axis=0), axis=0)[0]
    assert_allclose(width, expected, rtol=0.1)
    assert_allclose(table["observed"], penguins["species"].value_counts(normalize=True, sort=False).sort_index())


def test_groups(posterior, penguins) -> None:
    by_name = posterior.posterior_predictive(by="sex", random_seed=1)
    assert by_name.index.names == ["group", "class"]
    observed = pd.crosstab(penguins["sex"], penguins["species"], normalize="index")
    assert_allclose(by_name["observed"].unstack("class"), observed)
    assert by_name["n_observations"].groupby("group").first().to_dict() == penguins["sex"].value_counts().to_dict()
    by_array = posterior.posterior_predictive(by=penguins["island"], random_seed=1)
    assert by_array.loc[("Torgersen", "Adelie"), "p_value"] < 0.01  # the model does not know the islands
    cut = posterior.posterior_predictive(by="bill_length_mm", random_seed=1)
    assert len(cut.index.get_level_values("group").unique()) == 5


def test_replications_sum_to_the_units_and_repeat_exactly(posterior, monkeypatch) -> None:
    table = posterior.posterior_predictive(random_seed=3)
    assert_allclose(table["replicated"].sum(), 1)
    pd.testing.assert_frame_equal(table, posterior.posterior_predictive(random_seed=3))
    monkeypatch.setattr(rows, "BLOCK_BYTES", 8 * 1000 * 3 * 10)
    pd.testing.assert_frame_equal(table, posterior.posterior_predictive(random_seed=3))
    assert (table["replicated"] != posterior.posterior_predictive(random_seed=4)["replicated"]).any()


def test_counts_replicate_like_rows() -> None:
    """Cells of counts are multinomials: the same means and spreads as unit by unit, within 5 % and 10 %."""
    rng = np.random.default_rng(0)
    X = np.arange(4.0)[:, None]
    counts = rng.multinomial(60, [0.5, 0.3, 0.2], size=4)
    post = bs.SoftmaxRegression(X, counts, classes=[0, 1, 2]).laplace(random_seed=1, progressbar=False)
    rows, codes = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices(counts.shape))
    units = bs.SoftmaxRegression(X[rows], codes, collapse=False).map()
    long = changed(post, training=units._fitted.training)
    a, b = (fit.posterior_predictive(n_draws=4000, random_seed=1) for fit in (post, long))
    assert_allclose(a["replicated"], b["replicated"], rtol=0.05)
    assert_allclose(a["eti89_ub"] - a["eti89_lb"], b["eti89_ub"] - b["eti89_lb"], rtol=0.1)
    assert_allclose(a["observed"], b["observed"])


def test_the_prior_answers_the_same_questions(overlapping, penguins) -> None:
    prior = overlapping.sample_prior(draws=2000, random_seed=1)
    assert "prior" in prior.idata
    assert "posterior" not in prior.idata
    assert repr(prior).startswith("Prior: 1 chain x 2000 draws")
    # Exchangeable classes: a third each, with standard error about 0.3 / sqrt(2000).
    assert_allclose(prior.predict_proba(penguins).mean(), 1 / 3, atol=0.03)
    assert_allclose(prior.posterior_predictive(random_seed=1)["replicated"], 1 / 3, atol=0.03)
    again = overlapping.sample_prior(draws=2000, random_seed=1)
    assert_allclose(again._fitted.draws, prior._fitted.draws)


def test_bad_arguments_are_named(overlapping, posterior) -> None:
    X, y = simulate(30, 1, 2)
    fractional = bs.SoftmaxRegression(X, y, weights=np.full(30, 0.5)).laplace(random_seed=1, progressbar=False)
    for call, text in (
        (lambda: posterior.posterior_predictive(by="colour"), "by='colour' is not a variable of the model"),
        (lambda: posterior.posterior_predictive(by=[1, 2]), "by has 2 labels; the data have 333 rows"),
        (lambda: posterior.posterior_predictive(n_draws=0), "n_draws=0"),
        (lambda: fractional.posterior_predictive(), "there are no observations to replicate"),
        (
            lambda: bs.SoftmaxRegression(X, y, prior=bs.Flat()).sample_prior(),
            r"the prior of the weights of 'x0' is Flat\(\)",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_series_are_matched_by_their_index(posterior, penguins) -> None:
    by = penguins["island"]
    shuffled = by.sample(frac=1, random_state=1)
    a, b = (posterior.posterior_predictive(by=s, random_seed=1) for s in (by, shuffled))
    pd.testing.assert_frame_equal(a, b)
    whole = bs.datasets.load_penguins()
    dropped = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm", whole, missing="drop")
    post = dropped.laplace(random_seed=1, progressbar=False)
    table = post.posterior_predictive(by=whole["island"], random_seed=1)
    assert table["n_observations"].groupby("group").first().sum() == 342


def test_groups_without_units_have_no_answer() -> None:
    X, y = simulate(30, 1, 2)
    post = bs.SoftmaxRegression(X, y, weights=np.r_[np.zeros(10), np.ones(20)]).laplace(
        random_seed=1, progressbar=False
    )
    table = post.posterior_predictive(by=np.repeat(["none", "some"], [10, 20]), random_seed=1)
    assert table.loc["none"].drop(columns="n_observations").isna().all(axis=None)
    assert np.isfinite(table.loc["some"]).all(axis=None)
