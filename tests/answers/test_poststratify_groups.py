"""Poststratification of models with groups: known levels, levels without observations, and averages over both."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs

STATES, CLASSES = 12, ["a", "b", "c"]


@pytest.fixture(scope="module")
def population() -> pd.DataFrame:
    """Two sexes in twelve states, of which the last two were not surveyed."""
    cells = pd.MultiIndex.from_product([range(STATES), ["f", "m"]], names=["state", "sex"]).to_frame(index=False)
    return cells.assign(n=np.random.default_rng(1).integers(100, 5000, len(cells)))


@pytest.fixture(scope="module")
def model(population) -> bs.SoftmaxRegression:
    rng = np.random.default_rng(2)
    rows = population[population["state"] < STATES - 2].sample(400, replace=True, random_state=3)
    logits = rng.normal(size=(STATES, 3))[rows["state"]] + np.outer(rows["sex"] == "m", [0.5, 0.0, -0.5])
    y = np.array(CLASSES)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    return bs.SoftmaxRegression.from_formula("y ~ sex + (1 | state)", rows.drop(columns="n").assign(y=y))


@pytest.fixture(scope="module")
def post(model) -> bs.Posterior:
    return model.sample(draws=1000, tune=400, chains=2, random_seed=1, progressbar=False)


def drawn(table: object) -> np.ndarray:
    """Draws (S, ...)."""
    values = np.asarray(table)
    return values.reshape(-1, *values.shape[2:])


def logits_by_hand(post: bs.Posterior, male: float, effects: np.ndarray) -> np.ndarray:
    """(S, K)."""
    posterior = post.idata["posterior"]
    return drawn(posterior["intercept"]) + male * drawn(posterior["weights"])[:, 0] + effects


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def test_known_levels_have_their_own_effects(post, population) -> None:
    """Whether or not there are cells of levels without observations."""
    shares = post.poststratify(population, by="state", draws=True, random_seed=1)
    assert_allclose(shares.sum("category"), 1.0, rtol=1e-14)
    state = population[population["state"] == 3]
    effects = drawn(post.idata["posterior"]["state"])[:, 3, 0]
    expected = sum(
        n / state["n"].sum() * softmax(logits_by_hand(post, sex == "m", effects))
        for sex, n in zip(state["sex"], state["n"], strict=True)
    )
    assert_allclose(drawn(shares.sel(group="state=3")), expected, rtol=1e-10)
    known = population[population["state"] < 10]
    assert_allclose(post.poststratify(known, by="state", draws=True), shares[:, :, :10], rtol=1e-12)
    assert "note" not in post.poststratify(known).attrs


def test_levels_without_observations_are_drawn_from_the_population(post, population) -> None:
    """Against effects drawn by hand, within 4 combined Monte Carlo errors: false alarm below 1e-3.  Seeds 1 and 2."""
    table = post.poststratify(population, by=["state", "sex"], random_seed=1)
    covariance = drawn(post.idata["posterior"]["state_covariance"])[:, 0, :, 0]
    values, vectors = np.linalg.eigh(covariance)
    z = np.random.default_rng(2).normal(size=(len(values), 3))
    effects = np.einsum("skj,sj->sk", vectors * np.sqrt(np.maximum(values, 0))[:, None], z)
    expected = softmax(logits_by_hand(post, 1.0, effects))
    error = expected.std(axis=0) * np.sqrt(2 / len(expected))
    assert (np.abs(table.loc[(11, "m"), "mean"] - expected.mean(axis=0)) < 4 * error).all()
    assert_allclose(table.loc[(11, "m"), "sd"], expected.std(axis=0), rtol=0.1)
    assert table.attrs["note"] == (
        "2 levels of 'state' not in the data of the fit, with effects drawn from the population: 10, 11"
    )
    pd.testing.assert_frame_equal(table, post.poststratify(population, by=["state", "sex"], random_seed=1))


def test_all_cells_of_a_new_level_have_the_same_effects(post, population) -> None:
    """Two halves of a cell have the same share in every draw, cells of two new levels have not."""
    halves = pd.concat([population.assign(half=1), population.assign(half=2)], ignore_index=True)
    shares = post.poststratify(halves, by=["state", "half"], draws=True, random_seed=5)
    one, two = (shares.sel(group=f"state=10, half={h}") for h in (1, 2))
    assert_allclose(one, two, rtol=1e-12)
    assert np.abs(one - shares.sel(group="state=11, half=1")).max() > 0.1


def test_levels_can_be_averaged_over_or_be_new(model, post, population) -> None:
    weights = population["n"] / population["n"].sum()
    expected = post.predict_proba(population, levels="average").mul(weights, axis=0).sum()
    table = post.poststratify(population, levels="average")
    assert_allclose(table["mean"], expected, atol=2e-3)
    assert "averaged over the population of levels" in table.attrs["note"]
    new = post.poststratify(population, by="state", levels="new", random_seed=1)
    assert new["sd"].min() > 0.1  # that of every state is that of an unknown one
    assert new.attrs["note"] == "for new levels of 'state'"
    fit = model.mle()
    known = population[population["state"] < 10]
    assert_allclose(
        fit.poststratify(known, count=np.ones(20))["estimate"], fit.predict_proba(known).to_numpy().mean(axis=0)
    )
    averaged = fit.poststratify(population, levels="average")
    assert_allclose(averaged["estimate"].sum(), 1.0)
    # Of a posterior near a normal one: the mean of sds differs from the maximum, and 10 levels say little of it.
    assert_allclose(averaged["std_error"], table["sd"], rtol=0.4)
    with pytest.raises(ValueError, match="has level 10 in rows 20, 21, 22, 23, which the model was not fitted with"):
        fit.poststratify(population)


def test_cells_say_which_level_they_are_of(post, population) -> None:
    nameless = population.drop(columns="state")
    with pytest.raises(ValueError, match="cells has no column 'state'"):
        post.poststratify(nameless)
    with pytest.raises(ValueError, match="cells: column 'state' has a missing value in row 3"):
        post.poststratify(population.assign(state=population["state"].where(population.index != 3)))
    given = post.poststratify(nameless, groups={"state": population["state"]}, random_seed=1)
    assert_allclose(given.to_numpy(), post.poststratify(population, random_seed=1).to_numpy())
    table = post.poststratify(nameless, levels="known or new", random_seed=1)
    assert table.attrs["note"].endswith("cells do not say which 'state' they are of: all count as one new level")
