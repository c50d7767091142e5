"""New data in every form: missing values, offsets, arrays that are no rows, values that overflow."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from tests.conftest import simulate


@pytest.fixture(scope="module")
def fits(overlapping: bs.SoftmaxRegression, drawn: bs.Posterior) -> dict[str, bs.PointEstimate | bs.Posterior]:
    return {"map": overlapping.map(), "sample": drawn}


@pytest.mark.parametrize("kind", ["map", "sample"])
def test_missing_values_give_missing_answers_on_request(fits, penguins, kind) -> None:
    fit, new = fits[kind], penguins.iloc[:4].set_axis(list("abcd")).copy()
    new.loc["b", "sex"] = None
    new.loc["d", "bill_length_mm"] = np.nan
    with pytest.raises(ValueError, match=r"'bill_length_mm' has a missing value in row d|'sex' has a missing value"):
        fit.predict_proba(new)
    table = fit.predict_proba(new, missing="nan")
    assert table.isna().all(axis=1).tolist() == [False, True, False, True]
    assert_allclose(table.loc[["a", "c"]], fit.predict_proba(new.loc[["a", "c"]]), rtol=1e-12)
    assert fit.predict_proba(new, 0.9, missing="nan").isna().all(axis=1).tolist() == [False, True, False, True]
    labels = fit.predict(new, missing="nan")
    assert labels.isna().tolist() == [False, True, False, True]
    assert labels["a"] == fit.predict(new.loc[["a"]])["a"]
    assert fit.uncertainty(new, missing="nan")["total"].isna().tolist() == [False, True, False, True]
    with pytest.raises(ValueError, match="missing='skip' is not known"):
        fit.predict(new, missing="skip")


OFFSETS = {
    "names": lambda data: ["o1", "o2", "o3"],
    "by class": lambda data: {0: "o1", 1: "o2", 2: "o3"},
    "tuple of rows": lambda data: tuple(map(tuple, data[["o1", "o2", "o3"]].to_numpy())),
    "array": lambda data: data[["o1", "o2", "o3"]].to_numpy(),
    "frame": lambda data: data[["o1", "o2", "o3"]].set_axis([0, 1, 2], axis=1),
}


@pytest.mark.parametrize("form", OFFSETS)
def test_offsets_in_every_form_beside_missing_values(form) -> None:
    X, y = simulate(30, 1, 3)
    data = pd.DataFrame(np.random.default_rng(1).normal(size=(30, 3)), columns=["o1", "o2", "o3"]).assign(x=X[:, 0])
    fit = bs.SoftmaxRegression(data[["x"]], y, offset=data[["o1", "o2", "o3"]].to_numpy()).map()
    new = data.iloc[:6].copy()
    offset = OFFSETS[form](new)
    expected = fit.predict_proba(new, offset=offset)
    new.loc[[1, 4], "x"] = np.nan
    found = fit.predict_proba(new, offset=offset, missing="nan")
    assert found.isna().all(axis=1).tolist() == [False, True, False, False, True, False]
    assert_allclose(found.drop(index=[1, 4]), expected.drop(index=[1, 4]), rtol=1e-12)
    if form in ("names", "by class"):  # columns of the data: a missing value there is one of the row
        new.loc[0, "o2"] = np.nan
        found = fit.predict_proba(new, offset=offset, missing="nan")
        assert found.isna().all(axis=1).tolist() == [True, True, False, False, True, False]
    if form == "frame":
        with pytest.raises(ValueError, match="offset is not aligned with data"):
            fit.predict_proba(new, offset=offset.iloc[::-1], missing="nan")


@pytest.mark.parametrize("missing", ["error", "nan"])
@pytest.mark.parametrize(
    ("new", "error", "text"),
    [
        ([["a", "b"]], TypeError, "data: column 'x0' is the text 'a' in row 0; expected real numbers"),
        (
            np.array([["a", None]], dtype=object),
            TypeError,
            "data: column 'x0' is the text 'a' in row 0; expected real numbers",
        ),
        (
            np.zeros(2),
            ValueError,
            r"data has shape \(2,\); expected \(N, 2\), the features 'x0', 'x1'; one row is .*, or row.to_frame",
        ),
        (pd.Series({"x0": 1.0, "x1": 2.0}), ValueError, r"data has shape \(2,\).*row.to_frame\(\).T"),
        (np.zeros((2, 3)), ValueError, r"data has shape \(2, 3\); expected \(N, 2\), the features 'x0', 'x1'$"),
    ],
)
def test_arrays_that_are_not_numbers_in_rows(new, error, text, missing) -> None:
    fit = bs.SoftmaxRegression(*simulate(30, 2, 3)).map()
    with pytest.raises(error, match=text):
        fit.predict_proba(new, missing=missing)
    some = np.array([[0.1, None], [0.2, 0.3]], dtype=object)
    assert fit.predict_proba(some, missing="nan").isna().all(axis=1).tolist() == [True, False]


def test_a_formula_needs_a_frame_and_rows_may_all_be_missing(fits, penguins) -> None:
    with pytest.raises(TypeError, match=r"data is an array of shape \(1, 2\); the formula needs a data frame"):
        fits["map"].predict_proba([[1.0, "male"]], missing="nan")
    none = penguins.iloc[:2].assign(bill_length_mm=np.nan)
    assert fits["map"].predict_proba(none, 0.9, missing="nan").isna().to_numpy().all()


def test_one_column_is_not_one_row() -> None:
    fit = bs.SoftmaxRegression(*simulate(30, 1, 3)).map()
    with pytest.raises(ValueError, match=r"expected \(N, 1\), the feature 'x0'; one column is X.reshape\(-1, 1\)"):
        fit.predict(np.zeros(5))
    with pytest.raises(ValueError, match=r"expected \(N, 1\), the feature 'x0'; one row is \[\[...\]\]"):
        fit.predict(np.zeros(1))


@pytest.mark.parametrize("value", [1e200, -1e308])
@pytest.mark.parametrize("kind", ["map", "sample"])
def test_logits_that_overflow_are_named(fits, penguins, kind, value) -> None:
    fit = fits[kind]
    new = penguins.iloc[:3].set_axis(list("abc")).assign(bill_length_mm=[40.0, value, 41.0])
    cost = pd.DataFrame(1.0 - np.eye(3), columns=fit.classes)
    for answer in (
        lambda new: fit.predict_proba(new, 0.9),
        lambda new: fit.predict(new),
        lambda new: fit.uncertainty(new, missing="nan"),
        lambda new: fit.decide(new, cost),
        lambda new: fit.evaluate(new),
    ):
        with pytest.raises(ValueError, match=r"logits overflow in row b: column 'bill_length_mm' is .*e\+"):
            answer(new)


def test_offsets_that_overflow_and_logits_that_just_do_not() -> None:
    X, y = simulate(30, 1, 3)
    fit = bs.SoftmaxRegression(X, y, offset=np.zeros((30, 3))).map()
    with pytest.raises(ValueError, match=r"offset: column .0. is 1e\+300 in row 1; expected at most"):
        fit.predict_proba(np.zeros((2, 1)), offset=[[0.0, 0.0, 0.0], [1e300, 0.0, 0.0]])
    table = fit.predict_proba([[1e140]], 0.9, offset=np.zeros((1, 3)))
    assert np.isin(table, [0.0, 1.0]).all()
    assert fit.uncertainty([[1e140]], offset=np.zeros((1, 3))).notna().to_numpy().all()


def test_polars_frames_and_arrays_predict(penguins) -> None:
    import polars as pl

    fit = bs.SoftmaxRegression.from_formula("species ~ bill_length_mm + sex", penguins).map()
    theirs = fit.predict_proba(pl.from_pandas(penguins[["bill_length_mm", "sex"]]))
    assert_allclose(theirs, fit.predict_proba(penguins), rtol=1e-12)
    array = bs.SoftmaxRegression(penguins[["bill_length_mm"]].to_numpy(), penguins["species"]).map()
    assert array.predict_proba(np.array([[40.0], [np.nan]]), missing="nan").isna().all(axis=1).tolist() == [False, True]
