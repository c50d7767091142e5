"""Point estimates: labels, standard errors, contrasts, and predictions with intervals."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate


def test_labels_and_scores(overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    mle = overlapping.mle()
    assert mle.weights.dims == ("feature", "category")
    assert list(mle.weights.category.values) == ["Adelie", "Chinstrap", "Gentoo"]
    assert list(mle.weights.feature.values) == ["bill_length_mm", "sex[T.male]"]
    logits = mle.intercept.values + overlapping._spec.design.X @ mle.weights.values
    y = overlapping._spec.design.response.codes
    assert_allclose(mle.log_likelihood, bs.log_likelihood(logits, y), rtol=1e-12)
    assert_allclose(mle.cross_entropy, bs.cross_entropy(logits, y), rtol=1e-12)
    assert_allclose(mle.predict_proba(penguins), bs.softmax(logits), rtol=1e-12)
    assert mle.log_prior == 0
    assert mle.converged
    assert "converged" in repr(mle)
    assert list(mle.predict(penguins)) == [mle.classes[k] for k in logits.argmax(axis=1)]


def test_standard_errors_are_those_of_the_inverse_observed_information() -> None:
    """Against the textbook: covariance of the reference-coded weights by finite differences of the gradient."""
    X, y = simulate(150, 2, 3)
    mle = bs.SoftmaxRegression(X, y, coding="reference").mle()
    X1 = np.column_stack([np.ones(150), X])
    W = np.vstack([mle.intercept.values, mle.weights.values])

    def gradient(free: np.ndarray) -> np.ndarray:
        full = np.column_stack([np.zeros(3), free.reshape(3, 2)])
        return 150 * bs.cross_entropy_gradient(X1, full, y)[:, 1:].ravel()

    free, h = W[:, 1:].ravel(), 1e-5
    H = np.array([(gradient(free + h * e) - gradient(free - h * e)) / (2 * h) for e in np.eye(6)])
    expected = np.sqrt(np.diag(np.linalg.inv(H))).reshape(3, 2)
    error = np.vstack([mle.std_error["intercept"].values, mle.std_error["weights"].values])
    assert_allclose(error[:, 1:], expected, rtol=1e-6)
    assert_allclose(error[:, 0], 0, atol=1e-12)


def test_contrasts_are_views_of_one_fit(overlapping: bs.SoftmaxRegression) -> None:
    mle = overlapping.mle()
    against = mle.summary(vs="Chinstrap")
    pair = mle.summary(vs=("Gentoo", "Chinstrap"))
    assert against.index.names == ["feature", "contrast"]
    assert_allclose(
        against.xs("Gentoo vs Chinstrap", level="contrast"),
        pair.xs("Gentoo vs Chinstrap", level="contrast"),
        rtol=1e-9,
    )
    average = mle.summary(vs="average", ci_prob=0.9)
    assert list(average.columns) == ["estimate", "std_error", "wald90_lb", "wald90_ub"]
    assert_allclose(average["estimate"].unstack().sum(axis=1), 0, atol=1e-9)
    with pytest.raises(ValueError, match="vs='Adelle' is not a class; did you mean 'Adelie'"):
        mle.summary(vs="Adelle")


def test_covariance_is_a_labelled_frame(overlapping: bs.SoftmaxRegression) -> None:
    mle = overlapping.mle()
    error = mle.std_error["weights"].sel(feature="bill_length_mm", category="Gentoo").item()
    key = ("bill_length_mm", "Gentoo")
    assert_allclose(mle.covariance.loc[key, key], error**2, rtol=1e-12)


def test_delta_intervals_match_simulation_from_the_normal_approximation() -> None:
    """20 000 draws of N(estimate, covariance): ends of 80 % intervals within 0.015, about 4 standard errors."""
    X, y = simulate(800, 2, 3)
    mle = bs.SoftmaxRegression(X, y).mle()
    rng = np.random.default_rng(0)
    flat = np.vstack([mle.intercept.values, mle.weights.values]).ravel()
    draws = rng.multivariate_normal(flat, mle._fitted.raw_covariance.reshape(9, 9), size=20_000).reshape(-1, 3, 3)
    p = bs.softmax(np.einsum("ni,sik->nsk", np.column_stack([np.ones(5), X[:5]]), draws))
    low, high = np.quantile(p, [0.1, 0.9], axis=1)
    table = mle.predict_proba(X[:5], ci_prob=0.8)
    assert_allclose(table.xs("wald80_lb", axis=1, level="statistic"), low, atol=0.015)
    assert_allclose(table.xs("wald80_ub", axis=1, level="statistic"), high, atol=0.015)


def test_predictions_keep_the_index(overlapping: bs.SoftmaxRegression, penguins: pd.DataFrame) -> None:
    new = penguins.iloc[[5, 3]].set_axis(["first", "second"])
    table = overlapping.map().predict_proba(new)
    assert list(table.index) == ["first", "second"]
    assert list(table.columns) == ["Adelie", "Chinstrap", "Gentoo"]
    assert table.columns.name == "species"
    assert list(overlapping.map().predict(new).index) == ["first", "second"]


def test_map_between_prior_and_mle() -> None:
    X, y = simulate(100, 2, 3)
    weights = [
        np.abs(bs.SoftmaxRegression(X, y, prior=bs.Normal(s), intercept_prior=bs.Flat()).map().weights.values).max()
        for s in (1e-3, 0.1, 1.0, 1e3)
    ]
    assert np.all(np.diff(weights) > 0)
    assert_allclose(weights[-1], np.abs(bs.SoftmaxRegression(X, y).mle().weights.values).max(), rtol=1e-4)


def test_describe_prior_names_scales_and_logit_sds(overlapping: bs.SoftmaxRegression) -> None:
    table = overlapping.describe_prior()
    assert list(table.index) == ["intercept", "bill_length_mm", "sex[T.male]"]
    sex = (overlapping._spec.design.X[:, 1].std() / 0.5) ** 2  # nearly balanced: 0.99996
    assert_allclose(table.loc["bill_length_mm", "logit_sd"], 2 / np.sqrt(1 + sex))
    assert table["autoscaled"].all()
