"""The default prior: what it implies for probabilities, whatever classes, features and units, and how it is shown."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import bayes_softmax as bs
from bayes_softmax.results.plots.prior_predictive import implied_probabilities
from tests.conftest import simulate

mpl.use("Agg")

N, DRAWS = 300, 400
FEATURES = ("normal", "binary", "badly scaled", "heavy tails")


def features(kind, p, seed=0):
    """(N, p): every kind of column that a default must cope with."""
    rng = np.random.default_rng(seed)
    if kind == "binary":
        X = (rng.random((N, p)) < rng.uniform(0.01, 0.5, size=p)).astype(float)
        X[:2] = [[1.0], [0.0]]
        return X
    if kind == "heavy tails":
        return rng.standard_t(3, size=(N, p))
    X = rng.normal(size=(N, p))
    return X if kind == "normal" else X * 10.0 ** rng.uniform(-6, 6, size=p) + 10.0 ** rng.uniform(-3, 6, size=p)


def default_model(K, p, kind, coding="zero-sum"):
    return bs.SoftmaxRegression(features(kind, p), np.arange(N) % K, coding=coding)


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("p", [2, 20, 200])
def test_share_of_sure_rows_with_two_classes(p, kind):
    """Exactly: the difference of two logits is normal with variance 2 (1.5^2 + sum_j s_j^2 z_j^2) at each row."""
    model = default_model(2, p, kind)
    scale = np.array([family.scale for family in model.priors.weights])
    centred = model.design.X - model.design.X.mean(axis=0)
    sd = np.sqrt(2 * (1.5**2 + (centred**2) @ scale**2))
    assert (2 * norm.sf(np.log(0.99 / 0.01) / sd)).mean() < 0.20


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("p", [2, 20, 200])
@pytest.mark.parametrize("K", [3, 10, 50])
def test_share_of_sure_rows(K, p, kind):
    """At most a tenth, twice as good as asked for: 400 draws, seed 1, four standard errors over draws are added."""
    model = default_model(K, p, kind)
    implied = implied_probabilities(model, DRAWS, np.random.default_rng(1), model.priors)
    by_draw = (implied.largest > 0.99).mean(axis=1)
    assert by_draw.mean() + 4 * by_draw.std() / np.sqrt(DRAWS) < 0.10


@pytest.mark.parametrize("K", [2, 3, 10, 50])
def test_probabilities_hardly_depend_on_the_number_of_features(K):
    """The mean largest probability of a row, for 2 to 200 normal features: within 0.05; 400 draws, seed 1.

    Its standard error is at most 0.012, so that two means differ by 0.05 through chance once in 300 000 times.
    """
    means = [
        implied_probabilities(m, DRAWS, np.random.default_rng(1), m.priors).largest.mean()
        for m in (default_model(K, p, "normal") for p in (2, 20, 200))
    ]
    assert np.ptp(means) < 0.05


@pytest.mark.parametrize("kind", FEATURES)
def test_total_logit_sd(kind):
    """2.5 over the rows of the data where no column is binary; less for rare dummies, never more."""
    for p in (1, 5, 50):
        table = default_model(3, p, kind).describe_prior()
        total = table.attrs["total_logit_sd"]
        assert_allclose(total, np.sqrt(np.square(table["logit_sd"]).sum()), rtol=1e-12)
        if kind == "binary":
            assert 1.5 < total < 2.5
        else:
            assert_allclose(total, 2.5, rtol=1e-12)


def test_total_logit_sd_of_given_priors_counts_from_zero():
    """Priors on raw coefficients: the logit at a row has variance s_b^2 + sum_j s_j^2 x_j^2."""
    X, y = simulate(120, 2, 3)
    X = X + np.array([3.0, -1.0])
    prior = {"x0": bs.Normal(0.7), "x1": bs.Normal(2.0)}
    for intercept in (True, False):
        options = {"intercept_prior": bs.Normal(1.2)} if intercept else {"intercept": False}
        model = bs.SoftmaxRegression(X, y, prior=prior, **options)
        table = model.describe_prior()
        expected = np.sqrt((1.44 if intercept else 0) + (np.array([0.49, 4.0]) * (X**2).mean(axis=0)).sum())
        assert_allclose(table.attrs["total_logit_sd"], expected, rtol=1e-12)


def test_the_table_shows_what_each_scale_was_made_from():
    rng = np.random.default_rng(0)
    rare = (np.arange(100) < 4).astype(float)
    X = np.column_stack([rng.normal(size=100) * 3, rare, rng.normal(size=100)])
    model = bs.SoftmaxRegression(X, rng.integers(0, 3, 100), prior={"x2": bs.StudentT(4, 0.3)})
    table = model.describe_prior()
    assert table.columns.tolist() == ["prior", "measured", "autoscaled", "scale_from", "logit_sd"]
    assert table.loc["intercept", "scale_from"] == "default"
    assert table.loc["x0", "scale_from"] == f"2 / (sqrt(3) * {X[:, 0].std():.4g})"
    assert table.loc["x1", "scale_from"] == "2 / (sqrt(3) * 0.5)"  # not its sd of 0.196
    assert table.loc["x2", ["prior", "scale_from", "autoscaled"]].tolist() == ["StudentT(4, 0.3)", "given", False]
    assert_allclose(table.loc["x1", "logit_sd"], 2 / 3**0.5 / 0.5 * rare.std())
    assert "2.0 / sqrt(p) per sd of the feature, with p = 3" in table.attrs["formula"]


def test_the_picture_shows_both_priors_and_the_classes(overlapping):
    figure = bs.plots.prior(overlapping, draws=300)
    left, right = figure.axes
    texts = [text.get_text() for text in left.get_legend().get_texts()]
    model = implied_probabilities(overlapping, 300, np.random.default_rng(0), overlapping.priors)
    assert texts[0] == f"this model's prior: {100 * model.share_sure:.0f} % of rows have a class above 0.99"
    assert texts[1].startswith("Normal(2.5) on raw coefficients: ")
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["Adelie", "Chinstrap", "Gentoo"]
    assert right.get_ylabel() == "species"
    alone = bs.plots.prior(overlapping, draws=10, against=None, random_seed=np.random.default_rng(0))
    assert len(alone.axes[0].get_legend().get_texts()) == 1
    many = bs.SoftmaxRegression(*simulate(200, 2, 20), classes=range(20))
    assert bs.plots.prior(many, draws=10).axes[1].get_ylabel() == "y (and 8 more classes)"


def test_the_picture_refuses_what_it_cannot_draw(overlapping):
    with pytest.raises(ValueError, match="draws=0 must be at least 1"):
        bs.plots.prior(overlapping, draws=0)
    with pytest.raises(TypeError, match=r"against=Flat\(\) must be Normal, StudentT or None"):
        bs.plots.prior(overlapping, against=bs.Flat())
    flat = bs.SoftmaxRegression(*simulate(50, 1, 2), prior=bs.Flat())
    with pytest.raises(ValueError, match=r"the prior of the weights of 'x0' is Flat\(\)"):
        bs.plots.prior(flat)
