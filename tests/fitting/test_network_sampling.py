"""NUTS over all weights of a network: exactness, starts, seeds, Ctrl-C, and what is refused."""

import _thread
import threading

import numpy as np
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.answers.diagnostics import convergence_table
from bayes_softmax.answers.function_space import START
from bayes_softmax.core.errors import ImproperPosteriorError
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import LayerWhitening
from bayes_softmax.fitting.network_sampling import (
    Whitened,
    draw_all_layers,
    near,
    starting_points,
)
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.pymc import _values_at, network_starts
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.inference.layer_whitening import layer_whitening, shift, unwhiten_layers
from bayes_softmax.inference.nuts_by_chain import nuts_by_chain
from tests.conftest import simulate


@pytest.fixture(scope="module")
def tiny() -> bs.SoftmaxRegression:
    """Two hidden units, three classes, 20 rows."""
    X, y = simulate(20, 2, 3)
    normal = bs.Normal(1.0)
    return bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=2), prior=normal, intercept_prior=normal)


def probabilities(model: bs.SoftmaxRegression, thetas: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Class probabilities (chain, draw, n, K) at free vectors (chain, draw, d)."""
    named = model._spec.network_coordinates.to_parameters(thetas.reshape(-1, thetas.shape[2]))
    L = model._spec.logits.at(Parameters(named))(X)
    return np.exp(L - logsumexp(L, axis=0)).transpose(2, 1, 0).reshape(*thetas.shape[:2], len(X), -1)


def test_two_moons_mix_in_function_space() -> None:
    """Class probabilities of held-out rows: R-hat below 1.01, and at least half as many effective draws as draws."""
    X, y = make_moons(400, noise=0.3, random_state=0)
    model = bs.SoftmaxRegression(X[::2], y[::2], logits=bs.MLP(hidden=10))
    post = model.sample(layers="all", random_seed=1, progressbar=False)
    P = post.predict_draws(X[1::2]).values[..., 0]
    table = convergence_table(P)
    assert table["r_hat"].max() < 1.01
    assert table["ess_bulk"].min() >= 2000
    assert post.diagnostics.n_divergences == 0
    assert post.engine.startswith("nuts over all layers")
    linear = bs.SoftmaxRegression(X[::2], y[::2]).map().evaluate(X[1::2], y[1::2]).log_loss
    assert post.evaluate(X[1::2], y[1::2]).log_loss < linear - 0.02


def test_chains_start_at_modes_of_their_own(tiny: bs.SoftmaxRegression) -> None:
    density = network_density(tiny._spec)
    settings = SamplerSettings(draws=40, tune=60, chains=3, seed=7)
    modes = starting_points(tiny._spec, 3, 7)
    post = tiny.sample(40, 60, 3, layers="all", random_seed=7, progressbar=False)
    start = post.idata["sample_stats"][START].values
    assert_allclose(start, np.repeat(modes.values[:, None], 40, axis=1), rtol=1e-12)
    drawn, of_chains = draw_all_layers(density, modes.points, settings)
    assert_array_equal(of_chains, modes.points)
    assert drawn.points.shape == (3, 40, density.dimension)
    values = [[density.value(theta) for theta in chain] for chain in drawn.points]
    assert_allclose(drawn.stats["logp"], values, rtol=1e-10)
    assert_allclose(post.idata["sample_stats"]["logp"].values, values, rtol=1e-10)


def test_the_same_seed_gives_the_same_draws_whatever_the_cores(tiny: bs.SoftmaxRegression) -> None:
    options = {"draws": 30, "tune": 40, "chains": 3, "layers": "all", "progressbar": False}
    one, two, other = (
        tiny.sample(**options, random_seed=seed, cores=cores)._fitted.parameters.flat()
        for seed, cores in ((5, 1), (5, 3), (6, 3))
    )
    assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("change", ["shift", "layers"])
def test_both_interfaces_and_every_whitening_draw_the_posterior_that_the_prior_weighted_has(
    change: str, tiny: bs.SoftmaxRegression
) -> None:
    """Means of probabilities at 5 points against draws from the prior, weighted by the likelihood.

    Both have Monte Carlo errors from their effective sizes; the largest of 20 deviations is above 5 in 1 of 90 000
    runs.
    """
    spec, density = tiny._spec, network_density(tiny._spec)
    X = simulate(5, 2, 3)[0] * 1.5
    expected, error = weighted_prior(tiny, X)
    modes = starting_points(spec, 4, 3).points

    def whiten(mode: np.ndarray) -> LayerWhitening:
        if change == "shift":
            return shift(mode)
        return layer_whitening(mode, density.layer_order, density.layer_metrics(mode))

    for native in (True, False):
        whitenings = [
            shift(mode)
            if change == "shift"
            else layer_whitening(mode, density.layer_order, density.layer_metrics(mode))
            for mode in modes
        ]
        draws = 1000 if native else 150
        drawn, _ = nuts_by_chain(
            [Whitened(density, whitening, native) for whitening in whitenings], np.full_like(modes, 0.1), draws=draws,
            tune=200, cores=2, seed=3, target_accept=0.8, progressbar=False,
        )  # fmt: skip
        thetas = np.stack([unwhiten_layers(w, z) for w, z in zip(whitenings, drawn.points, strict=True)])
        found = probabilities(tiny, thetas, X).reshape(4, draws, -1)
        table = convergence_table(found)
        away = (found.mean(axis=(0, 1)) - expected) / np.hypot(table["mcse_mean"], error)
        assert np.abs(away).max() < 5


def weighted_prior(model: bs.SoftmaxRegression, X: np.ndarray, n: int = 300_000) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means of probabilities (n K,) at rows, by importance sampling, with their standard errors."""
    spec, density = model._spec, network_density(model._spec)
    precision = density.metric(np.zeros(density.dimension)) - density.likelihood_metric(np.zeros(density.dimension))
    assert_array_equal(precision, np.diag(np.diag(precision)))  # independent normals
    thetas = np.random.default_rng(0).normal(size=(n, len(precision))) / np.sqrt(np.diag(precision))
    Y = spec.design.dense_counts()
    log_w = np.log(probabilities(model, thetas[None], spec.design.X)[0]).reshape(n, -1) @ Y.ravel()
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    assert 1 / (w @ w) > 1000
    P = probabilities(model, thetas[None], X).reshape(n, -1)
    mean = w @ P
    return mean, np.sqrt((w**2) @ np.square(P - mean))


def test_pymc_starts_where_our_sampler_does() -> None:
    X, y = simulate(40, 3, 3)
    for options in ({}, {"intercept_prior": bs.Normal(1.0), "prior": bs.Normal(1.0)}, {"coding": "full"}):
        model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=2, skip=True), **options)
        spec, settings = model._spec, SamplerSettings(chains=2, seed=4)
        density, modes = network_density(spec), starting_points(spec, 2, 4)
        expected = [density.value(point) for point in near(density, modes.points, 4)]
        log_density = model.pymc_model.compile_logp(mode="FAST_COMPILE")
        values, heights = _values_at(spec, model.pymc_model, network_starts(spec, settings)), []
        for given in values:
            point = model.pymc_model.initial_point()
            assert set(given) == {variable.name for variable in model.pymc_model.free_RVs}
            for variable in model.pymc_model.free_RVs:
                value = model.pymc_model.rvs_to_values[variable]
                transform = model.pymc_model.rvs_to_transforms[variable]
                own = given[variable.name]
                if transform is not None:
                    own = transform.forward(pt.as_tensor(own), *variable.owner.inputs).eval()
                assert point[value.name].shape == own.shape
                point[value.name] = own
            heights.append(float(log_density(point)))
        assert_allclose(np.diff(heights), np.diff(expected), rtol=1e-6, atol=1e-8)
        assert (np.array(expected) < modes.values).all()


@pytest.mark.parametrize(
    ("prior", "named"),
    [
        (bs.Flat(), "'hidden_1', 'weights'"),
        ({"weights": bs.Flat()}, "'weights'"),
        ({"hidden_1": bs.Flat()}, "'hidden_1'"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "pymc"])
def test_flat_priors_are_refused(engine: str, prior: object, named: str) -> None:
    X, y = simulate(40, 2, 3)
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=2), prior=prior)
    with pytest.raises(ImproperPosteriorError, match=f"or may be: the prior of {named} is Flat"):
        model.sample(layers="all", engine=engine, progressbar=False)


def test_a_flat_intercept_and_a_prior_with_a_kink_can_be_sampled() -> None:
    X, y = simulate(40, 2, 3)
    model = bs.SoftmaxRegression(
        X, y, logits=bs.MLP(hidden=2), prior={"weights": bs.Laplace(1.0)}, intercept_prior=bs.Flat()
    )
    post = model.sample(50, 100, 2, layers="all", random_seed=1, progressbar=False)
    assert np.isfinite(post.predict_draws(X).values).all()


def test_ctrl_c_keeps_the_draws_finished_by_then(tiny: bs.SoftmaxRegression) -> None:
    tiny.sample(5, 5, 2, layers="all", random_seed=1, progressbar=False)  # compile first
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    with pytest.warns(UserWarning, match="interrupted: .* draws per chain were finished") as noted:
        post = tiny.sample(500_000, 50, 3, layers="all", cores=2, random_seed=1, progressbar=False)
    assert post.idata["posterior"].sizes["chain"] == 2
    assert 0 < post.idata["posterior"].sizes["draw"] < 500_000
    assert "in 2 of 3 chains; the other one, with 0, is left out" in str(noted[0].message)
    start = post.idata["sample_stats"][START].values[:, 0]
    assert_allclose(start, starting_points(tiny._spec, 3, 1).values[:2], rtol=1e-12)


def test_too_many_draws_are_refused_before_any_is_made(tiny: bs.SoftmaxRegression) -> None:
    with pytest.raises(MemoryError, match=r"the draws of sample\(draws=10000000000, chains=4, tune=200\)"):
        tiny.sample(10_000_000_000, layers="all", progressbar=False)
