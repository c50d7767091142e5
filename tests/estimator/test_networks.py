"""Networks as scikit-learn estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import bayes_softmax as bs

X, y = make_moons(120, noise=0.25, random_state=0)


def classifier(**options) -> bs.SoftmaxClassifier:
    return bs.SoftmaxClassifier(**{"logits": bs.MLP(4), "restarts": 1} | options)


@pytest.fixture(autouse=True)
def arrays_of_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it scikit-learn skips its check of array namespaces."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@parametrize_with_checks([classifier(logits=bs.MLP(2, skip=True), prior=bs.Normal(1))])
def test_checks_of_scikit_learn(estimator, check) -> None:
    """But for weights as repeated rows of more features than rows, where starts may lead to other modes."""
    if "sample_weight_equivalence" in getattr(check, "func", check).__name__:
        pytest.skip("local optima: tested below from the same starts")
    check(estimator)


def test_it_is_the_model() -> None:
    found = classifier().fit(X, y)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(4), constant="drop").map(restarts=1)
    assert_allclose(found.predict_proba(X), model.predict_proba(X), rtol=1e-12)
    assert_allclose(found.decision_function(X), np.diff(np.log(model.predict_proba(X)), axis=1)[:, 0], atol=1e-9)
    assert found.score(X, y) > classifier(logits=None).fit(X, y).score(X, y)
    assert found.n_iter_.shape == (1,)


def test_weights_are_repeated_rows_from_the_same_starts() -> None:
    weights = np.tile([1.0, 2.0, 0.0], 40)
    rows = np.repeat(np.arange(120), weights.astype(int))
    first, second = classifier().fit(X, y, weights), classifier().fit(X[rows], y[rows])
    assert_allclose(first.predict_proba(X), second.predict_proba(X), atol=1e-5)


def test_it_is_cloned_pickled_and_chosen_from_a_grid() -> None:
    estimator = classifier(prior={"hidden_1": bs.Normal(1)}, random_state=3)
    again = clone(estimator)
    assert again.get_params() == estimator.get_params()
    assert again.set_params(logits=bs.MLP(3, "relu")).logits == bs.MLP(3, "relu")
    fitted = estimator.fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(clone(estimator).fit(X, y).predict_proba(X), fitted.predict_proba(X))
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"softmaxclassifier__logits": [None, bs.MLP(4), bs.MLP(4, "softplus")]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_["softmaxclassifier__logits"] is not None


def test_it_has_no_coefficients_and_says_so() -> None:
    found = classifier(logits=None).fit(X, y)
    assert found.coef_.shape == (1, 2)
    found.set_params(logits=bs.MLP(2)).fit(X, y)
    for name in ("coef_", "intercept_", "coef_names_"):
        with pytest.raises(AttributeError, match="the logits are not linear, so there are no coefficients"):
            getattr(found, name)
    with pytest.raises(AttributeError, match="call fit"):
        _ = classifier().coef_


def test_draws_of_a_frame_with_factors() -> None:
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(g=np.where(X[:, 0] > 0.5, "u", "v"))
    found = classifier(method="sample", layers="last", draws=60, tune=60, chains=2, random_state=1, engine="nuts")
    found.fit(frame, np.array(["no", "yes"])[y])
    assert found.result_.engine.startswith("last layer by nuts")
    assert_allclose(found.predict_proba(frame).sum(axis=1), 1.0)
    with pytest.raises(ValueError, match="layers='last' is for the logits of a network"):
        classifier(method="sample", layers="last", logits=None).fit(X, y)
