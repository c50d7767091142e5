"""The ``pm.Model``: readable, labelled, and usable with PyMC's own functions."""

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.cases import build
from tests.conftest import simulate


def test_names_dims_and_coordinates(overlapping: bs.SoftmaxRegression) -> None:
    model = overlapping.pymc_model
    assert {"intercept", "weights", "y"} <= set(model.named_vars)
    assert list(model.coords["category"]) == ["Adelie", "Chinstrap", "Gentoo"]
    assert list(model.coords["feature"]) == ["bill_length_mm", "sex[T.male]"]
    assert model.named_vars_to_dims["weights"] == ("feature", "category")
    assert {"X", "y_observed"} <= {v.name for v in model.data_vars}
    assert model.named_vars_to_dims["y"] == ("obs",)


def test_the_model_is_built_once(overlapping: bs.SoftmaxRegression) -> None:
    assert overlapping.pymc_model is overlapping.pymc_model


def test_find_map_is_our_map() -> None:
    model = build("normal", "normal", "zero-sum")
    with model.pymc_model:
        found = pm.find_MAP(progressbar=False, return_inferencedata=True, jitter=False)["posterior"]
    ours = model.map()
    assert_allclose(found["weights"].squeeze(), ours.weights, atol=2e-4)
    assert_allclose(found["intercept"].squeeze(), ours.intercept, atol=2e-4)


@pytest.mark.parametrize("form", ["labels", "counts", "whole weights", "intercept only", "no intercept"])
def test_prior_and_posterior_predictive(form: str) -> None:
    model = build("default", "default", "zero-sum", form)
    with model.pymc_model:
        prior = pm.sample_prior_predictive(draws=20, random_seed=1)
        assert np.isfinite(prior["prior"]["intercept" if form != "no intercept" else "weights"]).all()
        post = model.sample(draws=20, tune=50, chains=2, random_seed=1, progressbar=False)
        # The posterior of any engine serves: the free variables of a zero-sum Normal model are the coefficients.
        if form in ("labels", "counts", "whole weights") and model.priors.intercept_at == "zero":
            pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)
    expected = (40,) if form in ("labels", "intercept only", "no intercept") else (40, 3)
    assert prior["prior_predictive"]["y"].shape[2:] == expected


def test_posterior_predictive_from_our_draws() -> None:
    """With a raw zero-sum prior the coefficients *are* PyMC's random variables, so our draws feed its functions."""
    model = build("normal", "normal", "zero-sum")
    post = model.sample(draws=50, chains=2, random_seed=1, progressbar=False)
    with model.pymc_model:
        predicted = pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)
    frequencies = np.bincount(predicted["posterior_predictive"]["y"].values.ravel(), minlength=3) / (100 * 40)
    assert_allclose(frequencies, post.predict_proba(model.design.X).mean(), atol=0.05)


def test_new_data_can_be_set() -> None:
    model = build("normal", "normal", "zero-sum")
    X, y = simulate(7, 3, 3, seed=5)
    with model.pymc_model:
        pm.set_data({"X": X, "y_observed": y}, coords={"obs": np.arange(7)})
        drawn = pm.sample_prior_predictive(draws=3, random_seed=1)
    assert drawn["prior_predictive"]["y"].shape[2:] == (7,)


def test_graphviz(overlapping: bs.SoftmaxRegression) -> None:
    graph = pm.model_to_graphviz(overlapping.pymc_model)
    assert "weights" in graph.source
    assert "Categorical" in graph.source
