"""Defects found by trying the package as a stranger would; each test is one that went wrong."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(200, 2, 3)
LABELS = np.array(["a", "b", "c"], dtype=object)[CODES]


def test_log_evidence_does_not_depend_on_units() -> None:
    one = bs.SoftmaxRegression(X, LABELS).laplace(random_seed=1, progressbar=False)
    other = bs.SoftmaxRegression(1000 * X, LABELS).laplace(random_seed=1, progressbar=False)
    assert one.log_evidence is not None
    assert_allclose(one.log_evidence, other.log_evidence, atol=1e-6)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_missing_label_among_strings_is_missing(kind: type) -> None:
    y = kind([*LABELS[:-1], np.nan])
    with pytest.raises(ValueError, match="label is missing in row 199"):
        bs.SoftmaxRegression(X, y)
    dropped = bs.SoftmaxRegression(X, y, missing="drop")
    assert dropped.classes == ("a", "b", "c")
    assert dropped._spec.design.n_dropped == 1


def test_named_columns_of_counts_and_offsets_go_by_name() -> None:
    counts = pd.DataFrame(np.eye(3)[CODES], columns=["a", "b", "c"])
    swapped = bs.SoftmaxRegression(X, counts, classes=["c", "a", "b"])
    assert_allclose(swapped.map().predict_proba(X)["a"], bs.SoftmaxRegression(X, counts).map().predict_proba(X)["a"])
    with pytest.raises(ValueError, match="must name the columns of counts"):
        bs.SoftmaxRegression(X, counts, classes=["a", "b", "z"])
    offset = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
    one = bs.SoftmaxRegression(X, LABELS, offset=offset).map()
    assert_allclose(one.weights, bs.SoftmaxRegression(X, LABELS, offset=offset[["c", "a", "b"]]).map().weights)
    with pytest.raises(ValueError, match="offset has columns"):
        bs.SoftmaxRegression(X, LABELS, offset=offset.set_axis(list("xyz"), axis=1))


def test_weights_with_another_index_are_refused_by_formulas_too() -> None:
    data = pd.DataFrame({"y": LABELS, "x": X[:, 0]})
    with pytest.raises(ValueError, match="weights is not aligned with data"):
        bs.SoftmaxRegression.from_formula("y ~ x", data, weights=pd.Series(np.ones(200), index=range(1, 201)))


def test_an_outlier_is_not_separation() -> None:
    """One mis-keyed value makes the coefficients per sd huge; the MLE exists all the same."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    y = (x + rng.logistic(size=1000) > 0).astype(int)
    x[0], y[0] = 3e6, 1
    fit = bs.SoftmaxRegression(x[:, None], y).mle()
    assert fit.converged
    keep = np.arange(1000) > 0
    clean = bs.SoftmaxRegression(x[keep, None], y[keep]).mle()
    assert_allclose(fit.summary(vs=0)["estimate"], clean.summary(vs=0)["estimate"], rtol=1e-6)


def test_nearly_collinear_columns_are_fitted_not_given_up() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"year": rng.integers(2000, 2021, size=500)})
    data["y"] = np.where((data["year"] - 2010) ** 2 / 50 + rng.logistic(size=500) > 1, "up", "down")
    raw = bs.SoftmaxRegression.from_formula("y ~ year + I(year**2)", data).mle()
    orthogonal = bs.SoftmaxRegression.from_formula("y ~ poly(year, 2)", data).mle()
    assert raw.converged
    assert_allclose(raw.log_likelihood, orthogonal.log_likelihood, rtol=1e-8)


def test_collinear_columns_still_give_the_unique_probabilities() -> None:
    doubled = np.column_stack([X, X[:, 0] + X[:, 1]])
    with pytest.warns(bs.NotConvergedWarning, match="collinear"):
        fit = bs.SoftmaxRegression(doubled, LABELS).mle()
    assert_allclose(fit.predict_proba(doubled), bs.SoftmaxRegression(X, LABELS).mle().predict_proba(X), atol=1e-6)
    assert np.isnan(fit.std_error["weights"]).all()


def test_heavy_tails_beside_a_flat_intercept_are_refused_on_separated_data() -> None:
    x = np.r_[np.linspace(-3, -1, 20), np.linspace(1, 3, 20)]
    model = bs.SoftmaxRegression(x[:, None], (x > 0).astype(int), prior=bs.StudentT(1, 2.5), intercept_prior=bs.Flat())
    with pytest.raises(bs.ImproperPosteriorError, match="Student-t tails are too heavy"):
        model.sample(progressbar=False)


FORMULAS = [
    ("y ~ Intercept", "has the name of the intercept"),
    ("y ~ x + y", "'y' is the response and cannot explain itself"),
    ("y ~ C(g, levels=['u', 'v'])", r"C\(\) takes the name of a column"),
    ("y ~ C(x > 0)", r"C\(\) takes the name of a column"),
    ("y ~ x | g", r"effects of groups are written in parentheses of their own, \(1 \| g\)"),
    ("y ~ .", "has the name of the intercept; rename it"),
    ("y + g ~ x", "column 'y' is text .* expected numbers: several responses of a formula are columns of counts"),
]


@pytest.mark.parametrize(("formula", "text"), FORMULAS)
def test_formula_traps(formula: str, text: str) -> None:
    data = pd.DataFrame({"y": LABELS, "x": X[:, 0], "g": LABELS, "Intercept": X[:, 1]})
    with pytest.raises((ValueError, TypeError), match=text):
        bs.SoftmaxRegression.from_formula(formula, data)


def test_cut_features_survive_saving(tmp_path) -> None:
    data = pd.DataFrame({"y": LABELS, "bin": pd.cut(X[:, 0], [-10, -0.5, 0.5, 10])})
    fit = bs.SoftmaxRegression.from_formula("y ~ bin", data).map()
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(bs.load(tmp_path / "fit.nc").predict_proba(data), fit.predict_proba(data))


def test_a_class_called_average_is_a_class() -> None:
    y = np.array(["low", "average", "high"])[CODES]
    fit = bs.SoftmaxRegression(X, y).map()
    assert list(fit.summary().loc["x0"].index) == ["average vs average", "high vs average", "low vs average"]
    assert_allclose(fit.summary().loc["x0", "estimate"].sum(), 0, atol=1e-12)
    assert list(fit.summary(vs="average").loc["x0"].index) == ["high vs average", "low vs average"]
    assert len(bs.compare(a=fit)) == 9


def test_arrays_are_copied() -> None:
    features, offset, weights, counts = X.copy(), np.zeros((200, 3)), np.ones(200), np.eye(3)[CODES]
    model = bs.SoftmaxRegression(features, counts, offset=offset, weights=weights)
    before = model.map().weights
    for array in (features, offset, weights, counts):
        array[:] = 7.0
    assert_allclose(model.map().weights, before, rtol=1e-14)


def test_changing_the_pymc_model_does_not_change_its_engine() -> None:
    import pymc as pm

    model = bs.SoftmaxRegression(X, LABELS)
    with model.pymc_model:
        pm.set_data({"X": 100 * X})
    post = model.sample(draws=200, tune=200, chains=2, random_seed=1, engine="pymc", progressbar=False)
    assert_allclose(post.summary()["mean"], model.map().summary()["estimate"], atol=0.15)


def test_named_weights_are_not_a_feature() -> None:
    frame = pd.DataFrame(X, columns=["u", "v"]).assign(n=1.0 + CODES)
    model = bs.SoftmaxRegression(frame, LABELS, weights="n")
    assert model.feature_names == ("u", "v")
    assert_allclose(model.map().weights, bs.SoftmaxRegression(X, LABELS, weights=frame["n"].to_numpy()).map().weights)


def test_everything_pickles() -> None:
    model = bs.SoftmaxRegression(X, LABELS)
    fit = pickle.loads(pickle.dumps(model.map()))
    pd.testing.assert_frame_equal(fit.summary(), model.map().summary())
    post = model.sample(draws=20, tune=20, random_seed=1, progressbar=False)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(post)).predict_proba(X), post.predict_proba(X))
    assert pickle.loads(pickle.dumps(model)).map().converged


def test_no_rows_to_predict() -> None:
    model = bs.SoftmaxRegression(X, LABELS)
    post = model.sample(draws=20, tune=20, random_seed=1, progressbar=False)
    assert post.predict_proba(X[:0], ci_prob=0.9).shape == (0, 9)
    assert post.predict_draws(X[:0]).shape == (4, 20, 0, 3)
    assert model.map().predict_proba(X[:0], ci_prob=0.9).shape == (0, 9)
    assert len(post.predict(X[:0])) == 0


MESSAGES = [
    (lambda: bs.SoftmaxRegression(X, pd.DataFrame({"y": LABELS})), "y is a data frame of one column; pass the column"),
    (lambda: bs.SoftmaxRegression(X, CODES[:, None]), "give labels in one dimension"),
    (lambda: bs.SoftmaxRegression(X, pl.DataFrame({"y": CODES})), "y is a data frame of one column; pass the column"),
    (lambda: bs.SoftmaxRegression(X, LABELS, weights=np.ones(9), missing="drop"), r"weights has shape \(9,\)"),
    (lambda: bs.SoftmaxRegression(X, LABELS, weights=np.ones((100, 2))), "weights has shape|weights has dtype"),
    (lambda: bs.SoftmaxRegression(X, LABELS, classes={"a", "b", "c"}), "must be a sequence of labels"),
    (lambda: bs.SoftmaxRegression(X, LABELS).sample(tune=0), "tune=0 must be at least 1"),
    (lambda: bs.SoftmaxRegression(X, LABELS).sample(random_seed=2**70), "must be below"),
    (lambda: bs.SoftmaxRegression(X, LABELS).sample(engine="independence", target_accept=0.9), "has no step size"),
    (lambda: bs.SoftmaxRegression(X, LABELS).map().summary(vs=("a", "a")), "a pair of two classes"),
    (lambda: bs.plots.forest(bs.SoftmaxRegression(X, LABELS).map(), features=[]), "features is empty"),
]


@pytest.mark.parametrize(("make", "text"), MESSAGES, ids=[m[1][:25] for m in MESSAGES])
def test_messages(make: object, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        make()  # type: ignore[operator]


def test_formula_fits_want_frames_and_say_so() -> None:
    data = pd.DataFrame({"y": LABELS, "x": X[:, 0]})
    fit = bs.SoftmaxRegression.from_formula("y ~ x", data).map()
    for wrong in (X, {"x": [1.0]}, data.iloc[0]):
        with pytest.raises(TypeError, match=r"data is an? .*; the formula needs a data frame with the column 'x': "):
            fit.predict_proba(wrong)


def test_numpy_labels_and_zero_weight_classes() -> None:
    model = bs.SoftmaxRegression(X, LABELS, classes=np.unique(LABELS.astype(str)))
    assert [type(c) for c in model.classes] == [str] * 3
    assert bs.SoftmaxRegression(X, np.array([np.int64(c) for c in CODES], dtype=object)).classes == (0, 1, 2)
    weights = (CODES != 2).astype(float)
    with pytest.warns(bs.UnusedClassWarning, match="class 'c'"):
        assert bs.SoftmaxRegression(X, LABELS, weights=weights)._spec.schema.unused_classes == ("c",)


def test_diverging_gradient_descent_says_what_to_lower() -> None:
    with pytest.warns(bs.NotConvergedWarning, match="lower learning_rate"):
        bs.SoftmaxRegression(X, LABELS, prior=bs.Normal(0.1)).map(solver="gradient-descent", learning_rate=1e3)
