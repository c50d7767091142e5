"""The estimator with groups: columns of X, cross-validation over levels, clones, and what cannot be used."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

import bayes_softmax as bs
from tests.answers.test_group_loo import frame

DATA = frame()
X, Y = DATA[["x", "g"]], DATA["y"]


@pytest.fixture(scope="module")
def fitted() -> bs.SoftmaxClassifier:
    return bs.SoftmaxClassifier(groups="g").fit(X, Y)


def test_it_is_the_model_with_groups(fitted) -> None:
    made = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", DATA).map()
    np.testing.assert_allclose(fitted.predict_proba(X), made.predict_proba(DATA), rtol=1e-6)
    assert fitted.coef_names_.tolist() == ["x"]
    np.testing.assert_allclose(fitted.coef_, made.weights.values.T, rtol=1e-5)
    assert fitted.result_._fitted.schema.groups[0].n_levels == 20


def test_levels_that_the_fit_has_not_seen(fitted) -> None:
    others = X.assign(g=99)
    with pytest.raises(ValueError, match="level 99"):
        fitted.predict(others)
    averaged = clone(fitted).set_params(levels="average").fit(X, Y)
    expected = fitted.result_.predict_proba(others, levels="average")
    np.testing.assert_allclose(averaged.predict_proba(others), expected, rtol=1e-6)
    assert averaged.decision_function(others).shape == (80, 3)
    scores = cross_val_score(
        averaged, X, Y, groups=DATA["g"], cv=GroupKFold(2), scoring="neg_log_loss", error_score="raise"
    )
    assert np.isfinite(scores).all()


def test_grids_search_over_priors_of_groups() -> None:
    grid = {"group_prior": [None, bs.GroupNormal(bs.HalfNormal(0.1), covariance="exchangeable")]}
    model = bs.SoftmaxClassifier(groups=["g"], levels="average")
    found = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, Y)
    assert found.best_params_["group_prior"] in grid["group_prior"]


def test_text_and_groups_go_together() -> None:
    both = X.assign(s=np.where(DATA.x > 0, "u", "v"), g=[f"person {g}" for g in DATA.g])
    found = bs.SoftmaxClassifier(groups="g").fit(both, Y)
    assert found.coef_names_.tolist() == ["x", "s[T.v]"]
    alone = bs.SoftmaxClassifier(groups="g").fit(both[["g"]], Y)
    assert alone.coef_.shape == (3, 0)
    assert alone.predict_proba(both[["g"]]).shape == (80, 3)


@pytest.mark.parametrize(
    ("options", "data", "words"),
    [
        ({"groups": "h"}, X, "no column 'h'"),
        ({"groups": 3}, X, "must name columns of X"),
        ({"groups": "g"}, X.to_numpy(), "X is not a data frame"),
        ({"groups": []}, X, "must name columns of X"),
        ({"group_prior": bs.GroupNormal()}, X, "the model has no groups"),
        ({"groups": "g", "group_prior": bs.Normal(1)}, X, "must be GroupNormal"),
        ({"groups": "g"}, X.assign(g=X.g.where(X.g > 0)), "missing"),
        ({"groups": "g", "logits": bs.MLP(hidden=3)}, X, "added to linear logits"),
    ],
)
def test_what_cannot_be_used_is_said(options, data, words) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        bs.SoftmaxClassifier(**options).fit(data, Y)


def test_an_unknown_choice_of_levels_is_named(fitted) -> None:
    with pytest.raises(ValueError, match="levels='newest' is not known"):
        clone(fitted).set_params(levels="newest").fit(X, Y)
