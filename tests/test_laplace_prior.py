"""The Laplace prior from the front door: quadrature, standard errors at the kink, refusals, sampling."""

import itertools
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.datasets import load_iris, load_wine

import bayes_softmax as bs
from tests import oracle
from tests.conftest import simulate
from tests.printed import said

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(200)


def pieces(edges: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on intervals between edges: kinks lie on edges."""
    parts = [
        (0.5 * (b - a) * NODES + 0.5 * (a + b), 0.5 * (b - a) * NODE_WEIGHTS) for a, b in itertools.pairwise(edges)
    ]
    return np.concatenate([x for x, _ in parts]), np.concatenate([w for _, w in parts])


def two_class_moments(x: np.ndarray, y: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and sds of intercept and weight of class 1, and log evidence: Laplace(b) and Normal(1), by quadrature.

    Under zero-sum coding with K = 2 the raw coefficients are ``-g / sqrt(2), g / sqrt(2)`` for one free ``g``.
    """
    g0, w0 = pieces((-9.0, 0.0, 9.0))
    g1, w1 = pieces((-40 * b, -4 * b, 0.0, 4 * b, 40 * b))
    difference = np.sqrt(2) * (g0[:, None, None] + g1[:, None] * x)
    log_likelihood = np.where(y == 1, -np.logaddexp(0, -difference), -np.logaddexp(0, difference)).sum(axis=2)
    log_prior = stats.norm.logpdf(g0)[:, None] + stats.laplace.logpdf(g1, scale=b)
    mass = np.exp(log_likelihood + log_prior) * w0[:, None] * w1
    evidence = mass.sum()
    marginals = ((g0, mass.sum(axis=1) / evidence), (g1, mass.sum(axis=0) / evidence))
    means = np.array([(g * m).sum() for g, m in marginals])
    sds = np.array([np.sqrt((g**2 * m).sum() - mean**2) for (g, m), mean in zip(marginals, means, strict=True)])
    return means / np.sqrt(2), sds / np.sqrt(2), float(np.log(evidence))


def draws_of(post: bs.Posterior) -> list[np.ndarray]:
    """Intercept and weight of class 1, each (chain, draw)."""
    p = post.idata["posterior"]
    return [p["intercept"].values[..., 1], p["weights"].values[..., 0, 1]]


@pytest.mark.parametrize("engine", ["nuts", "independence", "laplace"])
@pytest.mark.parametrize("b", [pytest.param(0.25, marks=pytest.mark.verify), 1.5])
def test_moments_equal_quadrature(engine: str, b: float) -> None:
    """One feature, two classes.  Seed 1; each of 4 moments within 4.5 standard errors: error rate 3e-5 a case."""
    rng = np.random.default_rng(4)
    n = 150 if engine == "independence" else 25  # the posterior of few rows is too far from a normal one for it
    x = rng.normal(size=n)
    y = (0.9 * x + rng.logistic(size=n) > 0).astype(int)
    model = bs.SoftmaxRegression(x[:, None], y, prior=bs.Laplace(b), intercept_prior=bs.Normal(1.0))
    means, sds, log_evidence = two_class_moments(x, y, b)
    if engine == "laplace":
        post = model.laplace(draws=20_000, random_seed=1, progressbar=False)
        assert post.log_evidence == pytest.approx(log_evidence, abs=4.5 / np.sqrt(post.ess))
    else:
        post = model.sample(draws=4000, random_seed=1, engine=engine, progressbar=False)
        assert engine in post.engine
    for draws, mean, sd in zip(draws_of(post), means, sds, strict=True):
        size = post.ess if engine == "laplace" else az.ess(draws)
        size_squares = post.ess if engine == "laplace" else az.ess((draws - mean) ** 2)
        assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(size)
        squares = (draws - mean) ** 2
        assert abs(squares.mean() - sd**2) < 4.5 * squares.std() / np.sqrt(size_squares)


def test_spherical_density_equals_quadrature_in_polar_coordinates() -> None:
    """One feature, three classes, no intercept: g in the plane.  Seed 2, error rate as above."""
    x, y = np.array([-1.0, -0.5, 0.3, 0.8, 1.5, -2.0]), np.array([0, 0, 1, 2, 2, 1])
    b = 0.7
    model = bs.SoftmaxRegression(x[:, None], y, prior=bs.Laplace(b), intercept=False)
    radius, w = pieces((0.0, 4 * b, 45 * b))
    angle = 2 * np.pi * np.arange(400) / 400
    g = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    weights = g @ model._spec.coordinates.weights_contrast.T
    log_p = bs.log_softmax(weights[:, :, None, :] * x[:, None])
    log_likelihood = np.take_along_axis(log_p, y[None, None, :, None], axis=3).sum(axis=(2, 3))
    prior = np.exp(-radius / b) / (2 * np.pi * b**2)
    mass = np.exp(log_likelihood) * (prior * radius * w)[:, None] * (2 * np.pi / 400)
    mean = np.einsum("ra,rak->k", mass, weights) / mass.sum()
    sd = np.sqrt(np.einsum("ra,rak->k", mass, weights**2) / mass.sum() - mean**2)
    post = model.sample(draws=4000, random_seed=2, engine="nuts", progressbar=False)
    draws = post.idata["posterior"]["weights"].values[:, :, 0]
    for k in range(3):
        squares = (draws[..., k] - mean[k]) ** 2
        assert abs(draws[..., k].mean() - mean[k]) < 4.5 * sd[k] / np.sqrt(az.ess(draws[..., k]))
        assert abs(squares.mean() - sd[k] ** 2) < 4.5 * squares.std() / np.sqrt(az.ess(squares))


def standardised(data: str, penguins: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if data == "penguins":
        columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
        X, y = penguins[columns].to_numpy(float), penguins["species"].to_numpy()
    else:
        X, y = {"iris": load_iris, "wine": load_wine}[data](return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("data", ["penguins", "iris", "wine"])
def test_nuts_has_no_divergences_on_separable_data(data: str, coding: str, penguins: pd.DataFrame) -> None:
    """At the default target acceptance, 4 x 1000 draws; the weights' mode is at the kink in most of these."""
    X, y = standardised(data, penguins)
    post = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0), coding=coding).sample(random_seed=1, progressbar=False)
    assert "nuts" in post.engine
    assert not post.idata["sample_stats"]["diverging"].any()
    weights = post.idata["posterior"]["weights"].values[..., 1:]  # the first class is the base of reference coding
    chains = weights.transpose(2, 3, 0, 1).reshape(-1, 4, 1000)
    assert max(az.rhat(w) for w in chains) < 1.01
    assert min(az.ess(w) for w in chains) > 1000


def test_tall_data_are_sampled_independently() -> None:
    """The pilot, with the exact density's weights, finds the surrogate's normal approximation good enough."""
    X, y = simulate(20_000, 5, 3)
    post = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0)).sample(draws=200, random_seed=1, progressbar=False)
    assert post.engine.startswith("independence")


def test_standard_errors_hold_the_zeros_and_are_nan_there() -> None:
    """Two classes, reference coding: the others' errors are those of the likelihood's Hessian without the zeros."""
    X, y = simulate(150, 6, 2)
    X = X + 2.0
    found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.05), intercept_prior=bs.Flat(), coding="reference").map()
    zero = found.weights.values[:, 1] == 0
    assert 0 < zero.sum() < 6
    Z = np.column_stack([np.ones(150), X[:, ~zero]])
    p = found.predict_proba(X).to_numpy()[:, 1]
    expected = np.sqrt(np.diag(np.linalg.inv(Z.T @ (Z * (p * (1 - p))[:, None]))))
    errors = found.std_error["weights"].values[:, 1]
    assert np.isnan(errors[zero]).all()
    assert_allclose(errors[~zero], expected[1:], rtol=1e-6)
    assert_allclose(found.std_error["intercept"].values[1], expected[0], rtol=1e-6)
    assert f"{zero.sum()} of 6 free weights with a Laplace prior are exactly zero" in said(found)


def test_zeros_and_their_errors_survive_saving(tmp_path: Path) -> None:
    X, y = simulate(100, 4, 3)
    found = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.05)).map()
    found.save(tmp_path / "lasso.nc")
    loaded = bs.load(tmp_path / "lasso.nc")
    assert_allclose(loaded.weights, found.weights, rtol=0, atol=0)
    assert ((loaded.weights == 0).values == np.isnan(loaded.std_error["weights"].values)).all()
    assert loaded.notes == found.notes
    assert (loaded.weights == 0).any()


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_log_prior_of_the_draws_is_the_density(coding: str) -> None:
    X, y = simulate(40, 2, 3)
    model = bs.SoftmaxRegression(X + 1, y, prior=bs.Laplace(0.4), coding=coding, intercept_prior=bs.Normal(2.0))
    post = model.sample(draws=20, chains=1, random_seed=0, progressbar=False)
    stored = post.idata["sample_stats"]["log_prior"].values[0]
    b, W = (post._fitted.parameters[name] for name in ("intercept", "weights"))
    assert_allclose(stored, [oracle.log_prior(model, *draw) for draw in zip(b, W, strict=True)], rtol=1e-10)


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs", "gradient-descent"])
def test_solvers_that_need_a_smooth_density_say_so(solver: str) -> None:
    X, y = simulate(30, 2, 3)
    model = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0))
    with pytest.raises(ValueError, match=f"solver='{solver}' needs a smooth density.*use solver='newton'"):
        model.map(solver=solver)
    assert model.mle(solver=solver).converged


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 100.0])
def test_without_an_intercept_all_weights_may_be_zero(coding: str, scale: float) -> None:
    """The optimum, also where nothing is left to move: zero if and only if every group's gradient there is balanced."""
    X, y = load_iris(return_X_y=True)
    model = bs.SoftmaxRegression(X, y, intercept=False, prior=bs.Laplace(scale), coding=coding)
    found = model.map()
    assert found.converged
    density = model.log_density
    _, gradient = density.smooth_part.value_gradient(np.zeros(density.dimension))
    held = (np.linalg.norm(gradient[density.penalty.groups], axis=1) <= density.penalty.strengths).all()
    assert (found.weights.values == 0).all() == held
    assert (scale == 1e-3) == held
    theta = density.coordinates.from_raw(found.intercept.values, found.weights.values)
    rng = np.random.default_rng(0)
    around = theta + 1e-4 * rng.normal(size=(200, density.dimension))
    assert density.values(around).max() < density.value(theta)
    post = model.sample(draws=20, tune=50, chains=1, random_seed=1, progressbar=False)
    assert post._fitted.draws.shape[:2] == (1, 20)


def test_laplace_approximation_is_refused_at_the_kink_only() -> None:
    X, y = simulate(60, 3, 3)
    at_kink = bs.SoftmaxRegression(X, y, prior=bs.Laplace(0.02))
    with pytest.raises(ValueError, match=r"kink of the Laplace prior, with weights of .*run model.sample\(\)"):
        at_kink.laplace(progressbar=False)
    away = bs.SoftmaxRegression(X, y, prior=bs.Laplace(5.0)).laplace(draws=500, random_seed=0, progressbar=False)
    assert away.pareto_k < 0.7


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"intercept_prior": bs.Laplace(1.0)}, ValueError, "Laplace is a prior of weights"),
        ({"prior": {"x9": bs.Laplace(1.0)}}, ValueError, "unknown feature 'x9'"),
        ({"prior": "lasso"}, TypeError, "must be Normal, StudentT, Laplace"),
    ],
)
def test_bad_priors(options: dict, error: type[Exception], text: str) -> None:
    X, y = simulate(20, 2, 3)
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(X, y, **options)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_bad_scales(scale: float) -> None:
    with pytest.raises(ValueError, match=r"Laplace: scale=.* must be positive and finite"):
        bs.Laplace(scale)


def test_description_and_forecast() -> None:
    X, y = simulate(50, 2, 3)
    model = bs.SoftmaxRegression(X * 10, y, prior=bs.Laplace(0.25))
    table = model.describe_prior()
    assert table.loc["x0", "prior"] == "Laplace(0.25)"
    assert table.loc["x0", "logit_sd"] == pytest.approx(0.25 * (10 * X[:, 0]).std())
    assert model.forecast(draws=100).sampling_seconds["nuts"] > 0


def test_flat_intercept_beside_laplace_weights_is_proper_unless_a_class_is_empty() -> None:
    X, y = simulate(60, 2, 3)
    good = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0), intercept_prior=bs.Flat())
    assert not good.sample(draws=50, random_seed=1, progressbar=False).idata["sample_stats"]["diverging"].any()
    empty = bs.SoftmaxRegression(X, y, prior=bs.Laplace(1.0), intercept_prior=bs.Flat(), classes=[0, 1, 2, 3])
    with pytest.raises(bs.ImproperPosteriorError, match="class 3 was declared but never observed"):
        empty.sample(progressbar=False)
