"""Scores by hand and by scikit-learn; leave-one-out scores against refits; nothing depends on names or order."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics

import bayes_softmax as bs
from tests.conftest import simulate


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, posterior: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"mle": overlapping.mle(), "map": overlapping.map(), "sample": posterior}


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
    assert table["units"].sum() == len(y)
    assert len(table) == 4
    assert_allclose((table["predicted"] * table["units"]).sum(), P["Gentoo"].sum())
    assert_allclose((table["observed"] * table["units"]).sum(), (y == "Gentoo").sum())
    first = P["Gentoo"].rank(method="first") <= table["units"].iloc[0]
    assert_allclose(table["observed"].iloc[0], (y[first] == "Gentoo").mean(), atol=1e-12)
    assert (table["wilson89_lb"] <= table["observed"]).all()
    top = found.top_label
    assert_allclose((top["observed"] * top["units"]).sum() / len(y), found.accuracy)


def test_wilson_intervals_are_those_of_statsmodels(fits) -> None:
    from statsmodels.stats.proportion import proportion_confint

    table = fits["map"].evaluate().calibration
    hits = (table["observed"] * table["units"]).round()
    low, high = proportion_confint(hits, table["units"], alpha=0.11, method="wilson")
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
    from bayes_softmax.results.loo import cell_loo

    P = cell_loo(post, post.training, post.relative_ess).probabilities
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
        assert a.n_units == b.n_units
        assert_allclose(a.to_frame().iloc[:, :2].astype(float), b.to_frame().iloc[:, :2].astype(float), rtol=1e-6)
        assert_allclose(a.confusion, b.confusion)


def test_a_class_without_data_is_scored_without_it() -> None:
    X, y = simulate(40, 1, 2)
    fit = bs.SoftmaxRegression(X, y, classes=[0, 1, 2]).map()
    found = fit.evaluate()
    assert np.isfinite(found.balanced_accuracy)
    assert found.confusion.loc[2].sum() == 0


def test_bad_arguments_are_named(fits, penguins) -> None:
    fit = fits["map"]
    for call, text in (
        (lambda: fit.evaluate(penguins.drop(columns="species")), "data has no column 'species'"),
        (lambda: fit.evaluate(penguins, loo=True), "it takes no new data"),
        (lambda: fit.evaluate(y=penguins["species"]), "y and weights belong to new data"),
        (lambda: fit.evaluate(penguins, y=penguins["species"].iloc[:5]), "data has 333 rows, but y has 5"),
        (lambda: fit.evaluate(penguins.assign(species="Emperor")), "unknown label 'Emperor'"),
        (lambda: fit.evaluate(n_bins=0), "n_bins=0 must be a whole number"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_it_reads_aloud(fits) -> None:
    found = fits["sample"].evaluate()
    assert repr(found).startswith("Evaluation, in-sample: 333 units, 3 classes\n  accuracy 0.")
    assert "nats" in found.to_frame()["meaning"]["log_loss"]
