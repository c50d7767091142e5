"""Data in the containers people have them in, and numbers that are numbers in disguise or none at all."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
FRAME = pd.DataFrame(X, columns=["a", "b"])

TAKEN: dict[str, Callable[[np.ndarray], object]] = {
    "lists": lambda v: v.tolist(),
    "tuples of tuples": lambda v: tuple(map(tuple, v.tolist())),
    "objects": lambda v: v.astype(object),
    "decimals": lambda v: [[Decimal(float(x)) for x in row] for row in v],
    "fractions": lambda v: [[Fraction(float(x)) for x in row] for row in v],
    "column-major": np.asfortranarray,
    "every second of twice": lambda v: np.repeat(v, 2, axis=0)[::2],
    "big-endian": lambda v: v.astype(">f8"),
    "long doubles": lambda v: v.astype(np.longdouble),
    "matrix": lambda v: v.view(np.matrix),
    "scipy sparse array": sparse.csr_array,
    "scipy sparse matrix": sparse.coo_matrix,
    "xarray": lambda v: xr.DataArray(v, dims=("obs", "feature")),
    "pandas": pd.DataFrame,
    "pandas objects": lambda v: pd.DataFrame(v).astype(object),
    "pandas arrow": lambda v: pd.DataFrame(v).convert_dtypes(dtype_backend="pyarrow"),
    "pandas sparse": lambda v: pd.DataFrame(v).astype(pd.SparseDtype(float)),
    "polars": lambda v: pl.DataFrame(v, schema=["0", "1"]),
    "pyarrow": lambda v: pa.table({"0": v[:, 0], "1": v[:, 1]}),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)
def test_features_in_every_container(make: Callable[[np.ndarray], object]) -> None:
    model = bs.SoftmaxRegression(make(X), CODES)
    assert_array_equal(model._spec.design.X, X)
    fit = model.map()
    assert_allclose(fit.predict_proba(make(X)), bs.SoftmaxRegression(X, CODES).map().predict_proba(X), rtol=1e-10)
    assert fit.predict_proba(make(X), missing="nan").notna().to_numpy().all()
    assert fit.evaluate(make(X), y=CODES).n_observations == 60
    assert_allclose(fit.effects(data=make(X))["estimate"], fit.effects()["estimate"], atol=1e-12)


def test_what_is_given_is_copied_and_not_mutated() -> None:
    given, weights, offset = X.copy(), np.ones(60), np.zeros((60, 3))
    model = bs.SoftmaxRegression(given, CODES, weights=weights, offset=offset)
    for array in (given, weights, offset):
        before = array.copy()
        model.map()
        assert_array_equal(array, before)
        array += 100.0
    assert model._spec.design.X.max() < 100
    assert model._spec.design.weights.max() == 1
    assert model._spec.design.offset.max() == 0


WRONG = {
    "lazy": (pl.DataFrame(X).lazy(), TypeError, r"y must name the column of labels of X, the lazy frame"),
    "huge sparse": (sparse.csr_array((10**6, 10**5)), ValueError, r"X is a sparse matrix .* takes 745.1 GiB"),
    "dataset": (xr.Dataset({"a": ("i", X[:, 0])}), TypeError, r"X is an xarray Dataset; .*X.to_dataframe\(\)"),
    "dict": ({"a": X[:, 0]}, TypeError, r"X is a dict; make it a data frame first: pandas.DataFrame\(X\)"),
    "text": (
        X.astype(str),
        TypeError,
        r"X: column 'x0' is the text .* in row 0; .*them with .astype\(float\)",
    ),
    "a word": (
        [[1.0, 2.0], [3.0, "x"]] * 30,
        TypeError,
        "X: column 'x1' is the text 'x' in row 1; expected real",
    ),
    "complex": (np.where(X[4, 1] == X, 1j, X), TypeError, "X: column 'x0' is complex"),
    "complex column": (FRAME.assign(b=X[:, 0] + 1j), TypeError, r"X: column 'b' is complex \(.*1j\) in row 0\)"),
    "dates": (X.astype("M8[s]"), TypeError, "X: column 'x0' has .* of type datetime in row 0; expected real numbers"),
    "one dimension": (X[:, 0], ValueError, r"X has shape \(60,\); .*one column is X.reshape\(-1, 1\)"),
    "ragged": ([[1.0], [2.0, 3.0]], ValueError, "X: its rows have different lengths"),
    "too large": (
        np.where(X[4, 1] == X, 1e200, X),
        ValueError,
        r"X: column 'x1' is 1e\+200 in row 4; squares",
    ),
    "far too large": ([[10**400, 1.0]] * 60, ValueError, "X: column 'x0' is infinite in rows 0, 1"),
    "all too small": (X * 1e-200, ValueError, "X: column 'x0' is constant .its values, from .*: change its unit"),
    "two levels": (
        FRAME.set_axis(pd.MultiIndex.from_tuples([("u", 1), ("u", 2)]), axis=1),
        ValueError,
        "of 2 levels",
    ),
}


@pytest.mark.parametrize(("features", "error", "text"), WRONG.values(), ids=WRONG)
def test_features_that_are_refused(features: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        bs.SoftmaxRegression(features, CODES)


def test_rows_of_a_row_and_columns_by_number() -> None:
    mixed = FRAME.assign(b=X[:, 1] > 0)
    fit = bs.SoftmaxRegression(mixed, CODES).map()
    row = mixed.iloc[3].to_frame().T  # the hint of the message for one dimension
    assert row.dtypes.eq(object).all()
    assert_allclose(fit.predict_proba(row), fit.predict_proba(mixed.iloc[[3]]), rtol=1e-12)
    formula = bs.SoftmaxRegression.from_formula("y ~ a + b", FRAME.assign(y=CODES.astype(str))).map()
    assert_allclose(formula.predict_proba(FRAME.astype(object)), formula.predict_proba(FRAME), rtol=1e-12)
    with pytest.raises(
        TypeError,
        match=r"data is an array of shape \(60, 2\); the formula needs a data frame with the columns 'a', 'b'",
    ):
        formula.predict_proba(X)


def test_variables_by_number() -> None:
    plain, numbered = bs.SoftmaxRegression(X, CODES).map(), bs.SoftmaxRegression(pd.DataFrame(X), CODES).map()
    assert plain.effects(1).index[0][0] == "x1"
    assert plain.effects([0]).index[0][0] == "x0"
    assert numbered.effects(1).index[0][0] == "1"
    named = bs.SoftmaxRegression(FRAME, CODES).map()
    for fit, features in ((plain, 2), (plain, -1), (named, 0)):
        with pytest.raises(ValueError, match=rf"features: {features} is not a variable of the model \("):
            fit.effects(features)


def test_priors_are_equal_where_their_numbers_are() -> None:
    for made in (bs.StudentT(4, 2.5), bs.StudentT(np.int64(4), Decimal("2.5")), bs.StudentT(4.0, Fraction(5, 2))):
        assert made == bs.StudentT(4.0, 2.5)
        assert hash(made) == hash(bs.StudentT(4.0, 2.5))
        assert repr(made) == "StudentT(df=4.0, scale=2.5)"
        assert str(made) == "StudentT(4, 2.5)"
        assert {type(made.df), type(made.scale)} == {float}
    assert type(bs.Normal(np.float32(0.5)).scale) is float
    assert bs.R2D2(mean=Fraction(1, 2), precision=4) == bs.R2D2()
    assert bs.Normal(bs.HalfStudentT(3, 1)) == bs.Normal(bs.HalfStudentT(3.0, 1.0))
    with pytest.raises(ValueError, match=r"Normal: scale=1000.*00 must be positive and finite"):
        bs.Normal(10**400)


def test_what_is_not_there_is_pointed_to() -> None:
    with pytest.raises(TypeError, match=r"there is no fit\(X, y\), but SoftmaxRegression\(X, y\).map\(\)"):
        bs.SoftmaxRegression()
    fit = bs.SoftmaxRegression(X, CODES).map()
    with pytest.raises(TypeError, match=r"2 fits came without one: compare\(mle=a, map=b\)"):
        bs.compare(fit, fit)
    with pytest.raises(TypeError, match=r"a is of type SoftmaxRegression.*fit a model first: model.map\(\)"):
        bs.compare(a=bs.SoftmaxRegression(X, CODES))
    with pytest.raises(ValueError, match="weights: data has no column 'ww'; did you mean 'w'"):
        bs.SoftmaxRegression.from_formula("y ~ a", FRAME.assign(y=CODES.astype(str), w=1.0), weights="ww")
    with pytest.raises(ValueError, match="offset names the columns 'p', 'q', 'r', but the data is not a data frame"):
        bs.SoftmaxRegression(X, CODES, offset=["p", "q", "r"])
    labels = np.array(["low", "mid", "top"])[CODES]
    with pytest.raises(ValueError, match=r"offset has a column for 'tpo', which is no class; .*; did you mean 'top'\?"):
        bs.SoftmaxRegression(FRAME, labels, offset={"low": "a", "mid": "b", "top": "a", "tpo": "b"})


def test_one_of_a_kind_is_singular() -> None:
    model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "a"])
    assert "1 feature, 3 rows" in repr(model)
    draws = model.laplace(random_seed=1, progressbar=False)
    assert "1 chain x 4000 draws, 2 classes, 1 feature\n" in repr(draws)
    X = [[0.0], [1.0], [2.0], [np.nan]]
    dropped = bs.SoftmaxRegression(X, ["a", "b", "a", "a"], missing="drop")
    assert "1 row with missing values was dropped" in dropped.map().notes
