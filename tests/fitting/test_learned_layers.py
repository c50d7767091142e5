"""Scales of a network's layers that are learned: the posterior, what it keeps, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import make_moons

import bayes_softmax as bs
from tests.conftest import simulate

LEARNED = bs.Normal(bs.HalfNormal(1.0))


@pytest.fixture(scope="module")
def moons() -> Any:
    X, y = make_moons(400, noise=0.3, random_state=0)
    return bs.SoftmaxRegression(X[::2], y[::2], logits=bs.MLP(6), prior=LEARNED), X[1::2], y[1::2]


@pytest.fixture(scope="module")
def drawn(moons: Any) -> Any:
    return moons[0].sample(400, chains=2, random_seed=1, target_accept=0.95, progressbar=False)


def test_scales_and_probabilities_are_drawn_and_judged(moons: Any, drawn: Any) -> None:
    posterior = drawn.idata["posterior"].dataset
    assert posterior.attrs["hyperparameters"] == ["hidden_1_scale", "weights_scale"]
    assert drawn.diagnostics.max_rhat < 1.05
    for name, weights in (("hidden_1_scale", "hidden_1"), ("weights_scale", "weights")):
        scale = posterior[name].values
        assert scale.shape == (2, 400)
        assert (scale > 0).all()
        z = posterior[f"{weights}_z"].values
        assert_allclose(z * scale[..., None, None], posterior[weights].values, rtol=1e-10)
    default = bs.SoftmaxRegression(*moons_half(moons), logits=bs.MLP(6))
    _, X, y = moons
    learned, fixed = drawn.evaluate(X, y).log_loss, default.sample(
        400, chains=2, random_seed=1, layers="all", progressbar=False
    ).evaluate(X, y).log_loss  # fmt: skip
    assert learned < fixed
    assert "hyperparameters" in repr(drawn)


def moons_half(moons: Any) -> tuple[np.ndarray, np.ndarray]:
    design = moons[0]._spec.design
    return design.X, design.response.codes


def test_the_same_seed_draws_the_same_and_files_keep_it(moons: Any, tmp_path: Path) -> None:
    one, other = (moons[0].sample(20, tune=50, chains=2, cores=c, random_seed=3, progressbar=False) for c in (1, 2))
    for name in ("hidden_1_scale", "weights"):
        assert_array_equal(one.idata["posterior"][name].values, other.idata["posterior"][name].values)
    one.save(tmp_path / "post.nc")
    loaded = bs.load(tmp_path / "post.nc")
    assert_allclose(loaded.predict_proba(moons[1]), one.predict_proba(moons[1]))
    assert loaded.idata["posterior"].dataset.attrs["hyperparameters"] == ["hidden_1_scale", "weights_scale"]


def test_draws_from_the_prior_have_learned_scales() -> None:
    """Kolmogorov-Smirnov of a weight over 4000 draws, against the product of a half-normal and a normal; level 1e-3."""
    X, y = simulate(30, 2, 3)
    model = bs.SoftmaxRegression(X + 5.0, y, logits=bs.MLP(3, skip=True), prior=LEARNED)
    found = model.sample_prior(4000, random_seed=1).idata["prior"].dataset
    rng = np.random.default_rng(0)
    expected = np.abs(rng.normal(size=200_000)) * rng.normal(size=200_000)
    for name in ("hidden_1", "hidden_1_bias"):
        values = found[name].values.reshape(4000, -1)[:, 0]
        assert stats.ks_2samp(values, expected).pvalue > 1e-3
        assert stats.ks_2samp(values, rng.normal(size=200_000)).pvalue < 1e-6
    for name in ("weights", "skip"):  # zero-sum: (1 - 1/K) of the variance
        values = found[name].values.reshape(4000, -1)[:, 0] / np.sqrt(2 / 3)
        assert stats.ks_2samp(values, expected).pvalue > 1e-3
    at_means = found["intercept"].values[0] + np.einsum("p,dpk->dk", (X + 5.0).mean(axis=0), found["skip"].values[0])
    assert_allclose(at_means.std(axis=0), 1.5 * np.sqrt(2 / 3), rtol=0.05)


def test_the_tables_say_that_scales_are_learned(moons: Any) -> None:
    table = moons[0].describe_prior()
    assert table["scale_from"].tolist() == ["learned", "learned", "learned", "default"]
    assert table.loc["hidden_1", "prior"] == "Normal(HalfNormal(1))"
    assert np.isnan(table.loc["weights", "sd_over_rows"])


@pytest.mark.parametrize("ask", ["map", "laplace", "ensemble", "forecast", "choose_prior_scale", "map_path"])
def test_what_needs_fixed_scales_is_refused(moons: Any, ask: str) -> None:
    with pytest.raises(ValueError, match="learn"):
        getattr(moons[0], ask)()


def test_held_layers_and_other_engines_are_refused(moons: Any) -> None:
    with pytest.raises(ValueError, match=r"sample\(layers='last'\) needs priors with fixed scales, but Normal\(Half"):
        moons[0].sample(layers="last")
    with pytest.raises(ValueError, match="engine='independence' is not known; use one of 'auto', 'nuts', 'pymc'"):
        moons[0].sample(engine="independence")
    assert not moons[0]._spec.without_priors().learns_scales


@pytest.mark.parametrize(
    "prior", [{"x0": LEARNED, "weights": LEARNED}, {"x0": bs.R2D2(), "x1": bs.R2D2(), "weights": LEARNED}], ids=str
)
def test_scales_of_some_features_are_refused(prior: Any) -> None:
    with pytest.raises(ValueError, match="a network learns one scale for each layer, and with skip=True one for all"):
        bs.SoftmaxRegression(*simulate(30, 2, 3), logits=bs.MLP(3, skip=True), prior=prior)
