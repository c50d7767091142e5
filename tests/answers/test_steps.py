"""Steps of variables: effects and odds ratios per step, and the digits that show them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.answers.steps import larger_step, size_name
from tests.conftest import simulate


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    X, codes = simulate(300, 2, 3)
    frame = pd.DataFrame({"age": 45 + 10 * X[:, 0], "income": 50_000 + 9_000 * X[:, 1]})
    return frame.assign(region=np.resize(["north", "south"], 300), plan=np.array(["basic", "family", "student"])[codes])


@pytest.fixture(scope="module")
def model(people: pd.DataFrame) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula("plan ~ poly(age, 2) + log(income) * region", people)


@pytest.fixture(scope="module", params=["map", "laplace"])
def fit(request: pytest.FixtureRequest, model: bs.SoftmaxRegression) -> bs.PointEstimate | bs.Posterior:
    if request.param == "map":
        return model.map()
    return model.laplace(draws=400, random_seed=1, progressbar=False)


def test_effects_per_step_are_those_of_the_variable_in_other_units(people, model) -> None:
    """The same fit to income in thousands: its effects per unit are those per 1000, by formula and from arrays."""
    thousands = people.assign(income=people["income"] / 1000)
    other = bs.SoftmaxRegression.from_formula("plan ~ poly(age, 2) + log(income) * region", thousands)
    ours = model.mle().effects("income", per={"income": 1000})
    theirs = other.mle().effects("income")
    assert set(ours.index.get_level_values("change")) == {"per 1000"}
    assert_allclose(ours, theirs.to_numpy(), rtol=1e-4, atol=1e-8)
    arrays = [bs.SoftmaxRegression(p[["age", "income"]], people["plan"]).mle() for p in (people, thousands)]
    assert_allclose(arrays[0].effects(per={"income": 1000}), arrays[1].effects().to_numpy(), rtol=1e-6, atol=1e-10)


def test_a_step_multiplies_estimate_error_and_interval(fit) -> None:
    unit, step, back = (fit.effects(per={"age": size}).loc["age"] for size in (1, 10, -2))
    assert_allclose(step.iloc[:, :4], 10 * unit.iloc[:, :4].to_numpy(), rtol=1e-12)
    assert_allclose(step["p_positive"], unit["p_positive"].to_numpy(), atol=1e-15)
    assert_allclose(back.iloc[:, 0], -2 * unit.iloc[:, 0].to_numpy(), rtol=1e-12)
    assert_allclose(back.iloc[:, 1], 2 * unit.iloc[:, 1].to_numpy(), rtol=1e-12)
    assert_allclose(back.iloc[:, 3], -2 * unit.iloc[:, 2].to_numpy(), rtol=1e-8)
    assert set(unit.index.get_level_values("change")) == {"per unit"}
    assert set(back.index.get_level_values("change")) == {"per -2"}
    factor, alone = fit.effects(per={"age": 10}).loc["region"], fit.effects().loc["region"]
    pd.testing.assert_frame_equal(factor, alone)


def test_draws_of_effects_take_steps_too(model) -> None:
    post = model.laplace(draws=400, random_seed=1, progressbar=False)
    unit, step = (post.effects("income", draws=True, per={"income": size}) for size in (1, 10_000))
    assert step["change"].values.tolist() == ["income: per 10000"]
    assert_allclose(step, 10_000 * unit.values, rtol=1e-12)


def test_columns_of_an_array_are_named_by_number() -> None:
    X, codes = simulate(100, 2, 3)
    fit = bs.SoftmaxRegression(X, codes).map()
    pd.testing.assert_frame_equal(fit.effects(per={1: 5}), fit.effects(per={"x1": 5}))
    pd.testing.assert_frame_equal(fit.odds_ratios(per={1: 5}), fit.odds_ratios(per={"x1": 5}))


@pytest.mark.parametrize(
    ("per", "features", "text"),
    [
        ({"region": 2}, None, "per: 'region' is a factor; its levels are compared"),
        ({"region[T.south]": 2}, None, "'region[T.south]' is not a variable of the model; did you mean 'region'?"),
        ({"incme": 2}, None, "'incme' is not a variable of the model; did you mean 'income'?"),
        ({"age": 2}, "income", "per: 'age' is not among the features asked for ('income')"),
        ({"age": 0}, None, "per: 'age' has 0; expected a finite number other than 0"),
    ],
)
def test_steps_of_effects_that_make_no_sense(fit, per, features, text) -> None:
    with pytest.raises(ValueError, match="per") as caught:
        fit.effects(features, per=per)
    assert text in str(caught.value)
    with pytest.raises(TypeError, match=r"per=10 must be a mapping .*, such as \{'age': 10\}"):
        fit.effects(per=10)


def test_a_step_is_called_by_all_of_its_digits() -> None:
    assert [size_name(s) for s in (1e6, 1234567.0, 0.1, -2.5)] == ["1000000", "1234567", "0.1", "-2.5"]
    assert (larger_step(1.0, 0.0), larger_step(1.0, np.inf), larger_step(1.0, np.nan)) == (None, None, None)
    assert larger_step(-10.0, 5e-4) == 10_000.0


def test_odds_ratios_close_to_one_are_told_from_it(people) -> None:
    fit = bs.SoftmaxRegression.from_formula("plan ~ age + income", people).map()
    table = fit.odds_ratios(vs="basic")
    shown = [line.split() for line in repr(table).splitlines() if "vs basic" in line]
    assert [len(set(row[-4:-1])) for row in shown] == [3] * 4
    assert "1.000" not in repr(table).split()
    assert "one step of 'income' changes the odds by less than 0.1 %" in table.attrs["note"]
    proposed = fit.odds_ratios(vs="basic", per={"income": 1000})
    assert "per={'income': 1000} gives larger steps" in table.attrs["note"]
    assert "note" not in proposed.attrs
    assert_allclose(np.log(proposed["odds_ratio"]["income"]), 1e3 * np.log(table["odds_ratio"]["income"]), rtol=1e-6)


def test_infinite_odds_ratios_show_as_such() -> None:
    with pytest.warns(UserWarning, match="separat"):
        mle = bs.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).mle()
    table = mle.odds_ratios(vs="a")
    assert "inf" in repr(table)
    assert "note" not in table.attrs
