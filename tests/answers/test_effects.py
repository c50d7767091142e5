"""Effects: against statsmodels, finite differences and brute force; the same call for every kind of fit."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers import effects as effects_module
from bayes_softmax.answers import rows, training
from tests.conftest import simulate
from tests.inside import changed

COLUMNS = ["logpopul", "selfLR", "age", "educ", "income"]


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    """American National Election Study 1996: party identification in seven classes."""
    frame = sm.datasets.anes96.load_pandas().data
    return frame.assign(party=frame["PID"].astype(int).map("D{}".format), old=frame["age"] > 45)


@pytest.fixture(scope="module")
def mle(survey: pd.DataFrame) -> bs.PointEstimate:
    return bs.SoftmaxRegression(survey[COLUMNS], survey["party"]).mle()


FORMULA = "party ~ selfLR + poly(age, 2) + educ * income + C(vote) + old"


@pytest.fixture(scope="module")
def curved(survey: pd.DataFrame) -> bs.SoftmaxRegression:
    """Polynomial, interaction, factor and boolean."""
    return bs.SoftmaxRegression.from_formula(FORMULA, survey)


@pytest.mark.parametrize(("at", "peer"), [(None, "overall"), ("means", "mean")])
def test_average_marginal_effects_are_those_of_statsmodels(mle, survey, at, peer) -> None:
    """Estimates and delta-method standard errors of ``MNLogit.get_margeff``, to rounding."""
    fitted = sm.MNLogit(survey["PID"], sm.add_constant(survey[COLUMNS])).fit(method="newton", tol=1e-13, disp=0)
    theirs = fitted.get_margeff(at=peer)
    ours = mle.effects(at=at)
    for column, values in (("estimate", theirs.margeff), ("std_error", theirs.margeff_se)):
        assert_allclose(ours[column].unstack("class").loc[COLUMNS], values, rtol=1e-7, atol=1e-12)


def test_variables_can_be_set(mle, survey) -> None:
    """``at`` is the same as data with these values."""
    changed = mle.effects(data=survey[COLUMNS].assign(age=40.0, educ=3))
    assert_allclose(mle.effects(at={"age": 40.0, "educ": 3}), changed, rtol=1e-12)


def average(fit, frame: pd.DataFrame) -> np.ndarray:
    return fit.predict_proba(frame).to_numpy().mean(axis=0)


def test_terms_that_share_a_variable_move_together(curved, survey) -> None:
    """Slopes by differences of predictions on changed data; factors by predictions on data set to each level."""
    fit = curved.mle()
    table = fit.effects()["estimate"]
    for name in ("selfLR", "age", "educ", "income"):
        h = 1e-4
        by_hand = (
            average(fit, survey.assign(**{name: survey[name] + h}))
            - average(fit, survey.assign(**{name: survey[name] - h}))
        ) / (2 * h)
        assert_allclose(table.loc[(name, "per unit")], by_hand, rtol=1e-6, atol=1e-9)
    for name, label, to, base in (("vote", "1 vs 0", 1.0, 0.0), ("old", "True vs False", True, False)):
        by_hand = average(fit, survey.assign(**{name: to})) - average(fit, survey.assign(**{name: base}))
        assert_allclose(table.loc[(name, label)], by_hand, rtol=1e-9, atol=1e-12)


def test_standard_errors_are_those_of_the_delta_method_by_differences(curved, survey) -> None:
    """The Jacobian by differences in every coefficient of the reference-coded fit, curved terms included."""
    fit = bs.SoftmaxRegression.from_formula(FORMULA, survey.iloc[:300], coding="reference").map()
    rows = survey.iloc[:40]
    table = fit.effects(data=rows)
    covariance = fit._fitted.raw_covariance
    q, K = covariance.shape[:2]
    jacobian = np.empty((len(table), q, K))
    h = 1e-5
    for i in range(q):
        for k in range(K):
            ends = []
            for sign in (1, -1):
                b, W = fit.intercept.copy(deep=True), fit.weights.copy(deep=True)
                scale = (
                    1.0 if i == 0 else 1 / max(float(np.abs(fit._fitted.schema.encode(rows)[0][:, i - 1]).max()), 1e-9)
                )
                target = b if i == 0 else W[i - 1]
                target[k] += sign * h * scale
                moved = changed(fit, values={"intercept": b, "weights": W})
                ends.append(moved.effects(data=rows)["estimate"].to_numpy())
            jacobian[:, i, k] = (ends[0] - ends[1]) / (2 * h * scale)
    J = jacobian.reshape(len(table), -1)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", J, covariance.reshape(q * K, q * K), J))
    assert_allclose(table["std_error"], expected, rtol=2e-5)


def test_draws_are_effects_of_each_draw(survey) -> None:
    """Every draw's effect equals the effect of a point estimate with that draw's coefficients."""
    model = bs.SoftmaxRegression.from_formula("party ~ poly(age, 2) + educ * income + old", survey)
    post, point = model.laplace(draws=200, random_seed=1, progressbar=False), model.map()
    drawn = post.effects(draws=True)
    assert drawn.dims == ("chain", "draw", "change", "category")
    b, W = (post._fitted.parameters[name] for name in ("intercept", "weights"))
    for s in (0, 77, 199):
        values = {"intercept": point.intercept.copy(data=b[s]), "weights": point.weights.copy(data=W[s])}
        one = changed(point, values=values)
        assert_allclose(drawn[0, s].values.ravel(), one.effects()["estimate"], rtol=1e-9, atol=1e-13)
    table = post.effects(ci_prob=0.5)
    assert_allclose(table["mean"], drawn.mean(("chain", "draw")).values.ravel(), rtol=1e-10)
    assert list(table.columns) == ["mean", "sd", "eti50_lb", "eti50_ub", "p_positive"]
    assert_allclose(table["p_positive"], (drawn > 0).mean(("chain", "draw")).values.ravel())


def test_every_kind_of_fit_gives_the_same_effects(survey) -> None:
    """anes96 under a wide prior: MAP with the delta method, Laplace and NUTS within Monte Carlo and curvature error.

    With N = 944 the posterior is near a normal; means may differ by 0.25 sd from the mode's and sds by 10 %.  Seed 1.
    """
    model = bs.SoftmaxRegression(survey[COLUMNS], survey["party"], prior=bs.Normal(10), intercept_prior=bs.Normal(50))
    map_ = model.map().effects()
    tables = [model.laplace(random_seed=1, progressbar=False), model.sample(random_seed=1, progressbar=False)]
    laplace, nuts = (fit.effects() for fit in tables)
    for table in (laplace, nuts):
        assert (np.abs(table["mean"] - map_["estimate"]) / map_["std_error"]).max() < 0.25
        assert_allclose(table["sd"], map_["std_error"], rtol=0.1)
    # 4 combined Monte Carlo standard errors for 35 effects: false alarm below 0.3 %.
    error = np.hypot(laplace["sd"] / np.sqrt(tables[0].ess), nuts["sd"] / np.sqrt(2000))
    assert (np.abs(laplace["mean"] - nuts["mean"]) / error).max() < 4


@pytest.mark.parametrize("kind", ["mle", "map", "laplace", "sample"])
def test_effects_sum_to_zero_over_the_classes(overlapping, posterior, kind) -> None:
    fit = {
        "mle": overlapping.mle,
        "map": overlapping.map,
        "laplace": lambda: overlapping.laplace(random_seed=1, progressbar=False),
        "sample": lambda: posterior,
    }[kind]()
    for table in (fit.effects(), fit.contrast({"sex": "male"}, {"sex": "female"})):
        centre = table.iloc[:, 0].groupby(level=["feature", "change"]).sum()
        assert_allclose(centre, 0, atol=1e-14)
    assert fit.effects().index.names == ["feature", "change", "class"]
    assert fit.effects("sex").index.get_level_values("change").unique().tolist() == ["male vs female"]


def test_contrasts_say_what_is_compared(overlapping, penguins) -> None:
    fit = overlapping.map()
    table = fit.contrast({"bill_length_mm": 50, "sex": "male"}, {"bill_length_mm": 40})
    assert table.index[0] == ("bill_length_mm, sex", "bill_length_mm=50, sex=male vs bill_length_mm=40", "Adelie")
    by_hand = average(fit, penguins.assign(bill_length_mm=50.0, sex="male")) - average(
        fit, penguins.assign(bill_length_mm=40.0)
    )
    assert_allclose(table["estimate"], by_hand, rtol=1e-10)


def test_odds_ratios(overlapping, posterior) -> None:
    fit = overlapping.mle()
    coefficients = fit.summary(vs="Adelie", ci_prob=0.9).loc["bill_length_mm"]
    table = fit.odds_ratios(vs="Adelie", ci_prob=0.9, per={"bill_length_mm": 3})
    row = table.loc[("bill_length_mm", "+3")]
    assert_allclose(row["odds_ratio"], np.exp(3 * coefficients["estimate"]), rtol=1e-10)
    assert_allclose(row["wald90_ub"], np.exp(3 * coefficients["wald90_ub"]), rtol=1e-8)
    drawn = posterior.odds_ratios(vs="Adelie").loc[("sex[T.male]", "+1")]
    weights = posterior.idata["posterior"]["weights"].sel(feature="sex[T.male]")
    difference = (weights.sel(category="Gentoo") - weights.sel(category="Adelie")).values.ravel()
    assert_allclose(drawn.loc["Gentoo vs Adelie", "odds_ratio"], np.exp(np.median(difference)), rtol=1e-10)
    assert_allclose(drawn.loc["Gentoo vs Adelie", "p_above_1"], (difference > 0).mean())


def test_weights_counts_and_rows_give_the_same_average(survey) -> None:
    """An average over rows with frequency weights is one over repeated rows; collapsing changes nothing."""
    rng = np.random.default_rng(0)
    X, y = simulate(60, 2, 3)
    weights = rng.integers(1, 5, size=60)
    tables = [
        bs.SoftmaxRegression(X, y, weights=weights).mle().effects(),
        bs.SoftmaxRegression(np.repeat(X, weights, axis=0), np.repeat(y, weights)).mle().effects(),
        bs.SoftmaxRegression(np.repeat(X, weights, axis=0), np.repeat(y, weights), collapse=False).mle().effects(),
    ]
    for other in tables[1:]:
        assert_allclose(other, tables[0], rtol=1e-8, atol=1e-12)


def test_chunks_and_blocks_change_nothing(curved, monkeypatch) -> None:
    fits = [curved.map(), curved.laplace(draws=200, random_seed=1, progressbar=False)]
    whole = [fit.effects() for fit in fits]
    monkeypatch.setattr(training, "CHUNK_ROWS", 100)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 50_000)
    for fit, table in zip(fits, whole, strict=True):
        assert_allclose(fit.effects(), table, rtol=1e-7, atol=1e-10)


def test_draws_left_out_are_announced(posterior, monkeypatch, capsys) -> None:
    monkeypatch.setattr(effects_module, "EVALUATIONS", 1.0)
    some = posterior.effects()
    assert "averaging 333 rows over 200 of 2000 draws" in capsys.readouterr().err
    assert_allclose(some["mean"], posterior.effects(n_draws=2000)["mean"], atol=0.01)
    assert capsys.readouterr().err == ""


def test_bad_arguments_are_named(overlapping, posterior) -> None:
    fit = overlapping.map()
    for call, text in (
        (lambda: fit.effects("bill"), "features: 'bill' is not a variable of the model"),
        (lambda: fit.effects(at="median"), "at='median' must be 'means'"),
        (lambda: fit.effects(at={"sex": "unknown"}), "at: 'unknown' is not a level of 'sex'"),
        (
            lambda: fit.contrast({"bill_length_mm": "long"}, {}),
            "first: 'bill_length_mm' is 'long'; expected one finite number",
        ),
        (lambda: fit.contrast({}, {}), "first and second are empty"),
        (lambda: fit.effects(draws=True), "a point estimate has no draws"),
        (lambda: posterior.effects(n_draws=0), "n_draws=0 must be at least 1"),
        (lambda: fit.odds_ratios(per={"x": 1}), "per: 'x' is not a feature"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="second=3 must be a mapping"):
        fit.contrast({"sex": "male"}, 3)


def test_answers_after_a_lasso_hold_its_zeros(survey) -> None:
    """Weights at the kink count as known: intervals are finite, and those of the model without these features."""
    model = bs.SoftmaxRegression(
        survey[COLUMNS], survey["party"], prior=bs.Laplace(0.02), intercept_prior=bs.Flat(), coding="full"
    )
    fit = model.map()
    assert (fit.weights == 0).any()
    table = fit.effects()
    assert np.isfinite(table).all(axis=None)
    assert np.isfinite(fit.evaluate(loo=True).log_loss)
    zero = (fit.weights == 0).all("category").values
    assert (table["std_error"].unstack("class").loc[np.array(COLUMNS)[zero]] == 0).all(axis=None)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6, 1e7])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_effects_follow_shifts_and_scales(offset, scale) -> None:
    """Curved terms of a shifted and stretched variable have the same effect, per unit of it."""
    X, y = simulate(150, 1, 3)
    z = (X[:, 0] - X[:, 0].min()) / np.ptp(X[:, 0])
    plain = bs.SoftmaxRegression.from_formula("y ~ poly(z, 2)", pd.DataFrame({"z": z, "y": y})).mle()
    moved = bs.SoftmaxRegression.from_formula("y ~ poly(z, 2)", pd.DataFrame({"z": (z + offset) * scale, "y": y})).mle()
    assert_allclose(moved.effects() * [scale, scale, scale, scale, 1], plain.effects(), rtol=2e-4, atol=1e-6)


def test_dropped_variables_and_steps_have_no_slope(survey) -> None:
    frame = survey.assign(fixed=3.0)
    fit = bs.SoftmaxRegression.from_formula("party ~ age + fixed", frame, constant="drop").map()
    assert fit.effects().index.get_level_values("feature").unique().tolist() == ["age"]
    stepped = bs.SoftmaxRegression.from_formula("party ~ educ + I(age > 40)", survey).map()
    assert stepped.effects("age").isna().all(axis=None)
    assert np.isfinite(stepped.effects("educ")).all(axis=None)
    assert np.isfinite(stepped.contrast({"age": 60}, {"age": 30})).all(axis=None)


def test_other_base_levels_and_columns_with_names_of_python(survey) -> None:
    frame = survey.assign(zone=np.resize(["n", "s", "w"], len(survey)))
    frame["self"] = survey["age"]
    fit = bs.SoftmaxRegression.from_formula("party ~ self + zone", frame).map()
    table = fit.effects("zone", base={"zone": "s"})["estimate"]
    default = fit.effects("zone")["estimate"]
    assert_allclose(table.loc[("zone", "n vs s")], -default.loc[("zone", "s vs n")], rtol=1e-12)
    assert_allclose(table.loc[("zone", "w vs s")], default["zone", "w vs n"] - default["zone", "s vs n"], rtol=1e-9)
    assert np.isfinite(fit.effects("self", at={"self": 30.0})).all(axis=None)
    with pytest.raises(ValueError, match="base: 'x' is not a level of 'zone'"):
        fit.effects(base={"zone": "x"})
    with pytest.raises(ValueError, match="features: 'zones' is not a variable of the model; did you mean 'zone'"):
        fit.effects("zones")


def test_new_data_can_have_weights(survey) -> None:
    fit = bs.SoftmaxRegression(survey[COLUMNS], survey["party"]).map()
    rows, w = survey[COLUMNS].iloc[:50], np.resize([1, 2, 3], 50)
    expected = fit.effects(data=rows.loc[rows.index.repeat(w)])
    assert_allclose(fit.effects(data=rows, weights=w), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="weights, offset and available belong to new data"):
        fit.effects(weights=w)
    with pytest.raises(ValueError, match="data has no rows"):
        fit.effects(data=rows.iloc[:0])


def test_many_classes_and_many_rows_stay_small() -> None:
    """26 classes: memory does not grow with the rows, whichever way the moments are summed."""
    import tracemalloc

    peaks = []
    for n in (2000, 8000):
        X, y = simulate(n, 2, 26)
        post = bs.SoftmaxRegression(X, y).laplace(draws=500, random_seed=1, progressbar=False)
        post.effects()  # what is cached is there
        tracemalloc.start()
        post.effects()
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert max(peaks) < 300
    assert peaks[1] < peaks[0] + 20


def test_both_ways_of_summing_slopes_agree(survey, monkeypatch) -> None:
    from bayes_softmax.answers import averages

    post = bs.SoftmaxRegression(survey[COLUMNS], survey["party"]).laplace(draws=200, random_seed=1, progressbar=False)
    pairs = post.effects()
    monkeypatch.setattr(averages, "PAIRS_PAY", 0.0)
    assert_allclose(post.effects(), pairs, rtol=1e-8, atol=1e-13)


def test_zeros_are_neither_positive_nor_negative(overlapping, posterior) -> None:
    same = {"bill_length_mm": 40.0}
    for fit in (overlapping.map(), posterior):
        assert (fit.contrast(same, same)["p_positive"] == 0.5).all()


def test_weights_by_name_are_found_in_new_data(survey) -> None:
    """The same frame, given again, has the same weights: effects of the fit's own data."""
    frame = survey.assign(times=np.resize([1, 2, 3], len(survey)))
    fit = bs.SoftmaxRegression.from_formula("party ~ age + educ", frame, weights="times").map()
    assert_allclose(fit.effects(data=frame), fit.effects(), rtol=1e-9)


def test_a_contrast_sets_the_same_variables(overlapping, drawn) -> None:
    fit = overlapping.map()
    with pytest.raises(ValueError, match="first sets 'sex' and second sets 'bill_length_mm': a contrast is between"):
        fit.contrast({"sex": "male"}, {"bill_length_mm": 40})
    with pytest.raises(ValueError, match="a contrast is between two values of the same variables"):
        drawn.contrast({"bill_length_mm": 40}, {"sex": "female"}, draws=True)
    assert "note" not in fit.contrast({"sex": "male"}, {}).attrs


def test_values_outside_the_data_are_noted(overlapping, drawn) -> None:
    fit = overlapping.map()
    inside = fit.contrast({"sex": "male"}, {"sex": "female"}, at={"bill_length_mm": 50})
    assert "note" not in inside.attrs
    note = fit.contrast({"bill_length_mm": 500}, {"bill_length_mm": 40}).attrs["note"]
    assert note == "outside the data of the fit, so extrapolated: bill_length_mm=500 (32.1 to 59.6)"
    table = drawn.effects("sex", at={"bill_length_mm": 0})
    assert table.attrs["note"].endswith("extrapolated: bill_length_mm=0 (32.1 to 59.6)")
    assert "note: outside the data" in repr(table)
    array = drawn.effects("sex", at={"bill_length_mm": 0}, draws=True)
    assert array.attrs["note"] == table.attrs["note"]
