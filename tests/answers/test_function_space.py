"""Convergence of networks is judged by what they say of the data: exchanged units are no disagreement, modes are."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.special import log_softmax, softmax

import bayes_softmax as bs
from bayes_softmax.answers.chain_modes import chain_modes
from bayes_softmax.answers.convergence import convergence_table
from bayes_softmax.answers.diagnostics import Convergence, Diagnostics
from bayes_softmax.answers.function_space import MOST_ROWS, PROBABILITIES, spaced
from bayes_softmax.fitting.networks import network_density, network_modes
from tests.conftest import simulate
from tests.inside import changed
from tests.nets import posterior_of

CHAINS, DRAWS, UNITS = 4, 250, 3


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    X, y = simulate(300, 2, 3)
    return bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=(UNITS,)))


@pytest.fixture(scope="module")
def mode(model):
    return network_modes(model._spec, 2, np.random.default_rng(0)).points[0]


def around(mode, seed=1):
    """Independent draws (chain, draw, d) near a point."""
    return mode + 0.05 * np.random.default_rng(seed).normal(size=(CHAINS, DRAWS, len(mode)))


def exchanged(thetas):
    """The same functions: the units in another order, one with the opposite sign in all it takes and gives."""
    p, K = 2, 3
    hidden = thetas[..., : UNITS * (1 + p)].reshape(*thetas.shape[:-1], UNITS, 1 + p)[..., [2, 0, 1], :]
    last = thetas[..., UNITS * (1 + p) :].reshape(*thetas.shape[:-1], K - 1, 1 + UNITS)[..., [0, 3, 1, 2]]
    hidden, last = hidden.copy(), last.copy()
    hidden[..., 0, :] *= -1
    last[..., 1] *= -1
    flat = [part.reshape(*thetas.shape[:-1], -1) for part in (hidden, last)]
    return np.concatenate(flat, axis=-1)


@pytest.fixture(scope="module")
def posterior(model, mode):
    """Chains that agree in all that they say, two of them under other names of the units."""
    thetas = around(mode)
    thetas[2:] = exchanged(thetas[2:])
    return posterior_of(model, thetas)


@pytest.fixture(scope="module")
def apart(model, mode):
    """Two chains at the mode, two where the last layer says the opposite of it."""
    thetas = around(mode)
    thetas[[1, 3], :, UNITS * 3 :] *= -1
    return posterior_of(model, thetas)


def test_exchanged_units_are_no_disagreement(posterior) -> None:
    weights = posterior._fitted._flat
    assert convergence_table(weights)["r_hat"].max() > 1.7  # as high as ranks allow
    found = posterior.diagnostics
    assert found.ok, str(found)
    assert found.modes[0].chains == (0, 1, 2, 3)
    assert posterior._fitted.doubts == ()
    assert "of log-likelihood, log posterior and class probabilities: R-hat at most 1.0" in str(found)
    assert "kinds" not in repr(found)


def test_the_quantities_are_those_of_the_draws(model, mode, posterior) -> None:
    judged = posterior._fitted._judged.kinds
    assert list(judged) == ["log-likelihood", "log posterior", PROBABILITIES]
    fitted, design = posterior._fitted, model._spec.design
    arrays = {name: values.reshape(CHAINS, DRAWS, *values.shape[1:])[3, 7] for name, values in _named(fitted).items()}
    Z = (design.X - design.standardisation.centre) / design.standardisation.scale
    eta = np.tanh(Z @ arrays["hidden_1"] + arrays["hidden_1_bias"]) @ arrays["weights"] + arrays["intercept"]
    own = log_softmax(eta, axis=1)[np.arange(300), design.response.codes].sum()
    assert_allclose(judged["log-likelihood"][3, 7, 0], own, rtol=1e-12)
    density, thetas = network_density(model._spec), around(mode)[:1, :9]
    values = [density.value_gradient(theta)[0] for theta in thetas[0]]
    assert_allclose(np.diff(judged["log posterior"][0, :9, 0]), np.diff(values), atol=1e-8)
    P = softmax(eta, axis=1)[spaced(300, MOST_ROWS)]
    drawn = judged[PROBABILITIES][3, 7]
    assert len(drawn) > 300
    assert set(np.round(drawn, 9)) <= set(np.round(P.ravel(), 9))


def _named(fitted):
    return fitted.parameters.arrays


def test_modes_that_chains_do_not_mix_between_are_reported(apart) -> None:
    found = apart.diagnostics
    assert [mode.chains for mode in found.modes] == [(0, 2), (1, 3)]
    assert found.modes[0].log_posterior > found.modes[1].log_posterior
    assert not found.ok
    said = "the chains are in 2 modes and do not mix: chains 0, 2 (log posterior -"
    assert said in str(found)
    assert said in apart._fitted.doubts[0]
    assert apart._fitted.doubts[0].endswith("stacking_weights() weights them by leave-one-out")
    with pytest.warns(bs.NotReliableWarning, match="leave-one-out is not reliable here: the chains are in 2 modes"):
        apart.loo()


def test_the_mode_at_which_a_chain_started_is_named(apart) -> None:
    start = np.repeat([[-100.0], [-300.0], [-90.0], [-310.0]], DRAWS, axis=1)
    tree = apart.idata
    stats = tree["sample_stats"].to_dataset().assign(start_log_posterior=(("chain", "draw"), start))
    named = changed(
        apart, idata=xr.DataTree.from_dict({"posterior": tree["posterior"].to_dataset(), "sample_stats": stats})
    )
    assert [mode.started_at for mode in named.diagnostics.modes] == [-90.0, -300.0]
    assert "from a mode at -90.0)" in str(named.diagnostics)


def test_stacking_weights_favour_the_chains_that_predict(apart, posterior) -> None:
    table = apart.stacking_weights()
    assert table.index.tolist() == [0, 1, 2, 3]
    assert table["mode"].tolist() == [0, 1, 0, 1]
    assert_allclose(table["weight"].sum(), 1.0)
    assert table["weight"][[0, 2]].sum() > 0.99
    assert (table["elpd"][[0, 2]] > table["elpd"][[1, 3]].max() + 50).all()
    agreeing = posterior.stacking_weights()
    assert np.ptp(agreeing["elpd"]) < 1
    assert agreeing["mode"].tolist() == [0] * 4
    with pytest.raises(ValueError, match="there is one; draw several"):
        changed(apart, idata=apart.idata.isel(chain=[0])).stacking_weights()
    with pytest.raises(ValueError, match="at least 100 draws per chain to judge their weights; there are 99"):
        changed(apart, idata=apart.idata.isel(draw=slice(99))).stacking_weights()


def test_a_mixture_of_two_half_right_chains_is_found() -> None:
    """Chains that are each right in one half of the rows: stacking mixes them, though each alone is poor."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    y = np.where(rng.uniform(size=400) < 0.5, x > 0, x < 0).astype(int)
    model = bs.SoftmaxRegression(x[:, None], y)
    base = model.sample(draws=200, chains=2, random_seed=1, progressbar=False, engine="nuts")
    slopes = np.array([[[-1.0, 1.0]], [[1.0, -1.0]]])[:, None] + 0.01 * rng.normal(size=(2, 200, 1, 2))
    draws = base.idata["posterior"].to_dataset().assign(weights=(("chain", "draw", "feature", "category"), slopes))
    tree = xr.DataTree.from_dict({"posterior": draws, "sample_stats": base.idata["sample_stats"].to_dataset()})
    weights = changed(base, idata=tree).stacking_weights()["weight"]
    assert_allclose(weights, 0.5, atol=0.15)


def test_effective_draws_are_those_of_the_function(posterior) -> None:
    assert 0.8 < posterior._fitted.relative_ess < 1.3  # independent draws
    pairs = np.repeat(np.arange(DRAWS // 2), 2)
    twice = changed(posterior, idata=posterior.idata.isel(draw=pairs))
    assert 0.4 < twice._fitted.relative_ess < 0.65


def test_without_data_the_log_density_of_the_sampler_is_judged(model, posterior, mode, tmp_path) -> None:
    posterior.save(tmp_path / "fit.nc", data=False)
    assert str(bs.load(tmp_path / "fit.nc").diagnostics).startswith("of log prior: R-hat at most 1.0")
    sampled = posterior_of(model, around(mode), {"logp": np.random.default_rng(0).normal(size=(CHAINS, DRAWS))})
    sampled.save(tmp_path / "sampled.nc", data=False)
    assert str(bs.load(tmp_path / "sampled.nc").diagnostics).startswith("of log posterior: R-hat at most 1.0")
    posterior.save(tmp_path / "whole.nc")
    assert str(bs.load(tmp_path / "whole.nc").diagnostics) == str(posterior.diagnostics)


def test_linear_logits_are_judged_by_their_coefficients() -> None:
    X, y = simulate(100, 2, 3)
    found = bs.SoftmaxRegression(X, y).sample(draws=100, random_seed=1, progressbar=False).diagnostics
    assert found.kinds == found.modes == ()


def test_a_few_of_many_quantities_may_exceed_the_limit_by_chance() -> None:
    table = convergence_table(np.random.default_rng(0).normal(size=(4, 100, 400)))
    few, many = table.assign(r_hat=1.0), table.assign(r_hat=1.0)
    few.iloc[:3, 2], many.iloc[:6, 2] = 1.2, 1.2  # of 400
    assert Convergence.of("probabilities", few)[2:4] == (1.2, 1.0)
    assert Convergence.of("probabilities", many)[2:4] == (1.2, 1.2)
    found = [
        Diagnostics(1.2, 900, 900, 0, 7.0, 4, 1000, 0, kinds=(Convergence.of("probabilities", one),))
        for one in (few, many)
    ]
    assert [len(one.problems) for one in found] == [0, 1]
    assert [len(one.doubts) for one in found] == [0, 1]
    assert str(found[0]).startswith(
        "of probabilities: R-hat at most 1.2000 (1.0000 for 99 % of each), ESS at least 900"
    )
    assert found[1].problems == ("R-hat reaches 1.200 of probabilities (limit 1.01): run longer chains",)


def test_chains_are_grouped_by_what_they_agree_with() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(6, 200, 50))
    assert [mode.chains for mode in chain_modes(draws, None, None)] == [(0, 1, 2, 3, 4, 5)]
    draws[[1, 4]] += 3.0
    draws[5] = 100.0  # a chain that never moved
    found = chain_modes(draws, draws[:, :, 0], None)
    assert [mode.chains for mode in found] == [(5,), (1, 4), (0, 2, 3)]
    assert str(found[0]) == "chain 5 (log posterior 100.0)"
    still = np.zeros((2, 100, 3))
    assert [mode.chains for mode in chain_modes(still, None, None)] == [(0, 1)]
    still[1] = 1.0
    assert [mode.chains for mode in chain_modes(still, None, None)] == [(0,), (1,)]
