"""The forms of data with groups: weights, counts, equal rows, choice sets, missing values, and levels without rows."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.fitting.groups import grouped_density
from tests.answers.test_group_loo import frame, quiet

FORMULA = "y ~ x + (1 + x | g) + (1 | h)"


def rows(n_levels=8):
    """Rows of two crossed groupings whose levels are declared."""
    data = frame(n_levels=n_levels)
    return data.assign(g=pd.Categorical(data.g), h=pd.Categorical(np.arange(len(data)) % 3))


def density(data, formula=FORMULA, **options):
    return grouped_density(bs.SoftmaxRegression.from_formula(formula, data, **options)._spec).density


def values_of(made, n=3):
    """Log densities at a few points, up to a constant, and their gradients."""
    points = 0.5 * np.random.default_rng(5).normal(size=(n, made.dimension))
    found = [made.value_gradient(z) for z in points]
    return np.array([value for value, _ in found]) - found[0][0], np.array([gradient for _, gradient in found])


def check_equal(made, expected):
    """Differences of log densities to 1e-10, gradients to 1e-8."""
    (own, slope), (other, slopes) = values_of(made), values_of(expected)
    np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(slope, slopes, rtol=1e-8, atol=1e-8)


def test_weights_counts_and_equal_rows_are_the_long_format():
    data = rows().assign(n=lambda d: 1.0 + np.arange(len(d)) % 3)
    long = data.loc[data.index.repeat(data.n.astype(int))].reset_index(drop=True)
    expected = density(long, collapse=False)
    check_equal(density(data, weights="n", collapse=False), expected)
    check_equal(density(data, weights="n", collapse=True), expected)
    check_equal(density(long, collapse=True), expected)
    counts = data.assign(**{c: (data.y == c) * data.n for c in "abc"}).drop(columns="y")
    check_equal(density(counts, FORMULA.replace("y ~", "a + b + c ~")), expected)
    shuffled = long.sample(frac=1, random_state=1).reset_index(drop=True)
    check_equal(density(shuffled, collapse=False), expected)
    assert abs(values_of(density(data))[0] - values_of(expected)[0]).max() > 0.1  # weights count


def test_rows_of_weight_zero_and_forced_ones_are_no_rows():
    """Also all of a level, which then has the effects of the population."""
    data = rows().assign(n=lambda d: (d.g != 3).astype(float))
    expected = density(data[data.n > 0])
    check_equal(density(data, weights="n"), expected)
    check_equal(density(data, weights="n", collapse=False), expected)
    offered = pd.DataFrame({f"has_{c}": (data.n > 0) | (data.y == c) for c in "abc"})
    available = {c: f"has_{c}" for c in "abc"}
    check_equal(density(pd.concat([data, offered], axis=1), available=available), expected)


def test_rows_with_missing_values_are_dropped_and_offsets_added():
    data = rows()
    holes = data.copy()
    holes.loc[1, "x"] = np.nan
    holes["g"] = holes.g.where(holes.index != 5)
    with pytest.raises(ValueError, match="missing value"):
        density(holes)
    check_equal(density(holes, missing="drop"), density(data.drop(index=[1, 5])))
    shift = np.random.default_rng(0).normal(size=(len(data), 3))
    common = shift[:, :1] + np.zeros((1, 3))
    check_equal(density(data, offset=common), density(data))
    assert abs(values_of(density(data, offset=shift))[0] - values_of(density(data))[0]).max() > 0.1


@pytest.mark.filterwarnings("ignore:the draws are not reliable", "ignore:kfold", "ignore:leave-one")
def test_folds_may_leave_levels_without_rows():
    data = rows()[["x", "y", "g"]]
    post = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data).sample(draws=20, tune=30, chains=2, **quiet())
    by_level, by_name = post.kfold(2, groups=data.g), post.kfold(2, groups="g")
    assert (by_level.elpd_i == by_name.elpd_i).all()
    assert np.isfinite(by_level.elpd)


@pytest.mark.filterwarnings("ignore:the draws are not reliable", "ignore:leave-one")
@pytest.mark.parametrize("K", [2, 26])
def test_two_and_many_classes(K):
    rng = np.random.default_rng(1)
    labels = [chr(97 + k) for k in range(K)]
    data = pd.DataFrame({"g": np.arange(120) % 12, "y": rng.permutation(np.array(labels * 60)[:120])})
    model = bs.SoftmaxRegression.from_formula("y ~ (1 | g)", data, group_prior=bs.GroupNormal(covariance="independent"))
    post = model.sample(draws=50, tune=50, chains=2, **quiet())
    assert np.allclose(post.predict_proba(data).sum(axis=1), 1.0)
    found = post.loo(groups="g")
    assert found.n_data_points == 12
    assert np.isfinite(found.elpd)
