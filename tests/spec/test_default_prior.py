"""The default prior: what it implies for probabilities, whatever classes, features and units, and how it is shown."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import bayes_softmax as bs
from bayes_softmax.plots.prior_predictive import implied_probabilities
from tests.conftest import simulate

mpl.use("Agg")

N, DRAWS = 300, 400
FEATURES = ("normal", "binary", "badly scaled", "heavy tails")
LEVELS = 200

# A factor of hundreds of levels in few rows, which is what these tests are about, is doubted in a warning.
FACTORS = pytest.mark.filterwarnings("ignore:column 'g' has")


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


def one_hot(K, right="g"):
    """A factor of 200 levels, three rows each."""
    levels = np.repeat(np.arange(LEVELS), 3)
    frame = pd.DataFrame({"g": pd.Categorical(levels.astype(str), [str(i) for i in range(LEVELS)])})
    frame["y"] = np.random.default_rng(0).permutation(len(frame)) % K
    return bs.SoftmaxRegression.from_formula(f"y ~ {right}", frame)


def constant_by_hand(X, totals=None, intercept=True):
    """The rule once more: c = min(2, 2 / sqrt(sum_j (b_j rms_j)^2)), and the base scales b_j."""
    w = np.ones(len(X)) if totals is None else np.asarray(totals, dtype=float)
    X, w = X[w > 0], w[w > 0] / w.sum()
    mean = w @ X
    sd = np.sqrt(w @ (X - mean) ** 2)
    rms = sd if intercept else np.sqrt(w @ X**2)
    two = np.array([len(np.unique(column)) == 2 for column in X.T])
    b = 1 / np.where(two, np.maximum(rms, np.ptp(X, axis=0) / 2), rms)
    return min(2, 2 / np.sqrt(((b * rms) ** 2).sum())), b


def scales_of(model):
    return np.array([family.scale for family in model._spec.priors.weights])


def default_model(K, p, kind, coding="zero-sum"):
    if kind == "one-hot":
        return one_hot(K)
    return bs.SoftmaxRegression(features(kind, p), np.arange(N) % K, coding=coding)


KINDS = [(p, kind) for p in (2, 20, 200) for kind in FEATURES] + [(LEVELS, "one-hot")]


@FACTORS
@pytest.mark.parametrize(("p", "kind"), KINDS)
def test_share_of_sure_rows_with_two_classes(p, kind):
    """Exactly: the difference of two logits is normal with variance 2 (1.5^2 + sum_j s_j^2 z_j^2) at each row."""
    model = default_model(2, p, kind)
    scale = scales_of(model)
    centred = model._spec.design.X - model._spec.design.X.mean(axis=0)
    sd = np.sqrt(2 * (1.5**2 + (centred**2) @ scale**2))
    assert (2 * norm.sf(np.log(0.99 / 0.01) / sd)).mean() < 0.20


@FACTORS
@pytest.mark.parametrize(("p", "kind"), KINDS)
@pytest.mark.parametrize("K", [3, 10, 50])
def test_share_of_sure_rows(K, p, kind):
    """At most a tenth, twice as good as asked for: 400 draws, seed 1, four standard errors over draws are added."""
    model = default_model(K, p, kind)
    implied = implied_probabilities(model._spec, DRAWS, np.random.default_rng(1))
    by_draw = (implied.largest > 0.99).mean(axis=1)
    assert by_draw.mean() + 4 * by_draw.std() / np.sqrt(DRAWS) < 0.10


@pytest.mark.parametrize("K", [2, 3, 10, 50])
def test_probabilities_hardly_depend_on_the_number_of_features(K):
    """The mean largest probability of a row, for 2 to 200 normal features: within 0.05; 400 draws, seed 1.

    Its standard error is at most 0.012, so that two means differ by 0.05 through chance once in 300 000 times.
    """
    means = [
        implied_probabilities(m._spec, DRAWS, np.random.default_rng(1)).largest.mean()
        for m in (default_model(K, p, "normal") for p in (2, 20, 200))
    ]
    assert np.ptp(means) < 0.05


@pytest.mark.parametrize("kind", FEATURES)
def test_total_logit_sd(kind):
    """2.5 over the rows of the data, whatever the columns are and however many."""
    for p in (1, 5, 50):
        model = default_model(3, p, kind)
        table = model.describe_prior()
        total = table.attrs["total_logit_sd"]
        assert_allclose(total, np.sqrt(np.square(table["logit_sd"]).sum()), rtol=1e-12)
        c, b = constant_by_hand(model._spec.design.X)
        assert_allclose(scales_of(model), c * b, rtol=1e-9)
        if kind == "binary" and c == 2:
            assert 1.5 < total < 2.5
        else:
            assert_allclose(total, 2.5, rtol=1e-9)


@FACTORS
@pytest.mark.parametrize("right", ["g", "0 + g", "C(g)"])
def test_dummies_count_for_what_they_do(right):
    """The 200 levels of a factor are one thing: each has a scale of about 2, together a logit sd of 2."""
    model = one_hot(3, right)
    c, b = constant_by_hand(model._spec.design.X, intercept=model._spec.design.has_intercept)
    assert_allclose(b, 2.0)
    assert 0.99 < c < 1.01
    assert_allclose(scales_of(model), 2 * c, rtol=1e-12)
    expected = np.hypot(2.0, 1.5 if model._spec.design.has_intercept else 0.0)
    assert_allclose(model.describe_prior().attrs["total_logit_sd"], expected, rtol=1e-9)


@pytest.mark.parametrize(
    "right", ["bs(x, df=6)", "poly(x, 3)", "x:g + z", "g*h", "0 + bs(x, df=5) + flag", "I(x**2)*h"]
)
def test_splines_and_products_follow_the_rule(right):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "x": rng.normal(3, 2, 240),
            "z": rng.normal(size=240) * 1e6,
            "g": rng.permutation(np.repeat(list("abcdef"), 40)),
            "h": rng.choice(["u", "v"], p=[0.9, 0.1], size=240),
            "flag": (np.arange(240) < 2) * 1.0,
            "y": np.arange(240) % 3,
        }
    )
    model = bs.SoftmaxRegression.from_formula(f"y ~ {right}", frame)
    c, b = constant_by_hand(model._spec.design.X, intercept=model._spec.design.has_intercept)
    assert_allclose(scales_of(model), c * b, rtol=1e-9)
    expected = np.hypot(2.0, 1.5 if model._spec.design.has_intercept else 0.0)
    assert_allclose(model.describe_prior().attrs["total_logit_sd"], expected, rtol=1e-9)


@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0), (5.0, 5.001)])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.5])
def test_a_flag_has_a_bounded_scale(values, share):
    """Alone it has c = 2 and, per change from one value to the other, a scale of at most 4, however rare."""
    flag = np.where(np.arange(1000) < 1000 * share, values[1], values[0])
    model = bs.SoftmaxRegression(flag[:, None], np.arange(1000) % 3)
    per_change = scales_of(model)[0] * (values[1] - values[0])
    assert per_change <= 4 + 1e-9
    sd = np.sqrt(share * (1 - share))
    assert_allclose(per_change, 2 / max(sd, 0.5) * min(1.0, max(sd, 0.5) / sd), rtol=1e-9)
    total = model.describe_prior().attrs["total_logit_sd"]
    assert_allclose(total, np.hypot(1.5, per_change * sd), rtol=1e-9)


def test_a_rare_flag_does_not_take_from_the_others():
    """Beside a numeric column, 50 flags of one row each leave the column nearly all there is."""
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.normal(size=1000), np.eye(1000)[:, :50]])
    scales = scales_of(bs.SoftmaxRegression(X, np.arange(1000) % 3))
    assert_allclose(scales[0], 2 / X[:, 0].std() / np.sqrt(1 + 50 * 4 * 0.001 * 0.999), rtol=1e-12)
    assert_allclose(scales[1:], 2 * scales[0] * X[:, 0].std(), rtol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_row_totals_are_the_measure(intercept):
    """Weights, counts and repetition are one; rows that hold nothing do not count, not even as a third value."""
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(2, 1, 60), rng.random(60) < 0.1, np.exp(rng.normal(size=60))])
    weights = rng.integers(0, 4, 60)
    X[weights == 0, 1] = 7.0
    y = np.arange(60) % 3
    counts = rng.multinomial(1, [1 / 3] * 3, size=60) * weights[:, None]
    repeated = np.repeat(np.arange(60), weights)
    c, b = constant_by_hand(X, weights, intercept)
    for model in (
        bs.SoftmaxRegression(X, y, weights=weights, intercept=intercept),
        bs.SoftmaxRegression(X, counts, intercept=intercept),
        bs.SoftmaxRegression(X[repeated], y[repeated], intercept=intercept),
    ):
        assert_allclose(scales_of(model), c * b, rtol=1e-9)
        totals, scales = model._spec.design.totals, scales_of(model)
        centre = totals @ model._spec.design.X / totals.sum() if intercept else 0.0
        variance = totals @ ((model._spec.design.X - centre) ** 2 @ scales**2) / totals.sum()
        expected = np.sqrt(variance + 1.5**2 * intercept)
        assert_allclose(model.describe_prior().attrs["total_logit_sd"], expected, rtol=1e-9)


def test_without_an_intercept_a_column_far_from_zero_leaves_the_others_theirs():
    """Both move a logit with an sd of sqrt(2); in units of its sd, 1, the first would take all with its mean of 50."""
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.normal(50, 1, 200), rng.normal(size=200)])
    scales = scales_of(bs.SoftmaxRegression(X, np.arange(200) % 3, intercept=False))
    assert_allclose(scales * np.sqrt((X**2).mean(axis=0)), np.sqrt(2), rtol=1e-9)


def test_only_columns_that_take_the_default_count():
    X, y = simulate(200, 5, 3)
    given = {"x0": bs.Normal(0.1), "x3": bs.Flat(), "x4": bs.StudentT(3, 1)}
    scales = [family.scale for family in bs.SoftmaxRegression(X, y, prior=given)._spec.priors.weights[1:3]]
    assert_allclose(scales, scales_of(bs.SoftmaxRegression(X[:, 1:3], y)), rtol=1e-12)
    assert_allclose(scales * X[:, 1:3].std(axis=0), np.sqrt(2), rtol=1e-12)


def test_dropped_columns_do_not_count():
    X, y = simulate(100, 3, 3)
    X[:, 1] = 4.0
    model = bs.SoftmaxRegression(X, y, constant="drop")
    assert_allclose(scales_of(model) * X[:, [0, 2]].std(axis=0), np.sqrt(2), rtol=1e-12)


@FACTORS
@pytest.mark.parametrize("level", [0, 1])
def test_the_base_level_is_shrunk_more_under_treatment_coding(level):
    """Prior variance of a logit in the rows of a level: of the base about 1.5^2, of another 1.5^2 + 2^2."""
    model = one_hot(2)
    centred = model._spec.design.X - model._spec.design.X.mean(axis=0)
    variance = 1.5**2 + centred[3 * level] ** 2 @ scales_of(model) ** 2
    assert_allclose(variance, [2.25, 6.25][level], atol=0.05)


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
    c, _ = constant_by_hand(X[:, :2])
    assert table.loc["x0", "scale_from"] == f"{c:.4g} / {X[:, 0].std():.4g}"
    assert table.loc["x1", "scale_from"] == f"{c:.4g} / 0.5"  # not its sd of 0.196
    assert table.loc["x2", ["prior", "scale_from", "autoscaled"]].tolist() == ["StudentT(4, 0.3)", "given", False]
    assert_allclose(table.loc["x1", "logit_sd"], c / 0.5 * rare.std())
    formula = table.attrs["formula"]
    assert formula.startswith(f"Weights that take the default (2 of 3): scale c / unit, with c = {c:.4g};")
    assert "together they move a logit with a prior sd of 2 over the rows" in formula
    total = np.sqrt(
        2.5**2 + 2 * (0.3 * X[:, 2].std()) ** 2
    )  # a t of 4 degrees of freedom has twice its scale's variance
    assert_allclose(table.attrs["total_logit_sd"], total, rtol=1e-12)
    assert f"A logit then has a prior sd of {total:.3g}" in formula


@pytest.mark.parametrize(
    ("prior", "total"),
    [(bs.Flat(), np.inf), (bs.Jeffreys(), np.nan), (bs.R2D2(), np.nan), (bs.StudentT(2, 1.0), np.inf)],
    ids=str,
)
def test_no_sd_is_claimed_where_there_is_none(prior, total):
    table = bs.SoftmaxRegression(*simulate(60, 2, 3), prior=prior).describe_prior()
    assert_allclose(table.attrs["total_logit_sd"], total)
    assert "A logit then has" not in table.attrs["formula"]


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_total_logit_sd_is_that_of_drawn_coefficients(coding):
    """Against the priors' own draws: variance of a class difference over rows, within four standard errors; seed 0."""
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.normal(4, 3, 50), np.arange(50) < 5, rng.exponential(size=50)])
    model = bs.SoftmaxRegression(X, np.arange(50) % 4, coding=coding, prior={"x2": bs.Laplace(0.5)})
    drawn = model.sample_prior(draws=4000, random_seed=0).idata["prior"]
    b, W = drawn["intercept"].values[0], drawn["weights"].values[0]
    logits = b[:, None, :] + np.einsum("np,spk->snk", X, W)
    differences = logits[..., 2] - logits[..., 1]  # two free coordinates' worth of variance in every coding
    by_draw = np.square(differences).mean(axis=1)
    expected = 2 * model.describe_prior().attrs["total_logit_sd"] ** 2
    assert abs(by_draw.mean() - expected) < 4 * by_draw.std() / np.sqrt(len(by_draw))


def test_saved_fits_keep_the_prior_they_were_made_with(tmp_path, monkeypatch):
    """What a loaded fit says of its prior is what was saved, whatever the default is by then."""
    X, y = simulate(80, 3, 3)
    fit = bs.SoftmaxRegression(X, y).map()
    fit.save(tmp_path / "fit.nc")
    monkeypatch.setattr("bayes_softmax.spec.autoscale.DEFAULT_TOTAL_SCALE", 0.5)
    loaded = bs.load(tmp_path / "fit.nc")
    assert loaded._fitted.schema.prior_sd == fit._fitted.schema.prior_sd
    assert loaded._fitted.schema.prior_sd != bs.SoftmaxRegression(X, y)._spec.schema.prior_sd
    assert_allclose(loaded.summary()["contraction"], fit.summary()["contraction"], rtol=1e-12)


COVERAGE_SEEDS = range(5)


def test_intervals_of_a_factor_of_many_levels_cover():
    """200 levels x 50 rows, true logits N(0, 1.5^2): 90 % intervals of ``map()`` cover 85 to 93 %; seeds 0 to 4.

    Mean over 1000 levels, so the Monte Carlo error is 0.0095: a right interval fails by chance in 0.1 % of runs.
    """
    covered = []
    for seed in COVERAGE_SEEDS:
        rng = np.random.default_rng(seed)
        true = rng.normal(0, 1.5, LEVELS)
        levels = np.repeat(np.arange(LEVELS), 50)
        frame = pd.DataFrame({"g": pd.Categorical(levels.astype(str), [str(i) for i in range(LEVELS)])})
        frame["y"] = (rng.random(len(levels)) < 1 / (1 + np.exp(-true[levels]))).astype(int)
        table = bs.SoftmaxRegression.from_formula("y ~ g", frame).map().predict_proba(frame.iloc[::50], ci_prob=0.9)[1]
        probability = 1 / (1 + np.exp(-true))
        covered.append((table.iloc[:, 1] <= probability) & (probability <= table.iloc[:, 2]))
    assert 0.85 < np.mean(covered) < 0.93


def test_the_picture_shows_both_priors_and_the_classes(overlapping):
    figure = bs.plots.prior(overlapping, draws=300)
    right = figure.axes["classes"]
    texts = [text.get_text() for text in figure.figure.legends[0].get_texts()]
    model = implied_probabilities(overlapping._spec, 300, np.random.default_rng(0))
    assert texts[0] == f"this model's prior: {100 * model.share_near_certain:.0f} % of rows have a class above 0.99"
    assert texts[1].startswith("Normal(2.5) on raw coefficients: ")
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["Adelie", "Chinstrap", "Gentoo"]
    assert right.get_ylabel() == "species"
    alone = bs.plots.prior(overlapping, draws=10, against=None, random_seed=np.random.default_rng(0))
    assert len(alone.figure.legends[0].get_texts()) == 1
    many = bs.SoftmaxRegression(*simulate(200, 2, 20), classes=range(20))
    assert bs.plots.prior(many, draws=10).axes["classes"].get_ylabel() == "y (and 8 more classes)"


def test_the_picture_refuses_what_it_cannot_draw(overlapping):
    with pytest.raises(ValueError, match="draws=0 must be at least 1"):
        bs.plots.prior(overlapping, draws=0)
    with pytest.raises(TypeError, match=r"against=Flat\(\) must be Normal, StudentT or None"):
        bs.plots.prior(overlapping, against=bs.Flat())
    flat = bs.SoftmaxRegression(*simulate(50, 1, 2), prior=bs.Flat())
    with pytest.raises(ValueError, match=r"the prior of the weights of 'x0' is Flat\(\)"):
        bs.plots.prior(flat)
