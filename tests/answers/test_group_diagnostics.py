"""What draws of models with groups are judged by, and how they depend on their priors."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.answers import function_space, loo
from bayes_softmax.plots.traces import find_chains
from bayes_softmax.spec.groups.log_prior import log_hyperprior_draws
from tests.answers.test_group_loo import LEVELS, frame, model, quiet
from tests.inside import changed


@pytest.fixture(scope="module")
def fitted():
    return model(frame(), "y ~ x + (1 + x | g)").sample(draws=250, chains=4, **quiet())


def with_draws(post, **values):
    """The same posterior with other draws of some variables."""
    tree = post.idata.copy()
    draws = tree["posterior"].to_dataset()
    tree["posterior"] = draws.assign({name: (draws[name].dims, array) for name, array in values.items()})
    return changed(post, idata=tree)


def test_weights_covariances_and_effects_are_judged(fitted):
    kinds = {kind.kind: kind.n for kind in fitted.diagnostics.kinds}
    assert kinds == {"weights": 6, "covariances": 21, "effects of levels": LEVELS * 6}
    assert "of weights, covariances and effects of levels: R-hat at most" in str(fitted.diagnostics)
    assert fitted.diagnostics.modes == ()


def test_standard_deviations_and_correlations_are_not_judged(fitted):
    """They are not identified: that chains disagree on them changes nothing."""
    D, R = (fitted.idata["posterior"].dataset[f"g_{what}"].values for what in ("sd", "correlation"))
    apart = np.arange(4.0)[:, None, None]
    again = with_draws(fitted, g_sd=D + 100 * apart, g_correlation=R + 100 * apart[..., None])
    assert repr(again.diagnostics) == repr(fitted.diagnostics)


@pytest.mark.parametrize("name", ["weights", "g_covariance", "g"])
def test_chains_that_disagree_are_found(fitted, name):
    values = fitted.idata["posterior"].dataset[name].values.copy()
    values[0] += 2 * values.std()
    again = with_draws(fitted, **{name: values})
    assert not again.diagnostics.ok
    assert again._fitted.doubts


def test_of_thousands_of_effects_some_are_judged(fitted, monkeypatch):
    """As many as there is room for, evenly spaced over the levels."""
    monkeypatch.setattr(function_space, "MOST_EFFECTS", 30)
    again = with_draws(fitted)
    assert {kind.kind: kind.n for kind in again.diagnostics.kinds}["effects of levels"] == 30
    assert function_space.levels_judged(again._fitted.logits)["g"].tolist() == [0, 5, 10, 14, 19]


def test_an_observation_is_left_out_by_a_refit(monkeypatch):
    post = model(frame()).sample(draws=250, chains=4, **quiet())
    with pytest.warns(bs.NotReliableWarning, match="Pareto k is above"):
        found = post.loo()
    worst = float(np.sort(found.pareto_k)[-2])
    monkeypatch.setattr(loo, "good_k", lambda _: worst)
    again = post.loo(refit=True)
    place = int(np.argmax(found.pareto_k.values))
    assert again.pareto_k.values[place] == 0.0
    data = frame().assign(g=lambda d: pd.Categorical(d.g))
    without = model(data.drop(index=place)).sample(draws=250, chains=4, **quiet())
    exact = np.log(without.predict_proba(data.loc[[place]])[data.y[place]].item())
    assert again.elpd_i.values[place] == pytest.approx(exact, abs=0.1)


def test_sensitivity_is_that_of_coefficients_and_spreads(fitted):
    table, made = fitted.prior_sensitivity(), model(frame(), "y ~ x + (1 + x | g)")
    names = [(f"sd({term} | g)", f"{c} vs average") for term in ("intercept", "x") for c in "abc"]
    assert table.index.tolist()[-6:] == names
    assert table.index.get_level_values("feature").unique().tolist()[:2] == ["intercept", "x"]
    without = fitted.idata.copy()
    draws = fitted.idata["posterior"].dataset
    hyper = log_hyperprior_draws(made._spec.groups, {name: draws[name].values for name in ("g_sd", "g_correlation")})
    without["sample_stats"] = without["sample_stats"].dataset.assign(
        log_prior=fitted.idata["sample_stats"]["log_prior"] - hyper
    )
    planted = changed(fitted, idata=without).prior_sensitivity()
    assert (table["prior"] - planted["prior"])[-6:].min() > 0.05  # the hyperpriors are counted


def test_chains_of_groups_are_drawn(fitted):
    """Weights, each covariance once, and the effects that are judged."""
    found = find_chains(fitted._fitted, None, None)
    assert len(found.names) == 6 + 21 + LEVELS * 6
    assert "g_covariance, intercept, a, intercept, a" in found.names
    assert f"g, {LEVELS - 1}, x, c" in found.names
