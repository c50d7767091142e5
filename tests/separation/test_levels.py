"""Levels of factors without some of the classes: named where they are what separates, and only there."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.separation.verdict import Separation


@pytest.fixture(scope="module")
def plans() -> pd.DataFrame:
    """120 customers of two large regions and a rare one, in which nobody chose 'c' or 'd'."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"plan": rng.choice(["a", "b", "c", "d"], 120), "age": rng.normal(45.0, 12.0, 120)})
    frame["region"] = np.where(np.arange(120) < 6, "Islands", np.where(np.arange(120) % 2, "East", "West"))
    frame.loc[:5, "plan"] = ["a", "b"] * 3
    return frame


def separation_of(frame: pd.DataFrame, terms: str = "age + region", **options: object) -> Separation:
    return bs.SoftmaxRegression.from_formula(f"plan ~ {terms}", frame, **options).check_separation()


def test_a_rare_level_is_the_reason(plans: pd.DataFrame) -> None:
    found = separation_of(plans)
    assert found.kind == "quasi-complete"
    assert found.levels == (("region", "Islands", 6, ("c", "d")),)
    assert found.levels_explain
    said = "quasi-complete separation: level 'Islands' of 'region' (6 rows) was never observed with 'c', 'd'"
    assert found.reasons == (said,)
    with pytest.warns(bs.NotConvergedWarning) as warning:
        fit = bs.SoftmaxRegression.from_formula("plan ~ age + region", plans).mle()
    text = str(warning[0].message)
    assert f"no finite estimate exists: {said}; summary() shows inf, -inf, or NaN" in text
    assert len(text) < 300
    assert fit._fitted.caution == (
        "these are answers of mle() without a certified optimum (no finite estimate exists): see .status"
    )


@pytest.mark.parametrize("base", ["Islands", "East"])
@pytest.mark.parametrize("coding", ["zero-sum", "reference"])
def test_the_reason_depends_on_no_coding(plans: pd.DataFrame, base: str, coding: str) -> None:
    """The rare level as the first has no column of its own, and is named all the same."""
    levels = [base, *(level for level in ("Islands", "East", "West") if level != base)]
    frame = plans.assign(region=pd.Categorical(plans["region"], levels))
    found = separation_of(frame, coding=coding)
    assert found.levels == (("region", "Islands", 6, ("c", "d")),)
    assert found.levels_explain


def test_weights_counts_and_collapsing_do_not_change_the_reason(plans: pd.DataFrame) -> None:
    weightless = pd.concat([plans, plans.tail(1).assign(region="Islands", plan="c")], ignore_index=True)
    found = separation_of(weightless, weights=np.append(np.ones(120), 0.0))
    assert found.levels == (("region", "Islands", 6, ("c", "d")),)
    counts = pd.crosstab(plans["region"], plans["plan"]).reset_index()
    grouped = bs.SoftmaxRegression.from_formula("a + b + c + d ~ region", counts).check_separation()
    assert grouped.levels == (("region", "Islands", 1, ("c", "d")),)


def test_a_flag_of_an_array_is_named_with_its_value() -> None:
    flag = np.tile([0.0, 1.0], 20)
    y = np.where(flag == 1, "a", np.where(np.arange(40) % 4 < 2, "a", "b"))
    found = bs.SoftmaxRegression(flag[:, None], y, ["flag"]).check_separation()
    assert found.levels == (("flag", 1, 20, ("b",)),)
    assert "level 1 of 'flag' (20 rows) was never observed with 'b'" in found.reasons[0]


def test_where_a_number_separates_too_the_direction_is_told(plans: pd.DataFrame) -> None:
    sorted_by_age = plans.assign(age=plans["plan"].map({"a": 0.0, "b": 0.0, "c": 9.0, "d": 9.0}) + plans["age"] / 100)
    found = separation_of(sorted_by_age)
    assert not found.levels_explain
    assert "separated" in found.reasons[0]
    assert "level" not in found.reasons[0]


def test_levels_of_overlapping_classes_are_not_named(plans: pd.DataFrame) -> None:
    found = separation_of(plans[6:], "age + region")
    assert (found.kind, found.levels, found.levels_explain) == ("none", (), False)
    assert separation_of(plans, "age").levels == ()


def test_an_interaction_alone_is_not_blamed_on_the_levels(plans: pd.DataFrame) -> None:
    """The level lacks classes, but the model, in which only its slope is free, cannot exclude them."""
    varied = plans.assign(age=plans["age"] - 45.0)
    assert separation_of(varied, "region:age").levels == ()


def test_many_levels_are_counted() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"plan": rng.choice(["a", "b", "c"], 400), "g": [f"level {i % 8}" for i in range(400)]})
    frame.loc[frame["g"].isin(["level 0", "level 1", "level 2", "level 3"]), "plan"] = "a"
    (said,) = separation_of(frame, "g").reasons
    assert said.endswith("; and 2 more such levels")
    assert said.count("never observed") == 2


def test_a_class_that_was_not_on_offer_is_not_missed(plans: pd.DataFrame) -> None:
    offered = np.ones((120, 4))
    offered[:6, 2:] = 0.0
    found = separation_of(plans, available=offered)
    assert found.levels == ()
