"""Jeffreys' prior: Firth's estimate against a published table, an independent two-class fit, and invariances."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris

import bayes_softmax as bs
from bayes_softmax.inference.scoring import scoring
from tests.conftest import simulate
from tests.density.test_kernel import stencil
from tests.inference.gaussian import Gaussian

FEATURES = [
    "intercept", "Infl[T.Medium]", "Infl[T.High]", "Type[T.Apartment]", "Type[T.Atrium]", "Type[T.Terrace]",
    "Cont[T.High]",
]  # fmt: skip
# Published maximum penalised likelihood of the housing data (Venables and Ripley, 2002, section 7.3), base Low.
PUBLISHED = {
    "Medium": (-0.41687, 0.44413, 0.66149, -0.43385, 0.13005, -0.66200, 0.35873),
    "High": (-0.13851, 0.73136, 1.60325, -0.73136, -0.40671, -1.40361, 0.47923),
}


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_published_housing_table(housing: pd.DataFrame, coding: str) -> None:
    model = bs.SoftmaxRegression.from_formula(
        "Sat ~ Infl + Type + Cont", housing, weights="Freq", prior=bs.Jeffreys(), coding=coding
    )
    found = model.map()
    assert found.converged
    assert found.gradient_norm < 1e-10
    table = found.summary(vs="Low")["estimate"].unstack("contrast").loc[FEATURES]
    for label, expected in PUBLISHED.items():
        assert_allclose(table[f"{label} vs Low"], expected, atol=5.1e-6)


def firth_logistic(X: np.ndarray, y: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
    """Firth's modified scores for two classes (1993, section 3), by scoring: X'(y - p + h (1/2 - p)) = 0."""
    beta = np.zeros(X.shape[1])
    for _ in range(500):
        p = 1 / (1 + np.exp(-X @ beta - offset))
        inverse = np.linalg.inv(X.T @ (X * (p * (1 - p))[:, None]))
        h = np.einsum("ij,jk,ik->i", X, inverse, X) * p * (1 - p)
        beta = beta + inverse @ X.T @ (y - p + h * (0.5 - p))
    return beta


@pytest.mark.parametrize("separated", [False, True])
def test_two_classes_equal_firths_modified_scores(separated: bool) -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int) if separated else (X[:, 0] + rng.logistic(size=40) > 0).astype(int)
    offset = np.zeros((40, 2))
    offset[:, 1] = 0.0 if separated else rng.normal(size=40)
    found = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), offset=offset).map()
    assert found.converged
    design = np.column_stack([np.ones(40), X])
    beta = firth_logistic(design, y, offset[:, 1])
    summary = found.summary(vs=0)
    assert_allclose(summary["estimate"], beta, rtol=1e-6)
    p = 1 / (1 + np.exp(-design @ beta - offset[:, 1]))
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
    assert_allclose(summary["std_error"], errors, rtol=1e-6)


def test_intercept_only_is_half_a_unit_for_each_class() -> None:
    """For one multinomial Jeffreys' prior is Dirichlet(1/2), and its mode in the logits adds 1/2 to each count."""
    counts = np.array([[7.0, 2.0, 0.0, 1.0]])
    model = bs.SoftmaxRegression(np.empty((1, 0)), counts, prior=bs.Jeffreys())
    probabilities = model.map().predict_proba(np.empty((1, 0))).to_numpy()[0]
    assert_allclose(probabilities, (counts[0] + 0.5) / 12, rtol=1e-8)


@pytest.mark.parametrize("form", ["labels", "counts and weights", "offset", "no intercept", "two classes"])
@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_gradient_equals_stencils(coding: str, form: str) -> None:
    rng = np.random.default_rng(1)
    X, y = simulate(50, 3, 2 if form == "two classes" else 4)
    options: dict = {"prior": bs.Jeffreys(), "coding": coding, "intercept": form != "no intercept"}
    if form == "counts and weights":
        y, options["weights"] = rng.integers(0, 4, size=(50, 4)), rng.uniform(0.0, 2.0, size=50)
    if form == "offset":
        options["offset"] = rng.normal(size=(50, 4))
    X = X + 1 if form == "no intercept" else X * [1e-3, 1, 1e4] + 2
    density = bs.SoftmaxRegression(X, y, **options).log_density
    theta = 0.5 * rng.normal(size=density.dimension)
    value, gradient = density.value_gradient(theta)
    assert value == pytest.approx(density.value(theta), rel=1e-13)
    assert_allclose(gradient, stencil(density.value, theta), rtol=1e-7, atol=1e-7 * np.abs(gradient).max())
    _, slope = np.linalg.slogdet(density.hessian(theta))
    assert density.log_prior(theta) == pytest.approx(0.5 * slope - density.likelihood.coordinates.log_jacobian)


def test_separated_iris_is_finite_and_stationary() -> None:
    """The maximum-likelihood estimate is infinite; Firth's is certified, and no step from it raises the objective."""
    X, y = load_iris(return_X_y=True)
    model = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys())
    assert model.check_separation().separated
    found = model.map()
    assert found.converged
    assert found.gradient_norm < 1e-8
    assert float(np.abs(found.weights).max()) < 20
    assert np.isfinite(found.std_error["weights"]).all()
    density = model.log_density
    theta = density.coordinates.from_raw(found.intercept.values, found.weights.values)
    best = density.value(theta)
    assert best == pytest.approx(found.log_posterior, rel=1e-10)
    around = np.random.default_rng(0).normal(size=(200, density.dimension))
    assert all(density.value(theta + size * u) < best for u in around for size in (1e-3, 1.0))


def test_estimate_does_not_depend_on_coding_labels_units_or_grouping() -> None:
    X, y = simulate(60, 2, 3)
    base = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys()).map()
    expected = base.predict_proba(X)[[0, 1, 2]]
    for options in ({"coding": "reference"}, {"classes": [2, 0, 1]}, {"coding": "reference", "classes": [1, 2, 0]}):
        other = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), **options).map()
        assert_allclose(other.predict_proba(X)[[0, 1, 2]], expected, rtol=1e-7)
    units = bs.SoftmaxRegression(X * [1e-4, 1e4] + 7, y, prior=bs.Jeffreys()).map()
    assert_allclose(units.predict_proba(X * [1e-4, 1e4] + 7), expected, rtol=1e-6)
    twice = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), weights=np.full(60, 2.0)).map()
    rows = np.repeat(np.arange(60), 2)
    repeated = bs.SoftmaxRegression(X[rows], y[rows], prior=bs.Jeffreys(), collapse=False).map()
    assert_allclose(twice.weights, repeated.weights, rtol=1e-7)


def test_bias_is_smaller_than_maximum_likelihoods() -> None:
    """200 samples of N = 60 (seed 0): the mean slope of Firth's estimates is within 3 standard errors of the truth."""
    rng = np.random.default_rng(0)
    slopes: dict[str, list[float]] = {"firth": [], "mle": []}
    for _ in range(200):
        X = rng.normal(size=(60, 1))
        y = (1.0 * X[:, 0] + rng.logistic(size=60) > 0).astype(int)
        model = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), coding="reference")
        slopes["firth"].append(model.map().weights.values[0, 1])
        slopes["mle"].append(model.mle().weights.values[0, 1])
    error = np.std(slopes["firth"]) / np.sqrt(200)
    assert abs(np.mean(slopes["firth"]) - 1.0) < 3 * error
    assert np.mean(slopes["mle"]) - 1.0 > 2 * abs(np.mean(slopes["firth"]) - 1.0)


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
def test_other_solvers_find_the_same(solver: str) -> None:
    X, y = simulate(80, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys())
    assert_allclose(model.map(solver=solver).weights, model.map().weights, atol=1e-6)


def test_scoring_finds_a_gaussian_optimum() -> None:
    target = Gaussian.random(6)
    mode = scoring(target, np.zeros(6))
    assert mode.converged
    assert_allclose(mode.theta, target.mean, atol=1e-8)


def test_an_empty_class_is_finite_and_collinear_columns_are_named() -> None:
    X, y = simulate(60, 2, 3)
    assert bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), classes=[0, 1, 2, 3]).map().converged
    collinear = bs.SoftmaxRegression(np.column_stack([X, X.sum(axis=1)]), y, prior=bs.Jeffreys())
    with pytest.warns(bs.NotConvergedWarning, match="linear combinations of the others"):
        assert not collinear.map().converged


def test_what_it_is_not_for_is_refused() -> None:
    X, y = simulate(30, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys())
    for use in (model.sample, model.laplace, model.forecast, lambda: model.sample(engine="pymc")):
        with pytest.raises(ValueError, match=r"prior=Jeffreys\(\) is for map\(\)"):
            use()
    with pytest.raises(ValueError, match=r"prior=Jeffreys\(\) has no pm.Model"):
        _ = model.pymc_model
    with pytest.raises(ValueError, match=r"needs coding='zero-sum' or 'reference'.*Fisher information is singular"):
        bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), coding="full")
    with pytest.raises(ValueError, match=r"beside prior=Jeffreys\(\).*leave intercept_prior at None"):
        bs.SoftmaxRegression(X, y, prior=bs.Jeffreys(), intercept_prior=bs.Normal(1.0))
    with pytest.raises(ValueError, match=r"intercept_prior=Jeffreys\(\).*pass prior=Jeffreys\(\)"):
        bs.SoftmaxRegression(X, y, intercept_prior=bs.Jeffreys())
    with pytest.raises(ValueError, match=r"prior\['x0'\]=Jeffreys\(\).*pass prior=Jeffreys\(\)"):
        bs.SoftmaxRegression(X, y, prior={"x0": bs.Jeffreys()})


def test_description_and_maximum_likelihood_beside_it() -> None:
    X, y = simulate(60, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Jeffreys())
    table = model.describe_prior()
    assert (table["prior"] == "Jeffreys()").all()
    assert (table["measured"] == "all coefficients together").all()
    assert not table["autoscaled"].any()
    plain = bs.SoftmaxRegression(X, y, prior=bs.Flat(), intercept_prior=bs.Flat())
    assert_allclose(model.mle().weights, plain.map().weights, rtol=1e-8)
