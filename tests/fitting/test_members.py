"""Ensembles of a network: members, what is drawn of them, and what is said and kept of it."""

import os
from functools import partial

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.fitting import members
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.last_layer import given_hidden
from bayes_softmax.fitting.networks import network_density, network_modes
from tests.conftest import simulate
from tests.inside import changed


def rows(n=120):
    X, y = simulate(n, 2, 3)
    return X, np.array(["a", "b", "c"])[y]


def network(hidden=3, **given) -> bs.SoftmaxRegression:
    X, y = rows()
    return bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden, skip=given.pop("skip", False)), **given)


@pytest.fixture(scope="module")
def modes() -> bs.Posterior:
    return network().ensemble(members=4, random_seed=5)


@pytest.fixture(scope="module")
def mixture() -> bs.Posterior:
    return network(skip=True).ensemble(members=3, laplace=True, draws=150, random_seed=2)


def test_members_are_the_modes_of_the_starts_of_map_and_predictions_their_average(modes: bs.Posterior) -> None:
    model, (X, _) = network(), rows()
    spec = model._spec
    found = network_modes(spec, 4, np.random.default_rng(5))
    order = np.argsort(found.starts)
    by_hand = spec.network_coordinates.to_parameters(found.points[order])
    parameters = modes._fitted.parameters
    for name in spec.logits.shapes:
        assert_array_equal(parameters[name], by_hand[name])
    assert_array_equal(modes.idata.sample_stats["lp"].values, found.values[order][None])
    assert_array_equal(modes.idata.sample_stats["member"].values, [[0, 1, 2, 3]])
    L = spec.logits.at(parameters)(X)
    P = np.exp(L) / np.exp(L).sum(axis=0)
    assert_allclose(modes.predict_proba(X), P.mean(axis=2).T, rtol=1e-10)
    best = model.map(random_seed=5, restarts=4)
    at = int(modes.idata.sample_stats["lp"].values.argmax())
    assert_allclose(best.predict_proba(X), P[:, :, at].T, atol=1e-4)


def test_a_mixture_holds_the_draws_of_the_last_layer_of_each_member(mixture: bs.Posterior) -> None:
    spec = network(skip=True)._spec
    own = network(skip=True).ensemble(members=3, random_seed=2)._fitted.parameters
    together = mixture._fitted.parameters
    assert mixture._fitted.shape == (1, 450)
    assert_array_equal(mixture.idata.sample_stats["member"].values, np.repeat([0, 1, 2], 150)[None])
    seeds = np.random.default_rng([2, members.LAST_LAYER_STREAM]).integers(2**31, size=3)
    for m in range(3):
        held = {name: own[name][m] for name in spec.logits.hidden_parameters}
        alone = given_hidden(spec, held, members.last_layer_of(150, int(seeds[m])))
        of_member = slice(150 * m, 150 * (m + 1))
        for name in ("weights", "intercept", "skip"):
            assert_array_equal(together[name][of_member], alone.parameters[name])
        for name in held:
            assert_array_equal(together[name][of_member], alone.parameters[name])
        log_prior = mixture.idata.sample_stats["log_prior"].values[0, of_member]
        assert_array_equal(log_prior, alone.idata.sample_stats["log_prior"].values[0])


@pytest.mark.parametrize("name", ["modes", "mixture"])
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_file_keeps_an_ensemble(name, suffix, tmp_path, request) -> None:
    fit, (X, _) = request.getfixturevalue(name), rows()
    fit.save(tmp_path / f"fit{suffix}")
    again = bs.load(tmp_path / f"fit{suffix}")
    for group in fit.idata.children:
        xr.testing.assert_identical(again.idata[group].dataset, fit.idata[group].dataset)
    assert_array_equal(again.predict_proba(X, ci_prob=0.9), fit.predict_proba(X, ci_prob=0.9))
    assert_array_equal(again.uncertainty(X), fit.uncertainty(X))
    assert_array_equal(again.effects(), fit.effects())
    assert again.evaluate().log_loss == fit.evaluate().log_loss
    assert (again.engine, again.notes, again.ess, again.pareto_k) == (fit.engine, fit.notes, fit.ess, fit.pareto_k)
    assert str(again) == str(fit)


def test_members_that_do_not_divide_the_draws_are_refused(mixture: bs.Posterior, tmp_path) -> None:
    groups = {name: node.dataset for name, node in mixture.idata.children.items()}
    for held in (
        groups["held"].pad(member=(0, 1), mode="edge"),
        groups["held"].assign(hidden_1_bias=groups["held"]["hidden_1_bias"].isel(member=0)),
        groups["held"].isel(member=[]),
    ):
        tree = xr.DataTree.from_dict(groups | {"held": held})
        with pytest.raises(ValueError, match="the members of 'held' do not divide the draws"):
            changed(mixture, idata=tree).save(tmp_path / "fit.nc")


def test_draws_are_thinned_member_by_member(mixture: bs.Posterior) -> None:
    X, _ = rows()
    fit = mixture._fitted
    few = fit.parameters.thinned(30, 1)
    assert few.n_draws == 30
    chosen = np.concatenate([150 * m + np.linspace(0, 149, 10).astype(int) for m in range(3)])
    assert_allclose(fit.logits.at(few)(X), fit.logits.at(fit.parameters)(X)[:, :, chosen], rtol=1e-12)


def test_it_says_what_it_is(modes: bs.Posterior, mixture: bs.Posterior) -> None:
    assert modes.engine == "ensemble of 4 MAPs from independent starts, with equal weights"
    assert "4 independent draws of the approximation, which nothing corrects" in " ".join(str(modes).split())
    assert modes.diagnostics.ok
    assert modes._fitted.doubts == ()
    assert mixture.engine == (
        "ensemble of 3 members from independent starts, with equal weights: 150 draws each of the last layer by "
        "laplace, with hidden layers held at the member's MAP"
    )
    assert 100 < mixture.ess <= 450
    assert set(mixture.timings) == {"modes", "sampling"}


def test_draws_that_weights_cannot_correct_are_those_of_the_normal_approximation() -> None:
    X, y = rows(40)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(20), prior=bs.Normal(5.0))
    with pytest.warns(bs.NotReliableWarning, match=r"the draws of members 0, 1 are those of a normal approximation"):
        fit = model.ensemble(members=2, laplace=True, draws=400, random_seed=1)
    assert fit.pareto_k > 0.7
    assert any(note.startswith("ensemble(laplace=True): the draws of members 0, 1") for note in fit.notes)
    spec, draws = model._spec, fit._fitted.parameters
    assert len(np.unique(draws["intercept"][:, 0])) == 800  # resampled ones would repeat
    modes = model.ensemble(members=2, random_seed=1)._fitted.parameters
    for m in range(2):
        of_member = draws["weights"][400 * m : 400 * (m + 1)]
        error = of_member.std(axis=0) / 20
        assert (np.abs(of_member.mean(axis=0) - modes["weights"][m]) < 4.5 * error).all()  # of 120: once in 1200 seeds
    assert spec.coordinates.dimension == 42


def test_members_at_one_mode_are_named() -> None:
    fit = network(hidden=1, prior=bs.Normal(0.3)).ensemble(members=3, random_seed=1)
    assert "3 members, 1 distinct mode: members 0, 1, 2 are the same mode" in fit.notes


def test_members_that_are_no_modes_are_named(monkeypatch) -> None:
    monkeypatch.setattr(members, "lbfgs_restarts", partial(members.lbfgs_restarts, max_iterations=3))
    with pytest.warns(bs.NotConvergedWarning, match="the search of members 0, 1 ended before the gradient") as told:
        fit = network().ensemble(members=2, random_seed=1)
    assert str(told[0].message) in fit.notes


def test_the_same_seed_gives_the_same_members_on_any_number_of_cores(modes: bs.Posterior, monkeypatch) -> None:
    for cores in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        again = network().ensemble(members=4, random_seed=5)
        xr.testing.assert_identical(again.idata["posterior"].dataset, modes.idata["posterior"].dataset)


@pytest.mark.parametrize("laplace", [False, True])
def test_ctrl_c_keeps_the_members_that_are_finished(laplace, monkeypatch) -> None:
    calls, (name, stop) = [], ("given_hidden", 3) if laplace else ("lbfgs_restarts", 2)
    whole = getattr(members, name)

    def cut(*given, **options):
        calls.append(given)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return whole(*given, **options)

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(members, name, cut)
    settings = {"members": 4, "random_seed": 5} | ({"laplace": True, "draws": 100} if laplace else {})
    with pytest.warns(UserWarning, match="interrupted: 2 of 4 members were finished"):
        fit = network().ensemble(**settings)
    assert fit._fitted.shape == (1, 200 if laplace else 2)
    assert "interrupted: 2 of 4 members were finished" in fit.notes
    calls[:] = [None] * (stop - 2)
    with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt, match="were left out"):
        fit._fitted.refit_cells(fit._fitted.training.cells, 5)
    calls[:] = [None] * (stop - 1)
    with pytest.raises(KeyboardInterrupt):
        network().ensemble(**settings)


def test_folds_are_left_out_of_everything_and_leave_one_out_says_what_saw_them(modes, mixture) -> None:
    fit = modes._fitted
    found = modes.kfold(k=3, random_seed=1, progressbar=False)
    assert np.isfinite(found.elpd)
    cells = fit.training.cells
    other = fit.refit_cells(cells._replace(counts=cells.counts * 2), 5)
    spec = with_cells(network()._spec, cells._replace(counts=cells.counts * 2))
    density = network_density(spec)
    for point in range(4):
        one = {name: other.parameters[name][point] for name in spec.logits.shapes}
        gradient = density.value_gradient(spec.network_coordinates.from_parameters(one))[1]
        assert np.abs(gradient).max() < 2e-6 * 240
    with pytest.raises(ValueError, match="leave-one-out needs at least 100 draws to judge its weights; there are 4"):
        modes.loo()
    with pytest.warns(bs.NotReliableWarning, match="the hidden layers of each member are held at a mode of all rows"):
        mixture.loo()
    assert modes.refit(0, 1).training.distinct.total_weight == 119


def test_what_has_no_members_is_refused() -> None:
    X, y = rows()
    for linear in (bs.SoftmaxRegression(X, y), bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=()))):
        with pytest.raises(ValueError, match=r"ensemble\(\) is for the logits of a network.*of kind 'linear': map\(\)"):
            linear.ensemble()
    with pytest.raises(ValueError, match="draws=200 are of laplace=True: without it a member is one draw"):
        network().ensemble(draws=200)
    with pytest.raises(ValueError, match="draws=50 must be at least 100"):
        network().ensemble(laplace=True, draws=50)
    with pytest.raises(ValueError, match="members=0 must be at least 1"):
        network().ensemble(members=0)
    with pytest.raises(ValueError, match="a Laplace prior has a kink at zero"):
        network(prior={"weights": bs.Laplace(1.0)}).ensemble()
    with pytest.raises(MemoryError, match="the draws of ensemble"):
        network().ensemble(members=10**10)
