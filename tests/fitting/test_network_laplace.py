"""Laplace approximations of networks: their normals against NumPy, their measure beside the MAP, and every refusal."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.answers.newton_loo import newton_loo
from bayes_softmax.core.errors import ImproperPosteriorError, NotReliableWarning
from bayes_softmax.density.network.jacobian import free_jacobian
from bayes_softmax.density.network.posterior import NetworkPosterior
from bayes_softmax.fits.posterior import Posterior
from bayes_softmax.fitting import last_layer_laplace, network_laplace
from bayes_softmax.fitting.network_laplace import find_mode
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.laplace import laplace_log_evidence
from bayes_softmax.inference.normals import layered_normal
from tests.conftest import simulate
from tests.density.test_network import points, specified
from tests.density.test_network_curvature import CASES, jacobian, oracle_metric

ERROR_RATE = 1e-6


def moons(hidden=3, n=120, **more) -> bs.SoftmaxRegression:
    X, y = make_moons(n, noise=0.3, random_state=0)
    return bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden, **more))


def quiet(model, *args, **more) -> Posterior:
    """A Laplace approximation whose warnings are not of interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReliableWarning)
        return model.laplace(*args, **({"random_seed": 1, "progressbar": False} | more))


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_the_jacobian_in_free_coordinates_is_that_of_differences(case) -> None:
    spec = specified(*case)
    density = network_density(spec)
    theta = points(density)[0]
    at = {name: a[0] for name, a in density.coordinates.to_parameters(theta[None]).items()}
    J = free_jacobian(spec.logits, spec.network_coordinates, at, spec.design.X)
    difference = J - jacobian(spec, density, theta)
    difference -= difference.mean(axis=1, keepdims=True)  # a common shift of all logits is none
    assert np.abs(difference).max() <= 1e-7 * np.abs(J).max()


def free_draws(spec, posterior) -> np.ndarray:
    """The draws as free vectors (S, d)."""
    arrays = posterior._fitted.parameters.arrays
    coordinates, S = spec.network_coordinates, len(arrays["intercept"])
    return np.array([coordinates.from_parameters({name: a[s] for name, a in arrays.items()}) for s in range(S)])


def p_value(model, posterior) -> float:
    """That of squared distances from the MAP by the oracle's curvature, which are chi-squared with d degrees."""
    spec = model._spec
    mode = find_mode(spec, 1)
    H = mode.density.prior_curvature(mode.theta) + oracle_metric(spec, mode.density, mode.theta)
    moved = free_draws(spec, posterior) - mode.theta
    return float(stats.kstest(np.einsum("sd,de,se->s", moved, H, moved), "chi2", args=(len(H),)).pvalue)


def test_draws_of_all_weights_have_the_oracles_covariance(monkeypatch) -> None:
    """One seed in a million would fail; with a curvature 10 % too large the check fails."""
    model = moons()
    assert p_value(model, quiet(model, 2000, structure="full")) > ERROR_RATE
    right = NetworkPosterior.metric
    monkeypatch.setattr(NetworkPosterior, "metric", lambda self, theta: 1.1 * right(self, theta))
    assert p_value(model, quiet(model, 2000, structure="full")) < ERROR_RATE


def linear_and_its_network():
    """A linear model, and a network that adds next to nothing to it."""
    X, y = simulate(80, 2, 3)
    priors = {"hidden_1": bs.Normal(0.02), "weights": bs.Normal(0.02), "x0": bs.Normal(1.0), "x1": bs.Normal(0.5)}
    linear = bs.SoftmaxRegression(X, y, prior={name: priors[name] for name in ("x0", "x1")})
    return linear, bs.SoftmaxRegression(X, y, prior=priors, logits=bs.MLP(2, skip=True))


def test_a_network_that_adds_nothing_has_the_linear_models_approximation() -> None:
    linear, network = linear_and_its_network()
    post = quiet(network, 4000, structure="full")
    density = density_of(linear._spec)
    mode = solve(density, SolverOptions())
    evidence = laplace_log_evidence(density, mode) + density.coordinates.log_jacobian
    assert_allclose(post.log_evidence, evidence, atol=1e-3)
    X = linear._spec.design.X[:7]
    V = linear._spec.logits.covariance(None, X, linear.map()._fitted.parameter_covariance)
    L = post._fitted.logits.at(post._fitted.parameters)(X)
    L = L - L.mean(axis=0)
    found = np.einsum("kns,lns->nkl", L - L.mean(axis=2, keepdims=True), L - L.mean(axis=2, keepdims=True)) / 4000
    assert_allclose(found, V, atol=0.15 * V.max())  # a standard error of a variance is 2 % of it
    settings = LaplaceSettings(1000, "full", "glm", seed=1, starts=1)
    found = network_laplace._measured(network._spec, network_laplace._run(network._spec, settings), settings)
    p = newton_loo(linear.map()._fitted, linear.map()._fitted.training)
    codes = linear._spec.distinct.response.codes
    assert_allclose(found.loss_of_map, -np.log(p[np.arange(len(p)), codes]).mean(), rtol=1e-4)


def test_kronecker_factors_are_exact_for_two_classes_and_one_unit() -> None:
    """The class covariance of a row is then a number, so that each layer's block is the dense curvature's."""
    spec = moons(hidden=1)._spec
    mode = find_mode(spec, 1)
    normal = layered_normal(mode.density.layer_factors(mode.theta), mode.density.layer_order)
    T = normal.coloured(np.eye(len(mode.theta))).T
    H, n = mode.density.metric(mode.theta), spec.network_coordinates.hidden.dimension
    blocks = np.zeros_like(H)
    for layer in (slice(0, n), slice(n, None)):
        blocks[layer, layer] = np.linalg.inv(H[layer, layer])
    assert_allclose(T @ T.T, blocks, rtol=1e-7, atol=1e-10)


def test_all_weights_predict_worse_than_the_map_and_say_so() -> None:
    """The loss of rows that were left out is what leave-one-out expects, for both predictive distributions."""
    X, y = make_moons(400, noise=0.3, random_state=0)
    model = bs.SoftmaxRegression(X[::2], y[::2], logits=bs.MLP(10))
    losses = {}
    for predictive in ("glm", "mc"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            post = model.laplace(1000, structure="full", predictive=predictive, random_seed=1, progressbar=False)
        texts = [str(w.message) for w in caught if w.category is NotReliableWarning]
        call = f"laplace(structure='full', predictive='{predictive}')"
        assert any(text.startswith(f"{call} predicts worse than map() here: log loss") for text in texts)
        assert any("Pareto k of their importance weights" in text for text in texts) == (predictive == "mc")
        (note,) = (note for note in post.notes if note.startswith("log loss"))
        losses[predictive] = float(note.split()[2])
        found = post.evaluate(X[1::2], y[1::2])
        assert abs(losses[predictive] - found.log_loss) < 4 * found.std_error["log_loss"]
        assert "leave-one-out by one Newton step)" in note
    assert losses["mc"] > losses["glm"] + 0.2
    assert post.ess < 100  # of weights that were not used
    assert len(np.unique(post._fitted.parameters["hidden_1"][:, 0, 0])) == 1000


def test_a_loss_that_is_no_worse_is_noted_without_a_warning() -> None:
    _, network = linear_and_its_network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        post = network.laplace(500, structure="full", random_seed=1, progressbar=False)
    assert "log loss" in post.notes[-1]
    assert str(post.diagnostics) == "500 independent draws of the approximation, which nothing corrects"
    assert post.diagnostics.ok
    assert post.pareto_k is None


def test_reliable_weights_correct_the_draws() -> None:
    _, network = linear_and_its_network()
    post = quiet(network, 1000, structure="full", predictive="mc")
    assert post.pareto_k < 0.7
    assert 300 < post.ess < 1000
    glm = quiet(network, 1000, structure="full", predictive="glm")
    assert abs(post.log_evidence - glm.log_evidence) < 1.0


def test_by_default_the_last_layer_is_drawn_and_hidden_layers_are_those_of_the_map() -> None:
    model = moons()
    post, fit = quiet(model, 500, random_seed=3), model.map(random_seed=3)
    held = post._fitted.parameters.held["hidden_1"][0]
    assert_array_equal(held, fit._fitted.parameters["hidden_1"][0])
    assert "hidden layers are held at the MAP" in post.engine
    assert_array_equal(quiet(model, 500, structure="last-layer", random_seed=3).predict_draws([[0.0, 0.0]]),
                       post.predict_draws([[0.0, 0.0]]))  # fmt: skip
    (note,) = (note for note in post.notes if note.startswith("log loss"))
    assert "on 24 rows that a refit left out" in note
    assert post.refit(0, int(model._spec.distinct.response.codes[0])).parameters.n_draws == 500


KINDS = [("full", "glm"), ("full", "mc"), ("kron", "glm"), ("kron", "mc"), ("last-layer", None)]


@pytest.mark.parametrize(("structure", "predictive"), KINDS)
def test_every_answer_is_there_and_a_file_keeps_it(structure, predictive, tmp_path) -> None:
    model, X = moons(), [[0.5, 0.25], [1.0, -0.5]]
    post = quiet(model, 300, structure=structure, predictive=predictive)
    again = quiet(model, 300, structure=structure, predictive=predictive)
    assert_array_equal(post.predict_draws(X), again.predict_draws(X))
    assert post.predict_proba(X, ci_prob=0.9).shape[0] == 2
    assert np.isfinite(post.effects().to_numpy(dtype=float)[:, :2]).all()
    assert np.isfinite(post.contrast({"x0": 1.0}, {"x0": 0.0}).to_numpy(dtype=float)[:, :2]).all()
    assert np.isfinite(post.uncertainty(X).to_numpy(dtype=float)).all()
    assert len(post.summary())
    assert "log loss" in str(post)
    assert "network: 2 features -> 3 tanh units -> 2 classes" in str(post)
    post.save(tmp_path / "fit.nc")
    loaded = bs.load(tmp_path / "fit.nc")
    assert_array_equal(loaded.predict_draws(X), post.predict_draws(X))
    assert (loaded.notes, loaded.pareto_k, loaded.ess) == (post.notes, post.pareto_k, post.ess)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReliableWarning)
        without = post.refit(0, int(model._spec.distinct.response.codes[0]))
        folds = post.kfold(k=2, random_seed=1, progressbar=False)
    assert without.training.distinct.total_weight == 119
    assert np.isfinite(folds.elpd)


@pytest.mark.parametrize("structure", ["full", "kron", "last-layer"])
def test_counts_weights_offsets_and_choice_sets_are_measured_too(structure) -> None:
    X, y = simulate(60, 2, 3)
    rng = np.random.default_rng(5)
    available = np.ones((60, 3), dtype=bool)
    available[:30, 2] = False
    codes = np.where(available[np.arange(60), y], y, 0)
    for more in (
        {"y": rng.multinomial(3, [0.2, 0.3, 0.5], size=60)},
        {"y": y, "weights": rng.uniform(0.2, 3.0, size=60)},
        {"y": y, "offset": rng.normal(size=(60, 3))},
        {"y": codes, "available": available},
        {"y": (y > 0).astype(bool)},
    ):
        model = bs.SoftmaxRegression(X, logits=bs.MLP(2), **more)
        post = quiet(model, 200, structure=structure)
        (note,) = (note for note in post.notes if note.startswith("log loss"))
        loss, of_map = (float(note.split()[i]) for i in (2, 4))
        assert 0.2 < loss < 2.0
        assert 0.2 < of_map < 2.0


def test_a_large_last_layer_has_kronecker_factors_exact_for_two_classes(monkeypatch) -> None:
    model = moons()
    exact = quiet(model, 2000, structure="last-layer")
    monkeypatch.setattr(last_layer_laplace, "DENSE_DIMENSION", 3)
    post = quiet(model, 2000)
    assert "Kronecker factors of its curvature" in post.engine
    assert any("was not measured" in note for note in post.notes)
    n, spec = model._spec.network_coordinates.hidden.dimension, model._spec
    mode = find_mode(spec, 1)
    H = mode.density.metric(mode.theta)[n:, n:]  # of the last layer given the hidden ones
    arrays = post._fitted.parameters
    raw = np.concatenate([arrays["intercept"][:, None], arrays["weights"]], axis=1)
    last = spec.coordinates
    moved = np.array([last.from_raw(a[0], a[1:]) for a in raw]) - mode.theta[n:]
    # The draws may be resampled, so their squared distances have a mean of about d, no exact distribution.
    squares = np.einsum("sd,de,se->s", moved, H, moved)
    assert abs(squares.mean() / len(H) - 1) < 0.25
    assert abs(post.log_evidence - exact.log_evidence) < 0.5


def test_interrupts_keep_the_draws_that_are_weighted(monkeypatch) -> None:
    model, right = moons(), NetworkPosterior.values

    def cut(self, thetas):
        if thetas[0, 0] == third[0]:
            raise KeyboardInterrupt
        return right(self, thetas)

    settings = LaplaceSettings(400, "full", "mc", seed=1, starts=1)
    run = network_laplace._run(model._spec, settings)
    third = network_laplace._points(run.mode, run.normal, settings)[0][256]
    monkeypatch.setattr(NetworkPosterior, "values", cut)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        post = model.laplace(400, structure="full", predictive="mc", random_seed=1, progressbar=False)
    assert post.idata.posterior.sizes["draw"] == 256
    assert any("256 of 400 draws were finished" in str(w.message) for w in caught)
    monkeypatch.setattr(NetworkPosterior, "values", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt, match="before enough draws"):
        quiet(model, 400, structure="full", predictive="mc")


def test_what_has_no_approximation_is_refused() -> None:
    model = moons()
    with pytest.raises(ValueError, match=r"structure='ful' is not known.*did you mean 'full'"):
        model.laplace(structure="ful")
    with pytest.raises(TypeError, match="predictive=5 must be one of 'glm', 'mc'"):
        model.laplace(predictive=5)
    linear = bs.SoftmaxRegression(*simulate(40, 2, 3))
    with pytest.raises(ValueError, match="structure='kron' is for the logits of a network"):
        linear.laplace(structure="kron")
    same = [quiet(linear, 200, **more) for more in ({}, {"structure": "full", "predictive": "glm"})]
    assert_array_equal(*(post.idata.posterior.weights for post in same))
    X, y = simulate(40, 2, 3)
    for layer in ("hidden_1", "weights"):
        flat = bs.SoftmaxRegression(X, y, logits=bs.MLP(2), prior={layer: bs.Flat()})
        with pytest.raises(ImproperPosteriorError, match=f"under a flat prior of {layer}"):
            flat.laplace(structure="full")


def test_a_curvature_too_large_for_a_matrix_is_refused() -> None:
    rng = np.random.default_rng(0)
    wide = bs.SoftmaxRegression(rng.normal(size=(20, 50)), rng.integers(3, size=20), logits=bs.MLP(200))
    with pytest.raises(ValueError, match=r"curvature of 10,602 coefficients as a matrix.*structure='kron'"):
        wide.laplace(structure="full")
