"""Maximum likelihood where no finite estimate exists: what is marked, what stays, and what is kept in a file."""

import pickle

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from tests.conftest import simulate

mpl.use("Agg")


@pytest.fixture(scope="module")
def dummy():
    """A dummy seen with class "a" only, beside an ordinary feature: (data frame, labels)."""
    rng = np.random.default_rng(0)
    d = (rng.random(200) < 0.1).astype(float)
    frame = pd.DataFrame({"x": rng.normal(size=200), "d": d})
    return frame, np.where(d == 1, "a", rng.choice(list("abc"), 200))


@pytest.fixture(scope="module")
def infinite(dummy):
    """Its maximum-likelihood estimate."""
    with pytest.warns(bs.NotConvergedWarning) as caught:
        estimate = bs.SoftmaxRegression(*dummy).mle()
    assert len(caught) == 1
    for part in ("quasi-complete separation: class 'a' is told apart from 'b', 'c'", "'d'", "inf", "map()"):
        assert part in str(caught[0].message)
    return estimate


def test_signs_are_marked_where_all_directions_agree(infinite):
    """Only "a" gains from the dummy; "b" against "c" is not determined, nor either of them against the average."""
    table = infinite.summary(vs="a").loc["d"]
    assert_array_equal(table["estimate"], [-np.inf, -np.inf])
    assert_array_equal(infinite.summary(vs="b").loc["d", "estimate"], [np.inf, np.nan])
    assert_array_equal(infinite.summary().loc["d", "estimate"], [np.inf, np.nan, np.nan])
    assert_array_equal(infinite.summary(vs=("a", "c")).loc["d", "estimate"], [np.inf])
    assert table.drop(columns="estimate").isna().all(axis=None)
    assert np.isfinite(infinite.weights).all()
    assert np.isnan(infinite.std_error["weights"].sel(feature="d")).all()


@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
@pytest.mark.parametrize("vs", ["a", "b", "average"])
def test_what_is_finite_equals_the_fit_without_the_separated_rows(dummy, coding, vs):
    """In the limit the rows of the dummy fit without error and say nothing more (Geyer 2009, section 3.10)."""
    frame, labels = dummy
    rest = frame["d"] == 0
    with pytest.warns(bs.NotConvergedWarning, match="quasi-complete"):
        found = bs.SoftmaxRegression(frame, labels, coding=coding).mle().summary(vs=vs)
    expected = bs.SoftmaxRegression(frame.loc[rest, ["x"]], labels[rest]).mle().summary(vs=vs)
    assert_allclose(found.loc[["intercept", "x"]], expected, rtol=1e-7)


def test_iris_keeps_versicolor_against_virginica():
    """Setosa is told apart; the other two overlap, and their contrasts are those of the fit without setosa."""
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=True)
    labels = iris.target_names[iris.target]
    with pytest.warns(bs.NotConvergedWarning, match="class 'setosa' is told apart from 'versicolor', 'virginica'"):
        found = bs.SoftmaxRegression(iris.data, labels).mle()
    later = labels != "setosa"
    expected = bs.SoftmaxRegression(iris.data[later], labels[later]).mle().summary(vs="versicolor")
    table = found.summary(vs="versicolor")
    assert_allclose(table.xs("virginica vs versicolor", level="contrast"), expected.droplevel(1), rtol=1e-5)
    assert table.xs("setosa vs versicolor", level="contrast")["std_error"].isna().all()


def test_complete_separation_by_one_feature_has_a_sign():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    with pytest.warns(bs.NotConvergedWarning, match="complete separation"):
        found = bs.SoftmaxRegression(X, list("aabb")).mle()
    assert_array_equal(found.summary(vs="a")["estimate"], [np.nan, np.inf])
    assert_allclose(found.predict_proba(X)["b"], [0, 0, 1, 1], atol=1e-6)


def test_an_empty_class_falls_without_end():
    X, y = simulate(150, 2, 3)
    with pytest.warns(bs.NotConvergedWarning, match="class 3 was declared but never observed"):
        found = bs.SoftmaxRegression(X, y, classes=[0, 1, 2, 3]).mle()
    expected = bs.SoftmaxRegression(X, y).mle().summary(vs=0)
    seen = found.summary(vs=0).query("contrast != '3 vs 0'")
    assert_allclose(seen, expected, rtol=1e-6)
    empty = found.summary(vs=0).xs("3 vs 0", level="contrast")["estimate"]
    assert empty.loc[["x0", "x1"]].isna().all()
    assert not np.isfinite(empty.loc["intercept"])


def test_collinear_columns_are_not_determined_and_the_others_are():
    """x2 = x0 - 2 x1 + 3; x3 is on its own: the same estimates and errors as without the redundant column."""
    X, y = simulate(200, 3, 3)
    data = np.column_stack([X[:, :2], X[:, 0] - 2 * X[:, 1] + 3, X[:, 2]])
    with pytest.warns(bs.NotConvergedWarning, match="linear combinations of the others") as caught:
        found = bs.SoftmaxRegression(data, y, feature_names=["x0", "x1", "x2", "x3"]).mle()
    assert "equally good" in str(caught[0].message)
    table = found.summary(vs=1)
    expected = bs.SoftmaxRegression(X, y, feature_names=["x0", "x1", "x3"]).mle()
    assert_allclose(table.loc["x3"], expected.summary(vs=1).loc["x3"], rtol=1e-5)
    assert table.loc[["intercept", "x0", "x1", "x2"]].isna().all(axis=None)
    assert_allclose(found.predict_proba(data), expected.predict_proba(X), atol=1e-8)
    map_ = bs.SoftmaxRegression(data, y).map()
    assert map_.converged
    assert np.isfinite(map_.summary()).all(axis=None)


def test_a_solver_that_stopped_early_has_no_errors(dummy):
    """Contrasts that are finite in the limit are not there yet."""
    with pytest.warns(bs.NotConvergedWarning, match="iteration limit.*separation"):
        found = bs.SoftmaxRegression(*dummy).mle("gradient-descent", max_iterations=5)
    assert found.summary()["std_error"].isna().all()
    assert found.summary(vs="b").loc[("d", "a vs b"), "estimate"] == np.inf


def test_a_map_that_stopped_early_is_not_called_infinite(dummy):
    """Under proper priors nothing goes to infinity, whatever the solver did."""
    with pytest.warns(bs.NotConvergedWarning, match="raise max_iterations"):
        found = bs.SoftmaxRegression(*dummy).map("gradient-descent", max_iterations=5)
    assert "separation" not in found.status
    assert np.isfinite(found.summary()["estimate"]).all()
    assert found.summary()["std_error"].isna().all()


def test_infinite_estimates_survive_saving_and_pickling(infinite, tmp_path):
    infinite.save(tmp_path / "mle.nc")
    for copy in (bs.load(tmp_path / "mle.nc"), pickle.loads(pickle.dumps(infinite))):
        for vs in (None, "a", "b"):
            pd.testing.assert_frame_equal(copy.summary(vs=vs), infinite.summary(vs=vs))
        assert_array_equal(copy.raw_covariance, infinite.raw_covariance)


def test_a_finite_estimate_has_no_rays(tmp_path):
    X, y = simulate(150, 2, 3)
    found = bs.SoftmaxRegression(X, y).mle()
    found.save(tmp_path / "mle.nc")
    for fit in (found, bs.load(tmp_path / "mle.nc"), pickle.loads(pickle.dumps(found))):
        assert fit.recession.shape == (0, 3, 3)
        assert np.isfinite(fit.summary()).all(axis=None)


def test_tables_and_pictures_show_them(infinite, dummy):
    table = bs.compare(mle=infinite, map=bs.SoftmaxRegression(*dummy).map(), vs="a").set_index(["feature", "contrast"])
    assert_array_equal(table.loc["d", "mle"], [-np.inf, -np.inf])
    assert table.loc["d", "mle_se"].isna().all()
    assert np.isfinite(table.loc["d", "map"]).all()
    figure = bs.plots.forest(infinite, vs="b")
    x_panel, d_panel = figure.axes
    arrows = [[text for text in panel.texts if text.get_text() == ""] for panel in (x_panel, d_panel)]
    assert [len(a) for a in arrows] == [0, 3]  # "a" to the right, "c" both ways
    assert "infinite" in figure.legends[0].get_texts()[0].get_text()
    figure.canvas.draw()


def test_flat_features_beside_proper_ones(dummy):
    """Only what has no prior can go to infinity; the rest is the MAP of the rows that say something about it."""
    frame, labels = dummy
    options = {"prior": {"x": bs.Normal(1.0), "d": bs.Flat()}, "intercept_prior": bs.Normal(3.0)}
    model = bs.SoftmaxRegression(frame, labels, **options)
    with pytest.warns(bs.NotConvergedWarning, match="combination of 'd'"):
        table = model.map().summary(vs="a")
    assert_array_equal(table.loc["d", "estimate"], [-np.inf, -np.inf])
    rest = frame["d"] == 0
    options["prior"] = {"x": bs.Normal(1.0)}
    expected = bs.SoftmaxRegression(frame.loc[rest, ["x"]], labels[rest], **options).map().summary(vs="a")
    assert_allclose(table.loc[["intercept", "x"]], expected, rtol=1e-6)
    with pytest.raises(bs.ImproperPosteriorError, match="combination of 'd'"):
        model.sample(progressbar=False)


def test_an_intercept_held_at_the_feature_means_holds_a_flat_dummy(dummy):
    """Its default prior is at the means: the dummy cannot rise without the other rows' logits falling."""
    frame, labels = dummy
    assert bs.SoftmaxRegression(frame, labels, prior={"x": bs.Normal(1.0), "d": bs.Flat()}).map().converged


def test_odds_ratios_of_infinite_contrasts(infinite):
    """Infinite odds, zero odds, and NaN where not determined; finite ones as in the summary."""
    table, against_a = (infinite.odds_ratios(vs=vs).droplevel("step") for vs in "ba")
    assert_array_equal(table.loc["d", "odds_ratio"], [np.inf, np.nan])
    assert table.loc["d"].drop(columns="odds_ratio").isna().all(axis=None)
    assert_array_equal(against_a.loc["d", "odds_ratio"], [0.0, 0.0])
    assert_allclose(table.loc["x", "odds_ratio"], np.exp(infinite.summary(vs="b").loc["x", "estimate"]))
    assert np.isfinite(table.loc["x"]).all(axis=None)


def test_many_coefficients_claim_no_sign():
    """More than a hundred: what is infinite is marked, without the programs for its sign; what is finite stays."""
    rng = np.random.default_rng(0)
    X, y = simulate(2500, 40, 4)
    dummy = rng.random(2500) < 0.02
    y[dummy] = 0
    data = np.column_stack([X, dummy])
    with pytest.warns(bs.NotConvergedWarning, match="combination of 'x40'"):
        table = bs.SoftmaxRegression(data, y).mle().summary(vs=0)
    assert table.loc["x40", "estimate"].isna().all()
    expected = bs.SoftmaxRegression(X[~dummy], y[~dummy]).mle().summary(vs=0)
    assert_allclose(table.drop(index="x40", level="feature"), expected, rtol=1e-6, atol=1e-9)


def test_more_features_than_rows():
    """Collinear and separated at once: every contrast is open, and nothing large is made of that."""
    X, y = simulate(40, 120, 3)
    with pytest.warns(bs.NotConvergedWarning, match="collinear.*complete separation"):
        found = bs.SoftmaxRegression(X, y).mle()
    assert found.recession.shape[0] < 200
    assert found.summary()["estimate"].isna().all()
