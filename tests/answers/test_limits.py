"""Maximum likelihood where no finite estimate exists: what is marked, what stays, and what is kept in a file."""

import pickle

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from scipy.special import expit, ndtri

import bayes_softmax as bs
from bayes_softmax.fitting.advice import limits_of
from bayes_softmax.separation.examination import examine
from bayes_softmax.separation.limits import rows_in_the_limit
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
    for part in (
        "quasi-complete separation: level 1 of 'd' (21 rows) was never observed with 'b', 'c'",
        "inf",
        "map()",
    ):
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
    """Setosa is separated; the other two overlap, and their contrasts are those of the fit without setosa."""
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=True)
    labels = iris.target_names[iris.target]
    with pytest.warns(bs.NotConvergedWarning, match="class 'setosa' is separated from 'versicolor', 'virginica'"):
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
    with pytest.warns(bs.NotConvergedWarning, match="answers of mle.. without a certified optimum"):
        table = found.predict_proba(X)
    assert_array_equal(table["b"], [0, 0, 1, 1])
    assert table.attrs["note"].startswith("these are answers of mle()")


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
        assert_array_equal(copy._fitted.raw_covariance, infinite._fitted.raw_covariance)


def test_a_finite_estimate_has_no_rays(tmp_path):
    X, y = simulate(150, 2, 3)
    found = bs.SoftmaxRegression(X, y).mle()
    found.save(tmp_path / "mle.nc")
    for fit in (found, bs.load(tmp_path / "mle.nc"), pickle.loads(pickle.dumps(found))):
        assert fit._fitted.recession.shape == (0, 3, 3)
        assert np.isfinite(fit.summary()).all(axis=None)


def test_tables_and_pictures_show_them(infinite, dummy):
    table = bs.compare(mle=infinite, map=bs.SoftmaxRegression(*dummy).map(), vs="a")
    assert_array_equal(table.loc["d", "mle"], [-np.inf, -np.inf])
    assert table.loc["d", "mle_se"].isna().all()
    assert np.isfinite(table.loc["d", "map"]).all()
    figure = bs.plots.forest(infinite, vs="b")
    x_panel, d_panel = figure.axes.values()
    arrows = [[text for text in panel.texts if text.get_text() == ""] for panel in (x_panel, d_panel)]
    assert [len(a) for a in arrows] == [0, 3]  # "a" to the right, "c" both ways
    assert any("infinite" in text.get_text() for text in figure.figure.legends[0].get_texts())
    figure.root.canvas.draw()


def test_flat_features_beside_proper_ones(dummy):
    """Only what has no prior can go to infinity; the rest is the MAP of the rows that say something about it."""
    frame, labels = dummy
    options = {"prior": {"x": bs.Normal(1.0), "d": bs.Flat()}, "intercept_prior": bs.Normal(3.0)}
    model = bs.SoftmaxRegression(frame, labels, **options)
    with pytest.warns(bs.NotConvergedWarning, match=r"level 1 of 'd' .21 rows. was never observed with 'b', 'c'"):
        table = model.map().summary(vs="a")
    assert_array_equal(table.loc["d", "estimate"], [-np.inf, -np.inf])
    rest = frame["d"] == 0
    options["prior"] = {"x": bs.Normal(1.0)}
    expected = bs.SoftmaxRegression(frame.loc[rest, ["x"]], labels[rest], **options).map().summary(vs="a")
    assert_allclose(table.loc[["intercept", "x"]], expected, rtol=1e-6)
    with pytest.raises(bs.ImproperPosteriorError, match=r"level 1 of 'd' .21 rows. was never observed with 'b', 'c'"):
        model.sample(progressbar=False)


def test_an_intercept_held_at_the_feature_means_holds_a_flat_dummy(dummy):
    """Its default prior is at the means: the dummy cannot rise without the other rows' logits falling."""
    frame, labels = dummy
    model = bs.SoftmaxRegression(frame, labels, prior={"x": bs.Normal(1.0), "d": bs.Flat()})
    with pytest.warns(bs.NotReliableWarning, match="only the prior of the intercept keeps 'd' finite"):
        assert model.map().converged


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
    with pytest.warns(bs.NotConvergedWarning, match=r"level 1 of 'x40' .61 rows. was never observed with 1, 2, 3"):
        table = bs.SoftmaxRegression(data, y).mle().summary(vs=0)
    assert table.loc["x40", "estimate"].isna().all()
    expected = bs.SoftmaxRegression(X[~dummy], y[~dummy]).mle().summary(vs=0)
    assert_allclose(table.drop(index="x40", level="feature"), expected, rtol=1e-6, atol=1e-9)


def test_more_features_than_rows():
    """Collinear and separated at once: every contrast is open, and nothing large is made of that."""
    X, y = simulate(40, 120, 3)
    with pytest.warns(bs.NotConvergedWarning, match="collinear.*complete separation"):
        found = bs.SoftmaxRegression(X, y).mle()
    assert found._fitted.recession.shape[0] < 200
    assert found.summary()["estimate"].isna().all()


# ---------------------------------------------------------------------- rows in the limit


@pytest.fixture(scope="module")
def corners():
    """Two flags: three cells with one class each, and one, f=1 and b=0, with "d" and "r" at 3 : 2."""
    f, b = np.repeat([1, 1, 0, 0], 5), np.tile(np.repeat([1, 0], 5), 2)
    frame = pd.DataFrame({"y": np.array(list("ddddddddrrdddddnnnnn")), "f": f, "b": b})
    with pytest.warns(bs.NotConvergedWarning, match="separation"):
        return bs.SoftmaxRegression.from_formula("y ~ f + b", frame).mle()


def answer(fit, call, *args, **options):
    """An answer that comes with a warning."""
    with pytest.warns((bs.NotConvergedWarning, bs.NotEstimableWarning)) as caught:
        table = getattr(fit, call)(*args, **options)
    assert len(caught) == 1
    assert table.attrs["note"]
    return table


def test_a_row_whose_limit_is_regular_has_an_interval(corners, tmp_path):
    """Log odds log(3/2) with standard error sqrt(1/3 + 1/2), given that "n" is excluded, of which no more is said."""
    z = ndtri(0.95)
    ends = expit(np.log(1.5) + np.array([-z, z]) * np.sqrt(1 / 3 + 1 / 2))
    corners.save(tmp_path / "mle.nc")
    for fit in (corners, bs.load(tmp_path / "mle.nc"), pickle.loads(pickle.dumps(corners))):
        table = answer(fit, "predict_proba", pd.DataFrame({"f": [1], "b": [0]}), ci_prob=0.9).loc[0]
        assert_allclose(table["d"], [0.6, *ends], rtol=1e-6)
        assert_allclose(table["r"], [0.4, *(1 - ends[::-1])], rtol=1e-6)
        assert table["n"].iloc[0] == 0.0
        assert table["n"].iloc[1:].isna().all()


def test_a_certain_row_has_no_interval_and_an_open_one_no_limit(corners):
    certain = answer(corners, "predict_proba", pd.DataFrame({"f": [0], "b": [0]}), ci_prob=0.9).loc[0]
    assert certain.xs("estimate", level="statistic").tolist() == [0.0, 1.0, 0.0]
    assert certain.drop("estimate", level="statistic").isna().all()
    # Between the cells of "d" and of "n" any threshold is as good.
    between = answer(corners, "predict_proba", pd.DataFrame({"f": [0], "b": [0.5]}), ci_prob=0.9).loc[0]
    assert between.xs("estimate", level="statistic").notna().all()
    assert between.drop("estimate", level="statistic")[["d", "n"]].isna().all()


def test_averages_over_regular_and_certain_rows(corners):
    """The average probability moves with 5 of 20 rows: sqrt(.6 * .4 / 5) / 4."""
    found = answer(corners, "contrast", {"f": 1, "b": 0}, {"f": 1, "b": 1}, ci_prob=0.9)
    assert_allclose(found["estimate"], [-0.4, 0.0, 0.4], atol=1e-7)
    assert_allclose(found["std_error"].iloc[[0, 2]], np.sqrt(0.6 * 0.4 / 5), rtol=1e-6)
    assert np.isnan(found["std_error"].iloc[1])  # certain in the limit
    slopes = answer(corners, "effects", "b")
    assert slopes.iloc[[0, 2]].isna().all(axis=None)  # from 3 : 2 the odds rise without end


def test_the_limit_equals_the_fit_of_the_rows_that_stay(dummy, infinite):
    """Rows without the dummy: probabilities and intervals of the fit without the separated rows."""
    frame, labels = dummy
    rest = frame["d"] == 0
    expected = bs.SoftmaxRegression(frame.loc[rest, ["x"]], labels[rest]).mle()
    new = pd.DataFrame({"x": [-1.0, 0.0, 2.0], "d": 0.0})
    found = infinite.predict_proba(new, ci_prob=0.9)  # regular: no warning
    assert "certified" in found.attrs["note"]
    assert_allclose(found, expected.predict_proba(new[["x"]], ci_prob=0.9), rtol=1e-6)
    assert_allclose(infinite.uncertainty(new), expected.uncertainty(new[["x"]]), rtol=1e-5, atol=1e-9)
    tables = [
        fit.effects("x", new) if fit is infinite else fit.effects("x", new[["x"]]) for fit in (infinite, expected)
    ]
    assert_allclose(tables[0], tables[1], rtol=1e-5, atol=1e-8)
    cost = pd.DataFrame(1 - np.eye(3), index=list("abc"), columns=list("abc"))
    decided = [infinite.decide(new, cost), expected.decide(new[["x"]], cost)]
    assert_allclose(decided[0]["p_best"], decided[1]["p_best"], rtol=1e-5)


def test_a_value_between_excludes_as_its_cell_does(dummy, infinite):
    """A thousandth of the dummy is on the same ray: "b" and "c" vanish there too, however small the step so far."""
    tiny = answer(infinite, "predict_proba", pd.DataFrame({"x": [0.0], "d": [1e-3]}))
    assert_array_equal(tiny.loc[0], [1.0, 0.0, 0.0])


@pytest.mark.parametrize("seed", range(4))
def test_rows_in_the_limit_are_those_of_plain_programs(seed):
    """Random small data sets and rows: the sign of each difference of two logits by two linear programs."""
    rng, seen = np.random.default_rng(seed), set()
    for _ in range(12):
        X = rng.integers(-2, 3, size=(12, 2)).astype(float)
        y = np.concatenate([np.arange(3), (X @ rng.normal(size=(2, 3)) * 3).argmax(axis=1)[3:]])
        found = examine(bs.SoftmaxRegression(X, y, constant="drop")._spec.design)
        if found.is_determined:
            continue
        limits, new = limits_of(found), rng.integers(-3, 4, size=(6, 2)) / 2.0
        judged = rows_in_the_limit(limits, new[:, : found.design.n_features])
        Z = np.column_stack([np.ones(12), X])
        A = np.array(
            [np.outer(Z[n], np.eye(3)[y[n]] - np.eye(3)[l]).ravel() for n in range(12) for l in range(3) if l != y[n]]
        )
        for row, excluded, loose in zip(new, judged.excluded, judged.loose, strict=True):
            signs = np.zeros((3, 3, 2), dtype=bool)
            for k in range(3):
                for l in range(3):
                    f = np.outer([1, *row], np.eye(3)[k] - np.eye(3)[l]).ravel()
                    signs[k, l] = [
                        linprog(-s * f, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1, 1)).fun < -1e-6 for s in (1, -1)
                    ]
            below = (~signs[..., 0] & signs[..., 1]).any(axis=1)
            assert_array_equal(excluded, below)
            assert_array_equal(loose, signs.all(axis=2).any(axis=1) & ~below)
            seen |= set(zip(excluded.tolist(), loose.tolist(), strict=True))
    assert len(seen) == 3


def test_setosa_is_excluded_or_not_and_the_others_have_intervals():
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=True)
    labels = iris.target_names[iris.target]
    with pytest.warns(bs.NotConvergedWarning):
        found = bs.SoftmaxRegression(iris.data, labels).mle()
    later = labels != "setosa"
    expected = bs.SoftmaxRegression(iris.data[later], labels[later]).mle().predict_proba(iris.data[later], 0.9)
    table = answer(found, "predict_proba", iris.data, 0.9)
    assert_allclose(table.loc[later, ["versicolor", "virginica"]], expected, rtol=1e-3, atol=1e-7)
    assert (table.loc[later, ("setosa", "estimate")] == 0).all()
    assert (table.loc[~later, ("setosa", "estimate")] == 1).all()
    assert table.loc[~later].drop("estimate", axis=1, level=1).isna().all(axis=None)
    slopes = answer(found, "effects")
    share = later.mean()  # the rows of setosa are certain, whatever moves
    others = bs.SoftmaxRegression(iris.data[later], labels[later]).mle().effects()
    for name in iris.data.columns:
        own = slopes.loc[name].droplevel(0).loc[["versicolor", "virginica"]]
        assert_allclose(own["estimate"], share * others.loc[name].droplevel(0)["estimate"], rtol=1e-4)
        assert_allclose(own["std_error"], share * others.loc[name].droplevel(0)["std_error"], rtol=1e-4)


# ---------------------------------------------------------------------- rows that nothing is known of


@pytest.fixture(scope="module")
def cells():
    """A design of two factors of which one cell, r and v, was never observed."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({n: rng.choice(list(levels), 200) for n, levels in (("g", "pqr"), ("h", "uv"), ("y", "ab"))})
    return data[~((data.g == "r") & (data.h == "v"))]


EMPTY_CELL = pd.DataFrame({"g": ["p", "r"], "h": ["v", "v"]}, index=["seen", "never"])


@pytest.mark.parametrize("options", [{}, {"prior": bs.Flat()}])
def test_a_cell_that_was_never_observed_is_not_a_number(cells, options):
    """Its column was dropped; every answer of it is missing, the others are as they are."""
    model = bs.SoftmaxRegression.from_formula("y ~ g*h", cells, constant="drop", **options)
    fit = model.map() if options else model.mle()
    assert fit.converged
    for ci_prob in (None, 0.9):
        with pytest.warns(
            bs.NotEstimableWarning,
            match="row never are unknown .NaN.: .g.T.r.:h.T.v.*did not vary in the data of the fit",
        ):
            table = fit.predict_proba(EMPTY_CELL, ci_prob)
        assert table.loc["never"].isna().all()
        share = (cells.query("g == 'p' and h == 'v'").y == "a").mean()
        assert_allclose(
            table.loc["seen", "a"] if ci_prob is None else table.loc["seen", ("a", "estimate")], share, atol=0.02
        )
    assert "never" in table.attrs["note"]
    assert answer_series(fit).isna().tolist() == [False, True]
    for call, args in (("effects", ("h",)), ("contrast", ({"h": "v"}, {"h": "u"}))):
        with pytest.warns(bs.NotEstimableWarning, match="the row g=r, h=v are unknown .NaN.") as caught:
            table = getattr(fit, call)(*args)
        assert len(caught) == 1
        assert table.isna().all(axis=None)
    assert fit.effects("h", cells.query("g != 'r'")).notna().all(axis=None)
    with pytest.raises(ValueError, match="the probabilities in row never are unknown"):
        fit.evaluate(EMPTY_CELL, ["a", "b"])


def answer_series(fit):
    with pytest.warns(bs.NotEstimableWarning):
        return fit.predict(EMPTY_CELL)


def test_a_dropped_column_counts_as_zero_under_a_proper_prior_and_that_is_said(cells, tmp_path):
    fit = bs.SoftmaxRegression.from_formula("y ~ g*h", cells, constant="drop").map()
    fit.save(tmp_path / "map.nc")
    for known in (fit, bs.load(tmp_path / "map.nc")):
        with pytest.warns(
            bs.NotEstimableWarning, match="did not vary in the data of the fit but does in row never: .*count as 0"
        ):
            table = known.predict_proba(EMPTY_CELL)
        assert table.notna().all(axis=None)
        assert known.predict_proba(EMPTY_CELL.loc[["seen"]]).notna().all(axis=None)


def test_rows_outside_the_row_space_are_not_numbers():
    """x1 = 2 x0 in the data: a row that breaks the equality is not estimable, one that keeps it is, with its error."""
    X, y = simulate(200, 2, 3)
    data = np.column_stack([X[:, 0], 2 * X[:, 0] + 1e4, X[:, 1]])
    with pytest.warns(bs.NotConvergedWarning, match="collinear"):
        fit = bs.SoftmaxRegression(data, y).mle()
    expected = bs.SoftmaxRegression(X, y).mle()
    assert_allclose(fit.predict_proba(data, 0.9), expected.predict_proba(X, 0.9), rtol=1e-5)  # no warning
    with pytest.warns(
        bs.NotEstimableWarning, match="row 1 are unknown .NaN.: the data do not determine these combinations"
    ):
        table = fit.predict_proba([[5.0, 10010.0, 0.3], [5.0, 10010.5, 0.3]])
    assert table.isna().all(axis=1).tolist() == [False, True]
    assert_allclose(table.loc[0], expected.predict_proba([[5.0, 0.3]]).loc[0], rtol=1e-5)
    assert_allclose(fit.effects("x2"), expected.effects("x1"), rtol=1e-5)
    assert answer(fit, "effects", "x0")["estimate"].isna().all()


def test_a_flat_column_beside_proper_ones_leaves_its_rows_unknown():
    """map() with flat priors on two collinear columns only; a constant-like third has a proper one."""
    X, y = simulate(150, 2, 3)
    data = np.column_stack([X[:, 0], -X[:, 0], X[:, 1]])
    prior = {"x0": bs.Flat(), "x1": bs.Flat(), "x2": bs.Normal(1.0)}
    with pytest.warns(bs.NotConvergedWarning, match="collinear"):
        fit = bs.SoftmaxRegression(data, y, prior=prior).map()
    with pytest.warns(bs.NotEstimableWarning, match="row 1"):
        table = fit.predict_proba([[1.0, -1.0, 5.0], [1.0, 1.0, 0.0]])
    assert table.isna().all(axis=1).tolist() == [False, True]


def test_an_optimum_that_was_not_reached_says_so_everywhere(dummy):
    with pytest.warns(bs.NotConvergedWarning):
        fit = bs.SoftmaxRegression(*dummy).mle("gradient-descent", max_iterations=5)
    new = pd.DataFrame({"x": [0.0], "d": [0.0]})
    for call, args in (
        ("predict_proba", (new,)),
        ("predict_proba", (new, 0.9)),
        ("effects", ("x",)),
        ("uncertainty", (new,)),
    ):
        answer(fit, call, *args)
    with pytest.warns(bs.NotConvergedWarning, match="iteration limit"):
        fit.predict(new)
