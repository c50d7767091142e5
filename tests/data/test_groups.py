"""Groupings: bars of formulas, levels and terms, columns of rows, and their way through a file."""

import numpy as np
import pandas as pd
import pytest

import bayes_softmax as bs
from bayes_softmax.data.groups.bars import Bar, split_bars
from bayes_softmax.data.groups.grouping import grouping_from_data
from bayes_softmax.data.schema import schema_from_json


def frame(n=60, seed=0):
    rng = np.random.default_rng(seed)
    data = {"y": rng.choice(["a", "b", "c"], n), "x": rng.normal(size=n), "g": rng.integers(0, 5, n)}
    return pd.DataFrame(data | {"s": rng.choice(["u", "v", "w"], n), "two words": rng.choice(["p", "q"], n)})


def model(formula, data=None, **options):
    return bs.SoftmaxRegression.from_formula(formula, frame() if data is None else data, **options)


@pytest.mark.parametrize(
    ("right", "terms", "bars"),
    [
        ("x + (1 | g)", "x", (Bar("1", ("g",), True),)),
        ("(1 | g)", "1", (Bar("1", ("g",), True),)),
        ("(x||g) + z", "z", (Bar("x", ("g",), False),)),
        ("x + (1 + x | `two words`) - z", "x - z", (Bar("1 + x", ("two words",), True),)),
        ("0 + x + (0 + x | a/b)", "0 + x", (Bar("0 + x", ("a",), True), Bar("0 + x", ("a", "b"), True))),
        ("(1 | a:b) + (1 | c)", "1", (Bar("1", ("a", "b"), True), Bar("1", ("c",), True))),
        ("(x + z)**2 + I(x | z)", "(x + z)**2 + I(x | z)", ()),
    ],
)
def test_bars_are_taken_out_of_a_formula(right, terms, bars):
    sides = split_bars(right)
    assert (sides.terms.replace("  ", " "), sides.bars) == (terms, bars)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ x + 1 | g", "parentheses of their own"),
        ("y ~ x * (1 | g)", "a bar is added to the other terms"),
        ("y ~ x - (1 | g)", "a bar is added to the other terms"),
        ("y ~ (1 | g) * x", "a bar is added to the other terms"),
        ("y ~ (1 | g + s)", "after the bar a grouping is named"),
        ("y ~ (1 | 1)", "after the bar a grouping is named"),
        ("y ~ (1 | p | g)", "parentheses hold one bar"),
        ("y ~ (| g)", "terms are missing before the bar"),
        ("y ~ (1 | nobody)", "no column 'nobody'"),
        ("y ~ (1 | y)", "is the response"),
        ("y ~ (1 | g) + (0 + x | g)", "appears twice"),
        ("y ~ (1 | x)", "holds real numbers"),
        ("y ~ (0 | g)", "has no terms"),
    ],
)
def test_bad_bars_are_refused_with_what_to_write(formula, words):
    with pytest.raises((ValueError, TypeError), match=words):
        model(formula)


def test_levels_are_those_of_the_data_or_of_a_categorical():
    data = frame()
    levels = [grouping.levels for grouping in model("y ~ (1 | g) + (1 | s)", data)._spec.schema.groups]
    assert levels == [(0, 1, 2, 3, 4), ("u", "v", "w")]
    data["s"] = pd.Categorical(data.s, categories=["w", "v", "u", "unseen"])
    assert model("y ~ (1 | s)", data)._spec.schema.groups[0].levels == ("w", "v", "u", "unseen")


def test_columns_of_rows_are_codes_and_terms():
    data = frame()
    spec = model("y ~ x + (1 + x | g) + (0 + x | s) + (1 | g:s)", data)._spec
    columns = spec.design.group_columns
    pairs = sorted({*zip(data.g, data.s, strict=True)})
    expected = [data.g, data.x, data.s.map({"u": 0, "v": 1, "w": 2}), data.x]
    expected.append([pairs.index(pair) for pair in zip(data.g, data.s, strict=True)])
    assert np.array_equal(columns, np.column_stack(expected))
    assert spec.schema.groups[2].levels[0] == f"{pairs[0][0]}:{pairs[0][1]}"
    X, _, _ = spec.design.encoded(slice(5))
    again, _ = spec.schema.encode(data.head())
    assert np.array_equal(X, again)


def test_nested_groupings_are_the_outer_one_and_the_interaction():
    nested = model("y ~ (1 | s/g)")._spec.design.group_columns
    assert np.array_equal(nested, model("y ~ (1 | s) + (1 | s:g)")._spec.design.group_columns)


def test_dot_leaves_out_groupings():
    assert model("y ~ . - `two words` - s + (1 | g)").feature_names == ("x",)


def test_groups_of_arrays_equal_bars_of_a_formula():
    data = frame()
    of_formula = model("y ~ x + (1 | g)", data)._spec
    by_value = bs.SoftmaxRegression(data[["x"]], data.y, groups={"g": data.g})._spec
    by_name = bs.SoftmaxRegression(data[["x", "g"]], data.y, groups="g")._spec
    of_array = bs.SoftmaxRegression(data[["x"]].to_numpy(), data.y, ["x"], groups={"g": data.g.to_numpy()})._spec
    for spec in (by_value, by_name, of_array):
        assert spec.schema.feature_names == ("x",)
        assert np.array_equal(spec.design.group_columns, of_formula.design.group_columns)
    beside = model("y ~ x", data.drop(columns="g"), groups={"g": data.g})._spec
    assert np.array_equal(beside.design.group_columns, of_formula.design.group_columns)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (3, "must be a mapping"),
        ({1: [1]}, "must be a string"),
        ({"g": [1, 2]}, "expected \\(60,\\)"),
        ({"g": [1] * 60}, "has one level"),
        ("nobody", "no column 'nobody'"),
        ({"x": [1] * 60}, "a column of that name too"),
        ({"weights": list(range(30)) * 2}, "rename the column"),
    ],
)
def test_bad_groups_are_refused(groups, words):
    data = frame()
    with pytest.raises((ValueError, TypeError), match=words):
        bs.SoftmaxRegression(data[["x"]], data.y, groups=groups)


def test_missing_levels_are_an_error_or_dropped():
    data = frame()
    data["s"] = data.s.where(data.index != 7)
    with pytest.raises(ValueError, match="column 's' has a missing value in row 7"):
        model("y ~ x + (1 | s)", data)
    assert model("y ~ x + (1 | s)", data, missing="drop")._spec.design.n_obs == 59


def test_a_grouping_of_measured_numbers_warns():
    data = frame().assign(id=np.arange(60))
    with pytest.warns(UserWarning, match="is it a measurement"):
        model("y ~ x + (1 | id)", data)


def test_rows_are_collapsed_by_level_too():
    data = pd.DataFrame({"x": np.tile([0.0, 1.0], 40), "g": np.repeat([0, 1], 40), "y": ["a", "b", "b", "a"] * 20})
    spec = model("y ~ x + (1 | g)", data)._spec
    assert spec.collapsed is not None
    assert spec.distinct.n_obs == 4
    assert sorted(map(tuple, spec.distinct.encoded(slice(None))[0].tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_schema_with_groups_goes_through_json():
    schema = model("y ~ x + (1 + x || g) + (1 | s:g)")._spec.schema
    again = schema_from_json(schema.to_json())
    assert again.groups == schema.groups
    assert np.array_equal(again.encode(frame())[0], schema.encode(frame())[0])


def test_a_damaged_grouping_is_refused():
    data = model("y ~ (1 | s:g)")._spec.schema.groups[0].to_data()
    for change in ({"seen": ((0, 9),)}, {"seen": ()}, {"columns": {}}, {"has_intercept": False}, {"coupled": 1}):
        with pytest.raises(ValueError, match=r"damaged|has no terms"):
            grouping_from_data(data | change)


def test_unknown_levels_are_named():
    schema = model("y ~ x + (1 | s)")._spec.schema
    with pytest.raises(ValueError, match="'s' has level 'z' in rows 0, 1"):
        schema.encode(frame().head(2).assign(s="z"))
    with pytest.raises(ValueError, match="no column 's'"):
        schema.encode(frame()[["x"]])
    assert schema.encode_marked(frame()[["x"]], levels="average")[0][:, 1].tolist() == [0.0] * 60
    assert schema.encode_marked(frame().assign(s=["r", "t"] * 30), levels="new")[0][:3, 1].tolist() == [0.0, 1.0, 0.0]
