"""Functions that make no logits, or name what cannot be a parameter: a sentence each, before any work."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(40, 2, 3)
Y = np.array(list("abc"))[CODES]
ELSEWHERE = np.random.default_rng(0).normal(size=(40, 3))


def model_of(build, **dims) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X, Y, logits=bs.CustomLogits(build, dims=dims))


def weights(name="w", scale=1.0):
    return pm.Normal(name, 0.0, scale, dims=("feature", "category"))


def observing(x):
    pm.Normal("seen", 0.0, 1.0, observed=[1.0, 2.0])
    return x @ weights()


def weighing(x):
    w = weights()
    pm.Potential("size", -(x @ w).sum())
    return x @ w


WRONG = {
    "nothing": (lambda x: None, "the function returned None, and must return the logits"),
    "an array": (lambda x: np.zeros((40, 3)), "returned an object of type ndarray"),
    "a vector": (lambda x: (x @ weights())[:, 0], r"a PyTensor variable with 1 dimension, .* a matrix \(n, 3\)"),
    "four columns": (lambda x: x @ pm.Normal("w", shape=(2, 4)), "logits with 4 columns for 3 classes"),
    "two columns": (lambda x: x @ pm.Normal("w", shape=(2, 2)), "2 columns for 3 classes; .* a column of zeros"),
    "probabilities": (lambda x: pm.math.softmax(x @ weights(), axis=1), "made probabilities, whose rows add up to one"),
    "integers": (lambda x: pt.cast(x @ weights(), "int64"), "logits of dtype int64, and must return real numbers"),
    "turned": (lambda x: (x @ weights()).T, r"logits of shape \(3, 1\) of 1 row; they must have \(1, 3\)"),
    "one row": (lambda x: (x @ weights())[:1], r"logits of shape \(1, 3\) of 3 rows; they must have \(3, 3\)"),
    "rows of its own": (lambda x: x @ weights() + ELSEWHERE, r"of 3 rows it failed: .*\(40,3\)"),
    "no parameters": (lambda x: x @ np.ones((2, 3)), "names no parameters; give each a prior by its name"),
    "not used": (lambda x: (weights(), x @ np.ones((2, 3)))[1], "depend on none of the parameters 'w'"),
    "without a name": (lambda x: x @ weights() + pm.Normal.dist(), "random variable without a name in the model"),
    "observed": (observing, "names the observed variables 'seen'; the classes alone are observed"),
    "of the model": (lambda x: x @ weights("y_observed"), "'y_observed' is the name of another variable"),
    "of another's dimension": (
        lambda x: x @ pm.Normal("w", shape=(2, 3)) + pm.Normal("w_dim_0"),
        "'w_dim_0' is the name of a dimension",
    ),
    "of a dimension": (lambda x: x @ weights("draw"), "'draw' is the name of a dimension"),
    "of each row": (
        lambda x: x @ weights() + pm.Normal("u", shape=(x.shape[0], 1)),
        "prior of 'u' depends on the rows",
    ),
    "scaled by x": (lambda x: x @ weights("w", x.std()), "the prior of 'w' depends on the rows x"),
    "potential of x": (weighing, "prior of 'size' depends on the rows x"),
    "centred by x": (lambda x: (x - x.mean(axis=0)) @ weights(), "logits of a row depend on the other rows"),
    "random": (lambda x: x @ np.random.default_rng().normal(size=(2, 2)) @ weights(), "other logits each time that it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_logits(case: str) -> None:
    build, told = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=told) as caught:
        model_of(build)
    assert str(caught.value).startswith("logits=CustomLogits(...): ")
    assert len(str(caught.value)) < 300


def test_names_are_not_the_same_at_every_call() -> None:
    names = iter("abcdefgh")
    with pytest.raises(ValueError, match="other logits each time that it is called"):
        model_of(lambda x: x @ weights(next(names)))


@pytest.mark.parametrize(
    ("build", "kind", "told"),
    [
        (lambda x: 1 / 0, ZeroDivisionError, "division by zero"),
        (lambda x: x @ weights() + x @ weights(), ValueError, "Variable name w already exists"),
        (lambda x: x @ pm.Normal("w", dims=("feature", "categry")), KeyError, "categry"),
        (lambda x: x @ weights("feature"), ValueError, "'feature' conflicts with an existing dimension name"),
        (lambda x: x @ pm.Normal("w", shape=(3, 3)), ValueError, "Incompatible shared dimension"),
    ],
)
def test_errors_of_the_function_are_its_own(build, kind, told) -> None:
    """With a note that says where they come from."""
    with pytest.raises(kind, match=told) as caught:
        model_of(build, unit=4)
    (note,) = caught.value.__notes__
    assert note.startswith("raised by the function of logits=CustomLogits(...), called with the features x")
    assert "may name the dimensions 'feature', 'category', 'unit'" in note


def ordered(x):
    steps = pm.distributions.transforms.ordered
    return x @ weights() + pm.Normal("steps", shape=3, transform=steps, initval=np.arange(3.0))


def nested(x):
    with pm.Model(name="inner"):
        return x @ weights()


def mixed(x):
    return x @ weights() * pm.Bernoulli("on", 0.5)


def by_group(x):
    return x @ weights() + pm.Normal("level", shape=(2, 3))[pt.cast(x[:, 0] > 0, "int64")]


ALLOWED = {
    ordered: {"w": ("feature", "category"), "steps": ("steps_dim_0",)},
    nested: {"inner::w": ("feature", "category")},
    mixed: {"w": ("feature", "category"), "on": ()},
    by_group: {"w": ("feature", "category"), "level": ("level_dim_0", "level_dim_1")},
}


@pytest.mark.parametrize("build", ALLOWED, ids=lambda build: build.__name__)
def test_what_can_be_named(build) -> None:
    model = model_of(build)
    logits = model._spec.logits
    assert dict(logits.dims) == ALLOWED[build]
    drawn = model.sample_prior(draws=5, random_seed=1)
    assert list(logits.shapes) == [name for name in logits.shapes if name in drawn.idata["prior"]]
    assert drawn.predict_proba(X).shape == (40, 3)
    assert np.isfinite(drawn.idata["sample_stats"]["log_prior"]).all()
