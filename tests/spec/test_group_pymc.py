"""The ``pm.Model`` of group-level effects: names, labels, and PyMC's functions on draws of our own."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from numpy.testing import assert_allclose
from pytensor import function
from scipy.special import softmax

import bayes_softmax as bs
from bayes_softmax.spec.groups import pymc_variables
from bayes_softmax.spec.groups.pymc_variables import group_values


def frame(n: int = 400) -> pd.DataFrame:
    """Two groupings; level 0 of ``g`` is nearly always of class b."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 6, n), "s": rng.choice(list("uvwz"), n)})
    effects = rng.normal(size=(6, 3))
    effects[0] = [0.0, 4.0, 0.0]
    eta = effects[data.g] + np.outer(data.x, [0.0, 0.5, -1.0])
    return data.assign(y=[["a", "b", "c"][rng.choice(3, p=softmax(row))] for row in eta])


def test_names_dims_and_coordinates() -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 + x || g) + (1 | g:s)", frame()).pymc_model
    assert model.named_vars_to_dims["g"] == ("g_level", "g_term", "category")
    assert model.named_vars_to_dims["g:s_covariance"] == ("g:s_term", "category", "g:s_term_other", "category_other")
    assert list(model.coords["g_level"]) == [0, 1, 2, 3, 4, 5]
    assert list(model.coords["g_term"]) == ["intercept", "x"]
    assert list(model.coords["g:s_level"])[:2] == ["0:u", "0:v"]
    free = {rv.name for rv in model.free_RVs}
    assert {"g_sd", "g_correlation_factor_0", "g_correlation_factor_1", "g_z", "g:s_correlation_factor"} <= free
    assert "g:s_z" in pm.model_to_graphviz(model).source


def test_prior_predictive_draws_from_hyperpriors() -> None:
    """Medians of 2000 half-normal draws within 5 standard errors (seed 1; error rate under 1e-5)."""
    model = bs.SoftmaxRegression.from_formula(
        "y ~ x + (1 | g)", frame(), group_prior=bs.GroupNormal(scale=bs.HalfNormal(2.0), covariance="independent")
    )
    with model.pymc_model:
        drawn = pm.sample_prior_predictive(draws=2000, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"})
    assert drawn["prior_predictive"]["y"].shape == (1, 2000, 400)
    medians = np.median(drawn["prior"]["g_sd"].values[0], axis=0)
    assert_allclose(medians, 2.0 * 0.67449, atol=5 * 0.5 / (0.3178 * np.sqrt(2000)))
    assert abs(drawn["prior"]["g"].sum("category")).max() < 1e-10


def test_posterior_predictive_uses_the_draws_of_effects_and_hyperparameters() -> None:
    """Shares of each level within 0.04: over six standard errors of 200 draws of 60 rows (seed 1)."""
    data = frame()
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g) + (1 | s)", data)
    post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    with model.pymc_model:
        y = pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)["posterior_predictive"]["y"]
    shares, expected = np.eye(3)[y.values].mean(axis=(0, 1)), post.predict_proba(data).values
    for level in range(6):
        of_level = (data.g == level).to_numpy()
        assert_allclose(shares[of_level].mean(axis=0), expected[of_level].mean(axis=0), atol=0.04)
    pymc, draws = model.pymc_model, post.idata["posterior"].dataset
    compute = function(pymc.free_RVs, [pymc["g"], pymc["s_covariance"]], mode="FAST_COMPILE", on_unused_input="ignore")
    found = compute(*(draws[rv.name].values[1, 7] for rv in pymc.free_RVs))
    for name, value in zip(("g", "s_covariance"), found, strict=True):
        assert_allclose(value, draws[name].values[1, 7], rtol=1e-9, atol=1e-9)


def test_many_draws_of_z_are_left_out_and_singular_covariances_are_no_error(monkeypatch) -> None:
    spec = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame())._spec
    (own,) = spec.groups
    effects = np.ones((1, 2, 6, 1, 3)) * [1.0, -1.0, 0.0]
    hyper = {"g_sd": np.array([[[1.0, 1e-9, 1.0], [1.0, 2.0, 3.0]]]), "g_correlation": np.ones((1, 2, 3, 3))}
    values = group_values((own,), {"g": effects}, hyper)
    assert all(np.isfinite(value).all() for value in values.values())
    assert_allclose(values["g_correlation_factor"] @ values["g_correlation_factor"].swapaxes(-1, -2), 1.0, atol=1e-6)
    monkeypatch.setattr(pymc_variables, "LARGEST_VALUES", 10)
    assert "g_z" not in group_values((own,), {"g": effects}, hyper)
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame())
    assert "draws of 'g_z' were left out" in model.sample_prior(draws=3, random_seed=1).notes[-1]


def test_groupings_with_names_of_other_variables() -> None:
    data = frame().rename(columns={"s": "g_sd", "g": "X"}).assign(g=frame().g, weights_free=frame().s)
    for formula, words in (
        ("y ~ x + (1 | g) + (1 | g_sd)", "both have something called 'g_sd'"),
        ("y ~ x + (1 | weights_free)", "'weights_free' is the name of something else in every posterior"),
        ("y ~ x + (1 | X)", "'X' is the name of something else in every posterior"),
    ):
        with pytest.raises(ValueError, match=words):
            bs.SoftmaxRegression.from_formula(formula, data)
