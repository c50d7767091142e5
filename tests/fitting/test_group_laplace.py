"""Draws of laplace() for models with groups: against exact integrals, against NUTS, and their own check."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.core.errors import ImproperPosteriorError, NotReliableWarning
from bayes_softmax.density.groups.marginal import unconstrained
from bayes_softmax.fitting.group_marginal import marginal_density
from tests.fitting.test_group_estimates import frame, model


@pytest.fixture(scope="module")
def binary():
    """Two classes under reference coding: an intercept, a weight, and one sd."""
    own = model(data=frame(K=2), coding="reference")
    return own, own.laplace(draws=2000, random_seed=1, progressbar=False)


def test_weights_and_sds_are_those_of_exact_integrals(binary):
    own, post = binary
    spec = own._spec
    density = marginal_density(spec, unconstrained, 15, priors=True)
    a, b, c = np.linspace(-3.0, 2.4, 19), np.linspace(-1.8, 0.4, 11), np.linspace(-4.0, 2.5, 25)
    points = np.stack([axis.ravel() for axis in np.meshgrid(a, b, c, indexing="ij")], axis=1)
    values = density.values(points)
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    raw = spec.coordinates.to_parameters(points[:, :2])
    exact = {
        "intercept": raw["intercept"][:, 1],
        "weight": raw["weights"][:, 0, 1],
        "sd": np.exp(points[:, 2]),
        "log sd": points[:, 2],
    }
    draws = post.idata["posterior"].dataset
    sds = draws["g_sd"].values[0, :, 0]
    found = [draws["intercept"].values[0, :, 1], draws["weights"].values[0, :, 0, 1], sds, np.log(sds)]
    for (name, values), own_draws in zip(exact.items(), found, strict=True):
        mean, sd = (weights * values).sum(), np.sqrt((weights * values**2).sum() - (weights * values).sum() ** 2)
        assert abs(own_draws.mean() - mean) < 4 * sd / np.sqrt(post.ess), name  # 1 in 16 000 each


def test_effects_of_levels_are_those_of_nuts(binary):
    own, post = binary
    other = own.sample(draws=1000, chains=2, random_seed=1, progressbar=False)
    first, second = (fit.idata["posterior"].dataset["g"].values[..., 0, 1] for fit in (post, other))
    spread = second.std(axis=(0, 1))
    error = spread * np.sqrt(1 / post.ess + 1 / 1000)  # a pair of chains has at least 1000 effective draws of these
    assert (np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))) < 4 * error).all()
    np.testing.assert_allclose(first.std(axis=(0, 1)), spread, rtol=0.15)
    assert other.diagnostics.ok


def test_the_check_is_reported_and_draws_repeat(binary):
    own, post = binary
    assert post.pareto_k < 0.7
    assert 500 < post.ess <= 2000
    again = own.laplace(draws=2000, random_seed=1, progressbar=False)
    assert again.idata["posterior"].dataset.identical(post.idata["posterior"].dataset)
    assert np.isfinite(post.idata["sample_stats"]["log_prior"]).all()
    assert "levels integrated out" in post.engine


@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | g)", "y ~ x + (1 | g) + (1 | s)"])
def test_estimates_of_the_likelihood_are_unbiased(formula):
    """Their mean is the likelihood by quadrature, where the variance of all effects but one is zero."""
    data = frame(n=60, K=2)
    spec, exact = model(formula, data=data)._spec, model(data=data)._spec
    density, one = (marginal_density(s, unconstrained, n, priors=False) for s, n in ((spec, 1), (exact, 21)))
    alone = np.array([0.3, -0.5, -0.2])
    point = np.full(density.dimension, -30.0)
    point[:3] = alone
    point[density.n_weights + 2 : density.n_weights + 3] = 0.0 if "+ x" in formula else -30.0
    estimates = np.array([density.estimate(point, np.random.default_rng(i)) for i in range(400)])
    ratio = np.exp(estimates - one.value(alone))
    assert ratio.mean() == pytest.approx(1.0, abs=4 * ratio.std() / 20)
    assert ratio.std() > 1e-3


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + (1 | g)", {}),
        ("y ~ x + (1 | g)", {"group_prior": bs.GroupNormal(covariance="exchangeable")}),
        ("y ~ x + (1 || g) + (1 | s)", {}),
        ("y ~ x + (1 + x | g)", {"coding": "reference"}),
    ],
)
def test_every_form_has_draws(formula, options):
    own = model(formula, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReliableWarning)  # 200 draws may be too few, and eight levels too few
        post = own.laplace(draws=200, random_seed=1, progressbar=False)
    draws = post.idata["posterior"].dataset
    assert all(np.isfinite(draws[name]).all() for name in draws.data_vars)
    if "coding" not in options:
        assert abs(draws["g"].sum("category")).max() < 1e-10
    assert np.allclose(post.predict_proba(frame()).sum(axis=1), 1.0)


def test_an_improper_posterior_is_refused():
    data = frame().assign(y=lambda d: np.where(d.x > 0, "a", "b"))
    own = model(data=data, prior=bs.Flat(), intercept_prior=bs.Flat())
    with pytest.raises(ImproperPosteriorError, match="complete separation"):
        own.laplace(draws=200, random_seed=1, progressbar=False)
    with pytest.raises(ValueError, match="kink at zero"):
        model(prior=bs.Laplace(1.0)).laplace(draws=200, random_seed=1, progressbar=False)


def test_data_that_contradict_the_approximation_are_told(monkeypatch):
    """Centred elsewhere, the weights of draws are hopeless, and their check says so."""
    from bayes_softmax.fitting import group_laplace

    def elsewhere(*given):
        near = approximate(*given)
        return near._replace(centre=near.centre + 6.0 * np.sqrt(np.diag(near.scale)))

    approximate = group_laplace.approximate
    monkeypatch.setattr(group_laplace, "approximate", elsewhere)
    with pytest.warns(NotReliableWarning, match="Pareto k"):
        model(data=frame(K=2)).laplace(draws=400, random_seed=1, progressbar=False)


def test_levels_declared_but_unseen_are_drawn_from_the_population():
    data = frame(K=2).assign(g=lambda d: pd.Categorical(d.g, categories=range(9)))
    post = model(data=data, coding="reference").laplace(draws=2000, random_seed=1, progressbar=False)
    draws = post.idata["posterior"].dataset
    unseen = draws["g"].sel(g_level=8).values[0, :, 0, 1]
    ratio = unseen / np.sqrt(draws["g_covariance"].values[0, :, 0, 1, 0, 1])
    assert abs(ratio.mean()) < 4 / np.sqrt(post.ess)
    assert ratio.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * post.ess))
