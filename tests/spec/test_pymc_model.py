"""The ``pm.Model``: readable, labelled, and usable with PyMC's own functions."""

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose
from pytensor import function
from scipy import stats

import bayes_softmax as bs
from bayes_softmax.spec.pymc_priors import free_variables
from tests.cases import all_cases, build
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
def test_prior_predictive(form: str) -> None:
    model = build("default", "default", "zero-sum", form)
    with model.pymc_model:
        prior = pm.sample_prior_predictive(draws=20, random_seed=1)
    expected = (40,) if form in ("labels", "intercept only", "no intercept") else (40, 3)
    assert prior["prior_predictive"]["y"].shape[2:] == expected


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: " / ".join(case))
def test_posteriors_carry_every_random_variable(case: tuple[str, str, str, str]) -> None:
    """Names, shapes and values: PyMC's own deterministics of them are our coefficients again."""
    model = build(*case)
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(1, model._spec.coordinates.dimension))
    parameters = {name: values[0] for name, values in model._spec.coordinates.to_parameters(theta).items()}
    values = free_variables(model._spec.priors, model._spec.coordinates, parameters) | parameters
    pymc = model.pymc_model
    random = {rv.name: rv for rv in pymc.free_RVs}
    assert set(random) <= set(values)
    names = [name for name in ("intercept", "weights") if name in pymc.named_vars]
    compute = function(
        list(random.values()), [pymc[name] for name in names], mode="FAST_COMPILE", on_unused_input="ignore"
    )
    for name, found in zip(names, compute(*(values[name] for name in random)), strict=True):
        assert_allclose(found, values[name], rtol=1e-8, atol=1e-8 * np.abs(values[name]).max())


@pytest.mark.parametrize("prior", [None, bs.StudentT(4, 1.0)], ids=["default", "student"])
def test_posterior_predictive_is_from_the_posterior(prior: object) -> None:
    """One class in twenty: the prior says a half.  Share within 0.03, over six standard errors of 200 x 400 draws."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 1)) + 3, (rng.random(400) < 0.05).astype(int)
    model = bs.SoftmaxRegression(X, y, prior=prior)
    post = model.sample(draws=100, chains=2, random_seed=1, progressbar=False)
    with model.pymc_model:
        predicted = pm.sample_posterior_predictive(post.idata, progressbar=False, random_seed=1)
    share = predicted["posterior_predictive"]["y"].values.mean()
    assert_allclose(share, post.predict_proba(X)[1].mean(), atol=0.03)
    assert_allclose(share, y.mean(), atol=0.04)


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


def test_spherical_laplace_prior_predictive_has_gamma_radii() -> None:
    """Radius of ``g`` over b is Gamma(k), its direction uniform (seed 0; two tests at level 1e-4)."""
    X, y = simulate(20, 2, 4)
    model = bs.SoftmaxRegression(X, y, prior={"x0": bs.Laplace(0.5), "x1": bs.Laplace(2.0)})
    with model.pymc_model:
        weights = pm.sample_prior_predictive(draws=2000, random_seed=0)["prior"]["weights"].values[0]
    assert_allclose(weights.sum(axis=-1), 0, atol=1e-12)
    g = weights @ model._spec.coordinates.weights_contrast / np.array([0.5, 2.0])[:, None]
    radii = np.linalg.norm(g, axis=-1)
    assert stats.kstest(radii.ravel(), stats.gamma(3).cdf).pvalue > 1e-4
    height = g[..., 0] / radii  # uniform on [-1, 1] for a uniform direction in three dimensions (Archimedes)
    assert stats.kstest(height.ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-4
