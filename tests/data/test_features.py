"""Large data stay where the user keeps them: same results as with a copy, to the last bit, and no hidden copies."""

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import bayes_softmax as bs
from bayes_softmax.data import features
from bayes_softmax.data.distinct import coded, recoded
from bayes_softmax.data.features import ArrayFeatures, DenseFeatures, as_slice, ranges_of, stamp_of, two_valued

N, P = 5000, 6  # two blocks of 4096 rows
Make = Callable[..., bs.SoftmaxRegression]


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(N, P)) * np.arange(1, P + 1) + 3
    return X, np.where(X[:, 0] + rng.normal(size=N) > 3, rng.integers(1, 4, size=N), 0)


def one_hot() -> np.ndarray:
    return np.eye(4)[arrays()[1]]


def frame() -> pd.DataFrame:
    X, y = arrays()
    rng = np.random.default_rng(6)
    data = pd.DataFrame(X, columns=list("uvwxyz"), index=rng.permutation(N) // 2)  # labels that appear twice
    data["text"], data["object"] = rng.choice(list("abc"), N), np.array(rng.choice(list("de"), N), dtype=object)
    data["group"] = pd.Categorical(rng.choice(list("fgh"), N), categories=list("hgfi"))
    data["flag"], data["whole"], data["single"] = rng.random(N) < 0.2, rng.integers(5, size=N), X[:, 1].astype("f4")
    data["nullable"], data["weight"], data["one"] = pd.array(data["whole"], "Int64"), rng.integers(3, size=N), 7.0
    data["class"] = np.array(["k", "l", "m", "n"])[y]
    return data


def of_array(X: Any, **options: Any) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(X, arrays()[1], **options)


def of_formula(formula: str, **options: Any) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression.from_formula(f"class ~ {formula}", frame(), **options)


def of_frame(columns: list[str], **options: Any) -> bs.SoftmaxRegression:
    return bs.SoftmaxRegression(frame()[columns], arrays()[1], **options)


def with_missing() -> pd.DataFrame:
    data = frame().reset_index(drop=True)
    data.loc[::7, "u"], data.loc[::11, "text"] = np.nan, None
    return data


MAKERS: dict[str, Make] = {
    "C": lambda: of_array(arrays()[0]),
    "Fortran": lambda: of_array(np.asfortranarray(arrays()[0])),
    "single precision": lambda: of_array(arrays()[0].astype("f4")),
    "every other column": lambda: of_array(np.repeat(arrays()[0], 2, axis=1)[:, ::2]),
    "whole numbers": lambda: of_array((arrays()[0] * 5).astype("i2")),
    "booleans": lambda: of_array(arrays()[0] > 3, collapse=False),
    "big-endian": lambda: of_array(arrays()[0].astype(">f8")),
    "no intercept": lambda: of_array(arrays()[0], intercept=False),
    "weights of zero": lambda: of_array(arrays()[0], weights=np.arange(N) % 3),
    "counts, offset": lambda: bs.SoftmaxRegression(arrays()[0], one_hot() * 2, offset=one_hot()[::-1]),
    "choice sets": lambda: of_array(arrays()[0], available=(one_hot() == 1) | (np.arange(N)[:, None] % 4 > 0)),
    "constant dropped": lambda: of_array(np.column_stack([np.ones(N), arrays()[0]]), constant="drop"),
    "prior of some": lambda: of_array(arrays()[0], prior={"x1": bs.Normal(1.0)}),
    "collapsed": lambda: of_array(np.round(arrays()[0][:, :2])),
    "frame": lambda: of_frame(list("uvwxyz")),
    "mixed frame": lambda: of_frame(["u", "flag", "whole", "single"]),
    "nullable frame": lambda: of_frame(["u", "nullable"]),
    "frame with weights": lambda: of_frame(["u", "v", "weight"], weights="weight"),
    "formula": lambda: of_formula("u + v + whole + single"),
    "factors": lambda: of_formula("text * flag + group + object + C(whole) + u:text"),
    "transforms": lambda: of_formula("bs(u, df=5) + poly(v, 2) + scale(w) + log(abs(x) + 1) + I(z > 3)"),
    "no intercept in it": lambda: of_formula("0 + text + u", weights="weight"),
    "factors collapsed": lambda: of_formula("text + group"),
    "missing dropped": lambda: bs.SoftmaxRegression.from_formula(
        "class ~ u + text + one", with_missing(), missing="drop", constant="drop"
    ),
}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take all data for large from now on, in blocks of 4096 rows."""

    def take() -> None:
        monkeypatch.setattr(features, "HELD_BYTES", 0)
        monkeypatch.setattr(features, "BLOCK_BYTES", 0)

    return take


@pytest.mark.parametrize("kind", MAKERS)
def test_results_are_those_of_a_copy(kind: str, large: Callable[[], None]) -> None:
    held = MAKERS[kind]()
    large()
    read = MAKERS[kind]()
    assert isinstance(held._spec.design.features, DenseFeatures)
    assert isinstance(read._spec.design.features, DenseFeatures) == (kind == "nullable frame")
    for name in ("X", "standardisation", "totals", "index"):
        assert_array_equal(getattr(read._spec.design, name), getattr(held._spec.design, name))
    pd.testing.assert_frame_equal(read._spec.design.variables, held._spec.design.variables)
    assert (read._spec.collapsed is None) == (held._spec.collapsed is None)
    assert read.describe_prior().equals(held.describe_prior())
    one, other = read.map(), held.map()
    for name in ("weights", "intercept"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.log_likelihood == other.log_likelihood
    assert one.evaluate().to_frame().equals(other.evaluate().to_frame())


@pytest.mark.parametrize("kind", ["C", "mixed frame", "factors"])
def test_answers_and_files_are_those_of_a_copy(kind: str, large: Callable[[], None], tmp_path: Path) -> None:
    held = MAKERS[kind]().map()
    large()
    read = MAKERS[kind]().map()
    pd.testing.assert_frame_equal(read.effects(), held.effects())
    read.save(tmp_path / "fit.nc")
    loaded = bs.load(tmp_path / "fit.nc")
    assert loaded.evaluate().log_loss == held.evaluate().log_loss
    pd.testing.assert_frame_equal(loaded.effects(), held.effects())


def no_number(X: np.ndarray) -> np.ndarray:
    X[[3, 4500, 4900], 2] = np.nan
    return X


@pytest.mark.parametrize(
    "make",
    [
        lambda: of_array(no_number(arrays()[0])),
        lambda: bs.SoftmaxRegression(pd.DataFrame(no_number(arrays()[0])), arrays()[1]),
        lambda: of_array(arrays()[0].astype(complex)),
        lambda: of_array(arrays()[0][:, 0]),
        lambda: of_array(np.column_stack([np.ones(N), arrays()[0]])),
        lambda: of_array(arrays()[0] * 1e200),
        lambda: of_frame(["u", "text"]),
        lambda: of_formula("log(u - 3)"),
        lambda: bs.SoftmaxRegression.from_formula("class ~ u", with_missing()),
    ],
)
def test_errors_are_those_of_a_copy(make: Callable[[], Any], large: Callable[[], None]) -> None:
    with pytest.raises((ValueError, TypeError)) as held:
        make()
    large()
    with pytest.raises(held.type) as read:
        make()
    assert str(read.value) == str(held.value)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_an_array_that_changes_later_is_noticed(layout: str, large: Callable[[], None]) -> None:
    X, y = arrays()
    X = np.asarray(X, order=layout)  # type: ignore[call-overload]
    large()
    model, other = bs.SoftmaxRegression(X, y), bs.SoftmaxRegression(X.copy(), y)
    fit = model.map()
    np.random.default_rng(0).shuffle(X)  # no sum of the values changes
    for ask in (model.map, fit.evaluate, fit.effects, lambda: model._spec.design.X):
        with pytest.raises(ValueError, match=r"X was changed after the model was made.*X\.copy\(\)"):
            ask()
    assert_array_equal(other.map().weights, fit.weights)


def test_a_frame_that_changes_later_changes_nothing(large: Callable[[], None]) -> None:
    data, (_, y) = frame(), arrays()
    large()
    model, of_columns = bs.SoftmaxRegression.from_formula("y ~ u + text", data.assign(y=y)), of_frame(["u", "v"])
    shared = data[["u", "v"]]
    by_frame = bs.SoftmaxRegression(shared, y)
    weights = model.map().weights
    data.loc[:, "u"] = 0.0
    shared.iloc[:, 0] = 0.0
    assert_array_equal(model.map().weights, weights)
    assert_array_equal(by_frame.map().weights, of_columns.map().weights)


def test_features_are_sent_to_other_processes(large: Callable[[], None]) -> None:
    large()
    for kind in ("Fortran", "frame", "factors", "constant dropped", "weights of zero"):
        design = MAKERS[kind]()._spec.design
        assert_array_equal(pickle.loads(pickle.dumps(design)).X, design.X)


def peak(make: Callable[[], bs.SoftmaxRegression]) -> float:
    """Peak memory of making and fitting a model beyond its data, over the size of its packed rows."""
    tracemalloc.start()
    try:
        spec = (model := make())._spec
        model.map()
        return tracemalloc.get_traced_memory()[1] / (8 * spec.design.n_obs * (spec.design.n_features + 1))
    finally:
        tracemalloc.stop()


def many(kind: str) -> Callable[[], bs.SoftmaxRegression]:
    n, p = 220_000, 20  # 35 MB
    rng = np.random.default_rng(7)
    y = rng.integers(5, size=n)
    if kind == "factors":
        data = pd.DataFrame(
            {"a": rng.choice(list("abcdefgh"), n), "b": rng.integers(20, size=n), "x": rng.normal(size=n)}
        )
        data = data.assign(b=data["b"].astype(str).astype("category"), y=np.array(list("klmno"))[y])
        return lambda: bs.SoftmaxRegression.from_formula("y ~ a + b + x", data)
    X = rng.standard_normal(size=(n, p), dtype="f4")
    X = np.asfortranarray(X, dtype=float) if kind == "Fortran" else X > 0 if kind == "booleans" else X
    if kind == "formula":
        data = pd.DataFrame(X, columns=[f"x{j}" for j in range(p)]).assign(y=y)
        return lambda: bs.SoftmaxRegression.from_formula("y ~ .", data)
    columns = pd.DataFrame(X) if kind == "frame" else X
    return lambda: bs.SoftmaxRegression(columns, y)


@pytest.mark.parametrize("kind", ["single precision", "Fortran", "booleans", "frame", "formula", "factors"])
def test_a_fit_takes_little_more_than_its_packed_rows(kind: str) -> None:
    assert 1.0 < peak(many(kind)) < 1.3


def test_a_copy_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "HELD_BYTES", 2**30)
    assert peak(many("single precision")) > 1.9


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=40), st.integers(0, 39), st.integers(0, 39))
def test_some_rows_are_those_rows(values: list[int], first: int, end: int) -> None:
    X = np.array(values, dtype=float).reshape(-1, 1)
    rows = np.arange(len(X))[first:end]
    assert_array_equal(X[as_slice(rows)], X[rows])
    assert isinstance(as_slice(rows), slice) == (len(rows) > 0)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), max_size=12), st.integers(0, 11), st.integers(1, 3))
def test_two_values_are_found_over_blocks(values: list[float], first: int, kinds: int) -> None:
    column = np.zeros(3 * 4096 if values else 0)
    column[: len(values)] = np.minimum(values, kinds)
    column = np.roll(column, first * 997)  # rarely among the few rows that are looked at first
    X = np.column_stack([column, np.arange(len(column)), column[::-1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BLOCK_BYTES", 0)
        two, (low, high) = two_valued(ArrayFeatures(X, stamp_of(X)))
        ends = ranges_of(ArrayFeatures(X, stamp_of(X)))
    assert two.tolist() == [0 < len(set(x)) <= 2 for x in X.T.tolist()]
    assert_array_equal(low[two], ends.low[two])
    assert_array_equal(high[two], ends.high[two])
    if len(X):
        assert_array_equal(ends, (X.min(axis=0), X.max(axis=0)))


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30))
def test_values_are_coded_as_pandas_does(values: list[str | None]) -> None:
    for column in (np.array(values, dtype=object), pd.array(values, dtype="str")):
        expected, distinct = pd.factorize(column)
        found = coded(column)
        assert_array_equal(found.codes, expected)
        assert found.distinct == distinct.tolist()
        table = np.arange(len(distinct)) + 10
        assert_array_equal(recoded(table, found.codes.copy()), [table[c] if c >= 0 else -1 for c in expected])


def test_values_are_coded_over_blocks() -> None:
    values = np.random.default_rng(0).integers(90_000, size=200_000)
    expected, distinct = pd.factorize(values)
    found = coded(values)
    assert_array_equal(found.codes, expected)
    assert found.distinct == distinct.tolist()


@pytest.mark.parametrize("change", [lambda X: X, np.asfortranarray, lambda X: np.repeat(X, 2, axis=1)[:, ::2]])
def test_a_stamp_is_of_the_values(change: Callable[[np.ndarray], np.ndarray]) -> None:
    X = change(arrays()[0].copy())
    stamp = stamp_of(X)
    assert stamp_of(X) == stamp
    X[[0, -1]] = X[[-1, 0]]
    assert stamp_of(X) != stamp
    assert stamp_of(np.empty((0, 3))) == 0
