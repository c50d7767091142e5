"""What is no data, and columns that are no numbers: each is named, with what to pass instead."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from scipy import sparse

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
FRAME = pd.DataFrame(X, columns=["a", "b"], index=range(100, 160))
GROUP = np.where(np.arange(60) % 2 == 0, "p", "q")
FACTORS = r"; expected numbers. For factors use a formula, .*from_formula\('y ~ .', data\), or .* pd.get_dummies\(X"

NO_DATA = {
    "name of a file": ("sales.csv", r"X='sales.csv' names a file; read it first: pandas.read_csv\('sales.csv'\)"),
    "path": (Path("sales.feather"), r"X='sales.feather' names a file; .* pandas.read_feather\('sales.feather'\)"),
    "formula": ("y ~ a", r"X='y ~ a' is a formula: SoftmaxRegression.from_formula\('y ~ a', data\)"),
    "set": ({1, 2}, "X is a set, which has no order; expected an array or a data frame"),
    "generator": ((row for row in X), r"X is an iterator of type generator, which .*, list\(X\)"),
    "groups": (FRAME.assign(g=GROUP).groupby("g"), "X is of type DataFrameGroupBy; expected an array or a data frame$"),
    "number": (3.0, r"X is of type float \(3.0\); expected an array or a data frame"),
}


@pytest.mark.parametrize(("value", "text"), NO_DATA.values(), ids=NO_DATA)
def test_what_is_no_data_is_named_with_a_remedy(value: object, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        bs.SoftmaxRegression(value, CODES)


RESPONSES = {
    "name of a column": ("species", r"y='species' is text; expected labels, or rows of counts: y=data\['species'\]"),
    "set": ({"a", "b"}, "y is a set, which has no order; expected labels"),
    "generator": ((k for k in CODES), r"y is an iterator of type generator; expected labels, .*: list\(y\)"),
    "frame of one column": (pd.DataFrame({"kind": CODES}), r"y is a data frame of one column; .*: y\['kind'\]"),
    "array of one column": (CODES[:, None], r"y has shape \(60, 1\); give labels in one dimension: y.ravel\(\)"),
}


@pytest.mark.parametrize(("value", "text"), RESPONSES.values(), ids=RESPONSES)
def test_what_is_no_response_is_named_with_a_remedy(value: object, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        bs.SoftmaxRegression(X, value)


def test_weights_are_one_number_for_each_row() -> None:
    for weights, text in (
        ({0: 1.0, 1: 2.0, 2: 3.0}, r"weights is a dict; .*: weights of classes are y.map\({class: weight}\)"),
        ("balanced", "weights='balanced' would name a column of a data frame, and the data is none; give one number"),
        (2.0, r"weights is of type float \(2.0\); expected one number for each row"),
        (np.ones(3), r"weights has shape \(3,\); expected \(60,\), one number for each row"),
        (pd.Series(GROUP), r"weights: column 'weights' is text \('p' in row 0\); expected numbers"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            bs.SoftmaxRegression(X, CODES, weights=weights)


COLUMNS = {
    "text": (FRAME.assign(g=GROUP), r"X: column 'g' is text \('p' in row 100\)" + FACTORS),
    "objects": (FRAME.assign(g=GROUP.astype(object)), r"X: column 'g' is text \('p' in row 100\)" + FACTORS),
    "categorical": (FRAME.assign(g=pd.Categorical(GROUP)), r"X: column 'g' is categorical \('p' in row 100\)"),
    "levels that are numbers": (FRAME.assign(g=pd.Categorical(CODES)), r"X: column 'g' is categorical \([012] in row"),
    "intervals": (FRAME.assign(g=pd.cut(X[:, 0], 2)), r"X: column 'g' is categorical \(\(.*\] in row 100\)" + FACTORS),
    "first value missing": (FRAME.assign(g=[None, *GROUP[1:]]), r"X: column 'g' is text \('q' in row 101\)"),
    "several": (
        FRAME.assign(g=GROUP, h=pd.Categorical(GROUP)),
        r"X: columns 'g', 'h' are text or categorical \('p' in row 100\)" + FACTORS,
    ),
    "polars": (pl.DataFrame({"a": X[:, 0], "g": GROUP.tolist()}), r"X: column 'g' is text \('p' in row 0\)" + FACTORS),
    "array": (FRAME.assign(g=GROUP).to_numpy(), "X: column 'x2' is the text 'p' in row 0; expected real numbers. For"),
    "written numbers": (
        FRAME.astype(str),
        r"X: column 'a' is text \('.*' in row 100\); .* convert it with .astype\(flo",
    ),
    "a slip": (
        FRAME.assign(a=["n/a" if i == 3 else str(v) for i, v in enumerate(X[:, 0])]),
        r"X: column 'a' has text among its numbers \('n/a' in row 103\); pd.to_numeric\(X\['a'\], errors='coerce'\)",
    ),
    "dates": (
        FRAME.assign(t=pd.date_range("2020-01-01", periods=60)),
        r"'t' has dtype datetime64.* \(2020-01-01 .* in row 100\); .*: \(X\['t'\] - X\['t'\].min\(\)\).dt.days",
    ),
    "durations": (
        FRAME.assign(t=pd.to_timedelta(np.arange(60), "s")),
        r"such as seconds: X\['t'\].dt.total_seconds\(\)",
    ),
    "periods": (FRAME.assign(t=pd.period_range("2020", periods=60)), r"'t' has dtype period.D. \(2020-01-01 in row"),
}


@pytest.mark.parametrize(("value", "text"), COLUMNS.values(), ids=COLUMNS)
def test_columns_that_are_no_numbers(value: object, text: str) -> None:
    with pytest.raises(TypeError, match=text) as caught:
        bs.SoftmaxRegression(value, CODES)
    assert len(str(caught.value)) < 300


def test_what_the_messages_advise_works() -> None:
    X_with_factor = FRAME.assign(g=GROUP)
    dummies = bs.SoftmaxRegression(pd.get_dummies(X_with_factor, drop_first=True), CODES).map()
    formula = bs.SoftmaxRegression.from_formula("y ~ a + b + g", X_with_factor.assign(y=CODES.astype(str))).map()
    assert dummies.log_posterior == pytest.approx(formula.log_posterior)
    dates = FRAME.assign(t=pd.date_range("2020-01-01", periods=60))
    bs.SoftmaxRegression(dates.assign(t=(dates["t"] - dates["t"].min()).dt.days), CODES)


def test_new_data_of_an_array_model_are_numbers_too() -> None:
    fit = bs.SoftmaxRegression(FRAME, CODES).map()
    with pytest.raises(TypeError, match=r"data: column 'a' is text \('p' in row 100\); .*the model was fitted with$"):
        fit.predict(FRAME.assign(a=GROUP))
    with pytest.raises(ValueError, match=r"data has shape \(3, 5\); expected \(N, 2\), the features 'a', 'b'$"):
        fit.predict(np.ones((3, 5)))
    with pytest.raises(
        ValueError, match="data: column 'a' has a missing value in row 100; fill it, or pass missing='nan'"
    ):
        fit.predict(FRAME.assign(a=[np.nan, *X[1:, 0]]))
    with pytest.raises(ValueError, match="X: column 'a' is NaN in row 100; fill it, or pass missing='drop'"):
        bs.SoftmaxRegression(FRAME.assign(a=[np.nan, *X[1:, 0]]), CODES)


WITHOUT_NAMES = {
    "array": (X, r"data is an array of shape \(60, 2\); .* 'a', 'g': pandas.DataFrame\(data, columns=\[...\]\)"),
    "list": (
        [[1.0, "p"]],
        r"data is an array of shape \(1, 2\); the formula needs a data frame with the columns 'a', 'g'",
    ),
    "sparse": (sparse.csr_array(X), r"data is an array of shape \(60, 2\)"),
    "xarray": (xr.DataArray(X), r"data is an array of shape \(60, 2\)"),
    "a row": (pd.Series({"a": 1.0, "g": "p"}), r"data is a series of 2 values; .*: for one row, data.to_frame\(\).T"),
    "a column": (FRAME["a"], r"data is a series of 60 values; .*: for one column, data.to_frame\(\)"),
    "a dict": ({"a": 1.0, "g": "p"}, r"data is a dict; .*: pandas.DataFrame\(\[data\]\)"),
    "a dict of columns": ({"a": [1.0], "g": ["p"]}, r"data is a dict; .*: pandas.DataFrame\(data\)"),
    "nothing": (None, "data is None; the formula needs a data frame with the columns 'a', 'g'$"),
    "a file": ("new.csv", r"data='new.csv' names a file; read it first: pandas.read_csv"),
}


@pytest.mark.parametrize("missing", ["error", "nan"])
@pytest.mark.parametrize(("data", "text"), WITHOUT_NAMES.values(), ids=WITHOUT_NAMES)
def test_a_formula_reads_columns_by_name(data: object, text: str, missing: str) -> None:
    fit = bs.SoftmaxRegression.from_formula("y ~ a + g", FRAME.assign(g=GROUP, y=CODES.astype(str))).map()
    with pytest.raises(TypeError, match=text):
        fit.predict_proba(data, missing=missing)
    row = pd.Series({"a": 1.0, "g": "p"})
    assert fit.predict(row.to_frame().T).tolist() == fit.predict(pd.DataFrame([dict(row)])).tolist()


def test_formula_and_data_are_told_apart() -> None:
    with pytest.raises(TypeError, match=r"the wrong way round: from_formula\('y ~ a', data\)"):
        bs.SoftmaxRegression.from_formula(FRAME, "y ~ a")  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"data has shape \(60, 2\) and no names of columns; .*SoftmaxRegression\(X, y\)"
    ):
        bs.SoftmaxRegression.from_formula("y ~ a", X)
    with pytest.raises(ValueError, match="data has no column 'A'; did you mean 'a'"):
        bs.SoftmaxRegression.from_formula("a ~ A", FRAME)


def test_names_that_appear_twice_are_those_of_their_argument() -> None:
    with pytest.raises(ValueError, match="X has columns of the same name: 'a' twice; names must be unique"):
        bs.SoftmaxRegression(FRAME.set_axis(["a", "a"], axis=1), CODES)
    with pytest.raises(ValueError, match="feature_names has 'a' 3 times"):
        bs.SoftmaxRegression(np.c_[X, X[:, 0]], CODES, ["a"] * 3)
    with pytest.raises(ValueError, match="X: 'intercept' is the name of the intercept"):
        bs.SoftmaxRegression(FRAME.set_axis(["a", "intercept"], axis=1), CODES)


def test_rows_with_long_labels_make_short_messages() -> None:
    long = FRAME.set_axis([f"{i} {'long ' * 500}\n" for i in range(60)])
    with pytest.raises(
        ValueError, match=r"column 'a' is NaN in rows 0 long .*\.\.\., 1 long .* \(and 55 more\)"
    ) as caught:
        bs.SoftmaxRegression(long.assign(a=np.nan), CODES)
    assert len(str(caught.value)) < 350
    assert "\n" not in str(caught.value)
