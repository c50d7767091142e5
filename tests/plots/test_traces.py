"""Chains: the worst first, ranks that show chains apart, and no picture for draws that are no chains."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.plots.traces import find_chains, rank_band, rank_shares
from tests.conftest import simulate

mpl.use("Agg")


def test_the_worst_coefficients_come_first_with_their_diagnostics(posterior: bs.Posterior) -> None:
    worse = posterior.idata["posterior"].dataset.copy(deep=True)
    worse["weights"].loc[{"chain": 2, "category": "Gentoo", "feature": "sex[T.male]"}] += 3.0
    posterior.idata["posterior"].dataset = worse
    found = find_chains(posterior._fitted, None, None)
    assert found.names[0] == "sex[T.male], Gentoo"
    assert (np.diff(np.round(found.r_hat, 3)) <= 0).all()
    assert len(found.names) == 9
    picture = bs.plots.traces(posterior, most=2)
    assert list(picture.axes)[:2] == ["sex[T.male], Gentoo", "sex[T.male], Gentoo: ranks"]
    assert f"R-hat {found.r_hat[0]:.3f}" in picture.axes["sex[T.male], Gentoo: ranks"].get_title()
    assert "2 that mix worst of 9 coefficients" in picture.figure.get_suptitle()
    assert f"R-hat at most {found.r_hat[2:].max():.3f}" in picture.figure.get_suptitle()
    picture.close()


def test_lines_are_the_draws_and_diagnostics_the_summary(posterior: bs.Posterior) -> None:
    picture = bs.plots.traces(posterior, features="bill_length_mm", classes=["Adelie"])
    assert list(picture.axes) == ["bill_length_mm, Adelie", "bill_length_mm, Adelie: ranks"]
    lines = picture.axes["bill_length_mm, Adelie"].get_lines()
    draws = posterior.idata["posterior"]["weights"].sel(feature="bill_length_mm", category="Adelie")
    for line, chain in zip(lines, draws.values, strict=True):
        assert_allclose(line.get_ydata(), chain)
    found = find_chains(posterior._fitted, ["bill_length_mm"], [0])
    table = posterior.summary(vs="average").loc["bill_length_mm"].iloc[0]
    assert found.r_hat[0] == pytest.approx(table["r_hat"], abs=1e-6)
    assert found.ess[0] == table["ess_bulk"]
    picture.close()


def test_ranks_are_level_for_chains_that_agree_and_not_for_one_apart() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4, 1000))
    shares = rank_shares(draws)
    assert_allclose(shares.mean(axis=0), 1.0)
    assert_allclose(shares.mean(axis=1), 1.0)
    half = rank_band(4, 1000)
    inside = [(abs(rank_shares(rng.normal(size=(4, 1000))) - 1) < half).mean() for _ in range(100)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    draws[1] += 2
    assert rank_shares(draws)[1, -1] > 2


def test_two_classes_are_shown_once_and_the_reference_not_at_all() -> None:
    X, codes = simulate(80, 2, 2)
    zero_sum = bs.SoftmaxRegression(X, codes).sample(100, chains=2, random_seed=1, progressbar=False)
    assert sorted(find_chains(zero_sum._fitted, None, None).names) == ["intercept, 1", "x0, 1", "x1, 1"]
    X, codes = simulate(80, 2, 3)
    model = bs.SoftmaxRegression(X, codes, coding="reference")
    post = model.sample(100, chains=2, random_seed=1, progressbar=False)
    assert sorted(find_chains(post._fitted, ["x0"], None).names) == ["x0, 1", "x0, 2"]
    with pytest.raises(ValueError, match="none of these coefficients varies"):
        bs.plots.traces(post, classes=[0])


def test_learned_scales_are_among_them() -> None:
    X, codes = simulate(80, 2, 3)
    model = bs.SoftmaxRegression(X, codes, prior=bs.R2D2())
    post = model.sample(100, chains=2, random_seed=1, progressbar=False)
    names = find_chains(post._fitted, None, None).names
    assert {"R2", "phi, x0", "phi, x1", "x0, 0"} <= set(names)
    assert len(names) == 3 * 3 + 3


def test_draws_that_are_no_chains_are_refused(overlapping: bs.SoftmaxRegression) -> None:
    with pytest.raises(ValueError, match=r"laplace\(\) are no chains; their check is Pareto k"):
        bs.plots.traces(overlapping.laplace(random_seed=1, progressbar=False))
    with pytest.raises(ValueError, match="independent draws from the prior"):
        bs.plots.traces(overlapping.sample_prior(100, random_seed=1))
    with pytest.raises(TypeError, match=r"post: plots\.traces shows the chains of a posterior"):
        bs.plots.traces(overlapping.map())
    with pytest.raises(ValueError, match=r"features: 'bill_lenght_mm'.*did you mean 'bill_length_mm'"):
        bs.plots.traces(overlapping.sample(50, chains=2, random_seed=1, progressbar=False), features="bill_lenght_mm")
