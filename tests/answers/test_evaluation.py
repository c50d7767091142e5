"""Scores by hand and by scikit-learn; leave-one-out scores against refits; nothing depends on names or order."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics

import bayes_softmax as bs
from bayes_softmax.data.schema import schema_from_json
from tests.conftest import simulate


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, drawn: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"mle": overlapping.mle(), "map": overlapping.map(), "sample": drawn}


@pytest.mark.parametrize("kind", ["mle", "map", "sample"])
def test_scores_are_those_of_scikit_learn(fits, penguins, kind) -> None:
    fit = fits[kind]
    y, P = penguins["species"], fit.predict_proba(penguins).to_numpy()
    for found in (fit.evaluate(), fit.evaluate(penguins), fit.evaluate(penguins, y=y)):
        assert found.accuracy == pytest.approx(metrics.accuracy_score(y, fit.predict(penguins)))
        assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y, fit.predict(penguins)))
        assert found.log_loss == pytest.approx(metrics.log_loss(y, P))
        onehot = pd.get_dummies(y).to_numpy(dtype=float)
        assert found.brier == pytest.approx(((P - onehot) ** 2).sum(axis=1).mean())
        assert_allclose(found.confusion, metrics.confusion_matrix(y, fit.predict(penguins)))
        null = metrics.log_loss(y, np.tile(onehot.mean(axis=0), (len(y), 1)))
        assert found.mcfadden_r2 == pytest.approx(1 - metrics.log_loss(y, P) / null)
        losses = -np.log(P[np.arange(len(y)), np.unique(y, return_inverse=True)[1]])
        assert found.std_error["log_loss"] == pytest.approx(losses.std(ddof=1) / np.sqrt(len(y)))
    assert fit.evaluate().kind == "in-sample"
    assert fit.evaluate(penguins).kind == "new data"


def test_mcfadden_is_that_of_the_intercept_only_model(overlapping, penguins) -> None:
    null = bs.SoftmaxRegression.from_formula("species ~ 1", penguins).mle()
    mle = overlapping.mle()
    assert mle.evaluate().mcfadden_r2 == pytest.approx(1 - mle.log_likelihood / null.log_likelihood, rel=1e-9)


def test_calibration_tables_by_hand(fits, penguins) -> None:
    found = fits["map"].evaluate(n_bins=4)
    P, y = fits["map"].predict_proba(penguins), penguins["species"]
    table = found.calibration.loc["Gentoo"]
    assert table["n_observations"].sum() == len(y)
    assert len(table) == 4
    assert_allclose((table["predicted"] * table["n_observations"]).sum(), P["Gentoo"].sum())
    assert_allclose((table["observed"] * table["n_observations"]).sum(), (y == "Gentoo").sum())
    first = P["Gentoo"].rank(method="first") <= table["n_observations"].iloc[0]
    assert_allclose(table["observed"].iloc[0], (y[first] == "Gentoo").mean(), atol=1e-12)
    assert (table["wilson89_lb"] <= table["observed"]).all()
    top = found.top_label
    assert_allclose((top["observed"] * top["n_observations"]).sum() / len(y), found.accuracy)


def test_wilson_intervals_are_those_of_statsmodels(fits) -> None:
    from statsmodels.stats.proportion import proportion_confint

    table = fits["map"].evaluate().calibration
    hits = (table["observed"] * table["n_observations"]).round()
    low, high = proportion_confint(hits, table["n_observations"], alpha=0.11, method="wilson")
    assert_allclose(table[["wilson89_lb", "wilson89_ub"]], np.column_stack([low, high]), atol=1e-10)


def test_renaming_and_reordering_classes_changes_no_score(penguins) -> None:
    names = {"Adelie": "zebra", "Chinstrap": "aardvark", "Gentoo": "10"}
    renamed = penguins.assign(species=penguins["species"].map(names))
    one = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins)
    other = bs.SoftmaxRegression.from_formula(
        "species ~ bill_length_mm + sex", renamed, classes=["aardvark", "zebra", "10"]
    )
    for loo in (False, True):
        a, b = (m.map().evaluate(loo=loo) for m in (one, other))
        assert_allclose(a.to_frame().iloc[:, :2].astype(float), b.to_frame().iloc[:, :2].astype(float), rtol=1e-6)
        assert_allclose(
            a.confusion.rename(index=names, columns=names).loc[b.confusion.index, b.confusion.columns], b.confusion
        )


def test_leave_one_out_scores_are_those_of_refits() -> None:
    """K = 3, N = 40: a Newton step and importance weights against 40 refits; probabilities to 0.01 and 0.03."""
    X, y = simulate(40, 2, 3)
    priors = {"prior": bs.Normal(1.0), "intercept_prior": bs.Normal(2.0), "classes": [0, 1, 2]}
    model = bs.SoftmaxRegression(X, y, **priors)
    exact = np.array(
        [
            bs.SoftmaxRegression(np.delete(X, i, 0), np.delete(y, i), **priors)
            .map()
            .predict_proba(X[[i]])
            .to_numpy()[0]
            for i in range(40)
        ]
    )
    onehot = np.eye(3)[y]
    estimate = model.map().evaluate(loo=True)
    assert estimate.log_loss == pytest.approx(-np.log((exact * onehot).sum(axis=1)).mean(), abs=0.01)
    assert estimate.log_loss > model.map().evaluate().log_loss
    post = model.sample(random_seed=1, progressbar=False)
    left_out = post.evaluate(loo=True)
    assert left_out.log_loss == pytest.approx(-post.loo().elpd / 40, rel=1e-9)
    means = []
    for i in range(0, 40, 5):
        refit = bs.SoftmaxRegression(np.delete(X, i, 0), np.delete(y, i), **priors)
        drawn = refit.laplace(random_seed=1, progressbar=False)
        means.append(drawn.predict_proba(X[[i]]).to_numpy()[0])
    from bayes_softmax.answers.pointwise import cell_loo

    P = cell_loo(post._fitted, post._fitted.training, post._fitted.relative_ess).probabilities
    assert np.abs(P[::5] - np.array(means)).max() < 0.03


def test_weights_and_counts_score_like_rows() -> None:
    rng = np.random.default_rng(1)
    X, y = simulate(50, 2, 3)
    weights = rng.integers(1, 4, size=50)
    long = np.repeat(np.arange(50), weights)
    weighted = bs.SoftmaxRegression(X, y, weights=weights).map()
    expected = bs.SoftmaxRegression(X[long], y[long], collapse=False).map()
    fresh = rng.normal(size=(30, 2))
    labels, w = rng.integers(0, 3, size=30), rng.integers(1, 4, size=30)
    again = np.repeat(np.arange(30), w)
    pairs = [
        (weighted.evaluate(), expected.evaluate()),
        (weighted.evaluate(loo=True), expected.evaluate(loo=True)),
        (weighted.evaluate(fresh, y=labels, weights=w), expected.evaluate(fresh[again], y=labels[again])),
        (weighted.evaluate(fresh, y=np.eye(3)[labels] * w[:, None]), expected.evaluate(fresh[again], y=labels[again])),
    ]
    for a, b in pairs:
        assert a.n_observations == b.n_observations
        assert_allclose(a.to_frame().iloc[:, :2].astype(float), b.to_frame().iloc[:, :2].astype(float), rtol=1e-6)
        assert_allclose(a.confusion, b.confusion)


def test_a_class_without_data_is_scored_without_it() -> None:
    X, y = simulate(40, 1, 2)
    fit = bs.SoftmaxRegression(X, y, classes=[0, 1, 2]).map()
    found = fit.evaluate()
    assert np.isfinite(found.balanced_accuracy)
    assert found.mcfadden_r2 == pytest.approx(1 + found.log_loss / np.log(np.bincount(y) / 40)[y].mean())
    assert found.confusion.loc[2].sum() == 0
    # In new data the class occurs that the class frequencies exclude: they lose by infinitely much, to any model.
    assert np.isnan(fit.evaluate(X[:3], y=[0, 1, 2]).mcfadden_r2)
    assert np.isfinite(fit.evaluate(X[:3], y=[0, 1, 1]).mcfadden_r2)


def test_a_class_with_one_unit_has_no_frequency_without_it() -> None:
    X, y = simulate(40, 1, 2)
    fit = bs.SoftmaxRegression(np.vstack([X, [[0.3]]]), [*y, 2]).map()
    left_out = fit.evaluate(loo=True)
    assert np.isfinite(left_out.log_loss)
    assert np.isnan(left_out.mcfadden_r2)
    assert np.isfinite(fit.evaluate().mcfadden_r2)
    assert "NaN where these give probability 0 to an observed class" in left_out.to_frame()["meaning"]["mcfadden_r2"]


def test_one_class_alone_has_nothing_to_explain() -> None:
    fit = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "a", "a"], classes=["a", "b"]).map()
    assert np.isnan(fit.evaluate().mcfadden_r2)


@pytest.mark.parametrize("kind", ["mle", "map", "sample"])
def test_log_loss_is_finite_where_probabilities_underflow(fits, penguins, kind) -> None:
    """Logits of several thousand: minus the difference of the logits; over draws, of the draw that is least wrong."""
    fit = fits[kind]
    new = penguins.iloc[:1].assign(bill_length_mm=-20_000.0, species="Gentoo")
    assert fit.predict_proba(new)["Gentoo"].item() == 0
    x = fit._fitted.schema.encode(new)[0][0]
    logits = fit._fitted.parameters["intercept"] + np.einsum("p,spk->sk", x, fit._fitted.parameters["weights"])
    log_p = logits[:, 2] - logits.max(axis=1)
    found = fit.evaluate(new)
    assert found.log_loss == pytest.approx(np.log(len(log_p)) - log_p.max(), rel=1e-9)
    assert found.log_loss > 745
    both = fit.evaluate(pd.concat([new, penguins]))
    assert both.log_loss == pytest.approx((found.log_loss + 333 * fit.evaluate().log_loss) / 334)


def test_ties_are_shared_out_whatever_the_order_of_the_classes() -> None:
    """No feature tells the classes apart: both are as probable, and half of the units are right."""
    X, y = np.array([[-1.0], [1.0], [-1.0], [1.0], [5.0]]), np.array(["a", "a", "b", "b", "a"])
    for classes in (["a", "b"], ["b", "a"]):
        fit = bs.SoftmaxRegression(X[:4], y[:4], classes=classes).map()
        found = fit.evaluate(X, y=y)
        assert found.accuracy == pytest.approx(0.5)
        assert found.balanced_accuracy == pytest.approx(0.5)
        assert_allclose(found.confusion.loc["a", ["a", "b"]], [1.5, 1.5])
        top = found.top_label
        assert_allclose((top["observed"] * top["n_observations"]).sum() / 5, found.accuracy)


def weighted_data() -> pd.DataFrame:
    X, y = simulate(50, 2, 3)
    return pd.DataFrame(X, columns=["u", "v"]).assign(y=y, freq=np.random.default_rng(1).integers(1, 5, size=50))


@pytest.mark.parametrize("front_door", ["formula", "arrays"])
def test_weights_named_in_the_fit_are_those_of_new_data(front_door) -> None:
    data = weighted_data()
    if front_door == "formula":
        fit = bs.SoftmaxRegression.from_formula("y ~ u + v", data, weights="freq").map()
    else:
        fit = bs.SoftmaxRegression(data[["u", "v", "freq"]], data["y"], weights="freq").map()
    assert fit._fitted.schema.weights_column == "freq"
    assert schema_from_json(fit._fitted.schema.to_json()) == fit._fitted.schema
    found, inside = fit.evaluate(data), fit.evaluate()
    assert found.n_observations == data["freq"].sum()
    assert found.log_loss == pytest.approx(inside.log_loss, rel=1e-12)
    assert_allclose(found.confusion, inside.confusion)
    assert fit.evaluate(data, weights=np.ones(50)).n_observations == 50
    assert fit.evaluate(data.drop(columns="freq")).n_observations == 50
    if front_door == "arrays":
        assert fit.evaluate(data[["u", "v"]].to_numpy(), y=data["y"]).n_observations == 50


def test_weights_given_by_value_name_no_column() -> None:
    data = weighted_data()
    fit = bs.SoftmaxRegression.from_formula("y ~ u + v", data, weights=data["freq"]).map()
    assert fit._fitted.schema.weights_column is None
    assert fit.evaluate(data).n_observations == 50


def test_nothing_is_aligned_silently(fits, penguins) -> None:
    fit, shuffled = fits["map"], penguins["species"].sample(frac=1, random_state=1)
    with pytest.raises(ValueError, match=r"y is not aligned with data: .* align it first \(y.loc\[data.index\]\)"):
        fit.evaluate(penguins, y=shuffled)
    with pytest.raises(ValueError, match="weights is not aligned with data"):
        fit.evaluate(penguins, weights=pd.Series(1.0, index=shuffled.index))
    assert fit.evaluate(penguins, y=shuffled.loc[penguins.index]).accuracy == fit.evaluate().accuracy
    assert fit.evaluate(penguins, y=shuffled.to_numpy()).accuracy < fit.evaluate().accuracy


def test_features_are_not_taken_for_counts() -> None:
    """Columns 0 and 1 of the features are not the counts of classes 0 and 1."""
    X, y = simulate(30, 2, 2)
    frame = pd.DataFrame(np.abs(X))
    fit = bs.SoftmaxRegression(frame, y).map()
    with pytest.raises(
        ValueError, match=r"data has no column 'y', nor one of counts for each of the classes 0, 1; pass"
    ):
        fit.evaluate(frame)
    assert fit.evaluate(frame, y=y).n_observations == 30


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_scores_at_other_base_rates(fits, penguins, kind) -> None:
    """Classes resampled to other base rates are scored better with these, and the null model has them too."""
    fit, rates = fits[kind], pd.Series({"Gentoo": 0.1, "Adelie": 0.1, "Chinstrap": 0.8})
    new = pd.concat([penguins[penguins["species"] == c].iloc[: int(80 * rate)] for c, rate in rates.items()])
    found = fit.evaluate(new, class_prior=rates)
    assert found.log_loss < fit.evaluate(new).log_loss
    P = fit.predict_proba(new, class_prior=rates)
    assert found.log_loss == pytest.approx(metrics.log_loss(new["species"], P), rel=1e-9)
    null = -np.log(rates[new["species"]]).mean()
    assert found.mcfadden_r2 == pytest.approx(1 - found.log_loss / null)
    certain = fit.evaluate(new, class_prior={"Gentoo": 0.0, "Adelie": 0.2, "Chinstrap": 0.8})
    assert certain.log_loss == np.inf
    assert np.isnan(certain.mcfadden_r2)


def test_bad_arguments_are_named(fits, penguins) -> None:
    fit = fits["map"]
    for call, text in (
        (lambda: fit.evaluate(penguins.drop(columns="species")), "data has no column 'species'"),
        (lambda: fit.evaluate(penguins, loo=True), "it takes no new data"),
        (lambda: fit.evaluate(y=penguins["species"]), "y, weights, offset and available belong to new data"),
        (lambda: fit.evaluate(penguins, y=penguins["species"].iloc[:5]), "data has 333 rows, but y has 5"),
        (lambda: fit.evaluate(penguins.assign(species="Emperor")), "unknown label 'Emperor'"),
        (lambda: fit.evaluate(class_prior={"Adelie": 1.0}), "class_prior belongs to new data"),
        (lambda: fit.evaluate(n_bins=0), "n_bins=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_it_reads_aloud(fits) -> None:
    found = fits["sample"].evaluate()
    assert repr(found).startswith("Evaluation, in-sample: 333 observations, 3 classes\n  accuracy 0.")
    assert "nats" in found.to_frame()["meaning"]["log_loss"]


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_rows_with_missing_values_are_dropped_on_request(kind: str) -> None:
    """In features, labels, weights, offset and choice sets, by name and by value: the scores of the rest."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": rng.choice(["a", "b", "c"], 60), "w": rng.integers(1, 4, 60)})
    frame[["o1", "o2", "o3"]] = rng.normal(size=(60, 3))
    frame[["on1", "on2", "on3"]] = 1.0
    named = {"offset": ["o1", "o2", "o3"], "available": ["on1", "on2", "on3"]}
    model = bs.SoftmaxRegression.from_formula("y ~ x", frame, weights="w", **named)
    fit = model.map() if kind == "map" else model.sample(50, chains=2, random_seed=1, progressbar=False)
    holed = frame.astype({"w": float})
    for row, column in enumerate(["x", "y", "w", "o2", "on3"]):
        holed.loc[row, column] = None
    expected = fit.evaluate(frame[5:])
    found = fit.evaluate(holed, missing="drop")
    assert found.log_loss == expected.log_loss
    assert (found.n_observations, found.n_dropped) == (frame["w"][5:].sum(), 5)
    assert "note: 5 rows with missing values were dropped" in repr(found)
    by_value = fit.evaluate(
        holed[["x"]],
        holed["y"],
        weights=holed["w"],
        offset=holed[["o1", "o2", "o3"]].to_numpy(),
        available=holed[["on1", "on2", "on3"]].to_numpy(),
        missing="drop",
    )
    assert by_value.log_loss == expected.log_loss
    assert fit.evaluate(frame, missing="drop").n_dropped == 0
    assert "note" not in repr(fit.evaluate(frame))
    with pytest.raises(ValueError, match="column 'x' has a missing value in row 0; fill it, or pass missing='drop'"):
        fit.evaluate(holed)
    with pytest.raises(ValueError, match=r"no rows left \(60 rows dropped for missing values"):
        fit.evaluate(holed.assign(x=np.nan), missing="drop")
    with pytest.raises(ValueError, match="missing='nan' is not known; use one of 'error', 'drop'"):
        fit.evaluate(holed, missing="nan")
    for ask in (fit.predict_proba, fit.predict):
        with pytest.raises(ValueError, match="pass missing='nan' to leave the answers for such rows empty"):
            ask(holed)


def test_missing_values_of_arrays_are_dropped_on_request() -> None:
    X, y = simulate(60, 2, 3)
    fit = bs.SoftmaxRegression(X, y).map()
    holed = X.copy()
    holed[3, 1] = np.nan
    found, left = fit.evaluate(holed, y, missing="drop"), np.arange(60) != 3
    assert found.log_loss == fit.evaluate(X[left], y[left]).log_loss
    assert fit.evaluate(holed, list(y), missing="drop").log_loss == found.log_loss
    with pytest.raises(ValueError, match="column 'x1' is NaN in row 3; fill it, or pass missing='drop'"):
        fit.evaluate(holed, y)
    with pytest.raises(ValueError, match="column 'x1' is NaN in row 3; fill it, or pass missing='nan'"):
        fit.predict_proba(holed)
