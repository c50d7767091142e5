"""Data frames: factors are dummy-coded, constant columns left out, and errors name column and row."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import bayes_softmax as bs
from tests.conftest import simulate

FORMULA = "species ~ bill_length_mm + island + sex + body_mass_g"
COLUMNS = ["bill_length_mm", "island", "sex", "body_mass_g"]


def test_a_frame_with_factors_is_the_formula_of_its_columns(penguins: pd.DataFrame) -> None:
    X, y = penguins[COLUMNS], penguins["species"]
    classifier = bs.SoftmaxClassifier().fit(X, y)
    fit = bs.SoftmaxRegression.from_formula(FORMULA, penguins).map()
    np.testing.assert_allclose(classifier.predict_proba(X), fit.predict_proba(penguins).to_numpy(), atol=1e-12)
    np.testing.assert_allclose(classifier.coef_.T, fit.weights.values, atol=1e-12)
    assert tuple(classifier.coef_names_) == fit.feature_names
    assert classifier.n_features_in_ == 4
    assert classifier.feature_names_in_.tolist() == COLUMNS
    assert classifier.result_._fitted.schema.response_name == "species"


@pytest.mark.parametrize("kind", ["object", "category", "string", "polars", "polars Enum"])
def test_kinds_of_text_columns(penguins: pd.DataFrame, kind: str) -> None:
    X, y = penguins[COLUMNS], penguins["species"].astype(str)
    expected = bs.SoftmaxClassifier().fit(X, y).predict_proba(X)
    given: Any = X.copy()
    if kind.startswith("polars"):
        given = pl.from_pandas(X.astype({"island": str, "sex": str}))
        if kind == "polars Enum":
            given = given.with_columns(pl.col("island").cast(pl.Enum(sorted(given["island"].unique()))))
    else:
        given = given.astype({"island": kind, "sex": kind})
    classifier = bs.SoftmaxClassifier().fit(given, y)
    np.testing.assert_allclose(classifier.predict_proba(given), expected, atol=1e-10)
    assert classifier.feature_names_in_.tolist() == COLUMNS


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_awkward_names_and_numbers_as_objects(fit_intercept: bool) -> None:
    X, y = simulate(90, 2, 3)
    names = ["y", "a b", "class", "1st", "x:z", "y_", "é~+"]
    frame = pd.DataFrame(np.column_stack([X, X**2, X**3, X[:, :1] * X[:, 1:]]), columns=names).astype(object)
    frame["_g h"] = np.where(X[:, 0] > 0, "$p$", "q`")
    classifier = bs.SoftmaxClassifier(fit_intercept=fit_intercept).fit(frame, y)
    assert classifier.coef_.shape[1] == len(classifier.coef_names_)
    assert classifier.coef_names_[: len(names)].tolist() == names
    assert (classifier.intercept_ != 0).all() == fit_intercept
    assert classifier.score(frame, y) > 0.4


def test_booleans_beside_numbers_are_numbers() -> None:
    X, y = simulate(60, 2, 3)
    frame = pd.DataFrame({"a": X[:, 0], "flag": X[:, 1] > 0, "null": pd.array([1, 2, 3] * 20, dtype="Int64")})
    classifier = bs.SoftmaxClassifier().fit(frame, y)
    assert classifier.coef_names_.tolist() == ["a", "flag", "null"]
    np.testing.assert_allclose(classifier.predict_proba(frame), classifier.predict_proba(frame.astype(float)))


def test_errors_name_column_row_and_level(penguins: pd.DataFrame) -> None:
    X, y = penguins[COLUMNS], penguins["species"]
    classifier = bs.SoftmaxClassifier().fit(X, y)
    unseen = X.astype({"island": str})
    unseen.loc[7, "island"] = "Dreem"
    with pytest.raises(ValueError, match=r"'island'.*'Dreem' in row 7.*did you mean 'Dream'"):
        classifier.predict(unseen)
    missing = X.copy()
    missing.loc[4, "sex"] = None
    for call in (classifier.predict, lambda frame: bs.SoftmaxClassifier().fit(frame, y)):
        with pytest.raises(ValueError, match=r"column 'sex' is NaN, a missing value, in row 4; fill it"):
            call(missing)
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(X.rename(columns={"sex": "gender"}))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[333, 3\]"):
        bs.SoftmaxClassifier().fit(X, y[:3])
    with pytest.raises(ValueError, match=re.escape("column 'a`b' has no name that a formula can quote")):
        bs.SoftmaxClassifier().fit(X.rename(columns={"sex": "a`b"}), y)
    with pytest.raises(ValueError, match="X has 2 columns named 'sex'; names must be unique"):
        bs.SoftmaxClassifier().fit(X.rename(columns={"island": "sex"}), y)
    for call in (lambda: classifier.predict(X[:0]), lambda: bs.SoftmaxClassifier().fit(X[:0], y[:0])):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\): X has no rows"):
            call()
    numeric = bs.SoftmaxClassifier().fit(X[["body_mass_g"]], y)
    for wrong in ("heavy", pd.Timestamp("2020-01-01")):
        with pytest.raises(TypeError, match=r"new X: column 'body_mass_g' .*expected"):
            numeric.predict(X[["body_mass_g"]].assign(body_mass_g=wrong))
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(
            TypeError, match="X must be a data frame with the columns of the fit, 'bill_length_mm', 'island'"
        ),
    ):
        classifier.predict(X.to_numpy())
    with pytest.raises(ValueError, match="X: column 'x1' is 'b' in row 0: could not convert string to float"):
        bs.SoftmaxClassifier().fit(np.array([[1.0, "b"]] * 2, dtype=object), [0, 1])
    with pytest.raises(ValueError, match="X: column 'x0' is NaN in rows 0, 2"):
        bs.SoftmaxClassifier().fit(np.ma.masked_less([[1.0], [3.0], [2.0]], 3), [0, 1, 1])
    with pytest.raises(ValueError, match="y: the label is missing in row 1"):
        bs.SoftmaxClassifier().fit(np.arange(3.0)[:, None], np.ma.masked_equal([0, 2, 1], 2))
    with pytest.raises(ValueError, match="column 'x1' is infinite in row 3"):
        bs.SoftmaxClassifier().fit(np.where(np.arange(12).reshape(6, 2) == 7, np.inf, 1.0), [0, 1] * 3)


@pytest.mark.parametrize("method", ["map", "mle", "laplace", "sample"])
def test_constant_columns_have_coefficient_zero(method: str) -> None:
    X, y = simulate(80, 2, 3)
    wide = np.column_stack([X[:, 0], np.full(80, 7.0), X[:, 1], np.zeros(80)])
    options: dict[str, Any] = {"method": method, "random_state": 1}
    if method == "sample":
        options |= {"draws": 200, "engine": "nuts"}
    classifier, without = (bs.SoftmaxClassifier(**options).fit(data, y) for data in (wide, X))
    assert classifier.n_features_in_ == 4
    assert classifier.coef_.shape == (3, 4)
    assert (classifier.coef_[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(classifier.coef_[:, [0, 2]], without.coef_, atol=1e-12)
    np.testing.assert_allclose(classifier.predict_proba(wide), without.predict_proba(X), atol=1e-12)
    assert any("columns that do not vary were dropped: 'x1', 'x3'" in note for note in classifier.result_.notes)
    other = wide.copy()
    other[5, 3] = 1.0
    with pytest.warns(bs.NotEstimableWarning, match="'x1', 'x3' did not vary in the data of the fit"):
        P = classifier.predict_proba(other)
    np.testing.assert_allclose(P, without.predict_proba(X), atol=1e-12)


def test_only_constant_columns_leave_the_base_rates() -> None:
    y = [0, 1, 1, 1]
    classifier = bs.SoftmaxClassifier(intercept_prior=bs.Flat()).fit(np.ones((4, 2)), y)
    np.testing.assert_allclose(classifier.predict_proba(np.ones((1, 2))), [[0.25, 0.75]], atol=1e-9)
    frame = pd.DataFrame({"only": ["u"] * 4, "x": [1.0, 2.0, 3.0, 4.0]})
    assert bs.SoftmaxClassifier().fit(frame, y).coef_names_.tolist() == ["x"]


def test_classes_without_weight_are_kept_and_told() -> None:
    X, y = simulate(60, 2, 3)
    classifier = bs.SoftmaxClassifier().fit(X, y, sample_weight=y < 2)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert classifier.predict_proba(X)[:, 2].max() < 0.2
    assert any("all rows of class 2 have weight zero" in note for note in classifier.result_.notes)


def test_nothing_given_is_changed(penguins: pd.DataFrame) -> None:
    X, y, weights = penguins[COLUMNS].copy(), penguins["species"].copy(), np.ones(len(penguins))
    prior = {"bill_length_mm": bs.Normal(1)}
    before = X.copy(deep=True), y.copy(deep=True)
    classifier = bs.SoftmaxClassifier(prior=prior).fit(X, y, sample_weight=weights)
    classifier.predict(X)
    pd.testing.assert_frame_equal(X, before[0])
    pd.testing.assert_series_equal(y, before[1])
    assert classifier.get_params()["prior"] is prior
    assert prior == {"bill_length_mm": bs.Normal(1)}
    assert (weights == 1).all()


def test_separated_classes_warn_once_and_predict() -> None:
    X, y = np.arange(12.0)[:, None], np.repeat([0, 1], 6)
    with pytest.warns(bs.NotConvergedWarning, match=r"complete separation") as caught:
        classifier = bs.SoftmaxClassifier(method="mle").fit(X, y)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier.score(X, y) == 1.0
    with pytest.warns(bs.NotConvergedWarning, match="max_iter of SoftmaxClassifier"):
        bs.SoftmaxClassifier(max_iter=1).fit(*simulate(80, 3, 3))
