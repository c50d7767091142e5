"""Every kind of source gives the model that the same rows in memory give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering
from bayes_softmax.data.sources.lazy import _skips

N = 400


def frame_of_rows() -> pd.DataFrame:
    """Numbers far from zero, a factor with an unused category, text, truth values, whole numbers, counts, weights."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({
        "a": rng.normal(5, 2, N), "b.1": rng.normal(1e3, 1e-3, N), "g": rng.choice(list("xyz"), N),
        "k": rng.integers(0, 3, N), "flag": rng.random(N) < 0.3, "w": rng.integers(0, 3, N),
        "o": pd.Categorical(rng.choice(["mid", "low"], N), ["low", "never", "mid"], ordered=True),
    })  # fmt: skip
    scores = np.c_[frame["a"] * 0.2, frame["k"], np.ones(N)] + rng.gumbel(size=(N, 3))
    return frame.assign(y=np.array(["u", "v", "w"])[scores.argmax(axis=1)])


FRAME = frame_of_rows()
FORMULA = "y ~ a + `b.1` + C(k) + g * flag + o"


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are never kept in memory."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows in files of several row groups, some of them empty."""
    path = tmp_path_factory.mktemp("rows")
    for i, (start, end) in enumerate([(0, 150), (150, 150), (150, 160), (160, N)]):
        FRAME.iloc[start:end].to_parquet(path / f"part-{i}.parquet", row_group_size=70)
    return path


KINDS: dict[str, Callable[[Path], Any]] = {
    "folder": lambda path: path,
    "text of a folder": str,
    "pattern": lambda path: str(path / "part-*"),
    "dataset": lambda path: ds.dataset(path),
    "filtered dataset": lambda path: ds.dataset(path).filter(ds.field("a") > -1e9),
    "dataset of a table": lambda path: ds.dataset(pa.Table.from_pandas(FRAME)),
    "scan": lambda path: pl.scan_parquet(path),
    "query": lambda path: pl.from_pandas(FRAME.drop(columns="o")).lazy().with_columns(
        o=pl.Series(FRAME["o"].astype(str)).cast(pl.Enum(["low", "never", "mid"]))
    ),
    "Dask data frame": lambda path: dd.from_pandas(FRAME, npartitions=3, sort=False),
    "function": lambda path: lambda: (FRAME.iloc[start : start + 130] for start in range(0, N, 130)),
    "function of one frame": lambda path: lambda: FRAME,
    "function of tables": lambda path: lambda: [pa.Table.from_pandas(FRAME)],
}  # fmt: skip


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_model_of_the_frame(kind: str, folder: Path) -> None:
    source = KINDS[kind](folder)
    of_source = bs.SoftmaxRegression.from_formula(FORMULA, source, weights="w")
    of_frame = bs.SoftmaxRegression.from_formula(FORMULA, FRAME, weights="w")
    assert str(of_source) == str(of_frame)
    assert of_source._spec.streamed is not None
    a, b = of_source.map(), of_frame.map()
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.log_likelihood, b.log_likelihood, rtol=1e-12)


TABLE = FRAME[["a", "b.1", "k", "flag", "w", "y"]]
TABLES: dict[str, Callable[[Path], Any]] = {
    "files": lambda path: ds.dataset(pa.Table.from_pandas(TABLE)),
    "lazy frame": lambda path: pl.from_pandas(TABLE).lazy(),
    "Dask data frame": lambda path: dd.from_pandas(TABLE, npartitions=2, sort=False),
    "function": lambda path: lambda: [TABLE],
}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("kind", TABLES)
def test_columns_of_a_source_but_the_named_ones_are_features(kind: str, folder: Path) -> None:
    of_source = bs.SoftmaxRegression(TABLES[kind](folder), y="y", weights="w")
    of_frame = bs.SoftmaxRegression(TABLE.drop(columns="y"), TABLE["y"], weights="w")
    assert str(of_source) == str(of_frame)
    np.testing.assert_allclose(of_source.mle().weights, of_frame.mle().weights, rtol=1e-8)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("known", [True, False])
def test_dask_arrays_are_read_by_chunks_of_rows(*, known: bool) -> None:
    X, y, w = FRAME[["a", "k"]].to_numpy(dtype=float), FRAME["y"].to_numpy(dtype=object), FRAME["w"].to_numpy()
    lazy, labels = da.from_array(X, chunks=(90, 1)), da.from_array(y, chunks=130)
    weights = da.from_array(w, chunks=130)
    if not known:
        lazy, labels, weights = (values.rechunk({0: 100})[lazy[:, 0] > -9] for values in (lazy, labels, weights))
    of_source = bs.SoftmaxRegression(lazy, labels, feature_names=["first", "second"], weights=weights)
    of_arrays = bs.SoftmaxRegression(X, y, feature_names=["first", "second"], weights=w)
    assert str(of_source) == str(of_arrays)
    a, b = of_source.mle(), of_arrays.mle()
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-9)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-9)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (FRAME["y"].to_numpy(), "y is of type ndarray, and X a Dask array; give both as Dask arrays: dask.array.from_"),
        (da.zeros(7), "X has 400 rows, but y has 7"),
        (
            da.zeros((400, 3)),
            r"y has shape \(400, 3\); expected one dimension: columns of counts are columns of a Dask",
        ),
        ("y", "y is of type str, and X a Dask array"),
    ],
)
def test_labels_of_dask_arrays_are_dask_arrays(y: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bs.SoftmaxRegression(da.from_array(FRAME[["a"]].to_numpy(), chunks=100), y)


def test_columns_in_the_path_of_files_are_factors_as_pandas_reads_them(tmp_path: Path) -> None:
    FRAME.drop(columns="o").to_parquet(tmp_path / "rows", partition_cols=["k", "g"])
    formula = "y ~ a + k + g"
    of_frame = bs.SoftmaxRegression.from_formula(formula, pd.read_parquet(tmp_path / "rows"))
    for source in (tmp_path / "rows", str(tmp_path / "rows" / "k=*")):
        of_source = bs.SoftmaxRegression.from_formula(formula, source)
        assert str(of_source) == str(of_frame)
        np.testing.assert_allclose(of_source.mle().weights, of_frame.mle().weights, rtol=1e-9)
    only = bs.SoftmaxRegression.from_formula("k ~ 1", tmp_path / "rows")  # a column of the path alone
    assert only.classes == (0, 1, 2)
    one = bs.SoftmaxRegression.from_formula("y ~ a + k", tmp_path / "rows" / "k=1", constant="drop")
    assert one.feature_names == ("a",)


def test_slices_are_taken_only_where_rows_have_one_order(folder: Path) -> None:
    scan, rows = pl.scan_parquet(folder / "part-0.parquet"), pl.from_pandas(TABLE)
    assert _skips(scan)
    assert _skips(scan.with_columns(double=pl.col("a") * 2).select("double", "y"))
    for query in (
        scan.filter(pl.col("a") > 3), scan.sort("a"), scan.join(rows.lazy(), on="y"), scan.group_by("y").len(),
        scan.unique(), pl.concat([scan, scan]), rows.lazy(), scan.with_row_index("i").filter(pl.col("i") > 2),
    ):  # fmt: skip
        assert not _skips(query), query.explain()


ONCE = {
    "generator": lambda: (FRAME for _ in range(2)),
    "list_iterator": lambda: iter([FRAME]),
    "RecordBatchReader": lambda: pa.Table.from_pandas(TABLE).to_reader(),
    "Scanner": lambda: ds.dataset(pa.Table.from_pandas(TABLE)).scanner(),
}


@pytest.mark.parametrize("kind", ONCE)
def test_what_can_be_read_once_is_refused(kind: str) -> None:
    message = f"is an iterator of type {kind}, which can be read once, and a fit reads its rows several times: pass a"
    with pytest.raises(TypeError, match=f"data {message}"):
        bs.SoftmaxRegression.from_formula("y ~ a", ONCE[kind]())
    with pytest.raises(TypeError, match=f"X {message}"):
        bs.SoftmaxRegression(ONCE[kind](), "y")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, r"data\(\): it returned NoneType; expected data frames, one after another"),
        (lambda: [], r"data\(\): it returned no frames"),
        (lambda: [FRAME, 5], r"data\(\): frame 1 is of type int"),
        (lambda: [np.zeros((2, 2))], r"data\(\): frame 0 is of type ndarray; expected a data frame"),
        (lambda x: [FRAME], r"data\(\): .*missing 1 required positional argument: 'x'"),
        (lambda: [FRAME, FRAME.drop(columns="a")], r"data\(\): frame 1 has no column 'a'"),
        (lambda: [FRAME.iloc[:0]], "the frames of data.* has no rows"),
    ],
)
def test_functions_return_frames(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bs.SoftmaxRegression.from_formula("y ~ a", make)


def test_a_function_that_returns_other_rows_each_time_is_found() -> None:
    frames, calls = iter([FRAME] * 3), iter(range(9))
    with pytest.raises(TypeError, match=r"data\(\): it returns the same iterator each time, which can be read once"):
        bs.SoftmaxRegression.from_formula("y ~ a", lambda: frames)
    with pytest.raises(
        ValueError, match=r"has 400 rows in one pass, and 380 in the next; it must return the same rows"
    ):
        bs.SoftmaxRegression.from_formula("y ~ a", lambda: [FRAME if next(calls) < 4 else FRAME.iloc[20:]])


def test_paths_that_name_nothing_say_what_there_is(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file or folder; did you mean 'part-"):
        bs.SoftmaxRegression.from_formula("y ~ a", folder / "part-9.parquet")
    with pytest.raises(FileNotFoundError, match=r"no file with suffix .parquet or .pq was found"):
        bs.SoftmaxRegression.from_formula("y ~ a", str(folder / "none-*.parquet"))
    with pytest.raises(ValueError, match=r"is no file on this machine; pass pyarrow\.dataset\.dataset"):
        bs.SoftmaxRegression.from_formula("y ~ a", "s3://bucket/rows.parquet")


def test_a_lazy_frame_is_no_labels_and_no_weights() -> None:
    lazy = pl.from_pandas(TABLE).lazy()
    with pytest.raises(TypeError, match=r"y is a LazyFrame, which is not computed yet; pass y.collect\(\)"):
        bs.SoftmaxRegression(TABLE[["a"]], lazy)
    with pytest.raises(TypeError, match="y must name the column of labels of X, the lazy frame"):
        bs.SoftmaxRegression(lazy, TABLE["y"])
    with pytest.raises(TypeError, match="weights: name the columns of the source"):
        bs.SoftmaxRegression(lazy, "y", weights=TABLE["w"])


def test_a_list_of_frames_is_refused_with_what_to_pass() -> None:
    with pytest.raises(TypeError, match=r"data is a list of 2 data frames; pass pandas.concat\(data\), or a"):
        bs.SoftmaxRegression.from_formula("y ~ a", [FRAME, FRAME])
