"""Every answer of the package met with a posterior of a network: against plain NumPy, in every form of data."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, ndtr, softmax
from scipy.stats import entropy

import bayes_softmax as bs
from bayes_softmax.core.records import FloatArray
from tests.conftest import simulate
from tests.nets import near_modes

N, DRAWS, CHAINS = 80, 150, 2
MLP = bs.MLP(hidden=(3,))


class Case(NamedTuple):
    """A posterior of a network, the features (n, p) that its rows stand for, and new data with their arguments."""

    model: bs.SoftmaxRegression
    data: Any
    X: FloatArray
    more: Any = {}  # noqa: RUF012 (nothing writes to it)
    offset: FloatArray | None = None
    available: Any = None


def rows(p: int = 2) -> FloatArray:
    return np.random.default_rng(1).normal(size=(N, p)).round(2)


def labels(K: int, X: FloatArray) -> Any:
    return (np.abs(np.round(2 * X[:, 0] + X[:, 1] ** 2)).astype(int) + np.arange(N) % 2) % K


def two() -> Case:
    X = rows()
    return Case(bs.SoftmaxRegression(X, labels(2, X).astype(bool), logits=MLP), X, X)


def integers() -> Case:
    X = rows()
    return Case(bs.SoftmaxRegression(X, 10 * labels(3, X), logits=bs.MLP(hidden=(3, 2), activation="gelu")), X, X)


def many() -> Case:
    X = rows()
    y = np.array(list("abcdefghijklmnopqrstuvwxyz"))[np.arange(N) % 26]
    return Case(bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=(3,), skip=True)), X, X)


def frame() -> pd.DataFrame:
    X = rows()
    group = np.array(["low", "mid", "high"])[np.arange(N) % 3]
    return pd.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "g": group, "y": np.array(list("abc"))[labels(3, X)]})


def encoded(data: pd.DataFrame) -> FloatArray:
    """Features of ``x0 + x1 + g``: levels in their order, the first left out."""
    dummies = [(data["g"] == level).to_numpy(dtype=float) for level in ("low", "mid")]
    return np.column_stack([data["x0"], data["x1"], *dummies])


def formula() -> Case:
    data = frame()
    model = bs.SoftmaxRegression.from_formula("y ~ x0 + x1 + g", data, logits=MLP)
    return Case(model, data, encoded(data))


def missing() -> Case:
    data = frame()
    data.loc[3, "x0"] = np.nan
    model = bs.SoftmaxRegression.from_formula("y ~ x0 + x1 + g", data, logits=MLP, missing="drop")
    return Case(model, data.dropna(), encoded(data.dropna()))


def counts() -> Case:
    X = rows()
    return Case(bs.SoftmaxRegression(X, np.random.default_rng(2).integers(0, 4, size=(N, 3)), logits=MLP), X, X)


def weighted() -> Case:
    X = rows()
    w = 1 + np.arange(N) % 3
    return Case(bs.SoftmaxRegression(X, labels(3, X), weights=w, logits=MLP, coding="reference"), X, X)


def shifted() -> Case:
    X, offset = rows(), np.random.default_rng(3).normal(size=(N, 3))
    model = bs.SoftmaxRegression(X, labels(3, X), offset=offset, logits=MLP)
    return Case(model, X, X, {"offset": offset}, offset=offset)


def choice() -> Case:
    X = rows()
    y = labels(3, X)
    available = np.random.default_rng(4).uniform(size=(N, 3)) < 0.7
    available[np.arange(N), y] = True
    model = bs.SoftmaxRegression(X, y, available=available, logits=MLP)
    return Case(model, X, X, {"available": available}, available=available)


def collapsed() -> Case:
    X = np.repeat(rows()[:8], 10, axis=0)
    model = bs.SoftmaxRegression(X, labels(3, rows()), logits=bs.MLP(hidden=(3,), activation="relu"))
    assert model._spec.collapsed is not None
    return Case(model, X, X)


CASES: dict[str, Callable[[], Case]] = {
    f.__name__: f for f in (two, integers, many, formula, missing, counts, weighted, shifted, choice, collapsed)
}
ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda u: np.maximum(u, 0),
    "gelu": lambda u: u * ndtr(u),
}


@pytest.fixture(scope="module", params=list(CASES))
def met(request: pytest.FixtureRequest) -> tuple[Case, bs.Posterior, FloatArray]:
    """The case, a posterior, and log probabilities (S, n, K) of each draw by plain NumPy."""
    case = CASES[request.param]()
    posterior = near_modes(case.model, DRAWS, CHAINS)
    return case, posterior, by_hand(posterior, case)


def by_hand(posterior: bs.Posterior, case: Case) -> FloatArray:
    draws, logits = posterior.idata["posterior"].to_dataset(), posterior._fitted.logits
    arrays = {str(name): a.values.reshape(-1, *a.shape[2:]) for name, a in draws.data_vars.items()}
    found = []
    for s in range(DRAWS * CHAINS):
        units = (case.X - np.array(logits.centre)) / np.array(logits.scale)
        for layer in range(1, len(logits.hidden) + 1):
            before = units @ arrays[f"hidden_{layer}"][s] + arrays[f"hidden_{layer}_bias"][s]
            units = ACTIVATIONS[logits.activation](before)
        eta = units @ arrays["weights"][s] + arrays["intercept"][s]
        eta = eta + (case.X @ arrays["skip"][s] if logits.skip else 0.0)
        eta = eta + (0.0 if case.offset is None else case.offset)
        found.append(log_softmax(eta if case.available is None else np.where(case.available, eta, -np.inf), axis=1))
    return np.array(found)


def test_predictions(met) -> None:
    case, posterior, log_p = met
    P = np.exp(log_p)
    mean = P.mean(axis=0)
    assert_allclose(posterior.predict_proba(case.data, **case.more), mean, atol=1e-12)
    assert_array_equal(posterior.predict(case.data, **case.more), np.array(posterior.classes)[mean.argmax(axis=1)])
    drawn = posterior.predict_draws(case.data, **case.more)
    assert_allclose(drawn.values.reshape(P.shape), P, atol=1e-12)
    table = posterior.predict_proba(case.data, ci_prob=0.8, **case.more)
    ends = table.xs("eti80_lb", axis=1, level=1)
    assert_allclose(ends, np.quantile(P, 0.1, axis=0), atol=1e-10)


def test_uncertainty_and_decisions(met) -> None:
    case, posterior, log_p = met
    P = np.exp(log_p)
    found = posterior.uncertainty(case.data, **case.more)
    total, aleatoric = entropy(P.mean(axis=0), axis=1), entropy(P, axis=2).mean(axis=0)
    assert_allclose(found["total"], total, atol=1e-10)
    assert_allclose(found["epistemic"], total - aleatoric, atol=1e-10)
    K = P.shape[2]
    costs = np.arange(2 * K, dtype=float).reshape(2, K) % 3
    cost = pd.DataFrame(costs, index=["go", "stay"], columns=posterior.classes)
    table = posterior.decide(case.data, cost, **case.more)
    expected = P.mean(axis=0) @ cost.to_numpy().T
    assert_allclose(table["expected_cost"], expected.min(axis=1), atol=1e-10)


def test_scores(met) -> None:
    _, posterior, log_p = met
    counts = np.concatenate([block.counts for block in posterior._fitted.training.given_blocks()])
    if posterior._fitted.schema.has_available:  # rows with one class on offer are not scored
        counts = np.where((np.exp(log_p).min(axis=0) > 0).sum(axis=1, keepdims=True) > 1, counts, 0)
    loss = -(counts * np.log(np.maximum(np.exp(log_p).mean(axis=0), 1e-300))).sum() / counts.sum()
    assert_allclose(posterior.evaluate().log_loss, loss, rtol=1e-10)
    found, again = posterior.loo(), posterior.evaluate(loo=True)
    assert found.n_data_points == counts.sum()
    assert_allclose(again.log_loss, -found.elpd / counts.sum(), rtol=0.1)
    assert again.log_loss > loss
    tree = posterior.add_log_likelihood()
    with np.errstate(invalid="ignore"):
        own = np.where(counts > 0, counts * log_p, 0.0).sum(axis=2)[:, counts.sum(axis=1) > 0]
    assert_allclose(tree["log_likelihood"]["y"].values.reshape(own.shape), own, atol=1e-9)
    assert posterior.loo(by="row").elpd < own.mean(axis=0).sum() + own.var(axis=0).sum()


def test_effects(met) -> None:
    case, posterior, _ = met
    table = posterior.effects()
    assert_allclose(table["mean"].groupby(level=[0, 1]).sum(), 0.0, atol=1e-12)
    assert np.isfinite(table.to_numpy()).all()
    name = "x0"
    both = posterior.contrast({name: 1.0}, {name: -1.0})
    moved = []
    for value in (1.0, -1.0):
        X = case.X.copy()
        X[:, 0] = value
        moved.append(np.exp(by_hand(posterior, case._replace(X=X))).mean(axis=0))
    weights = posterior._fitted.training.totals
    if case.available is None:
        expected = np.average(moved[0] - moved[1], axis=0, weights=weights)
        assert_allclose(both["mean"], expected, atol=1e-10)
    replicated = posterior.posterior_predictive(random_seed=1)
    assert np.isfinite(replicated["replicated"]).all()


def test_tables(met) -> None:
    _, posterior, _ = met
    table = posterior.summary()
    assert table.index[-1] == "all"
    assert 0 < table["effective"].iloc[-1] < table["free"].iloc[-1] + 60
    assert "single weights are not listed" in table.attrs["note"]
    assert posterior.prior_sensitivity().index.names == ["effect", "class"]
    assert "class probabilities" in repr(posterior)
    assert posterior.diagnostics.kinds[0].kind == "log-likelihood"
    side_by_side = bs.compare(a=posterior, b=posterior)
    assert side_by_side.loc[("in-sample", "log loss", ""), "a_mean"] == posterior.evaluate().log_loss
    assert "weights are not compared" in side_by_side.attrs["note"]


def test_copies_and_files(met, tmp_path) -> None:
    case, posterior, _ = met
    expected = posterior.predict_proba(case.data, **case.more)
    for suffix in (".nc", ".zarr"):
        posterior.save(tmp_path / f"fit{suffix}")
    posterior.save(tmp_path / "bare.nc", data=False)
    copies = {
        **{name: bs.load(tmp_path / name) for name in ("fit.nc", "fit.zarr", "bare.nc")},
        "pickled": pickle.loads(pickle.dumps(posterior)),
        "copied": copy.deepcopy(posterior),
    }
    for name, fit in copies.items():
        pd.testing.assert_frame_equal(fit.predict_proba(case.data, **case.more), expected)
        if name == "bare.nc":
            with pytest.raises(ValueError, match="saved without them"):
                fit.evaluate()
            assert fit.summary().index[-1] == "all"
            continue
        assert str(fit.diagnostics) == str(posterior.diagnostics)
        pd.testing.assert_frame_equal(fit.summary(), posterior.summary())
        pd.testing.assert_frame_equal(fit.effects(), posterior.effects())


def test_pictures(met) -> None:
    case, posterior, _ = met
    assert len(bs.plots.probabilities(posterior, "x0").axes) >= 1
    bs.plots.effects(posterior)
    bs.plots.traces(posterior, most=2)
    bs.plots.calibration(posterior)
    bs.plots.uncertainty(posterior)
    bs.plots.posterior_predictive(posterior)
    if case.offset is None and case.available is None:
        bs.plots.regions(posterior, ["x0", "x1"])


def test_questions_about_coefficients_are_refused(met) -> None:
    _, posterior, _ = met
    for ask in (
        posterior.odds_ratios,
        lambda: posterior.prior_dominated,
        lambda: bs.plots.forest(posterior),
        lambda: bs.plots.compare(a=posterior, b=posterior),
    ):
        with pytest.raises(ValueError, match=r"a question about coefficients.*effects\(\), contrast\(\)"):
            ask()
    with pytest.raises(ValueError, match="features='x0' is for coefficients: the chains of a network"):
        bs.plots.traces(posterior, features="x0")
    with pytest.raises(ValueError, match="is for coefficients, and not all of these fits have linear logits"):
        bs.compare(a=posterior, b=posterior, vs=posterior.classes[0])


@pytest.fixture(scope="module")
def held() -> bs.Posterior:
    """A posterior of the last layer, by the front door."""
    data = frame()
    model = bs.SoftmaxRegression.from_formula("y ~ x0 + x1 + g", data, logits=MLP)
    return model.sample(300, chains=2, layers="last", random_seed=1, progressbar=False)


def test_hidden_layers_that_are_held_are_in_every_answer(held, tmp_path) -> None:
    posterior = held
    last, hidden = (posterior.idata[group].to_dataset() for group in ("posterior", "held"))
    X = encoded(frame())
    Z = (X - np.array(posterior._fitted.logits.centre)) / np.array(posterior._fitted.logits.scale)
    units = np.tanh(Z @ hidden["hidden_1"].values + hidden["hidden_1_bias"].values)
    eta = np.einsum("nh,cdhk->cdnk", units, last["weights"].values) + last["intercept"].values[:, :, None]
    P = softmax(eta, axis=3)
    assert_allclose(posterior.predict_proba(frame()), P.mean(axis=(0, 1)), atol=1e-12)
    posterior.save(tmp_path / "fit.nc")
    for fit in (posterior, bs.load(tmp_path / "fit.nc"), pickle.loads(pickle.dumps(posterior))):
        with pytest.warns(bs.NotReliableWarning, match="the hidden layers are held at a mode of all rows"):
            table = fit.stacking_weights()
        assert_allclose(table["weight"].sum(), 1.0)
        assert "all chains are in one mode: their plain average needs no weights" in table.attrs["note"]
        with pytest.warns(bs.NotReliableWarning, match="kfold"):
            assert np.isfinite(fit.loo().elpd)
        with pytest.raises(ValueError, match="the hidden layers are held at a mode of all rows"):
            bs.compare_models({"a": fit, "b": fit})
        own = fit.effects("g")
        assert_allclose(own["mean"].groupby(level=[0, 1]).sum(), 0.0, atol=1e-12)


def test_a_network_is_compared_with_the_linear_model_by_k_fold(held) -> None:
    posterior = held
    linear = bs.SoftmaxRegression.from_formula("y ~ x0 + x1 + g", frame())
    scores = {
        "network": posterior.kfold(k=2, progressbar=False),
        "linear": linear.laplace(400, random_seed=1, progressbar=False).kfold(k=2, progressbar=False),
    }
    table = bs.compare_models(scores)
    assert sorted(table.index) == ["linear", "network"]
    assert_allclose(table["weight"].sum(), 1.0)
    both = bs.compare(linear=linear.map(), network=posterior)
    assert both.loc[("in-sample", "accuracy", ""), "network_mean"] == posterior.evaluate().accuracy
    assert {"linear", "linear_se", "network_mean", "network_sd"} <= set(both.columns)


def test_members_of_an_ensemble_are_no_chains() -> None:
    case = two()
    with pytest.raises(ValueError, match="these are independent draws, and no chains"):
        bs.plots.traces(members := case.model.ensemble(members=2, random_seed=1))
    assert "effective" not in members.summary()
    with pytest.raises(ValueError, match=r"there are 2\. kfold\(\)"):
        members.loo()


def test_chains_of_all_layers_name_the_modes_from_which_they_started() -> None:
    model = bs.SoftmaxRegression(*simulate(300, 2, 3), logits=bs.MLP(hidden=(2,)))
    posterior = model.sample(1000, chains=2, layers="all", random_seed=1, progressbar=False)
    (mode,) = posterior.diagnostics.modes
    assert mode.chains == (0, 1)
    assert mode.log_posterior < mode.started_at < 0
    assert np.isfinite(posterior.loo().elpd)  # nothing has seen the row that is left out
    scores = bs.compare_models({"network": posterior, "again": posterior})
    assert_allclose(scores["elpd_diff"], 0.0)
