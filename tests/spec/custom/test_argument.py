"""What ``CustomLogits`` takes, and where it is refused."""

import numpy as np
import pytest

import bayes_softmax as bs
from tests.spec.custom.functions import linear

X, Y = np.arange(12.0).reshape(6, 2), ["a", "b", "c"] * 2


@pytest.mark.parametrize("build", [None, 5, "linear", bs.MLP, object()])
def test_what_is_no_function(build) -> None:
    with pytest.raises(TypeError, match=r"build=.* must be a function of the features"):
        bs.CustomLogits(build)


def test_a_function_of_other_arguments() -> None:
    with pytest.raises(TypeError, match=r"must take one argument, the features; .*missing a required argument: 'y'"):
        bs.CustomLogits(lambda x, y: x)
    bs.CustomLogits(lambda x, units=3: x)


@pytest.mark.parametrize(
    ("dims", "told"),
    [
        (5, r"dims=5 must map names of dimensions to lengths or labels"),
        (["unit"], r"dims=\['unit'\] must map"),
        ({5: 3}, r"dims: 5 is no name"),
        ({"feature": 3}, r"'feature' is a dimension of the model itself"),
        ({"unit": 0}, r"dims\['unit'\]=0 must be a length of at least 1"),
        ({"unit": True}, r"dims\['unit'\]=True must be"),
        ({"unit": 2.5}, r"dims\['unit'\]=2.5 must be"),
        ({"unit": "abc"}, r"dims\['unit'\]='abc' must be"),
        ({"unit": []}, r"dims\['unit'\]=\[\] must be"),
        ({"unit": ["a", "a"]}, r"a list of different labels"),
        ({"unit": ["a", 1]}, r"all texts or all whole numbers"),
        ({"unit": [None]}, r"all texts or all whole numbers"),
    ],
)
def test_what_are_no_dimensions(dims, told) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        bs.CustomLogits(linear, dims=dims)


def test_dimensions_are_kept_apart_from_what_was_given() -> None:
    given = {"unit": 3, "site": np.array(["p", "q"])}
    custom = bs.CustomLogits(linear, dims=given)
    given["unit"] = 5
    assert custom.dims == {"unit": 3, "site": ("p", "q")}
    assert {name: list(labels) for name, labels in custom.coords.items()} == {"unit": [0, 1, 2], "site": ["p", "q"]}


@pytest.mark.parametrize(
    "argument", [{"prior": bs.Normal(1.0)}, {"intercept_prior": bs.Normal(1.0)}, {"coding": "full"}]
)
def test_priors_and_coding_are_in_the_function(argument) -> None:
    (name,) = argument
    with pytest.raises(ValueError, match=rf"{name}=.* beside logits=CustomLogits\(\.\.\.\), whose function names"):
        bs.SoftmaxRegression(X, Y, logits=bs.CustomLogits(linear), **argument)


@pytest.fixture(scope="module")
def model() -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X, Y, logits=bs.CustomLogits(linear))


@pytest.mark.parametrize(
    "asked",
    [
        lambda model: model.mle(),
        lambda model: model.map(),
        lambda model: model.laplace(),
        lambda model: model.forecast(),
        lambda model: model.log_density,
        lambda model: model.map_path(),
        lambda model: model.choose_prior_scale(),
        lambda model: model.check_separation(),
    ],
)
def test_what_needs_the_packages_own_density(model, asked) -> None:
    with pytest.raises(
        ValueError, match=r"not possible with logits=CustomLogits.*only PyMC knows your function; model"
    ):
        asked(model)


@pytest.mark.parametrize("engine", ["nuts", "independence"])
def test_other_engines(model, engine) -> None:
    with pytest.raises(ValueError, match=rf"engine='{engine}' is not possible .* use engine='pymc'"):
        model.sample(engine=engine)


def test_too_many_draws(model) -> None:
    with pytest.raises(MemoryError, match="draws=1000000000"):
        model.sample(draws=10**9, progressbar=False)
