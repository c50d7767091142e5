"""The scales of a network's layers chosen by the evidence: against integrals, the formula, grids, held-out data."""

import signal
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import log_expit
from sklearn.datasets import make_moons

import bayes_softmax as bs
from bayes_softmax.answers.training import Cells
from bayes_softmax.density.network.rescaled import layers_of, with_scaled_layers
from bayes_softmax.fitting import layer_evidence
from bayes_softmax.fitting.again import with_cells
from bayes_softmax.fitting.layer_evidence import EvidenceSurface, Point
from bayes_softmax.fitting.networks import network_density, network_modes
from bayes_softmax.spec.network.mlp import MLP
from bayes_softmax.spec.network.specify import network_specification
from bayes_softmax.spec.rescaled import layer_names, with_chosen_scale, with_scaled_priors
from bayes_softmax.spec.scale_choice import ScaleChoice
from tests import cases
from tests.conftest import simulate


@pytest.fixture(scope="module")
def moons() -> Any:
    X, y = make_moons(400, noise=0.3, random_state=0)
    return bs.SoftmaxRegression(X[::2], y[::2], logits=MLP(hidden=6)), X[1::2], y[1::2]


@pytest.fixture(scope="module")
def chosen(moons: Any) -> bs.SoftmaxRegression:
    return moons[0].choose_prior_scale(random_seed=1, progressbar=False)


def polished(density: Any, start: np.ndarray) -> np.ndarray:
    """A mode to more digits: the terms of the formula that the gradient has are then nothing."""
    found = minimize(
        lambda theta: tuple(-part for part in density.value_gradient(theta)),
        start,
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-9, "ftol": 0.0, "maxiter": 10_000, "maxcor": 50},
    )
    return np.asarray(found.x)


# -------------------- the density of other scales


@pytest.mark.parametrize("coding", cases.CODINGS)
@pytest.mark.parametrize("form", ["labels", "no intercept", "uncentred"])
def test_the_rescaled_density_is_that_of_the_model_with_these_scales(form: str, coding: str) -> None:
    intercept = "default" if form == "no intercept" else "normal"
    prior = "mixed" if coding == "full" else "two student"  # the latter with a flat one, which has no scale
    linear = cases.build(prior, intercept, coding, form)._spec
    spec = network_specification(linear, MLP((4, 3), skip=True), {"hidden_1": bs.Normal(0.6)})
    assert layer_names(spec) == ("hidden_1", "hidden_2", "weights", "skip")
    factors = {"hidden_1": 0.3, "hidden_2": 1.7, "weights": 5.0, "skip": 0.04}
    again = network_density(with_chosen_scale(spec, ScaleChoice(factors, 0.0, 0.0, False, 1)))
    density = network_density(spec)
    layers = layers_of(density)
    scaled = with_scaled_layers(density, layers, np.log(list(factors.values())))
    for theta in np.random.default_rng(0).normal(size=(3, density.dimension)):
        value, gradient = scaled.value_gradient(theta)
        expected, of_expected = again.value_gradient(theta)
        assert_allclose(value, expected, rtol=1e-12)
        assert_allclose(gradient, of_expected, rtol=1e-10, atol=1e-10)
        assert abs(value - density.value(theta)) > 1.0
    members = np.concatenate([layer.members for layer in layers])
    assert len(set(members.tolist())) == len(members)


def test_every_scale_of_a_network_is_multiplied_along_the_path() -> None:
    spec = bs.SoftmaxRegression(*simulate(40, 2, 3), logits=MLP(3), intercept_prior=bs.Normal(2.0))._spec
    scaled = with_scaled_priors(spec, 3.0)
    assert spec.hidden is not None
    assert scaled.hidden is not None
    assert_allclose(scaled.hidden.scales[0], 3.0 * spec.hidden.scales[0])
    assert_allclose(scaled.priors.features.scale, 3.0 * spec.priors.features.scale)
    assert scaled.priors.intercept == bs.Normal(6.0)


# -------------------- the evidence itself


def test_differences_of_evidence_are_those_of_integrals() -> None:
    """One unit and two classes: three coordinates, integrated on a grid.

    The approximation is Gauss-Newton's, of one of two modes that are reflections of each other: a factor of two in all
    integrals, and a curvature that is that of minus the log-likelihood on average over responses.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 1))
    y = (rng.random(800) < 1 / (1 + np.exp(-4 * np.tanh(1.5 * X[:, 0] + 0.5)))).astype(int)
    network = {"logits": MLP(1), "intercept": False, "coding": "reference"}
    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), **network)
    surface = EvidenceSurface(network_density(model._spec))
    start = network_modes(model._spec, 4, np.random.default_rng(0)).points[0]
    if start[2] < 0:
        start = -start
    z = (X[:, 0] - X.mean()) / X.std()
    sign = np.where(y == 1, 1.0, -1.0)
    bias, weight, last = np.linspace(-0.6, 1.6, 56), np.linspace(0.3, 3.3, 56), np.linspace(1.5, 8.0, 56)
    likelihood = np.empty((56, 56, 56))
    for i, b in enumerate(bias):
        units = np.tanh(b + weight[:, None] * z)
        likelihood[i] = log_expit(sign * units[:, None, :] * last[:, None]).sum(axis=2)
    volume = np.log((bias[1] - bias[0]) * (weight[1] - weight[0]) * (last[1] - last[0]))

    def exact(hidden: float, of_last: float) -> float:
        log_prior = -0.5 * (np.square(bias / hidden)[:, None, None] + np.square(weight / hidden)[:, None])
        log_prior = log_prior - 0.5 * np.square(last / of_last) - 1.5 * np.log(2 * np.pi) - np.log(hidden**2 * of_last)
        joint = likelihood + log_prior
        return float(np.log(np.exp(joint - joint.max()).sum()) + joint.max() + volume)

    errors = []
    for hidden, of_last in ((0.5, 2.0), (1.0, 1.0), (2.0, 4.0), (1.0, 8.0)):
        found = surface.at(np.log([hidden, of_last]), start)
        errors.append(found.log_evidence - exact(hidden, of_last))
    assert_allclose(errors, 0.0, atol=0.2)  # the evidence itself differs by 3.8 nats among these


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_the_evidence_is_the_formula_at_the_mode(activation: str) -> None:
    spec = network_specification(
        bs.SoftmaxRegression(*simulate(60, 2, 3), prior=bs.Normal(0.5))._spec, MLP(3, activation, skip=True)
    )
    surface = EvidenceSurface(network_density(spec))
    x = np.array([-0.5, 0.7, 0.2])
    density = with_scaled_layers(surface.density, surface.layers, x)
    start = network_modes(spec, 2, np.random.default_rng(0)).points[0]
    mode = polished(density, surface.at(x, start).mode)
    sign, log_determinant = np.linalg.slogdet(density.metric(mode))
    d = density.dimension
    expected = density.value(mode) + 0.5 * d * np.log(2 * np.pi) - 0.5 * log_determinant
    expected += density.coordinates.last.log_jacobian
    assert sign == 1
    assert surface.of_mode(x, mode).log_evidence == pytest.approx(expected, abs=1e-6)
    near = mode + 1e-3 * np.random.default_rng(1).normal(size=d)
    assert surface.of_mode(x, near).log_evidence == pytest.approx(expected, abs=0.02)
    assert surface.of_mode(x, mode + 3.0).log_evidence == -np.inf


def test_updates_are_those_of_mackay() -> None:
    """With the curvature held, the proposed factor is where the derivative of the evidence vanishes."""
    model = bs.SoftmaxRegression(*simulate(80, 2, 3), logits=MLP(2), prior=bs.Normal(1.0))
    surface = EvidenceSurface(network_density(model._spec))
    point = surface.at(np.zeros(2), network_modes(model._spec, 3, np.random.default_rng(0)).points[0])
    covariance = np.linalg.inv(surface.density.metric(point.mode))
    for layer, x in zip(surface.layers, point.proposed.tolist(), strict=True):
        determined = len(layer.members) - np.trace(covariance[np.ix_(layer.members, layer.members)])
        assert np.exp(2 * x) == pytest.approx(np.square(point.mode[layer.members]).sum() / determined, rel=1e-6)


# -------------------- its maximum


def test_no_point_of_a_grid_around_it_is_higher(moons: Any, chosen: bs.SoftmaxRegression) -> None:
    found = chosen.chosen_scale
    assert found is not None
    surface = EvidenceSurface(network_density(moons[0]._spec))
    best = np.log(list(found.factors.values()))
    modes = network_modes(chosen._spec, 4, np.random.default_rng(3)).points
    start = max((surface.at(best, mode) for mode in modes), key=lambda point: point.log_evidence)
    assert found.log_evidence >= start.log_evidence - 0.1
    for step in np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]]):
        assert surface.at(best + 0.4 * step, start.mode).log_evidence <= found.log_evidence + 0.1


def test_a_wrong_sign_of_the_determinant_is_found_out(
    moons: Any, chosen: bs.SoftmaxRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = EvidenceSurface.of_mode

    def planted(self: EvidenceSurface, x: np.ndarray, mode: np.ndarray) -> Point:
        point, d = right(self, x, mode), len(mode)
        value = with_scaled_layers(self.density, self.layers, x).value(mode)
        return point._replace(log_evidence=2 * value + d * np.log(2 * np.pi) - point.log_evidence)

    monkeypatch.setattr(EvidenceSurface, "of_mode", planted)
    with pytest.warns(bs.NotConvergedWarning, match="found no maximum: .* hidden_1 0.00"):
        wrong = moons[0].choose_prior_scale(random_seed=1, restarts=1, progressbar=False)
    assert wrong.chosen_scale.at_end


def test_the_map_at_the_chosen_scales_predicts_better() -> None:
    """Two features of the penguins, which a nearly linear network fits: a third are held out."""
    data = bs.datasets.load_penguins().dropna()
    X, y = data[["bill_length_mm", "flipper_length_mm"]].to_numpy(), data["species"].to_numpy()
    held = np.arange(len(y)) % 3 == 0
    model = bs.SoftmaxRegression(X[~held], y[~held], logits=MLP(2))
    chosen = model.choose_prior_scale(random_seed=1, progressbar=False)
    assert chosen.chosen_scale is not None
    assert chosen.chosen_scale.log_evidence > chosen.chosen_scale.log_evidence_as_given + 5
    losses = [m.map(random_seed=0).evaluate(X[held], y[held]).log_loss for m in (model, chosen)]
    assert losses[1] < losses[0] - 0.01


def test_the_same_seed_chooses_the_same(moons: Any, chosen: bs.SoftmaxRegression) -> None:
    again = moons[0].choose_prior_scale(rng=1, progressbar=False)
    assert again.chosen_scale == chosen.chosen_scale
    assert_array_equal(again._spec.hidden.scales[0], chosen._spec.hidden.scales[0])


# -------------------- the model that is returned


def test_it_says_what_was_chosen(moons: Any, chosen: bs.SoftmaxRegression) -> None:
    found = chosen.chosen_scale
    assert found is not None
    assert moons[0].chosen_scale is None
    assert list(found.factors) == ["hidden_1", "weights"]
    text = f"hidden_1 {found.factors['hidden_1']:.4g}, weights {found.factors['weights']:.4g} times as given"
    assert str(found) == f"the scales of the priors were chosen from these data: {text}"
    assert text in " ".join(repr(found).split())
    assert str(found) in chosen.map(random_seed=0).notes
    assert chosen.map(random_seed=0)._fitted.schema.chosen_scale
    with pytest.raises(AttributeError, match=r"a factor for each layer \('hidden_1', 'weights'\): see factors"):
        _ = found.factor
    assert chosen._spec.without_priors().hidden.scales[0].tolist() == [np.inf] * 3


def test_chosen_again_factors_are_relative_to_those_given(chosen: bs.SoftmaxRegression) -> None:
    again = chosen.choose_prior_scale(random_seed=2, progressbar=False)
    once, twice = chosen.chosen_scale, again.chosen_scale
    assert once is not None
    assert twice is not None
    assert twice.log_evidence_as_given == once.log_evidence_as_given
    for name, scale in (("hidden_1", again._spec.hidden.scales[0]), ("weights", again._spec.priors.features.scale)):
        before = chosen._spec.hidden.scales[0] if name == "hidden_1" else chosen._spec.priors.features.scale
        assert_allclose(scale / before, twice.factors[name] / once.factors[name])


def test_k_fold_chooses_the_scales_again(chosen: bs.SoftmaxRegression) -> None:
    y = chosen._spec.design.response.codes
    half = with_cells(chosen._spec, Cells(np.arange(100), y[:100], np.ones(100)))
    assert half.priors.choice is not None
    assert chosen.chosen_scale is not None
    assert half.priors.choice.factors != chosen.chosen_scale.factors
    assert half.priors.choice.factors.keys() == chosen.chosen_scale.factors.keys()


# -------------------- refusals, and Ctrl-C


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        ({"hidden_1": bs.Flat()}, "needs Normal priors in every layer, and 'hidden_1' has another"),
        ({"weights": bs.StudentT(4, 1.0)}, "and 'weights' has another; layers are 'hidden_1', 'weights'"),
        ({"weights": bs.Laplace(1.0)}, "and 'weights' has another"),
        (bs.Flat(), "are flat, so there is no scale"),
    ],
    ids=str,
)
def test_other_priors_are_refused(prior: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        bs.SoftmaxRegression(*simulate(40, 2, 3), prior=prior, logits=MLP(3)).choose_prior_scale(progressbar=False)


def test_large_networks_are_refused() -> None:
    model = bs.SoftmaxRegression(*simulate(40, 2, 3), logits=MLP((70, 70)))
    with pytest.raises(ValueError, match=r"curvature of 5322 weights, and forms it up to 5000; .* kfold"):
        model.choose_prior_scale(progressbar=False)
    with pytest.raises(ValueError, match="restarts=0 must be at least 1"):
        model.choose_prior_scale(restarts=0)
    with pytest.raises(TypeError, match="progressbar"):
        model.choose_prior_scale(progressbar="no")


def test_control_c_ends_the_search(moons: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []

    def pressed(self: Any, x: np.ndarray, near: Point) -> Point:
        times.append(1)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the search went on")

    monkeypatch.setattr(layer_evidence.Search, "_at", pressed)
    with pytest.raises(KeyboardInterrupt):
        moons[0].choose_prior_scale(random_seed=1, progressbar=False)
    assert len(times) == 1
    assert moons[0].chosen_scale is None
