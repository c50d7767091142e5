"""A linear function of the user's own is the linear model: its logits, its ``pm.Model`` and its prior."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import bayes_softmax as bs
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.spec.custom.building import BuiltLogits
from bayes_softmax.spec.custom.evaluation import NUMBERS
from bayes_softmax.spec.linear import LinearLogits
from bayes_softmax.spec.parameter_draws import log_prior_of_draws
from tests.conftest import simulate
from tests.spec.custom.functions import bent, linear, network

N, P, K, S = 40, 2, 3, 7
X, CODES = simulate(N, P, K)
RNG = np.random.default_rng(1)
COUNTS = RNG.poisson(1.0, size=(N, K)) + np.eye(K, dtype=int)[CODES]
AVAILABLE = RNG.random((N, K)) < 0.7
AVAILABLE[np.arange(N), CODES] = True
FORMS = {
    "labels": (CODES, {}),
    "counts": (COUNTS, {}),
    "whole weights": (CODES, {"weights": RNG.integers(1, 4, N)}),
    "weights": (CODES, {"weights": RNG.random(N)}),
    "offset": (CODES, {"offset": RNG.normal(size=(N, K))}),
    "available": (CODES, {"available": AVAILABLE}),
    "all": (COUNTS * AVAILABLE, {"available": AVAILABLE, "offset": RNG.normal(size=(N, K)), "weights": RNG.random(N)}),
    "two classes": (CODES > 0, {}),
}
FULL = {"coding": "full", "prior": bs.Normal(1.0), "intercept_prior": bs.Normal(2.0)}


@pytest.fixture(scope="module")
def custom():
    return bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(linear))._spec.logits


@pytest.fixture(scope="module")
def draws() -> Parameters:
    rng = np.random.default_rng(2)
    return Parameters({"weights": rng.normal(size=(S, P, K)), "intercept": rng.normal(size=(S, K))})


@pytest.mark.parametrize("form", FORMS)
def test_the_model_is_that_of_the_linear_one(form: str) -> None:
    y, given = FORMS[form]
    ours, theirs = (
        bs.SoftmaxRegression(X, y, **given, **own).pymc_model for own in ({"logits": bs.CustomLogits(linear)}, FULL)
    )
    log_p = [model.compile_logp(mode="FAST_COMPILE") for model in (ours, theirs)]
    rng, start = np.random.default_rng(3), ours.initial_point()
    for _ in range(3):
        point = {name: rng.normal(size=value.shape) for name, value in start.items()}
        assert_allclose(*(one(point) for one in log_p), rtol=1e-12)


def test_logits_and_their_derivatives(custom, draws) -> None:
    theirs, one = LinearLogits(P, K), Parameters({name: values[:1] for name, values in draws.arrays.items()})
    order = np.r_[K : K + P * K, :K]  # weights are named first here, the intercept there
    assert_allclose(custom.at(draws)(X), theirs.at(draws)(X), rtol=1e-13)
    change = np.array([[1.0, -2.0]])
    assert_allclose(custom.slope(draws, X, change), np.repeat(theirs.slope(draws, X, change), N, 1), rtol=1e-8)
    B = np.random.default_rng(4).normal(size=(N, 5, K))
    assert_allclose(custom.pull_back(one, X, B), theirs.pull_back(one, X, B)[:, order], rtol=1e-7, atol=1e-9)
    assert_allclose(
        custom.pull_back_slope(one, X, change, B), theirs.pull_back_slope(one, X, change, B)[:, order], atol=1e-4
    )
    root = np.random.default_rng(5).normal(size=(K + P * K, K + P * K))
    V = root @ root.T
    assert_allclose(
        custom.covariance(one, X, V[np.ix_(order, order)]), theirs.covariance(one, X, V), rtol=1e-7, atol=1e-9
    )


def test_draws_are_evaluated_together_or_one_by_one(draws) -> None:
    """In parts of bounded size, which are seen to matter here, and by a loop where there is no other way."""
    model = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(network, dims={"unit": 4}))
    evaluation = model._spec.logits.function.evaluation
    rng = np.random.default_rng(0)
    many = Parameters({name: rng.normal(size=(S, *shape)) for name, shape in model._spec.logits.shapes.items()})
    by_hand = np.tanh(X @ many["h"] + many["b"][:, None]) @ many["w"]
    assert evaluation.many is not None
    assert_allclose(evaluation(many, X), by_hand, rtol=1e-12)
    assert_allclose(replace(evaluation, width=NUMBERS)(many, X), by_hand, rtol=1e-12)
    assert_allclose(replace(evaluation, many=None)(many, X), by_hand, rtol=1e-12)


def test_precision_is_that_of_the_sampler() -> None:
    """``log(1 + exp(x))`` at 800 is 800, as in the function that PyMC samples."""

    def build(x):
        return pt.log(1.0 + pt.exp(x)) * pm.Normal("w", dims="category")

    wide = bs.SoftmaxRegression(np.linspace(-1, 800, N)[:, None], CODES, logits=bs.CustomLogits(build))._spec.logits
    assert_allclose(wide.at(Parameters({"w": np.ones((1, K))}))(np.array([[800.0]])), 800.0)


def test_logits_that_are_not_finite_name_the_row() -> None:
    def build(x):
        return pt.log(x[:, :1]) * pm.Normal("w", dims="category")

    drawn = bs.SoftmaxRegression(
        np.abs(X) + 0.1, CODES, feature_names=["size", "age"], logits=bs.CustomLogits(build)
    ).sample_prior(draws=3, random_seed=0)
    with pytest.raises(ValueError, match=r"logits that are not finite, of a row with size=-2, age=1"):
        drawn.predict_proba([[3.0, 1.0], [-2.0, 1.0]])


def test_prior_densities_and_draws() -> None:
    """The density by SciPy, and the draws by their distribution (seed 1; six tests at level 1e-4)."""
    spec = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(bent))._spec
    rng = np.random.default_rng(6)
    values = {name: np.abs(rng.normal(size=(S, *shape))) for name, shape in spec.logits.shapes.items()}
    expected = (
        stats.norm(0, 0.5).logpdf(values["bend"]).sum(1)
        + stats.halfnorm.logpdf(values["scale"])
        + stats.norm.logpdf(values["raw"]).sum((1, 2))
    )
    assert_allclose(log_prior_of_draws(spec, values), expected, rtol=1e-8)  # of PyMC's half-normal, in single precision
    model = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(bent))
    drawn, again = (model.sample_prior(draws=1000, random_seed=1).idata["prior"] for _ in range(2))
    assert_array_equal(drawn["raw"], again["raw"])
    assert_allclose(drawn["scaled"], drawn["scale"] * drawn["raw"])
    for one in drawn["bend"].values[0].T:
        assert stats.kstest(one, stats.norm(0, 0.5).cdf).pvalue > 1e-4
    assert stats.kstest(drawn["scale"].values[0], stats.halfnorm.cdf).pvalue > 1e-4
    assert stats.kstest(drawn["raw"].values[0].ravel(), stats.norm.cdf).pvalue > 1e-4
    table = model.describe_prior()
    assert table["prior"].tolist() == ["Normal(0, 0.5)", "HalfNormal(0, 1)", "Normal(0, 1)"]
    assert table["size"].tolist() == [2, 1, 6]


def test_improper_priors_and_potentials_have_no_draws() -> None:
    flat = bs.CustomLogits(lambda x: x @ pm.Flat("w", dims=("feature", "category")))
    with pytest.raises(ValueError, match="a prior is improper, so nothing can be drawn"):
        bs.SoftmaxRegression(X, CODES, logits=flat).sample_prior(draws=3)

    def bound(x):
        w = pm.Normal("w", dims=("feature", "category"))
        pm.Potential("size", -((w**2).sum()))
        return x @ w

    model = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(bound))
    with pytest.raises(ValueError, match="adds the potentials 'size' to its priors"):
        model.sample_prior(draws=3)
    w = np.random.default_rng(7).normal(size=(S, P, K))
    expected = stats.norm.logpdf(w).sum((1, 2)) - np.square(w).sum((1, 2))
    assert_allclose(log_prior_of_draws(model._spec, {"w": w}), expected, rtol=1e-12)


def test_rows_to_try_show_no_observation(custom) -> None:
    assert custom.rows.shape == (3, P)
    for column, own in zip(X.T, custom.rows.T, strict=True):
        assert np.isin(own, column).all()
    assert not (custom.rows[:, None] == X[None]).all(axis=2).any()


def test_new_rows_can_be_set_in_the_model() -> None:
    model = bs.SoftmaxRegression(X, CODES, logits=bs.CustomLogits(linear))
    with model.pymc_model:
        pm.set_data({"X": X[:5], "y_observed": CODES[:5]}, coords={"obs": np.arange(5)})
        drawn = pm.sample_prior_predictive(draws=3, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"})
    assert drawn["prior_predictive"]["y"].shape == (1, 3, 5)


def test_without_features_there_are_intercepts() -> None:
    alone = bs.CustomLogits(lambda x: x.sum(axis=1, keepdims=True) * 0.0 + pm.Normal("level", dims="category"))
    model = bs.SoftmaxRegression.from_formula("y ~ 1", pd.DataFrame({"y": CODES}), logits=alone)
    assert model.sample_prior(draws=4, random_seed=0).predict_proba(pd.DataFrame(index=range(2))).shape == (2, K)


def test_copies_hold_the_function_and_nothing_compiled() -> None:
    built = BuiltLogits(bs.CustomLogits(linear), ("a", "b"), ("x", "y"))
    assert built.graph.shapes == {"weights": (2, 2), "intercept": (2,)}
    again = pickle.loads(pickle.dumps(built))
    assert set(again.__dict__) == {"custom", "feature_names", "classes"}
    assert again.custom.build is linear
    assert again.graph.shapes == built.graph.shapes
