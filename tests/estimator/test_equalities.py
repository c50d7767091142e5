"""Numbers that are known otherwise: scikit-learn's estimates, repeated rows, the answers of the fit itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import bayes_softmax as bs
from tests.conftest import simulate

METHODS: dict[str, dict[str, Any]] = {
    "map": {},
    "mle": {"method": "mle"},
    "laplace": {"method": "laplace", "draws": 2000, "random_state": 1},
    "sample": {"method": "sample", "draws": 300, "random_state": 1},
}
FLAT = {"intercept_prior": bs.Flat()}


@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_coefficients_are_those_of_scikit_learn(load: Any, scale: float) -> None:
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(C=scale**2, solver="newton-cg", tol=1e-12, max_iter=10_000).fit(X, y)
    ours = bs.SoftmaxClassifier(bs.Normal(scale), **FLAT).fit(X, y)
    assert ours.coef_.shape == theirs.coef_.shape
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(("coding", "factor"), [("zero-sum", 2), ("full", 2), ("reference", 1)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_two_classes_are_those_of_scikit_learn(coding: str, factor: int, fit_intercept: bool) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(
        C=factor * 0.25, solver="newton-cholesky", tol=1e-12, max_iter=1000, fit_intercept=fit_intercept
    ).fit(X, y)
    prior = {"intercept_prior": bs.Flat()} if fit_intercept else {}
    ours = bs.SoftmaxClassifier(bs.Normal(0.5), coding=coding, fit_intercept=fit_intercept, **prior).fit(X, y)
    assert ours.coef_.shape == (1, X.shape[1])
    assert ours.intercept_.shape == (1,)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_weights_are_repeated_rows(method: str, n_classes: int) -> None:
    X, y = simulate(150, 3, n_classes)
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(np.arange(len(X)), weights)
    weighted = bs.SoftmaxClassifier(**METHODS[method]).fit(X, y, sample_weight=weights)
    again = bs.SoftmaxClassifier(**METHODS[method]).fit(X[repeated], y[repeated])
    exact = method in ("map", "mle")
    np.testing.assert_allclose(weighted.coef_, again.coef_, atol=1e-6 if exact else 0.1)
    np.testing.assert_allclose(weighted.predict_proba(X), again.predict_proba(X), atol=1e-6 if exact else 0.02)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_answers_agree_with_each_other_and_with_the_fit(method: str, n_classes: int) -> None:
    X, codes = simulate(120, 2, n_classes)
    y = np.array(["a", "b", "c"])[codes]
    classifier = bs.SoftmaxClassifier(**METHODS[method]).fit(X, y)
    P, D = classifier.predict_proba(X), classifier.decision_function(X)
    L = np.column_stack([np.zeros(len(D)), D]) if n_classes == 2 else D
    np.testing.assert_allclose(bs.softmax(L), P, atol=1e-12)
    np.testing.assert_allclose(classifier.predict_log_proba(X), np.log(P), atol=1e-9)
    np.testing.assert_array_equal(classifier.classes_[P.argmax(axis=1)], classifier.predict(X))
    np.testing.assert_array_equal(classifier.classes_[L.argmax(axis=1)], classifier.predict(X))
    np.testing.assert_allclose(classifier.result_.predict_proba(X).to_numpy(), P, atol=1e-9)
    assert classifier.score(X, y) == pytest.approx(classifier.result_.evaluate().accuracy)
    if method in ("map", "mle"):
        linear = X @ classifier.coef_.T + classifier.intercept_
        np.testing.assert_allclose(D, linear[:, 0] if n_classes == 2 else linear, atol=1e-10)
    assert classifier.n_iter_.shape == (1,)
    assert classifier.n_iter_[0] >= 1


def test_far_tails_keep_their_logarithms() -> None:
    X, y = load_iris(return_X_y=True)
    X, far = X[:, 2:3], np.array([[-2000.0], [2000.0]])  # the petals' length orders the species
    for method in ("map", "laplace", "sample"):
        classifier = bs.SoftmaxClassifier(**METHODS[method]).fit(X, y)
        logs = classifier.predict_log_proba(far)
        assert np.isfinite(logs).all()
        assert logs.min() < -800  # exp(-800) is 0 in double precision
        assert classifier.predict_proba(far).min() == 0
        assert classifier.predict(far).tolist() == [0, 2]


@pytest.mark.filterwarnings("ignore::bayes_softmax.NotReliableWarning")
def test_draws_repeat_by_random_state() -> None:
    X, y = simulate(60, 2, 3)

    def proba(state: Any, **options: Any) -> np.ndarray:
        settings = {"method": "sample", "draws": 50, "tune": 50, "engine": "nuts"} | options
        return bs.SoftmaxClassifier(random_state=state, **settings).fit(X, y).predict_proba(X)

    first = proba(3)
    np.testing.assert_array_equal(first, proba(3))
    np.testing.assert_array_equal(first, proba(3, n_jobs=2))
    np.testing.assert_array_equal(proba(np.random.RandomState(1)), proba(np.random.RandomState(1)))
    np.testing.assert_array_equal(proba(np.random.default_rng(1)), proba(np.random.default_rng(1)))
    assert not np.array_equal(first, proba(4))
    np.random.seed(0)  # noqa: NPY002
    by_global_state = proba(None)
    assert not np.array_equal(by_global_state, proba(None))
    np.random.seed(0)  # noqa: NPY002
    np.testing.assert_array_equal(by_global_state, proba(None))


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, np.asfortranarray])
def test_layouts_of_X_make_no_difference(layout: Any) -> None:
    X, y = simulate(80, 3, 3)
    X = np.where(np.abs(X) < 0.7, 0.0, X).astype(np.float32)
    plain, other = bs.SoftmaxClassifier().fit(X, y), bs.SoftmaxClassifier().fit(layout(X), y)
    np.testing.assert_allclose(other.coef_, plain.coef_, atol=1e-10)
    np.testing.assert_allclose(other.predict_proba(layout(X)), plain.predict_proba(X.astype(float)), atol=1e-10)


def test_labels_of_any_type_come_back_as_they_were() -> None:
    X, codes = simulate(60, 2, 3)
    for labels in (["a", "b", "c"], [3, 5, 9], [-1.0, 0.0, 1.0], np.array([1, 2, 300], dtype=np.int16)):
        y = np.asarray(labels)[codes]
        for given in (y, pd.Series(y, name="kind"), pd.Series(y).astype("category"), y.tolist()):
            classifier = bs.SoftmaxClassifier().fit(X, given)
            assert set(classifier.predict(X)) <= set(y)
            assert classifier.predict(X).dtype == classifier.classes_.dtype
            np.testing.assert_array_equal(classifier.classes_.astype(y.dtype), np.unique(y))
    two = bs.SoftmaxClassifier().fit(X, codes > 0)
    assert two.predict(X).dtype == bool
    assert two.result_.classes == (False, True)


def test_the_fit_keeps_names_and_gives_its_answers() -> None:
    frame, y = load_iris(return_X_y=True, as_frame=True)
    classifier = bs.SoftmaxClassifier(random_state=1, method="laplace").fit(frame, y)
    fit = classifier.result_
    assert isinstance(fit, bs.Posterior)
    assert fit._fitted.schema.response_name == "target"
    assert fit.feature_names == tuple(frame.columns) == tuple(classifier.coef_names_)
    assert fit.loo().elpd < 0
    assert len(fit.effects()) > 0
    assert isinstance(bs.SoftmaxClassifier().fit(frame, y).result_.summary(), pd.DataFrame)


def test_draws_that_disagree_are_told() -> None:
    X, y = load_iris(return_X_y=True)
    short = {"draws": 200, "tune": 3, "chains": 2, "engine": "nuts", "random_state": 1}
    with pytest.warns(bs.NotReliableWarning, match="the draws are not reliable: the chains disagree, with R-hat"):
        bs.SoftmaxClassifier(method="sample", **short).fit(X, y)
