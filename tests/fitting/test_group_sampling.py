"""Models with group-level effects, from formula to posterior."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

import bayes_softmax as bs


def frame(n=240, seed=1):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {"x": rng.normal(size=n), "g": rng.integers(0, 8, n), "s": rng.choice(list("uvwxyzabcdefg"), n)}
    )
    effects = rng.normal(size=(8, 3))
    eta = effects[data.g] + np.outer(data.x, [0.0, 0.5, -1.0])
    data["y"] = [["a", "b", "c"][rng.choice(3, p=softmax(row))] for row in eta]
    return data


@pytest.fixture(scope="module")
def crossed():
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 + x | g) + (1 | s)", frame())
    return model, model.sample(draws=100, tune=200, chains=2, random_seed=1, progressbar=False)


def test_logits_are_the_sum_of_weights_and_effects_row_by_row(crossed):
    _, post = crossed
    draws, data = post.idata["posterior"].dataset, frame().head(20)
    expected = []
    for row in data.itertuples():
        eta = draws.intercept + row.x * draws.weights.sel(feature="x")
        of_g = draws.g.sel(g_level=row.g)
        eta = eta + of_g.sel(g_term="intercept") + row.x * of_g.sel(g_term="x")
        eta = eta + draws.s.sel(s_level=row.s, s_term="intercept")
        expected.append(softmax(eta.transpose("chain", "draw", "category").values, axis=-1).mean(axis=(0, 1)))
    assert np.allclose(post.predict_proba(data), expected, atol=1e-12)


def test_effects_sum_to_zero_and_have_the_covariance_beside_them(crossed):
    _, post = crossed
    draws = post.idata["posterior"].dataset
    assert abs(draws.g.sum("category")).max() < 1e-10
    assert abs(draws.g_covariance.sum("category")).max() < 1e-10
    matrix = draws.g_covariance.values.reshape(2, 100, 6, 6)
    assert np.allclose(matrix, np.swapaxes(matrix, -1, -2))
    assert np.linalg.eigvalsh(matrix).min() > -1e-10


def test_a_posterior_repeats_under_a_seed_and_goes_through_a_file(crossed, tmp_path):
    model, post = crossed
    again = model.sample(draws=100, tune=200, chains=2, cores=1, random_seed=1, progressbar=False)
    assert post.idata["posterior"].dataset.identical(again.idata["posterior"].dataset)
    for name in ("fit.nc", "fit.zarr"):
        post.save(tmp_path / name)
        loaded = bs.load(tmp_path / name)
        assert np.array_equal(loaded.predict_proba(frame()), post.predict_proba(frame()))
        assert loaded.idata["posterior"].dataset.identical(post.idata["posterior"].dataset)


def test_draws_carry_the_log_prior_of_weights_and_hyperparameters(crossed):
    _, post = crossed
    assert np.isfinite(post.idata["sample_stats"]["log_prior"]).all()


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
def test_every_coding_has_effects_in_its_own_form(coding):
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame(), coding=coding)
    draws = model.sample(draws=20, tune=50, chains=1, random_seed=1, progressbar=False).idata["posterior"].dataset
    if coding == "reference":
        assert not draws.g.sel(category="a").values.any()
    else:
        assert abs(draws.g.sum("category")).max() < 1e-10


def test_groups_are_for_linear_logits_with_fixed_scales():
    for options, words in (
        ({"logits": bs.MLP(hidden=3)}, "added to linear logits"),
        ({"prior": bs.Jeffreys()}, "models without groups"),
        ({"prior": bs.Normal(scale=bs.HalfNormal(1.0))}, "not learned beside effects"),
        ({"group_prior": bs.Normal(1.0)}, "must be GroupNormal"),
        ({"group_prior": {"h": bs.GroupNormal()}}, "no grouping 'h'"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", frame(), **options)
    with pytest.raises(ValueError, match="has no groups"):
        bs.SoftmaxRegression.from_formula("y ~ x", frame(), group_prior=bs.GroupNormal())


def test_flat_priors_of_weights_need_classes_that_overlap():
    data = frame()
    flat = {"prior": bs.Flat(), "intercept_prior": bs.Flat(), "coding": "reference"}
    model = bs.SoftmaxRegression.from_formula("y ~ x + (1 | g)", data, **flat)
    assert model.sample(draws=20, tune=50, chains=1, random_seed=1, progressbar=False).diagnostics.n_divergences == 0
    separated = data.assign(z=data.y.map({"a": -1.0, "b": 0.0, "c": 1.0}))
    with pytest.raises(bs.ImproperPosteriorError, match="improper"):
        bs.SoftmaxRegression.from_formula("y ~ z + (1 | g)", separated, **flat).sample(progressbar=False)


def test_draws_beyond_memory_are_refused_before_any_work(crossed):
    model, _ = crossed
    with pytest.raises(MemoryError, match="the draws of sample"):
        model.sample(draws=10**9)


@pytest.mark.parametrize(("terms", "sizes"), [("(1 | g)", (8,)), ("(1 | g) + (1 | i)", (8, 120))])
def test_a_forecast_is_of_nuts_and_of_all_effects(terms, sizes):
    data = frame().assign(i=np.arange(240) // 2)
    said = bs.SoftmaxRegression.from_formula(f"y ~ x + {terms}", data).forecast(draws=100)
    assert list(said.sampling_seconds) == ["nuts"]
    hyper = sum(3 + 3 for _ in sizes)
    assert said.dimension == 4 + 2 * sum(sizes) + hyper
    assert 0 < said.sampling_seconds["nuts"] < 60
    assert said.mode_seconds > 0
    assert "sample(engine='nuts')" in str(said)
