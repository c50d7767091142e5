"""Offsets and choice sets, as columns of X that travel with the rows through pipelines and folds."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayes_softmax as bs
from tests.conftest import simulate

ON = {"a": "on_a", "b": "on_b", "c": "on_c"}
OFFSET = ["plus_a", "plus_b", "plus_c"]
METHODS: dict[str, dict[str, Any]] = {"map": {}, "laplace": {"method": "laplace", "draws": 300, "random_state": 1}}


def journeys(n_classes: int = 3, *, factors: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    """Two features, an offset and a choice set; with ``factors``, a column of text too."""
    X, codes = simulate(150, 2, n_classes)
    rng = np.random.default_rng(1)
    letters = "abc"[:n_classes]
    on = rng.random((150, n_classes)) < 0.7
    on[np.arange(150), codes] = True
    frame = pd.DataFrame(X, columns=["x", "z"], index=range(7, 157))
    if factors:
        frame["town"] = np.where(X[:, 0] * X[:, 1] > 0, "hill", "lake")
    frame[[f"plus_{c}" for c in letters]] = rng.normal(size=(150, n_classes))
    frame[[f"on_{c}" for c in letters]] = on
    return frame, np.array(list(letters))[codes]


@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_named_columns_are_those_of_the_model(method: str, n_classes: int, factors: bool) -> None:
    frame, y = journeys(n_classes, factors=factors)
    on = {c: ON[c] for c in "abc"[:n_classes]}
    offset = OFFSET[:n_classes]
    classifier = bs.SoftmaxClassifier(offset=offset, available=on, **METHODS[method]).fit(frame, y)
    features = ["x", "z", "town"] if factors else ["x", "z"]
    model = bs.SoftmaxRegression.from_formula(
        f"y ~ {' + '.join(features)}", frame.assign(y=y), offset=offset, available=on
    )
    fit = model.map() if method == "map" else model.laplace(300, random_seed=1, progressbar=False)
    P = classifier.predict_proba(frame)
    np.testing.assert_allclose(P, fit.predict_proba(frame).to_numpy(), atol=1e-9)
    np.testing.assert_array_equal(P == 0, ~frame[list(on.values())].to_numpy())
    assert tuple(classifier.coef_names_) == fit.feature_names
    assert classifier.n_features_in_ == frame.shape[1]
    D = classifier.decision_function(frame)
    L = np.column_stack([np.zeros(len(D)), D]) if n_classes == 2 else D
    finite = np.isfinite(L).all(axis=1)
    np.testing.assert_allclose(bs.softmax(L[finite]), P[finite], atol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[L.argmax(axis=1)], classifier.predict(frame))
    assert (np.isneginf(classifier.predict_log_proba(frame)) == (P == 0)).all()


def test_they_travel_through_folds_grids_and_transformers() -> None:
    frame, y = journeys(factors=True)
    classifier = bs.SoftmaxClassifier(offset=OFFSET, available=list(ON.values()))
    P = cross_val_predict(classifier, frame, y, method="predict_proba")
    assert (P[~frame[list(ON.values())].to_numpy()] == 0).all()
    search = GridSearchCV(classifier, {"prior": [bs.Normal(0.1), bs.Normal(2)]}, scoring="neg_log_loss").fit(frame, y)
    assert search.best_score_ > -1.0
    scale = make_column_transformer(
        (StandardScaler(), ["x", "z"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    assert make_pipeline(scale, classifier).fit(frame, y).score(frame, y) > 0.5


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("available", ["on_a", "on_b"], "available names 2 columns; it needs one for each of 3 classes"),
        ("available", ["on_a", "on_b", "on_d"], "available: X has no column 'on_d'; did you mean 'on_"),
        ("offset", np.zeros((150, 3)), r"offset=.* must name columns of X"),
        ("offset", {"a": "plus_a", "b": "plus_b", "d": "plus_c"}, "offset has a column for 'd', which is no class"),
        ("offset", "plus_a", r"offset='plus_a' must name columns of X"),
    ],
)
def test_what_cannot_be_used_is_named(parameter: str, value: Any, message: str) -> None:
    frame, y = journeys()
    with pytest.raises((ValueError, TypeError), match=message):
        bs.SoftmaxClassifier(**{parameter: value}).fit(frame, y)


def test_an_array_has_no_names() -> None:
    frame, y = journeys()
    with pytest.raises(TypeError, match="offset names the columns 'plus_a', 'plus_b', 'plus_c', but X is not a data"):
        bs.SoftmaxClassifier(offset=OFFSET).fit(frame.to_numpy(float), y)
    classifier = bs.SoftmaxClassifier(offset=OFFSET).fit(frame, y)
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(TypeError, match="X must be a data frame with the columns of the fit, 'x', 'z', 'plus_a'"),
    ):
        classifier.predict(frame.to_numpy(float))
