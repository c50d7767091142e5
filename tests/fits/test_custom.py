"""Posteriors of a user's own logit function: all answers, saved without code, and refits; sampled once, by PyMC."""

import copy
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.spec.linear import LinearLogits
from tests.conftest import simulate
from tests.inside import changed
from tests.spec.custom.functions import bent, linear, network

X, CODES = simulate(90, 2, 3)
DATA = pd.DataFrame({"size": X[:, 0].round(1), "place": np.where(X[:, 1] > 0, "in", "out")})
DATA["y"] = np.array(["a", "b", "c"])[CODES]
FORMULA = "y ~ size + place"
LINEAR = bs.CustomLogits(linear)
RUN = {"draws": 250, "tune": 300, "chains": 2, "random_seed": 1, "progressbar": False}


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(FORMULA, DATA, logits=LINEAR)


@pytest.fixture(scope="module")
def post(model: bs.SoftmaxRegression) -> bs.Posterior:
    return model.sample(**RUN)


@pytest.fixture
def observed(post: bs.Posterior, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What ``pm.sample`` would have seen, in place of which come the same draws each time."""
    found = []

    def sample(**options):
        found.append(pm.modelcontext(None)["y_observed"].get_value())
        assert options["var_names"] == ["weights", "intercept"]
        return post.idata

    monkeypatch.setattr(pm, "sample", sample)
    return found


def test_how_it_was_drawn(post: bs.Posterior) -> None:
    assert post.engine == ("pymc (pm.sample on the pm.Model); logits by a function of your own are known to PyMC alone")
    assert set(post.idata["posterior"].data_vars) == {"weights", "intercept"}
    assert post.idata["posterior"]["weights"].dims == ("chain", "draw", "feature", "category")
    assert post.diagnostics.n_divergences == 0
    assert post.diagnostics.max_rhat < 1.05


def test_the_posterior_is_that_of_the_packages_own_engine(post: bs.Posterior) -> None:
    """Twelve mean probabilities within four Monte Carlo errors (below 1e-3 by chance), if the priors are equal."""
    assert farthest(post, bs.Normal(1.0)) < 4
    assert farthest(post, bs.Normal(0.5)) > 4


def farthest(post: bs.Posterior, prior: bs.Normal) -> float:
    """Largest difference to mean probabilities under another prior of the weights, in Monte Carlo errors."""
    full = {"coding": "full", "prior": prior, "intercept_prior": bs.Normal(2.0)}
    ours = bs.SoftmaxRegression.from_formula(FORMULA, DATA, **full).sample(
        draws=1000, chains=2, random_seed=2, progressbar=False
    )
    rows = DATA.iloc[:4]
    P = [fit.predict_draws(rows).values for fit in (post, ours)]
    error = [
        fit._fitted.draw_quality(draws.reshape(-1, 12))["mcse_mean"] for fit, draws in zip((post, ours), P, strict=True)
    ]
    difference = np.abs(P[0].mean(axis=(0, 1)) - P[1].mean(axis=(0, 1))).ravel()
    return float((difference / np.hypot(*error)).max())


ANSWERS = {
    "predict_proba": lambda fit: fit.predict_proba(DATA, ci_prob=0.8),
    "predict": lambda fit: fit.predict(DATA),
    "draws": lambda fit: fit.predict_draws(DATA.iloc[:5]).to_series(),
    "uncertainty": lambda fit: fit.uncertainty(DATA),
    "effects": lambda fit: fit.effects(),
    "contrast": lambda fit: fit.contrast({"size": 1.0, "place": "in"}, {"size": 0.0, "place": "out"}),
    "decide": lambda fit: fit.decide(DATA, pd.DataFrame(1.0 - np.eye(3), index=list("abc"), columns=list("abc"))),
    "evaluate": lambda fit: fit.evaluate().to_frame(),
    "replications": lambda fit: fit.posterior_predictive(by="place", n_draws=100, random_seed=1),
    "log likelihood": lambda fit: fit.add_log_likelihood()["log_likelihood"]["y"].to_series(),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_are_those_of_the_same_draws_of_linear_logits(answer: str, post: bs.Posterior) -> None:
    as_linear = changed(post, logits=LinearLogits(2, 3), idata=post.idata.copy())
    found, expected = (ANSWERS[answer](fit) for fit in (changed(post, idata=post.idata.copy()), as_linear))
    kind = pd.testing.assert_frame_equal if isinstance(found, pd.DataFrame) else pd.testing.assert_series_equal
    kind(found, expected, rtol=1e-7, atol=1e-9)


def test_leave_one_out(post: bs.Posterior) -> None:
    """By the same draws; the effective number of them is judged by other quantities, which moves the smoothing."""
    as_linear = changed(post, logits=LinearLogits(2, 3))
    assert_allclose(post.loo().elpd_i, as_linear.loo().elpd_i, atol=0.01)
    assert_allclose(post.loo(by="row").elpd, as_linear.loo(by="row").elpd, atol=0.05)


def test_the_summary_is_of_the_parameters_as_they_are_named(post: bs.Posterior) -> None:
    table = post.summary(ci_prob=0.8)
    assert table.index.names == ["parameter", "place"]
    assert table.index[0] == ("weights", "size, a")
    assert table.loc["intercept"].index.tolist() == ["a", "b", "c"]
    drawn = post.idata["posterior"]["weights"]
    assert_allclose(table.loc["weights", "mean"], drawn.mean(("chain", "draw")).values.ravel())
    assert table["r_hat"].max() == pytest.approx(post.diagnostics.max_rhat, rel=0.05)
    assert post.summary(features="intercept").index.tolist() == [("intercept", label) for label in "abc"]
    for given, told in (
        ("wieghts", "did you mean 'weights'"),
        (5, "must be the name of a parameter"),
        ([], "is empty"),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"features.*{told}"):
            post.summary(features=given)
    with pytest.raises(ValueError, match="vs='a': contrasts are of coefficients"):
        post.summary(vs="a")
    with pytest.raises(ValueError, match="that is a question about coefficients"):
        post.odds_ratios()


def test_pymc_finds_its_variables_in_the_draws(post: bs.Posterior, model: bs.SoftmaxRegression) -> None:
    """Shares within 0.03, five standard errors of 500 x 90 draws."""
    with model.pymc_model:
        predicted = pm.sample_posterior_predictive(
            post.idata, progressbar=False, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    share = [(predicted["posterior_predictive"]["y"].values == k).mean() for k in range(3)]
    assert_allclose(share, post.predict_proba(DATA).mean(), atol=0.03)


def test_pictures(post: bs.Posterior, model: bs.SoftmaxRegression) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    for draw in (
        partial(bs.plots.probabilities, post, "size"),
        partial(bs.plots.effects, post),
        partial(bs.plots.calibration, post.evaluate()),
        partial(bs.plots.posterior_predictive, post),
        partial(bs.plots.traces, post),
        partial(bs.plots.prior, model, draws=50),
    ):
        assert draw().figure.axes
    drawn = bs.plots.prior(model, draws=50, random_seed=1)
    assert len(drawn.axes["classes"].collections) > 0


def test_comparison_with_a_linear_model(post: bs.Posterior) -> None:
    other = bs.SoftmaxRegression.from_formula(FORMULA, DATA).laplace(500, random_seed=1, progressbar=False)
    assert bs.compare_models({"own": post, "linear": other})["rank"].tolist() == [0, 1]


@pytest.mark.parametrize(("suffix", "data"), [(".nc", True), (".zarr", False)])
def test_a_file_holds_no_code(post: bs.Posterior, suffix: str, data: bool, tmp_path) -> None:
    path = tmp_path / f"fit{suffix}"
    post.save(path, data=data)
    stored = b"".join(file.read_bytes() for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    assert b"functions" not in stored  # the module of the function
    without = bs.load(path)
    assert without.idata["posterior"].equals(post.idata["posterior"])
    assert without.engine == post.engine
    pd.testing.assert_frame_equal(without.summary(), post.summary())
    assert "R-hat at most" in repr(without)
    for ask in (lambda: without.predict_proba(DATA), lambda: without.predict(DATA), lambda: without.uncertainty(DATA)):
        with pytest.raises(
            ValueError, match=r"holds no code: bs\.load\(path, logits=bs\.CustomLogits\(build\)\) gives"
        ):
            ask()
    without.save(tmp_path / f"again{suffix}")
    back = bs.load(tmp_path / f"again{suffix}", logits=LINEAR)
    pd.testing.assert_frame_equal(back.predict_proba(DATA, ci_prob=0.8), post.predict_proba(DATA, ci_prob=0.8))
    if data:
        assert back.loo().elpd == post.loo().elpd
        with pytest.raises(ValueError, match="holds no code"):
            without.evaluate()
    else:
        with pytest.raises(ValueError, match="saved without them"):
            back.evaluate()


def scaled(x):
    return 1.01 * linear(x)


def wider(x):
    return x @ pm.Normal("weights", dims=("feature", "category")) + pm.Normal("intercept", shape=(1, 3))


def renamed(x):
    return x @ pm.Normal("weights", dims=("feature", "category")) + pm.Normal("level", dims="category")


def unlabelled(x):
    return x @ pm.Normal("weights", shape=(2, 3)) + pm.Normal("intercept", dims="category")


def more(x):
    return linear(x) + pm.Normal("third")


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (scaled, "makes other logits of the same parameters and rows than the one that was fitted"),
        (wider, r"'intercept' has shape \(1, 3\), and in the fit \(3,\): it is another function"),
        (renamed, "the fit has the parameters 'weights', 'intercept', and this function names 'weights', 'level'"),
        (unlabelled, "'weights' has the dimensions 'weights_dim_0', 'weights_dim_1', and in the fit 'feature', 'categ"),
        (more, "this function names 'third', which is no parameter of the fit"),
        (lambda x: None, "the function returned None"),
    ],
)
def test_another_function_is_not_taken(post: bs.Posterior, build, told: str, tmp_path) -> None:
    post.save(tmp_path / "fit.nc")
    with pytest.raises((TypeError, ValueError), match=told) as caught:
        bs.load(tmp_path / "fit.nc", logits=bs.CustomLogits(build))
    assert "damaged" not in str(caught.value)


def test_what_is_given_back_to_other_fits(overlapping: bs.SoftmaxRegression, post: bs.Posterior, tmp_path) -> None:
    overlapping.map().save(tmp_path / "map.nc")
    with pytest.raises(
        ValueError, match="the logits of this fit are of kind 'linear', and not by a function of your own"
    ):
        bs.load(tmp_path / "map.nc", logits=LINEAR)
    post.save(tmp_path / "fit.nc")
    with pytest.raises(TypeError, match=r"must be a logit function: CustomLogits\(\.\.\.\)"):
        bs.load(tmp_path / "fit.nc", logits=linear)
    with pytest.raises(RuntimeError, match="my own"):
        bs.load(tmp_path / "fit.nc", logits=bs.CustomLogits(failing))


def failing(x):
    raise RuntimeError("my own")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data | {"parameters": []},
        lambda data: data | {"n_classes": 2.5},
        lambda data: data | {"parameters": [["weights", [2, 3], ["feature"]]]},
        lambda data: data | {"parameters": data["parameters"] * 2},
        lambda data: data | {"scale": [1.0, float("nan")]},
        lambda data: data | {"rows": [[1.0]]},
        lambda data: data | {"code": "print()"},
    ],
)
def test_a_damaged_description_is_refused(post: bs.Posterior, damage) -> None:
    import json

    from bayes_softmax.spec.logits import logits_from_json, logits_to_json

    written = json.loads(logits_to_json(post._fitted.logits))
    assert logits_from_json(json.dumps(written)).to_data() == written["data"]
    with pytest.raises(ValueError, match=r"."):
        logits_from_json(json.dumps(written | {"data": damage(written["data"])}))


def test_refits_are_of_the_same_rows_and_other_counts(post: bs.Posterior, observed: list[np.ndarray]) -> None:
    counts = np.eye(3)[CODES]
    rows = post._fitted.training.distinct
    whole = rows.dense_counts()
    assert_array_equal(whole.sum(axis=0), counts.sum(axis=0))
    without = post.refit(0, int(whole[0].argmax()))
    assert_array_equal(whole[0] - observed[0][0], np.eye(3)[whole[0].argmax()])
    assert_array_equal(whole[1:], observed[0][1:])
    assert without.notes == post.notes
    found = post.kfold(3, random_seed=1)
    assert_array_equal(sum(observed[1:]), 2 * whole)
    assert found.elpd == pytest.approx(post.add_log_likelihood()["log_likelihood"]["y"].pipe(log_mean), rel=1e-12)


def log_mean(log_p: xr.DataArray) -> float:
    """Sum over rows of the log of mean densities."""
    return float(np.log(np.exp(log_p).mean(("chain", "draw"))).sum())


def test_copies_and_pickles(post: bs.Posterior, model: bs.SoftmaxRegression) -> None:
    for again in (pickle.loads(pickle.dumps(post)), copy.deepcopy(post), copy.copy(post)):
        pd.testing.assert_frame_equal(again.predict_proba(DATA), post.predict_proba(DATA))
    local = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(lambda x: linear(x)))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(local.sample_prior(draws=2))


def test_what_is_derived_and_labels_are_kept(tmp_path) -> None:
    derived = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(bent)).sample_prior(draws=20, random_seed=1)
    units = bs.CustomLogits(network, dims={"unit": ["left", "right"]})
    labelled = bs.SoftmaxRegression(X, CODES, logits=units).sample_prior(draws=20, random_seed=1)
    assert labelled.idata["prior"]["unit"].values.tolist() == ["left", "right"]
    for fit, own in ((derived, bs.CustomLogits(bent)), (labelled, units)):
        fit.save(tmp_path / "fit.nc")
        again = bs.load(tmp_path / "fit.nc", logits=own)
        xr.testing.assert_identical(again.idata["prior"].to_dataset(), fit.idata["prior"].to_dataset())
        assert_array_equal(again.predict_proba(X), fit.predict_proba(X))
    assert "scaled" in derived.idata["prior"]
    assert ("h", "x0, right") in labelled.summary().index


def test_choice_sets_offsets_and_missing_values() -> None:
    available = np.ones((90, 3), dtype=bool)
    available[::3, (CODES[0] + 1) % 3] = CODES[::3] == (CODES[0] + 1) % 3
    offset = np.random.default_rng(0).normal(size=(90, 3))
    model = bs.SoftmaxRegression(X, CODES, available=available, offset=offset, logits=LINEAR)
    drawn = model.sample_prior(draws=30, random_seed=1)
    P = drawn.predict_proba(X, available=available, offset=offset)
    assert_array_equal(P.to_numpy() == 0, ~available)
    gone = X[:4].copy()
    gone[1, 0] = np.nan
    found = drawn.predict_proba(gone, available=available[:4], offset=offset[:4], missing="nan")
    assert found.isna().all(axis=1).tolist() == [False, True, False, False]
    assert_allclose(found.iloc[[0, 2, 3]], P.iloc[[0, 2, 3]])


def test_nothing_of_the_function_is_saved(tmp_path) -> None:
    """Not even the array that it captured."""
    table = np.random.default_rng(0).normal(size=(2, 500_000))

    def build(x):
        return (x @ table)[:, :3] @ pm.Normal("w", shape=(3, 3))

    model = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(build))
    model.sample_prior(draws=2, random_seed=1).save(tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("name", "suffix"), [("inner::w", ".nc"), ("inner::w", ".zarr"), ("β 1", ".nc"), ("weights.a", ".zarr")]
)
def test_names_of_parameters_in_files(name: str, suffix: str, tmp_path) -> None:
    own = bs.CustomLogits(lambda x: x @ pm.Normal(name, dims=("feature", "category")))
    fit = bs.SoftmaxRegression(X, CODES, logits=own).sample_prior(draws=3, random_seed=1)
    fit.save(tmp_path / f"fit{suffix}")
    assert_array_equal(bs.load(tmp_path / f"fit{suffix}", logits=own).predict_proba(X), fit.predict_proba(X))


def test_what_a_model_says_of_itself(model: bs.SoftmaxRegression) -> None:
    assert "  logits by linear(x): weights 2 x 3, intercept 3\n" in str(model) + "\n"
    assert "coding" not in str(model)
