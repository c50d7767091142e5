"""Frames and labels are read a whole array at a time: the same numbers and codes as one by one, none shared."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import bayes_softmax as bs
from bayes_softmax.data.frames import is_frame, is_series, numeric_matrix, numeric_values
from bayes_softmax.data.labels import parse_labels

TYPES = ["float64", "float32", "int64", "int8", "uint64", "bool", "Float64", "Int64", "boolean", "float64[pyarrow]"]
LABELS = [
    st.text(max_size=3),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-9, 9).map(float),
]


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.sampled_from(TYPES), max_size=4), st.booleans())
def test_a_frame_is_read_as_its_columns_one_by_one(types: list[str], all_columns: bool) -> None:
    frame = pd.DataFrame({f"x{j}": pd.array([1, 0, 1], dtype=dtype) for j, dtype in enumerate(types)}, index=[3, 4, 5])
    names = list(frame.columns)
    X = numeric_matrix(frame if all_columns else frame.assign(other="text"), names)
    assert X.shape == (3, len(names))
    assert X.flags.c_contiguous
    for j, name in enumerate(names):
        assert_array_equal(X[:, j], numeric_values(frame[name], name))


def test_nothing_of_the_users_frame_is_shared() -> None:
    values = np.arange(6.0).reshape(3, 2)
    X = numeric_matrix(pd.DataFrame(values, columns=["a", "b"], copy=False), ["a", "b"])
    assert not np.shares_memory(X, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_column_and_row_of_what_is_not_finite_are_named(bad: float) -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, bad]}, index=["r", "s"])
    with pytest.raises(ValueError, match=r"X: column 'b' is (NaN|infinite) in row s"):
        bs.SoftmaxRegression(frame, [0, 1])


@pytest.mark.parametrize("labels", LABELS)
def test_codes_are_positions_among_the_sorted_labels(labels: st.SearchStrategy) -> None:
    @settings(max_examples=40, derandomize=True)
    @given(st.lists(labels, min_size=2, max_size=12).filter(lambda found: len(set(found)) > 1), st.booleans())
    def check(given: list, as_object: bool) -> None:
        response = parse_labels(pd.Series(given, dtype=object if as_object else None), None, "y")
        plain = [int(v) if isinstance(v, float) else v for v in given]
        assert response.classes == tuple(sorted(set(plain)))
        assert [response.classes[k] for k in response.codes] == plain

    check()


def test_frames_and_series_of_all_libraries_are_known() -> None:
    frame = pd.DataFrame({"a": [1]})
    for known in (frame, pl.from_pandas(frame), pa.table({"a": [1]})):
        assert is_frame(known)
        assert not is_series(known)
    for column in (frame["a"], pl.Series([1]), pa.chunked_array([[1]]), pd.Index([1]), pd.Categorical(["a"])):
        assert is_series(column)
        assert not is_frame(column)
    for other in (pl.LazyFrame({"a": [1]}), {"a": [1]}, [1], (1,), "a", None, 1, np.zeros(2), object()):
        assert not is_frame(other)
        assert not is_series(other)
