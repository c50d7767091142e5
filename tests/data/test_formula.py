"""Formulas give the column spaces of patsy and statsmodels, remember levels, and say what is wrong where."""

import ast
import itertools
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import patsy
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from bayes_softmax.data.formula.expressions import BINARY, COMPARISONS, text
from bayes_softmax.data.formula.parsing import Reader
from bayes_softmax.data.formula.sides import split_formula
from bayes_softmax.data.formula.stored import encoder_from_data
from bayes_softmax.data.schema import schema_from_json

N = 120


def survey() -> pd.DataFrame:
    """Every cell of the factors is observed."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "y": rng.choice(list("uvw"), N),
            "g": np.resize(list("pqr"), N),
            "h": np.resize(["s"] * 3 + ["t"] * 3, N),
            "b": np.resize([False] * 6 + [True] * 6, N),
            "k": np.resize([1] * 5 + [2, 4, 7], N),
            "x": rng.normal(size=N),
            "z": rng.uniform(1, 3, size=N),
        }
    )
    return frame.assign(class_=frame["g"]).rename(columns={"class_": "class"})


def features(formula: str, data: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """Design matrix with its intercept, and names."""
    model = bs.SoftmaxRegression.from_formula(f"y ~ {formula}", data)
    X = model._spec.design.X
    return (np.column_stack([np.ones(N), X]) if model._spec.schema.has_intercept else X), model.feature_names


FAMILY = """
b
0 + b
b + x
0 + b + x
b:x
0 + b:x
b:g
0 + b:g
b*g
0 + b*g
b*g*h
b*x
0 + g
0 + g + h
0 + g*h
0 + g:h
g:h
g:h:b
g:x
x + g:x
0 + g:x
g*h*x
g + g:h
g/h
g/x
(g + h + x)**2
(b + g + h)**3 - b:g:h
0 + (b + h):x
x*z - x
C(b)
0 + C(b)
C(b, Sum)
C(g, Sum)
0 + C(g, Sum)
C(g, Sum):x
C(g, Sum)*h
C(g, Treatment('q'))
C(g, Treatment(reference='r')):b
C(g, Helmert)
C(g, Poly)*x
C(k)
C(k):x
0 + C(k):b
I(x > 0)
0 + I(x > 0)
I(x > 0):z
I(x > 0):g
0 + I(x > 0):g
I(z**2)
np.log(z)*b
center(x):b
standardize(x)
bs(x, df=5)
0 + bs(x, df=5, include_intercept=True)
bs(x, df=4):b
cr(z, df=4, constraints='center')
cc(z, df=4, constraints='center')
cr(z, df=4)
0 + cr(z, df=4)
cr(z, df=3)*g
cc(z, df=4) + x
cr(z, df=4):x
cr(z, df=4):h + x
""".strip().split("\n")  # fmt: skip


def by_patsy(formula: str, data: pd.DataFrame) -> np.ndarray:
    return np.asarray(patsy.dmatrix(formula, data, eval_env=patsy.EvalEnvironment([{"np": np}])))


@pytest.mark.parametrize("formula", FAMILY)
def test_column_spaces_are_those_of_patsy(formula: str) -> None:
    data = survey()
    (ours, _), theirs = features(formula, data), by_patsy(formula, data)
    rank = np.linalg.matrix_rank(ours)
    assert rank == np.linalg.matrix_rank(theirs) == np.linalg.matrix_rank(np.column_stack([ours, theirs]))
    assert ours.shape[1] == rank


@pytest.mark.parametrize("formula", ["0 + b", "b:g", "b:x", "b*g + x", "0 + I(x > 0):z", "C(k):x"])
def test_likelihoods_are_those_of_statsmodels(formula: str) -> None:
    data = survey()
    peer = sm.MNLogit(data["y"], by_patsy(formula, data)).fit(disp=0, method="newton", maxiter=100)
    fit = bs.SoftmaxRegression.from_formula(f"y ~ {formula}", data).mle()
    assert_allclose(fit.log_likelihood, peer.llf, rtol=1e-8)


NAMES = {
    "b": ("b[T.True]",),
    "0 + b": ("b[False]", "b[True]"),
    "C(b, contr.sum)": ("C(b, contr.sum)[S.False]",),
    "C(k)": ("C(k)[T.2]", "C(k)[T.4]", "C(k)[T.7]"),
    "C(k, Treatment(4))": ("C(k, Treatment(4))[T.1]", "C(k, Treatment(4))[T.2]", "C(k, Treatment(4))[T.7]"),
    "C(`class`)": ("C(`class`)[T.q]", "C(`class`)[T.r]"),
    "C(g, Treatment('r'))": ("C(g, Treatment('r'))[T.p]", "C(g, Treatment('r'))[T.q]"),
    'C(g, contr.treatment("r"))': ("C(g, contr.treatment('r'))[T.p]", "C(g, contr.treatment('r'))[T.q]"),
    "I(x > 0)": ("I(x > 0)[T.True]",),
    "I(g == 'q')": ("I(g == 'q')[T.True]",),
    "I((x > 0) * z)": ("I((x > 0) * z)",),
    "I(b * x)": ("I(b * x)",),
    "x*g": ("x", "g[T.q]", "g[T.r]", "x:g[T.q]", "x:g[T.r]"),
    "g:h": ("h[T.t]", "g[T.q]:h[s]", "g[T.r]:h[s]", "g[T.q]:h[t]", "g[T.r]:h[t]"),
    "poly( x,2 )": ("poly(x, 2)[1]", "poly(x, 2)[2]"),
    "I(x**2+ .5*z)": ("I(x ** 2 + 0.5 * z)",),
    "{x - (z - x)}": ("x - (z - x)",),
}


@pytest.mark.parametrize(("formula", "names"), NAMES.items(), ids=NAMES.keys())
def test_names_of_features(formula: str, names: tuple[str, ...]) -> None:
    assert features(formula, survey())[1] == names


def test_float_columns_of_whole_numbers_have_the_same_levels() -> None:
    data = survey()
    assert features("C(k)", data.assign(k=data["k"].astype(float)))[1] == NAMES["C(k)"]
    fit = bs.SoftmaxRegression.from_formula("y ~ C(k)", data).map()
    pd.testing.assert_frame_equal(fit.predict_proba(data.assign(k=data["k"] * 1.0)), fit.predict_proba(data))


def test_booleans_have_effects_as_before() -> None:
    """A factor of two levels: the effect is still ``True vs False``, and equals that of a 0/1 number."""
    data = survey()
    fit = bs.SoftmaxRegression.from_formula("y ~ b + x", data).map()
    number = bs.SoftmaxRegression.from_formula("y ~ b + x", data.assign(b=data["b"] * 1)).map()
    assert fit.effects("b").index.get_level_values("change").unique().tolist() == ["True vs False"]
    assert_allclose(
        fit.effects("b")["estimate"],
        number.contrast({"b": 1}, {"b": 0})["estimate"],
        atol=1e-8,
    )
    few = pd.DataFrame({"b": [True, False], "x": [0.0, 1.0]})
    for new in (few, few.astype({"b": object}), few.astype({"b": float}), pl.from_pandas(few)):
        assert_array_equal(fit.predict_proba(new), fit.predict_proba(few))
    with pytest.raises(ValueError, match="column 'b' has level 2 in row 0"):
        fit.predict_proba(few.assign(b=[2, 1]))


def test_levels_of_the_fit_are_those_of_new_data() -> None:
    data = survey()
    fit = bs.SoftmaxRegression.from_formula("y ~ g*x + b:h + I(x > 0):z", data).map()
    whole = fit.predict_proba(data)
    for rows in (slice(0, 1), slice(7, 9)):
        pd.testing.assert_frame_equal(fit.predict_proba(data.iloc[rows]), whole.iloc[rows])
    reordered = data.assign(g=pd.Categorical(data["g"], categories=["unused", "r", "q", "p"]))
    pd.testing.assert_frame_equal(fit.predict_proba(reordered), whole)


def test_factors_of_one_level_are_constant_columns() -> None:
    data = survey().assign(g="only")
    for formula in ("y ~ g", "y ~ x + g", "y ~ x + x:g", "y ~ C(g, contr.sum)"):
        with pytest.raises(ValueError, match="has one level: it is constant"):
            bs.SoftmaxRegression.from_formula(formula, data)
    model = bs.SoftmaxRegression.from_formula("y ~ x + g", data, constant="drop")
    assert model.feature_names == ("x",)
    assert "columns that do not vary were dropped: 'g'" in model.map().notes[-1]
    assert features("0 + g", data)[1] == ("g[only]",)
    assert features("x:g", data)[1] == ("x:g[only]",)
    with pytest.raises(ValueError, match=r"'b\[T.True\]' is constant"):
        bs.SoftmaxRegression.from_formula("y ~ b", data.assign(b=True))


def test_levels_whose_rows_have_weight_zero_are_named_as_such() -> None:
    data = survey()
    weights = (data["g"] != "r").to_numpy() * 1.0
    with pytest.raises(
        ValueError, match=r"'g\[T.r\]' is 0 in every row that counts; it differs only in rows 2, 5, .*, of weight zero"
    ):
        bs.SoftmaxRegression.from_formula("y ~ g", data, weights=weights)
    with pytest.raises(ValueError, match=r"'g\[r\]' is 0 in every row that counts; .* weight zero"):
        bs.SoftmaxRegression.from_formula("y ~ 0 + g", data, weights=weights)
    kept = bs.SoftmaxRegression.from_formula("y ~ g", data, weights=weights, constant="drop")
    assert kept.feature_names == ("g[T.q]",)


RESPONSES = {
    "`CD4+` + `CD8+` ~ x": (("CD4+", "CD8+"), "x"),
    "`a~b` ~ `c~d` + `e+f`": (("a~b",), "`c~d` + `e+f`"),
    "my column ~ x": (("my column",), "x"),
    "y ~ I(g == 'a~b')": (("y",), "I(g == 'a~b')"),
}


@pytest.mark.parametrize(("formula", "sides"), RESPONSES.items(), ids=RESPONSES.keys())
def test_quoted_names_hold_any_sign(formula: str, sides: tuple[tuple[str, ...], str]) -> None:
    assert split_formula(formula) == sides


def test_quoted_names_are_fitted() -> None:
    rng = np.random.default_rng(0)
    data = survey()[["x"]].assign(**{"CD4+": rng.poisson(5, N), "CD8+": rng.poisson(4, N), "a~b": rng.normal(size=N)})
    model = bs.SoftmaxRegression.from_formula("`CD4+` + `CD8+` ~ `a~b` + np.exp(`a~b`)", data)
    assert model.classes == ("CD4+", "CD8+")
    assert model.feature_names == ("a~b", "np.exp(`a~b`)")
    numbered = pd.DataFrame({0: rng.choice(list("ab"), N), 1: data["x"]})
    assert bs.SoftmaxRegression.from_formula("`0` ~ `1`", numbered).feature_names == ("1",)


MESSAGES = {
    "Treatment(g)": "'Treatment' is not known; it goes inside C",
    "C(g, Treatment('s'))": r"'s' is not a level.*\(levels: 'p', 'q', 'r'\)",
    "C(g, 'q')": r"'q' is not a contrast; for 'q' as the first level write contr.treatment\('q'\)",
    "C(g, 3)": "3 is not a contrast",
    "C(g, contr.summ)": "contr.summ is not a contrast; did you mean 'contr.sum'",
    "C(g, contr.sum(1))": r"contr.sum\(\) takes no argument",
    "C(g, contr.poly(scores=[1, 2]))": "scores must have one number for each of the 3 levels",
    "C(x + z)": r"C\(\) takes the name of a column",
    "Q('x')": r"'Q' is not known; .*backticks",
    "offset(x)": "an offset is an argument",
    "ns(x, 3)": r"natural cubic splines are cr\(x, df=4\), B-splines bs\(x, df=4\)",
    "s(x)": r"a smooth curve is cr\(x, df=5\)",
    "x + 1 | g": r"effects of groups are written in parentheses of their own, \(1 \| g\)",
    "x | g": "parentheses of their own",
    "cbind(x, z)": "columns of counts go on the left",
    "weights(z)": r"weights are an argument: from_formula\(\.\.\., weights='z'\)",
    "log1p(x)": r"'log1p\(x\)' is NaN in rows .*; expected finite numbers, but x is -1\.[0-9]+ in row [0-9]+$",
    "I(0 * x / x - z / (0 * z)):g": r"'I\(.*\):g\[p\]' is infinite .*, but x is .* and z is .* in row 0$",
    "math.log(z)": r"'math.log' is not known; write log\(z\)",
    "factor(g)": r"a factor is C\(g\)",
    "relevel(g, ref='q')": r"the first level is chosen by C\(g, contr.treatment\('q'\)\)",
    "interaction(g, h)": r"an interaction is g:h, with its factors g\*h",
    "c(1, 2)": r"a list is written \[1, 2\]",
    "pow(x, 2)": r"a power is I\(x \*\* 2\)",
    "ifelse(x > 0, 1, 0)": r"a condition is I\(x > 0\)",
    "scal(x)": "did you mean 'scale'. use one of log, log1p, .*, C, I, or make it a column of the data first$",
    "g == 'p'": r"unexpected '=='; a comparison is written inside I\(\): I\(g == 'p'\)",
    "x % 2": r"arithmetic is written inside I\(\): I\(x % 2\)",
    "x & z": "an interaction is x:z",
    "g %in% c('p', 'q')": r"one of several levels I\(\(g == 'a'\) \| \(g == 'b'\)\)",
    "I(g %in% c('p'))": "one of several levels is",
    "I(not b)": "'not' is written ~",
    "I(x = 1)": r"a comparison is I\(x == 1\)",
    "I(g > 'p')": "levels have no order; compare them by == or !=",
    "poly(x, 2, raw=TRUE)": "'TRUE' must be .*; write True$",
    "C(g, base='q')": r"the first level is chosen by C\(g, contr.treatment\('q'\)\)",
    "C(g, levels=['q', 'p', 'r'])": "the order of levels is that of a pd.Categorical",
    "log(z, 3)": r"other bases are log2\(x\), log10\(x\) and I\(log\(x\) / log\(3\)\)",
    "bs(x, knots=[99])": "the knot 99 must lie within the range of x, between -2.* and 1",
    "bs(x, df=4": r"'\)' is missing after 'bs\('",
    "(x + z": r"'\)' is missing at its end",
    "x + z)": r"unexpected '\)'; there is no '\(' for it",
    "d$x": r"unexpected '\$' \(columns are named alone, without the data",
    "x + `z": "a backtick is not closed",
    "x, z": "unexpected ','; terms are joined by '\\+'",
    "x and z": "terms are joined by '\\+'",
    "2 + x": r"2 is not a term; a column times a number is I\(2 \* x\)",
    "x + z**2": r"z\*\*2 would be z itself, .*; the power of a column is I\(z \*\* 2\)",
    "poly(x, 2)^2": r"poly\(x, 2\)\^2 would be poly\(x, 2\) itself.*; leave '\^2' out",
    "x + z - xx": "there is no term 'xx' to take away; did you mean 'x'",
    "x + z - x*g": "there is no term 'g' to take away",
    "log(.)": "'.' stands for the other columns as terms, and cannot be part of an expression",
    "cs(x, df=2)": r"'cs\(x, df=2\)': df=2 must be a whole number from 3 to 1000",
    "cs(x)": "give df",
    "bs(x, df=2)": "df=2 must be at least 3 for degree=3",
    "bs(x, df=4, knots=[0])": "give df or knots, not both",
    "bs(x, df=4.5)": "df=4.5 must be a whole number from 1 to 1000",
    "bs(x, df='a')": "df='a' must be a whole number",
    "bs(x, df=z)": "'z' must be a number",
    "bs(x, dff=4)": r"has no argument 'dff' \(arguments: df, knots",
    "bs(x, df=500)": "df=500 is too large for 120 distinct values of x",
    "bs(x, df=5, lower_bound=0)": r"data: column 'x' is .* in rows 2, .*outside the range of bs\(x",
    "bs(x, df=4, extrapolation='no')": "extrapolation='no' must be one of 'raise', 'clip'",
    "cr(k, df=8)": "df=8 is too large for 4 distinct values of k",
    "poly(x, 31)": "degree=31 must be a whole number from 1 to 30",
    "poly(k, 4)": "degree=4 is too large for 4 distinct values of k",
    "poly()": "takes a column",
    "x + I(poly(x, 2) * 2)": "makes several columns, and cannot be part of an expression",
    "scale(I(0 * x))": "the values of I\\(0 \\* x\\) do not vary",
    "poly(I(x * 1e200), 3)": "do not vary, or overflow",
    "scale(np.log(x))": r"'np.log\(x\)' is not a finite number in rows",
    "log(g)": r"column 'g' holds levels \('p', 'q', 'r'\), not numbers; compare it with one of them, I\(g == 'p'\)",
    "I(g == 'z')": "'z' is not a level of 'g'",
    "I(x == 'z')": "column 'x' holds numbers, not 'z'",
    "I(0 < x < 1)": "comparisons do not chain",
    "I(x & z)": "takes comparisons",
    "I(x ^ 2)": r"not numbers; a power is I\(a \*\* 2\)$",
    "I(2)": "reads no column",
    "np.log(x, z)": r"np.log\(\) takes one argument",
    "a.b(x)": "'a.b' is not known",
    "I(x.1 + x)": "written in backticks, `x.1`",
    "x ** 1.5": "whole number",
    "x + + ": "a term is missing at its end",
    "x z": r"an operator is expected before 'z'; write x \+ z, or, if this is the name of one column, `x z`",
    "x + 'z'": "unexpected \"'z'\"; a column is named without quotes",
    "2:x + x": "the term x appears twice, times 2 and times 1",
    "y + x": "'y' is the response",
    "x ~ z": "has a second '~'",
}


@pytest.mark.parametrize(("formula", "message"), MESSAGES.items(), ids=MESSAGES.keys())
def test_messages_point_to_what_there_is(formula: str, message: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        bs.SoftmaxRegression.from_formula(f"y ~ {formula}", survey())


PLAIN = "log log1p log2 log10 exp expm1 exp2 sqrt cbrt square abs sin cos tan tanh arcsinh".split()


@pytest.mark.parametrize("name", PLAIN)
def test_functions_are_called_with_or_without_the_name_of_numpy(name: str) -> None:
    data = survey()
    for written in (name, f"np.{name}"):
        X, names = features(f"{written}(z)", data)
        assert names == (f"{written}(z)",)
        assert_array_equal(X[:, 1], getattr(np, name)(data["z"]))


def test_terms_may_be_taken_away_that_are_there() -> None:
    data = survey()
    assert features("x*z - x", data)[1] == ("z", "x:z")
    assert features("x + z + g - (x + g)", data)[1] == ("z",)
    assert features("x + z + x:z - x*z", data)[1] == ()
    assert features("0 + x - 1", data)[1] == ("x",)


LEFT = {
    "C(y) ~ x": "labels of any type are classes as they are: 'y ~ ...'",
    "factor(y) ~ x": "'y ~ ...'",
    "np.log(y) ~ x": "the response is the name of a column, not 'np.log.y.'; labels",
    "Q('a b') ~ x": "'`a b` ~ ...'",
    "'y' ~ x": "write it without quotes, or in backticks: y",
    "n | trials(k) ~ x": "columns of counts, one for each class",
    "(y) ~ x": "it needs no parentheses",
    ". ~ x": "'.' stands for terms on the right",
    "+ y ~ x": "a response on each side of '.'",
    "cbind(a, b) ~ x": "'a [+] b ~ ...'",
    "y + ~ x": "needs a response",
    "~ x": "needs a response",
    "y ~": "needs terms on the right of '~'; 'y ~ 1' has the intercept alone",
    "y ~ \n": "needs terms on the right",
    "y = x": "must have one '~', between the response and the terms",
}


@pytest.mark.parametrize(("formula", "message"), LEFT.items(), ids=LEFT.keys())
def test_messages_for_the_left_side(formula: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bs.SoftmaxRegression.from_formula(formula, survey())


def test_messages_for_new_data() -> None:
    data = survey()
    fit = bs.SoftmaxRegression.from_formula("y ~ bs(x, df=4) + C(k)", data).map()
    new = data.iloc[:3].assign(x=[0.0, 99.0, 0.0])
    with pytest.raises(ValueError, match=r"column 'x' is 99 in row 1, outside the range of bs\(x, df=4\), -2.* to 1"):
        fit.predict_proba(new)
    with pytest.raises(ValueError, match=r"column 'k' has level 3 in row 1, which .*\(levels: 1, 2, 4, 7\)"):
        fit.predict_proba(data.iloc[:3].assign(k=[1, 3, 1]))
    with pytest.raises(TypeError, match=r"column 'k' has dtype .*; the model was fitted with numbers"):
        fit.predict_proba(data.iloc[:3].assign(k=["1", "2", "4"]))
    labelled = data.assign(k=pd.Categorical(data["k"]))
    with pytest.raises(ValueError, match=r"column 'k' has level '1' in row 0.*: level 1 is of type int, not str"):
        bs.SoftmaxRegression.from_formula("y ~ k", labelled)._spec.schema.encode(pd.DataFrame({"k": ["1"]}))
    object_numbers = data.assign(x=data["x"].astype(object))
    pd.testing.assert_frame_equal(fit.predict_proba(object_numbers), fit.predict_proba(data))


def test_many_levels_are_listed_shortly() -> None:
    many = pd.DataFrame({"g": [f"level {i}" for i in range(3000)], "y": np.resize(list("ab"), 3000)})
    with pytest.warns(UserWarning, match="column 'g' has 3000 levels in 3000 rows"):
        schema = bs.SoftmaxRegression.from_formula("y ~ g", many)._spec.schema
    with pytest.raises(ValueError, match=r"and 2995 more.*did you mean 'level 100'") as raised:
        schema.encode(pd.DataFrame({"g": ["levl 100"]}))
    assert len(str(raised.value)) < 400
    with pytest.raises(ValueError, match="and 2995 more") as raised:
        bs.SoftmaxRegression.from_formula("y ~ I(g == 'x')", many)
    assert len(str(raised.value)) < 400


def test_messages_do_not_repeat_long_expressions() -> None:
    long = "z" * 3000
    for formula in (
        f"I(g == '{long}')",
        f"C(g, '{long}')",
        f"C(g, contr.treatment('{long}'))",
        f"bs(x, df='{long}')",
        f"log({' + '.join(['x'] * 80)}, z)",
        f"foo('{long}')",
        f"x '{long}'",
    ):
        with pytest.raises(ValueError, match="formula: ") as raised:
            bs.SoftmaxRegression.from_formula(f"y ~ {formula}", survey())
        assert len(str(raised.value)) < 700, str(raised.value)


def test_two_features_of_one_name_are_refused() -> None:
    data = survey().assign(**{"x:z": 1.0 * np.arange(N), "g[T.q]": 1.0 * np.arange(N)})
    for formula, name in (("x*z + `x:z`", "x:z"), ("g + `g[T.q]`", "g[T.q]"), (". - y", "g[T.q]")):
        with pytest.raises(ValueError, match=re.escape(f"two features would be called {name!r}; rename the column")):
            bs.SoftmaxRegression.from_formula(f"y ~ {formula}", data)
    assert features("x + `x:z`", data)[1] == ("x", "x:z")
    assert features("x:z", data)[1] == ("x:z",)


def test_measured_numbers_are_no_levels() -> None:
    with pytest.raises(
        ValueError, match=r"C\(\) of column 'x' would make a level of each of 120 different numbers in 120"
    ):
        features("C(x)", survey())
    with pytest.warns(UserWarning, match="column 'k' has 60 levels in 120 rows"):  # numbers of households
        assert len(features("C(k)", survey().assign(k=np.arange(N) // 2))[1]) == N // 2 - 1
    halves = survey().assign(k=np.resize([0.5, 1.5, 2.5], N))
    assert features("C(k)", halves)[1] == ("C(k)[T.1.5]", "C(k)[T.2.5]")


def test_columns_of_lists_are_refused_by_name() -> None:
    data = survey().assign(l=[[1], [2]] * (N // 2))
    for formula in ("y ~ l", "y ~ C(l)", "y ~ x:l"):
        with pytest.raises(TypeError, match="column 'l' has dtype object with values of type list; expected numbers"):
            bs.SoftmaxRegression.from_formula(formula, data)


def test_columns_of_several_levels_are_refused_by_name() -> None:
    data = survey()[["x", "z"]]
    data.columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "z")])
    for make in (
        lambda: bs.SoftmaxRegression.from_formula("y ~ x", data),
        lambda: bs.SoftmaxRegression(data, survey()["y"]),
    ):
        with pytest.raises(ValueError, match=r"columns of 2 levels, such as \(a, x\)"):
            make()


# ---------------------------------------------------------------------- files of earlier versions


def test_files_of_earlier_versions_are_read_as_they_were_written() -> None:
    """Booleans and comparisons were numbers, levels of C() floats, exp10(x) was x**10."""
    stored = json.loads(Path(__file__).with_name("schema_version_2.json").read_text())
    data = pd.DataFrame(stored["data"])
    for case in stored["cases"]:
        schema = schema_from_json(case["schema"])
        X, _ = schema.encode(data)
        assert_allclose(X, case["X"], rtol=1e-12, atol=1e-12)
        again = schema_from_json(schema.to_json())
        assert again.feature_names == schema.feature_names
        assert_array_equal(again.encode(data)[0], X)


def test_texts_of_earlier_versions_may_hold_what_had_no_effect() -> None:
    data = survey()
    encoder = bs.SoftmaxRegression.from_formula("y ~ x + z", data)._spec.schema.encoder
    older = {key: value for key, value in encoder.to_data().items() if key not in ("terms", "edition")}
    for text_of in ("x**2 + z", "x + z - k", "x^3 + z - (k + x:z)"):
        again = encoder_from_data({**older, "formula": text_of})
        assert_array_equal(again.encode(data)[0], encoder.encode(data)[0])
    with pytest.raises(ValueError, match="operator is expected"):
        encoder_from_data({**older, "formula": "x z"})


def test_splines_of_the_second_edition_keep_all_their_columns() -> None:
    """Beside an intercept they are collinear: fits that were stored with them are read as they were fitted."""
    data = survey()
    formula = "y ~ cr(x, df=4) + bs(z, df=4, include_intercept=True)"
    encoder = bs.SoftmaxRegression.from_formula(formula, data)._spec.schema.encoder
    stored = encoder.to_data()
    assert encoder.feature_names[:3] == tuple(f"cr(x, df=4)[{j}]" for j in (2, 3, 4))
    older = encoder_from_data({**stored, "edition": 2})
    assert older.feature_names == ("cr(x, df=4)[1]", *encoder.feature_names)
    X = older.encode(data)[0]
    assert_array_equal(X[:, 1:], encoder.encode(data)[0])
    assert_allclose(X[:, :4].sum(axis=1), 1.0)
    assert encoder_from_data(older.to_data()).feature_names == older.feature_names
    with pytest.raises(ValueError, match="edition 4; this version reads up to 3"):
        encoder_from_data({**stored, "edition": 4})


def test_what_is_stored_is_terms() -> None:
    formula = "np.log(z):g + bs(x, df=4) + C(k, contr.treatment(2))"
    schema = bs.SoftmaxRegression.from_formula(f"y ~ {formula}", survey())._spec.schema
    fields = schema.to_json()
    assert '["call", "np.log", [["column", "z", false]], []]' in fields
    again = schema_from_json(fields)
    assert again.to_json() == fields
    assert_array_equal(again.encode(survey())[0], schema.encode(survey())[0])


# ---------------------------------------------------------------------- expressions

LEAVES = st.sampled_from(["x", "z", "2", "0.5", "np.log(z)"])
BINARIES = sorted(set(BINARY) - COMPARISONS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(BINARIES), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        st.tuples(inner, st.sampled_from(BINARIES), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        st.tuples(st.sampled_from("+-~"), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(sorted(COMPARISONS)), inner).map(lambda t: f"(({t[0]}) {t[1]} ({t[2]}))"),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TREES)
def test_expressions_are_read_and_written_as_python_does(expression: str) -> None:
    """``ast.unparse`` is the oracle for precedence, and for the names of features."""
    reader = Reader(expression)
    tree = reader.expression()
    assert reader.next.kind == "end"
    assert text(tree) == ast.unparse(ast.parse(expression, mode="eval"))


@pytest.mark.parametrize("order", list(itertools.permutations("stu")))
@pytest.mark.parametrize("fitted", ["strings", "categories"])
def test_the_order_of_the_categories_of_new_data_changes_nothing(order: tuple[str, ...], fitted: str) -> None:
    """pandas takes two types of the same categories in another order for equal: levels were exchanged silently."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {"y": rng.choice(list("abc"), 150), "g": rng.choice(list("stu"), 150), "x": rng.normal(size=150)}
    )
    if fitted == "categories":
        data["g"] = pd.Categorical(data["g"], categories=list("uts"))
    fit = bs.SoftmaxRegression.from_formula("y ~ g + x", data, prior=bs.Normal(1.0)).map()
    other = data.assign(g=pd.Categorical(data["g"].astype(str), categories=list(order)))
    np.testing.assert_array_equal(fit.predict_proba(other), fit.predict_proba(data))
    assert fit.evaluate(other).log_loss == fit.evaluate(data).log_loss
    np.testing.assert_allclose(fit.effects(data=other), fit.effects(data=data), rtol=1e-12)
