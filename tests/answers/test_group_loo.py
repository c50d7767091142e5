"""Leave-one-group-out: integrals over effects, exact refits, and the forms of data."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import norm

import bayes_softmax as bs
from bayes_softmax.answers import group_loo, integrated
from bayes_softmax.answers.training import training_data
from bayes_softmax.answers.unit_likelihood import unit_log_likelihood
from bayes_softmax.answers.units import rows_of_units, units_of
from tests.inside import changed

LEVELS = 20
quiet = partial(dict, progressbar=False, random_seed=1)


def frame(n_levels=LEVELS, n_each=4, seed=3):
    """Three classes, effects with sd 1 of few levels, and one feature."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(np.arange(n_levels), n_each), "x": rng.normal(size=n_levels * n_each).round(1)})
    eta = rng.normal(size=(n_levels, 3))[data.g] + np.outer(data.x, [0.0, 0.5, -0.5])
    return data.assign(y=[["a", "b", "c"][rng.choice(3, p=softmax(row))] for row in eta])


def model(data, formula="y ~ x + (1 | g)", **options):
    return bs.SoftmaxRegression.from_formula(formula, data, **options)


@pytest.fixture(scope="module")
def fitted():
    return model(frame()).sample(draws=500, chains=4, **quiet())


def integrand(M, K, n=5, S=7, seed=0):
    rng = np.random.default_rng(seed)
    counts = np.eye(K)[rng.integers(0, K, n)]
    root = rng.normal(size=(S, K, M)) * np.linspace(0.1, 2.0, S)[:, None, None]
    return integrated.Integrand(rng.normal(size=(n, K, S)), counts, np.ones((n, 1)), root)


def test_one_dimension_is_integrated_as_by_quad():
    given = integrand(1, 2)
    found, noise = integrated.log_integral(given)
    for s, value in enumerate(found):
        base, root = given.base[:, :, s], given.root[s, :, 0]

        def likelihood(z, base=base, root=root):
            return np.exp((given.counts * log_softmax(base + root * z, axis=1)).sum()) * norm.pdf(z)

        assert value == pytest.approx(np.log(quad(likelihood, -10, 10, epsabs=0, epsrel=1e-9)[0]), abs=1e-6)
    assert noise == 0.0


def test_two_and_three_dimensions_are_integrated_as_on_a_fine_grid(monkeypatch):
    grid = np.linspace(-6, 6, 41)
    for M, points, tolerance in ((2, (), 2e-3), (3, (128,), 0.05), (3, (8192,), 0.005)):
        monkeypatch.setattr(integrated, "POINTS", points)
        given = integrand(M, M + 1)
        Z = np.array(list(itertools.product(grid, repeat=M)))
        log_prior = norm.logpdf(Z).sum(axis=1) + M * np.log(grid[1] - grid[0])
        found, _ = integrated.log_integral(given)
        for s in range(len(found)):
            eta = given.base[:, :, s] + (Z @ given.root[s].T)[:, None]
            likelihood = (given.counts * log_softmax(eta, axis=2)).sum(axis=(1, 2))
            assert found[s] == pytest.approx(logsumexp(likelihood + log_prior), abs=tolerance)


def by_monte_carlo(post, data, rows, seed=0, times=100, step=1):
    """Log-likelihood (S,) of rows of one new level, its effects drawn from the population, in plain NumPy."""
    stacked = post.idata["posterior"].dataset.stack(s=("chain", "draw")).transpose("s", ...)
    draws = stacked.isel(s=slice(None, None, step))
    base = draws.intercept.values[:, None] + data.x.to_numpy()[rows][:, None] * draws.weights.values[:, 0][:, None]
    covariance = draws.g_covariance.values[:, 0, :, 0]
    values, vectors = np.linalg.eigh(covariance)
    z = np.random.default_rng(seed).normal(size=(times, len(base), 3))
    u = np.einsum("sij,tsj->tsi", vectors * np.sqrt(np.maximum(values, 0.0))[:, None], z)
    codes = data.y.map({"a": 0, "b": 1, "c": 2}).to_numpy()[rows]
    log_p = log_softmax(base + u[:, :, None], axis=3)[:, :, np.arange(len(rows)), codes].sum(axis=2)
    return logsumexp(log_p, axis=0) - np.log(times)


def test_the_integral_over_a_level_is_its_average_over_the_population(fitted):
    """Of each draw, by plain NumPy from 20 000 levels: standard errors of about .01, for 100 numbers."""
    inside, data = fitted._fitted, frame()
    units = units_of(inside, inside.training, "g")
    found = unit_log_likelihood(inside, rows_of_units(inside, inside.training, units)).values[:, ::400]
    for level in range(LEVELS):
        log_m = by_monte_carlo(fitted, data, np.flatnonzero(data.g == level), times=20_000, step=400)
        assert_allclose(found[level], log_m, atol=0.06)


def test_leaving_a_group_out_equals_exact_refits(fitted):
    """Fits without each of two groups: differences within 4 standard errors of Monte Carlo, of about .03."""
    data = frame().assign(g=lambda d: pd.Categorical(d.g))
    found = fitted.loo(groups="g")
    assert found.elpd_i["group"].values.tolist() == list(range(LEVELS))
    assert (found.pareto_k < 0.7).all()
    for level in (0, 13):
        without = model(data[data.g != level]).sample(draws=500, chains=4, **quiet())
        exact = logsumexp(by_monte_carlo(without, data, np.flatnonzero(data.g == level))) - np.log(2000)
        assert found.elpd_i.sel(group=level).item() == pytest.approx(exact, abs=0.12)


def test_groups_beyond_the_limit_are_fitted_without(fitted, monkeypatch):
    found = fitted.loo(groups="g")
    limit = float(np.sort(found.pareto_k)[-2])
    monkeypatch.setattr(group_loo, "good_k", lambda _: limit)
    with pytest.warns(bs.NotReliableWarning, match=r"for 1 of 20 groups, \d+: their"):
        fitted.loo(groups="g")
    again = fitted.loo(groups="g", refit=True)
    assert (again.pareto_k == 0).sum() == 1
    assert_allclose(again.elpd_i, found.elpd_i, atol=0.12)
    assert abs(again.elpd_i - found.elpd_i).max() > 0


def test_any_model_is_scored_by_groups():
    data = frame(n_levels=10)
    plain = model(data, "y ~ x").sample(draws=200, chains=2, **quiet())
    found = plain.loo(groups=data.g)
    log_p = plain.add_log_likelihood()["log_likelihood"]["y"].stack(s=("chain", "draw")).transpose("obs", "s").values
    summed = np.array([log_p[data.g == g].sum(axis=0) for g in range(10)])
    assert_allclose(found.p + found.elpd, (logsumexp(summed, axis=1) - np.log(400)).sum(), rtol=1e-10)
    with pytest.raises(ValueError, match="'g' is not a variable of the model"):
        plain.loo(groups="g")


@pytest.mark.filterwarnings("ignore:leave-one-group-out")
def test_weights_and_counts_score_groups_as_the_long_format(fitted):
    data = frame()
    long = data.loc[data.index.repeat(2)].reset_index(drop=True)
    wide = data.assign(n=2.0)
    expected = changed(fitted, training=training_of(model(long, collapse=False))).loo(groups="g").elpd_i
    for form in (model(long), model(wide, weights="n", collapse=False)):
        assert_allclose(changed(fitted, training=training_of(form)).loo(groups="g").elpd_i, expected, rtol=1e-9)
    absent = model(data.assign(n=np.where(data.g == 2, 0.0, 1.0)), weights="n")
    found = changed(fitted, training=training_of(absent)).loo(groups="g")
    assert found.elpd_i["group"].values.tolist() == [g for g in range(LEVELS) if g != 2]


def training_of(made):
    return training_data(made._spec.design, made._spec.collapsed)


@pytest.mark.filterwarnings("ignore:leave-one-group-out")
def test_models_are_compared_by_groups(fitted):
    data = frame()
    fits = {"groups": fitted, "none": model(data, "y ~ x").sample(draws=200, chains=2, **quiet())}
    table = bs.compare_models(fits, groups=data.g)
    assert table.loc["groups", "elpd"] == pytest.approx(fitted.loo(groups="g").elpd)
    assert table.loc["groups", "rank"] == 0


def test_bad_questions_are_refused(fitted, tmp_path):
    data = frame()
    for options, words in (
        ({"groups": "h"}, "'h' is not a variable of the model"),
        ({"groups": [1, 2]}, "2 labels; the data have 80 rows"),
        ({"groups": np.zeros(80)}, "at least two groups"),
        ({"groups": data.g.where(data.g > 0)}, "the label is missing in rows 0, 1"),
        ({"groups": "g", "by": "row"}, "leave by and order out"),
        ({"groups": "g", "refit": print}, "must be True or False"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            fitted.loo(**options)
    fitted.save(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match="a loaded fit cannot refit"):
        bs.load(tmp_path / "fit.nc").loo(groups="g", refit=True)
