"""The last layer of a network with hidden layers held: the posterior of a linear model, in the words of the network."""

import warnings

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.answers.training import cells_of
from bayes_softmax.fitting import engines, last_layer
from bayes_softmax.fitting.problem import density_of
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.fitting.weighted import sample_laplace
from bayes_softmax.spec.parameter_draws import log_prior_of_draws
from bayes_softmax.spec.specification import Specification
from tests.conftest import simulate
from tests.inside import changed

FEW = SamplerSettings(draws=60, tune=60, chains=2, seed=3)
RUN = {"draws": 60, "tune": 60, "chains": 2, "random_seed": 3, "progressbar": False}


def rows(n=50, seed=0):
    X, y = simulate(n, 2, 3, seed)
    return X + np.array([3.0, 0.0]), np.array(["a", "b", "c"])[y]


def network(response="labels", **given):
    X, y = rows()
    rng = np.random.default_rng(1)
    of_response = {
        "labels": {},
        "weights": {"weights": rng.integers(0, 3, size=50)},
        "counts": {"y": rng.integers(0, 4, size=(50, 3)) + np.eye(3, dtype=int)[rng.integers(0, 3, size=50)]},
        "offset": {"offset": rng.normal(size=(50, 3))},
        "available": {"available": (y[:, None] == np.array(["a", "b", "c"])) | (rng.random((50, 3)) < 0.7)},
        "repeated": {"X": np.repeat(X[:5], 10, axis=0)},
    }[response]
    return bs.SoftmaxRegression(
        of_response.pop("X", X), of_response.pop("y", y), logits=bs.MLP(hidden=4, skip=given.pop("skip", False)),
        **of_response, **given,
    )  # fmt: skip


def hidden(spec: Specification):
    rng = np.random.default_rng(7)
    return {name: rng.normal(size=spec.logits.shapes[name]) for name in spec.logits.hidden_parameters}


def nuts(linear: Specification):
    return engines.ENGINES["nuts"].fixed(linear, FEW)


@pytest.fixture(scope="module")
def post() -> bs.Posterior:
    return network(skip=True).sample(layers="last", **RUN)


@pytest.mark.parametrize("coding", ["zero-sum", "reference", "full"])
@pytest.mark.parametrize("response", ["labels", "weights", "counts", "offset", "available", "repeated"])
def test_its_draws_are_those_of_the_linear_model_of_the_units(response, coding) -> None:
    """The linear model is made at the front door, from the units as its features and the priors of the last layer."""
    spec = network(response, coding=coding)._spec
    held, given = hidden(spec), spec.distinct
    units = np.tanh(
        (given.X - spec.logits.centre) / np.array(spec.logits.scale) @ held["hidden_1"] + held["hidden_1_bias"]
    )
    scale = float(spec.priors.features.scale[0])
    linear = bs.SoftmaxRegression(
        units, given.dense_counts(), prior=bs.Normal(scale), intercept_prior=bs.Normal(1.5), coding=coding,
        offset=given.offset, available=given.available,
    )  # fmt: skip
    mine = last_layer.last_layer_specification(spec, held)
    theta = np.random.default_rng(0).normal(size=mine.coordinates.dimension)
    intercept, weights = mine.coordinates.to_raw(theta[None])
    at = linear._spec.coordinates.from_raw(intercept[0], weights[0])
    ours, theirs = density_of(mine), density_of(linear._spec)
    rise = [d.value(x) - d.value(0.5 * x) for d, x in ((ours, theta), (theirs, at))]
    assert_allclose(rise[0], rise[1], rtol=1e-10)
    drawn = last_layer.given_hidden(spec, held, nuts)
    by_hand = nuts(mine)
    for name in ("weights", "intercept"):
        assert_array_equal(drawn.parameters[name], by_hand.parameters[name])
    L = drawn.logits.at(drawn.parameters)(given.X)
    assert_allclose(L, by_hand.logits.at(by_hand.parameters)(units), rtol=1e-9, atol=1e-11)


def test_hidden_layers_are_those_of_map_where_the_last_layer_is_at_its_own_mode(post) -> None:
    model = network(skip=True)
    estimate = model.map(random_seed=3)._fitted.parameters
    for name in ("hidden_1", "hidden_1_bias"):
        assert_array_equal(post.idata["held"][name].values, estimate[name][0])
    spec = model._spec
    linear = last_layer.last_layer_specification(spec, {name: a[0] for name, a in estimate.arrays.items()})
    own = linear.coordinates.to_parameters(solve(density_of(linear), SolverOptions()).theta[None])
    weights = np.concatenate([estimate["weights"], estimate["skip"]], axis=1)
    assert_allclose(own["weights"], weights, atol=2e-3)  # L-BFGS ends where the gradient is 1e-6 per observation
    assert_allclose(own["intercept"], estimate["intercept"], atol=2e-3)


def test_no_hidden_layer_is_the_linear_model_draw_by_draw() -> None:
    X, y = rows()
    without, linear = (bs.SoftmaxRegression(X, y, logits=logits) for logits in (bs.MLP(hidden=()), None))
    xr.testing.assert_identical(without.sample(**RUN).idata["posterior"].dataset,
                                linear.sample(**RUN).idata["posterior"].dataset)  # fmt: skip


def test_it_says_what_is_held_and_keeps_it_once(post: bs.Posterior) -> None:
    assert post.engine.startswith("last layer by nuts (whitened")
    assert post.engine.endswith("hidden layers are held at the MAP")
    assert set(post.idata["posterior"].data_vars) == {"weights", "skip", "intercept", "intercept_at_means"}
    assert {n: a.dims for n, a in post.idata["held"].data_vars.items()} == {
        "hidden_1": ("feature", "unit_1"),
        "hidden_1_bias": ("unit_1",),
    }
    assert {"compile", "mode", "sampling", "hidden layers"} <= set(post.timings)
    fit = post._fitted
    assert fit.parameters["hidden_1"].shape == (120, 2, 4)
    assert fit.parameters["hidden_1"].strides[0] == 0
    assert fit.parameters.flat().shape == (120, 3 + 4 * 3 + 2 * 3)


def test_a_large_network_takes_its_last_layer_and_says_so() -> None:
    X, y = rows()
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=(30, 20)))
    assert model._spec.network_coordinates.dimension > engines.MOST_COEFFICIENTS
    post = model.sample(**RUN)
    assert "hidden layers are held at the MAP, since its 752 coefficients are more than 500" in post.engine


def test_a_small_network_takes_all_layers_where_the_engine_can() -> None:
    X, y = rows()
    model = bs.SoftmaxRegression(X, y, logits=bs.MLP(hidden=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few draws
        whole = model.sample(**RUN)
    assert whole.engine.startswith("nuts over all layers")
    assert whole.engine.endswith("; all 12 coefficients, since they are at most 500")
    assert "held" not in whole.idata.children
    again = whole.refit(0, 1)
    assert again.training.distinct.total_weight == 49
    last = model.sample(engine="independence", **RUN)
    assert last.engine.endswith("hidden layers are held at the MAP, since engine='independence' draws linear logits")
    with pytest.raises(ValueError, match=r"engine='independence' draws linear logits.*for layers='all' use 'auto'"):
        model.sample(engine="independence", layers="all", **RUN)


def test_the_log_prior_is_that_of_all_layers(post: bs.Posterior) -> None:
    spec = network(skip=True)._spec
    drawn = post._fitted.parameters
    full = {name: np.array(drawn[name]) for name in spec.logits.shapes}
    assert_allclose(post.idata.sample_stats["log_prior"].values.ravel(), log_prior_of_draws(spec, full), rtol=1e-12)


def test_the_same_seed_gives_the_same_posterior(post: bs.Posterior) -> None:
    again = network(skip=True).sample(layers="last", **RUN)
    for group in ("posterior", "held", "sample_stats"):
        xr.testing.assert_identical(again.idata[group].dataset, post.idata[group].dataset)
    other = network(skip=True).sample(layers="last", **RUN | {"random_seed": 4})
    assert not np.array_equal(other.idata["held"]["hidden_1"], post.idata["held"]["hidden_1"])


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_file_keeps_what_is_held(post: bs.Posterior, suffix, tmp_path) -> None:
    path = tmp_path / f"fit{suffix}"
    post.save(path)
    again, (X, _) = bs.load(path), rows()
    xr.testing.assert_identical(again.idata["held"].dataset, post.idata["held"].dataset)
    assert_array_equal(again.predict_proba(X), post.predict_proba(X))
    assert_array_equal(again.effects(), post.effects())
    assert (again.engine, again._fitted.seen) == (post.engine, last_layer.SAW)


HELD_DAMAGE = {
    "a weight is infinite": (lambda held: held.assign(hidden_1=held["hidden_1"] * np.inf), "NaN or infinite"),
    "a unit is missing": (lambda held: held.isel(unit_1=slice(3)), "shape"),
    "dimensions change places": (lambda held: held.assign(hidden_1=held["hidden_1"].T), "shape"),
    "a name is unknown": (lambda held: held.rename(hidden_1="hidden_9"), "hidden_9"),
    "a layer is lost": (lambda held: held.drop_vars("hidden_1"), "'hidden_1' is missing"),
    "nothing is held": (lambda held: held.drop_vars(["hidden_1", "hidden_1_bias"]), "for all draws"),
    "features are others": (lambda held: held.assign_coords(feature=["x0", "x7"]), "labels of 'feature'"),
    "drawn too": (lambda held: held.assign(intercept=("category", np.zeros(3))), "among the draws too"),
}


@pytest.mark.parametrize(("change", "said"), HELD_DAMAGE.values(), ids=list(HELD_DAMAGE))
def test_a_file_whose_held_parameters_are_wrong_is_refused(post: bs.Posterior, change, said, tmp_path) -> None:
    """Saving reads the contents back, by the checks that reading a file makes."""
    groups = {name: node.dataset for name, node in post.idata.children.items()}
    tree = xr.DataTree.from_dict(groups | {"held": change(groups["held"])})
    with pytest.raises(ValueError, match=said):
        changed(post, idata=tree).save(tmp_path / "fit.nc")


def test_pymc_predicts_from_the_model_with_its_hidden_layers_set(post: bs.Posterior) -> None:
    import pymc as pm

    with pm.do(network(skip=True).pymc_model, dict(post.idata["held"].data_vars)):
        predicted = pm.sample_posterior_predictive(
            post.idata, progressbar=False, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    assert set(predicted.posterior_predictive.data_vars) == {"y"}
    X, _ = rows()
    seen = (predicted.posterior_predictive["y"].values.reshape(120, 50, 1) == np.arange(3)).mean(axis=0)
    expected = post.predict_proba(X).to_numpy()
    error = np.sqrt((expected * (1 - expected)).clip(1e-4) / 120)
    assert (np.abs(seen - expected) < 4.5 * error).all()  # 150 shares: a false alarm once in a thousand seeds


def test_other_engines_draw_the_last_layer() -> None:
    model = network()
    X, _ = rows()
    by_nuts = model.sample(layers="last", engine="nuts", **RUN)
    weighted = last_layer.sample_last_layer(model._spec, lambda linear: sample_laplace(linear, 200, 1, False), 3)
    assert weighted.engine.startswith("last layer by laplace")
    assert weighted.pareto_k is not None
    assert_allclose(bs.Posterior(weighted).predict_proba(X), by_nuts.predict_proba(X), atol=0.15)


def test_leaving_out_refits_the_last_layer_or_everything(post: bs.Posterior) -> None:
    without = post.refit(0, 1)
    assert_array_equal(without.parameters.held["hidden_1"], post._fitted.parameters.held["hidden_1"])
    assert without.training.distinct.total_weight == 49
    with pytest.warns(bs.NotReliableWarning, match="the chains disagree"):  # of so few draws
        found = post.kfold(k=2, random_seed=1, progressbar=False)
    assert found.n_folds == 2
    assert np.isfinite(found.elpd)
    again = post._fitted.refit_cells(cells_of(post._fitted.training), 3)
    assert_array_equal(again.parameters["weights"], post._fitted.parameters["weights"])


def test_leave_one_out_says_that_the_hidden_layers_saw_the_row(post: bs.Posterior) -> None:
    with pytest.warns(bs.NotReliableWarning) as told:
        post.loo()
    assert any(str(w.message).startswith("the hidden layers are held at a mode of all rows") for w in told)


def test_flat_priors_that_the_data_do_not_bound_are_refused() -> None:
    X = np.arange(8.0)[:, None]
    model = bs.SoftmaxRegression(X, X[:, 0] > 3, logits=bs.MLP(hidden=2), prior={"weights": bs.Flat()})
    held = pytest.warns(bs.NotConvergedWarning, match="hidden layers are held where the search for a mode ended")
    with held, pytest.raises(bs.ImproperPosteriorError, match="improper"):
        model.sample(layers="last", **RUN)


def test_layers_are_checked() -> None:
    X, y = rows()
    linear, net = bs.SoftmaxRegression(X, y), network()
    with pytest.raises(
        ValueError, match=r"layers='last' is for the logits of a network.*'linear': leave layers at None"
    ):
        linear.sample(layers="last")
    for model in (linear, net):
        with pytest.raises(ValueError, match="layers='lats' is not known; use one of 'last', 'all'; did you mean"):
            model.sample(layers="lats")
    with pytest.raises(TypeError, match="layers=1 must be one of 'last', 'all'"):
        net.sample(layers=1)
    with pytest.raises(TypeError, match="logits of kind 'linear' are not those of a network"):
        last_layer.last_layer_specification(linear._spec, {})
