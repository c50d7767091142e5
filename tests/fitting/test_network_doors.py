"""What the front door of a network says and refuses: its own description, scales of all priors, densities."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.fitting.networks import network_density
from bayes_softmax.spec.network.layer_scales import layer_sds
from bayes_softmax.spec.rescaled import with_chosen_scale, with_scaled_priors
from bayes_softmax.spec.scale_choice import ScaleChoice
from tests.conftest import simulate

X, y = simulate(60, 2, 3)


def model(logits: bs.MLP | None = None, **options) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X, y, logits=logits or bs.MLP((3, 2), "gelu", skip=True), **options)


def test_it_says_what_it_is() -> None:
    said = " ".join(repr(model()).split())
    assert "network: 2 features -> 3 gelu units -> 2 gelu units -> 3 classes, beside linear logits, 32 weights" in said
    assert "network" not in repr(model(bs.MLP(())))
    empty = bs.SoftmaxRegression(np.empty((60, 0)), y, logits=bs.MLP(2))
    assert "without features the hidden units are constants, and so are the logits" in repr(empty)


def test_without_features_it_is_fitted_all_the_same() -> None:
    """Constant logits: the shares of the classes, drawn to each other by the prior."""
    fit = bs.SoftmaxRegression(np.empty((60, 0)), y, logits=bs.MLP(2, skip=True)).map()
    found = fit.predict_proba(np.empty((1, 0))).to_numpy()[0]
    assert_allclose(found, np.bincount(y) / 60, atol=0.03)


def test_columns_that_do_not_vary_are_dropped_and_collinear_ones_are_taken() -> None:
    constant = np.column_stack([X, np.ones(60)])
    with pytest.raises(ValueError, match="column 'x2' is constant"):
        bs.SoftmaxRegression(constant, y, logits=bs.MLP(2))
    dropped = bs.SoftmaxRegression(constant, y, logits=bs.MLP(2), constant="drop")
    assert dropped._spec.logits.n_features == 2
    assert_allclose(dropped.map().predict_proba(constant), model(bs.MLP(2)).map().predict_proba(X), atol=1e-6)
    twice = bs.SoftmaxRegression(np.column_stack([X, X[:, 0]]), y, logits=bs.MLP(2, skip=True))
    assert twice.map().converged


def test_forms_of_the_response_are_one_model() -> None:
    """Labels, one-hot rows, counts and weights: the same log posterior, collapsed or not."""
    rows = np.repeat(np.arange(20), 3)
    ways = [
        bs.SoftmaxRegression(X[rows], y[rows], logits=bs.MLP(2), collapse=False),
        bs.SoftmaxRegression(X[rows], y[rows], logits=bs.MLP(2)),
        bs.SoftmaxRegression(X[rows], np.eye(3)[y[rows]], logits=bs.MLP(2)),
        bs.SoftmaxRegression(X[:20], 3 * np.eye(3, dtype=int)[y[:20]], logits=bs.MLP(2)),
        bs.SoftmaxRegression(X[:20], y[:20], weights=np.full(20, 3.0), logits=bs.MLP(2)),
    ]
    densities = [network_density(way._spec) for way in ways]
    theta = np.random.default_rng(0).normal(size=densities[0].dimension)
    for density in densities[1:]:
        assert_allclose(density.value(theta), densities[0].value(theta), rtol=1e-11)


def test_a_formula_with_factors_and_declared_classes() -> None:
    data = pd.DataFrame(X, columns=["a", "b"]).assign(y=np.array(list("rst"))[y], g=np.where(X[:, 0] > 0, "u", "v"))
    data.loc[3, "a"] = np.nan
    found = bs.SoftmaxRegression.from_formula(
        "y ~ 0 + a * g", data, logits=bs.MLP(2), missing="drop", classes=["t", "s", "r", "q"]
    )
    assert found._spec.logits.shapes["weights"] == (2, 4)
    fit = found.map()
    assert fit.predict_proba(data.head(2)).columns.tolist() == ["t", "s", "r", "q"]
    assert not np.asarray(fit._fitted.parameters["intercept"]).any()


def test_the_density_is_that_of_the_network() -> None:
    found = model()
    density = found.log_density
    assert density.dimension == found._spec.network_coordinates.dimension
    value, gradient = density.value_gradient(np.zeros(density.dimension))
    assert value == density.value(np.zeros(density.dimension))
    assert gradient.shape == (density.dimension,)


def test_questions_about_coefficients_and_separation_have_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"check_separation\(\) is for linear logits, .* separates any classes"):
        model().check_separation()
    with pytest.raises(ValueError, match=r"plots\.map_path: that is a question about coefficients"):
        bs.plots.map_path(model())
    for prior, said in ((bs.Jeffreys(), "is for linear logits"), (bs.R2D2(), "hidden_1 of a network can have Normal")):
        with pytest.raises((ValueError, TypeError), match=said):
            model(prior=prior)
    with pytest.raises(ValueError, match="coding='full' needs a proper prior"):
        model(coding="full", prior=bs.Flat())


def test_scales_of_all_layers_are_changed_together() -> None:
    """A factor of all priors: of hidden layers, units, features and intercept, and of what a fit keeps of them."""
    spec = model()._spec
    wider = with_scaled_priors(spec, 2.0)
    for one, other in zip(spec.hidden.scales, wider.hidden.scales, strict=True):
        assert_allclose(other, 2 * one)
    assert_allclose(wider.priors.features.scale, 2 * spec.priors.features.scale)
    assert wider.priors.intercept == bs.Normal(3.0)
    assert wider.schema.layer_sd == layer_sds(wider) != spec.schema.layer_sd
    path = model(bs.MLP(2)).map_path([0.01, 1])
    spread = [np.ptp(fit.predict_proba(X).to_numpy(), axis=0).max() for fit in path.values()]
    assert spread[0] < 0.01 < spread[1]
    assert path[1].log_posterior == model(bs.MLP(2)).map().log_posterior


def test_the_table_of_priors_says_what_was_chosen() -> None:
    choice = ScaleChoice({"hidden_1": 0.5, "hidden_2": 3.0, "weights": 2.0, "skip": 0.25}, -1.0, -2.0, False, 1)
    found = model(prior={"weights": bs.Normal(0.3)})
    found._spec = with_chosen_scale(found._spec, choice)
    table = found.describe_prior()
    assert table["prior"].tolist()[:5] == ["Normal(0.7071)", "Normal(0.75)", table.loc["hidden_2", "prior"],
                                           "Normal(4.5)", "Normal(0.6)"]  # fmt: skip
    made = table["scale_from"]
    assert made["hidden_1"] == "0.5 * default"
    assert made["hidden_2"].startswith("3 * 2 / (")
    assert made["weights"] == "2 * given"
    assert made["skip[x0]"].startswith("0.25 * 1.414 / ")
    assert "chosen from these data by the evidence" in table.attrs["note"]


def test_a_forecast_says_what_it_assumes() -> None:
    found = model().forecast(draws=100, tune=50, chains=2, cores=1)
    assert list(found.sampling_seconds) == ["all layers", "last layer", "laplace"]
    assert found.dimension == model()._spec.network_coordinates.dimension
    assert all(0 < seconds < 100 for seconds in found.sampling_seconds.values())
    assert found.mode_seconds > 0
    said = " ".join(repr(found).split())
    for text in ("sample(layers='all'): ", "at 63 gradients per draw, and with a mode for each chain",
                 "sample(layers='last'): ", "laplace(draws=200): ", "good to a factor of about 4"):  # fmt: skip
        assert text in said
    assert found.to_frame().shape == (3, 3)
    assert "sample(engine='nuts')" in repr(bs.SoftmaxRegression(X, y).forecast())
