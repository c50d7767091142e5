"""Arguments of the front doors: one list of names, types, defaults and documentation."""

import inspect
from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.options import Options
from bayes_softmax.spec.arguments import Arguments, options_of
from bayes_softmax.spec.specify import from_arrays, from_formula
from tests.conftest import simulate

DOORS = {"__init__": bs.SoftmaxRegression, "from_formula": bs.SoftmaxRegression.from_formula}


def test_every_argument_is_carried_under_its_name() -> None:
    assert [field.name for field in fields(Options)] == list(get_type_hints(Arguments))
    given = {"prior": bs.Normal(1.0), "weights": "w", "coding": "full", "collapse": False}
    options = options_of("__init__", given)  # type: ignore[arg-type]
    assert {name: getattr(options, name) for name in given} == given
    assert options_of("__init__", {}) == Options()
    with pytest.raises(FrozenInstanceError):
        options.prior = None  # type: ignore[misc]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_argument_is_in_signature_and_help(door: object) -> None:
    parameters = inspect.signature(door).parameters  # type: ignore[arg-type]
    lines = (inspect.getdoc(door) or "").splitlines()
    for field in fields(Options):
        assert parameters[field.name].default == field.default
        assert parameters[field.name].kind is inspect.Parameter.KEYWORD_ONLY
        where = lines.index(field.name)  # a numpydoc entry, with its description below
        assert lines[where + 1].startswith("    ")
    for name, parameter in parameters.items():
        assert parameter.kind is not inspect.Parameter.VAR_KEYWORD
        assert name in lines
    assert not any("**arguments" in line for line in lines)


def test_an_unknown_argument_is_refused_by_both_doors() -> None:
    X, codes = simulate(20, 2, 2)
    expected = r"^SoftmaxRegression\(\) got an unexpected keyword argument 'priors'; did you mean 'prior'\?"
    with pytest.raises(TypeError, match=expected):
        bs.SoftmaxRegression(X, codes, priors=bs.Normal(1.0))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"from_formula\(\) got an unexpected keyword argument 'intercept'"):
        bs.SoftmaxRegression.from_formula("y ~ x", pd.DataFrame(), intercept=False)  # type: ignore[call-arg]


def test_both_doors_specify_the_same_model() -> None:
    X, codes = simulate(40, 2, 3)
    frame = pd.DataFrame(X, columns=["one", "two"]).assign(y=codes)
    options = Options(prior=bs.StudentT(4.0, 2.0), coding="reference", classes=[2, 0, 1], collapse=False)
    arrays, formula = (
        from_arrays(X, codes, ["one", "two"], True, options),
        from_formula("y ~ one + two", frame, options),
    )
    for spec in (arrays, formula):
        assert spec.schema.classes == (2, 0, 1)
        assert spec.schema.coding == "reference"
        assert spec.priors.weights == (options.prior,) * 2
        assert spec.collapsed is None
    np.testing.assert_array_equal(arrays.design.X, formula.design.X)
    assert arrays.priors.intercept == formula.priors.intercept


def test_levels_without_an_observation_are_warned_of_unless_declared() -> None:
    X, codes = simulate(20, 2, 2)
    labels = pd.Series(pd.Categorical.from_codes(codes, ["a", "b", "c"]), name="y")
    with pytest.warns(bs.UnusedClassWarning, match="there is no observation of class 'c'"):
        from_arrays(X, labels, None, True, Options())
    from_arrays(X, labels, None, True, Options(classes=["a", "b", "c"]))
