"""A missing value is missing however it is written: masked, null, NA, None or NaN, in every argument."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bayes_softmax as bs
from tests.conftest import simulate

X, CODES = simulate(60, 2, 3)
WEIGHTS = 1.0 + np.arange(60) % 4
OFFSET = np.random.default_rng(1).normal(size=(60, 3))
COUNTS = np.eye(3)[CODES] * 2
ROW, COLUMN = 7, 1
KEPT = np.delete(np.arange(60), ROW)


def nan(values: np.ndarray) -> np.ndarray:
    """The values with NaN in row 7."""
    changed = np.array(values, dtype=float)
    changed[(ROW, COLUMN)[: changed.ndim]] = np.nan
    return changed


def masked(values: np.ndarray) -> np.ma.MaskedArray:
    """The values with row 7 masked; below the mask is a number that would do harm."""
    mask = np.zeros(values.shape, dtype=bool)
    mask[(ROW, COLUMN)[: values.ndim]] = True
    return np.ma.masked_array(np.where(mask, 99, values), mask=mask)


def nones(values: np.ndarray) -> np.ndarray:
    """The values as objects with None in row 7."""
    changed = values.astype(object)
    changed[(ROW, COLUMN)[: changed.ndim]] = None
    return changed


TABLES: dict[str, Callable[[np.ndarray], object]] = {
    "NaN": nan,
    "masked": masked,
    "masked integers": lambda v: masked(np.round(v).astype(int)),
    "None": nones,
    "list with None": lambda v: nones(v).tolist(),
    "list with np.ma.masked": lambda v: list(masked(v)),
    "pandas Float64 with NA": lambda v: pd.DataFrame(nones(v)).astype("Float64"),
    "pandas objects with None": lambda v: pd.DataFrame(nones(v)),
    "polars nulls": lambda v: pl.DataFrame(nones(v).tolist(), orient="row"),
    "pyarrow nulls": lambda v: pa.table({str(j): pa.array(c) for j, c in enumerate(nones(v).T.tolist())}),
}
COLUMNS: dict[str, Callable[[np.ndarray], object]] = {
    "NaN": nan,
    "masked": masked,
    "None": nones,
    "list with None": lambda v: nones(v).tolist(),
    "pandas Float64 with NA": lambda v: pd.Series(nones(v), dtype="Float64"),
    "pandas array with NA": lambda v: pd.array(nones(v), dtype="Float64"),
    "polars nulls": lambda v: pl.Series(nones(v).tolist()),
    "pyarrow nulls": lambda v: pa.array(nones(v).tolist()),
    "pyarrow chunks": lambda v: pa.chunked_array([nones(v).tolist()]),
}
LABELS: dict[str, Callable[[np.ndarray], object]] = {
    "masked integers": masked,
    "masked strings": lambda v: np.ma.masked_array(v.astype(str), mask=np.arange(60) == ROW),
    "pandas Int64 with NA": lambda v: pd.Series(nones(v), dtype="Int64"),
    "pandas string with NA": lambda v: pd.Series(nones(v.astype(str).astype(object)), dtype="string"),
    "pandas categorical": lambda v: pd.Series(nones(v)).astype("category"),
    **{name: make for name, make in COLUMNS.items() if name != "masked"},
}


def without_row(**given: object) -> bs.SoftmaxRegression:
    """The model of all rows but row 7."""
    kept = {name: np.asarray(value)[KEPT] for name, value in given.items()}
    return bs.SoftmaxRegression(X[KEPT], kept.pop("y", CODES[KEPT]), **kept)


@pytest.mark.parametrize("write", TABLES.values(), ids=TABLES)
def test_in_features(write: Callable[[np.ndarray], object]) -> None:
    whole = np.round(X, 1) * 10
    with pytest.raises(ValueError, match=rf"X: column '(x|column_)?{COLUMN}' is NaN in row {ROW};"):
        bs.SoftmaxRegression(write(whole), CODES)
    dropped = bs.SoftmaxRegression(write(whole), CODES, missing="drop")
    assert dropped._spec.design.n_dropped == 1
    assert_array_equal(dropped._spec.design.X, whole[KEPT])


@pytest.mark.parametrize("write", COLUMNS.values(), ids=COLUMNS)
def test_in_weights(write: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(ValueError, match=rf"weights is nan in row {ROW};"):
        bs.SoftmaxRegression(X, CODES, weights=write(WEIGHTS))
    dropped = bs.SoftmaxRegression(X, CODES, weights=write(WEIGHTS), missing="drop").map()
    assert_allclose(dropped.weights, without_row(weights=WEIGHTS).map().weights, rtol=1e-10)
    data = pd.DataFrame(X, columns=["a", "b"]).assign(y=CODES.astype(str))
    with pytest.raises(ValueError, match=rf"weights is nan in row {ROW};"):
        bs.SoftmaxRegression.from_formula("y ~ a + b", data, weights=write(WEIGHTS))
    model = bs.SoftmaxRegression.from_formula("y ~ a + b", data, weights=write(WEIGHTS), missing="drop")
    assert_array_equal(model._spec.design.weights, WEIGHTS[KEPT])


@pytest.mark.parametrize("write", TABLES.values(), ids=TABLES)
def test_in_an_offset(write: Callable[[np.ndarray], object]) -> None:
    offset, given = np.round(OFFSET), write(np.round(OFFSET))
    if not isinstance(given, np.ndarray | list):
        given = (given if isinstance(given, pd.DataFrame) else given.to_pandas()).set_axis([0, 1, 2], axis=1)
    with pytest.raises(ValueError, match=rf"offset: column '{COLUMN}' is NaN in row {ROW};"):
        bs.SoftmaxRegression(X, CODES, offset=given)
    dropped = bs.SoftmaxRegression(X, CODES, offset=given, missing="drop")
    assert_array_equal(dropped._spec.design.offset, offset[KEPT])
    fit = bs.SoftmaxRegression(X, CODES, offset=offset).map()
    with pytest.raises(ValueError, match=rf"offset: column '{COLUMN}' is NaN in row {ROW};"):
        fit.predict_proba(X, offset=given)


@pytest.mark.parametrize("write", LABELS.values(), ids=LABELS)
def test_in_labels(write: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(ValueError, match=rf"y: the label is missing in row {ROW};"):
        bs.SoftmaxRegression(X, write(CODES))
    dropped = bs.SoftmaxRegression(X, write(CODES), missing="drop")
    assert [str(c) for c in dropped.classes] == ["0", "1", "2"]
    assert_allclose(dropped.map().weights, without_row().map().weights, rtol=1e-10)
    fit = bs.SoftmaxRegression(X, [dropped.classes[k] for k in CODES]).map()
    with pytest.raises(ValueError, match=rf"y: the label is missing in row {ROW};"):
        fit.evaluate(X, y=write(CODES))


@pytest.mark.parametrize("write", TABLES.values(), ids=TABLES)
def test_in_counts(write: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(ValueError, match=rf"y: the count of class .*{COLUMN}'? is nan in row {ROW};"):
        bs.SoftmaxRegression(X, write(COUNTS))
    dropped = bs.SoftmaxRegression(X, write(COUNTS), missing="drop")
    assert_array_equal(dropped._spec.design.response.counts, COUNTS[KEPT])


@pytest.mark.parametrize("write", TABLES.values(), ids=TABLES)
def test_in_new_data(write: Callable[[np.ndarray], object]) -> None:
    whole = np.round(X, 1) * 10
    form = write(whole)
    names = None if isinstance(form, np.ndarray | list) else list(map(str, getattr(form, "column_names", form.columns)))
    fit = bs.SoftmaxRegression(whole, CODES, names).map()
    expected = fit.predict_proba(whole).to_numpy()
    for answer in (fit.predict_proba, fit.predict, fit.effects, partial(fit.evaluate, y=CODES)):
        told = rf"data: column '(x|column_)?{COLUMN}' (is NaN|has a missing value) in row {ROW};"
        with pytest.raises(ValueError, match=told):
            answer(data=form)
    found = fit.predict_proba(form, missing="nan").to_numpy()
    assert np.isnan(found[ROW]).all()
    assert_allclose(found[KEPT], expected[KEPT], rtol=1e-12)


def test_in_weights_of_new_data_groups_costs_and_base_rates() -> None:
    fit = bs.SoftmaxRegression(X, CODES).map()
    with pytest.raises(ValueError, match=rf"weights is nan in row {ROW};"):
        fit.evaluate(X, y=CODES, weights=masked(WEIGHTS))
    with pytest.raises(ValueError, match=rf"weights is nan in row {ROW};"):
        fit.effects(data=X, weights=masked(WEIGHTS))
    draws = bs.SoftmaxRegression(X, CODES).laplace(random_seed=1, progressbar=False)
    with pytest.raises(ValueError, match=rf"by: the label is missing in row {ROW}"):
        draws.posterior_predictive(masked(CODES))
    cost = pd.DataFrame(nones(1.0 - np.eye(9)[:, :3]))
    with pytest.raises(ValueError, match=f"cost is None for decision {ROW} and class {COLUMN}; expected a finite"):
        fit.decide(X, cost)
    with pytest.raises(ValueError, match="class_prior: the probability of class 2 is nan"):
        fit.predict_proba(X, class_prior={0: 0.5, 1: 0.5, 2: np.nan})


def test_in_the_textbook_functions() -> None:
    assert np.isnan(bs.softmax(masked(OFFSET))[ROW]).all()
    assert_allclose(bs.softmax(masked(OFFSET))[KEPT], bs.softmax(OFFSET)[KEPT])
    assert np.isnan(bs.log_likelihood(OFFSET, CODES, masked(WEIGHTS)))
    assert np.isnan(bs.log_likelihood(OFFSET, masked(COUNTS)))


def test_a_mask_of_nothing_changes_nothing_and_nothing_is_mutated() -> None:
    plain = np.ma.masked_array(X.copy(), mask=False)
    assert_allclose(bs.SoftmaxRegression(plain, CODES).map().weights, bs.SoftmaxRegression(X, CODES).map().weights)
    given, before = masked(X), masked(X)
    bs.SoftmaxRegression(given, CODES, missing="drop").map()
    assert_array_equal(given.data, before.data)
    assert_array_equal(given.mask, before.mask)


def test_where_nothing_is_left_it_is_said() -> None:
    for features, y in ((np.full((3, 1), np.nan), list("aba")), ([[1.0], [2.0], [4.0]], [None] * 3)):
        with pytest.raises(ValueError, match=r"X has no rows left \(3 dropped for missing values\)"):
            bs.SoftmaxRegression(features, y, missing="drop")
    for missing in ("error", "drop"):
        with pytest.raises(ValueError, match=r"X has no rows$"):
            bs.SoftmaxRegression(np.empty((0, 2)), [], missing=missing)
