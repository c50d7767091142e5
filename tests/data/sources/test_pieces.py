"""Row groups in pieces, sums of features in tiles, and numbers kept in fewer bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_softmax.data.design import Design, Response, Standardisation
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.sources import parquet
from bayes_softmax.data.sources.moments import BLOCK, Provisional, merged_moments
from bayes_softmax.data.sources.partitions import FRAME_ROWS, frame_rows
from bayes_softmax.data.sources.store import Store


def _design(X: np.ndarray, weights: np.ndarray | None = None) -> Design:
    p = X.shape[1]
    codes = np.arange(len(X)) % 2
    names = tuple(f"x{j}" for j in range(p))
    unscaled = Standardisation(np.zeros(p), np.ones(p))
    return Design(
        DenseFeatures(X), Response("y", (0, 1), codes, None, ()), weights, None, names, True, unscaled, range(len(X))
    )


@pytest.mark.parametrize("n_rows", [1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 33])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_tiles_are_those_of_all_rows(n_rows: int, weighted: bool) -> None:
    rng = np.random.default_rng(n_rows)
    X = rng.normal(3, 2, (n_rows, 5))
    X[:, 4] = rng.integers(0, 2, n_rows)
    w = rng.integers(0, 3, n_rows).astype(float) if weighted else np.ones(n_rows)
    w[-1] = 1.0
    at = Standardisation(np.full(5, 2.5), np.array([2.0, 1.0, 3.0, 2.0, 0.5]))
    found = Provisional(at).of_rows(_design(X, w if weighted else None))
    used = w > 0
    Z = np.column_stack([np.ones(n_rows), (X - at.centre) / at.scale])
    np.testing.assert_allclose(found.gram, (Z * w[:, None]).T @ Z, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(found.values, [X[used].min(axis=0), X[used].max(axis=0)])
    np.testing.assert_array_equal(found.many, [len(np.unique(column)) > 2 for column in X[used].T])
    mean, sd = found.about(at)
    np.testing.assert_allclose(mean, np.average(X, axis=0, weights=w), rtol=1e-12)
    np.testing.assert_allclose(sd**2, np.average((X - mean) ** 2, axis=0, weights=w), rtol=1e-10, atol=1e-12)


def test_sums_of_no_features_and_of_no_rows() -> None:
    none = Provisional(Standardisation(np.zeros(0), np.ones(0))).of_rows(_design(np.empty((7, 0))))
    assert none.gram.tolist() == [[7.0]]
    assert none.values.shape == (2, 0)
    provisional = Provisional(Standardisation(np.zeros(2), np.ones(2)))
    empty, some = (provisional.of_rows(_design(np.arange(2.0 * n).reshape(n, 2))) for n in (0, 5))
    both = merged_moments(empty, some)
    np.testing.assert_array_equal(both.values, some.values)
    np.testing.assert_array_equal(both.gram, some.gram)


def test_large_row_group_is_read_in_pieces_that_are_numbered_as_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "SPLIT_ROWS", 100)
    rows = pd.DataFrame({"a": np.arange(1350.0)})
    rows.to_parquet(tmp_path / "a.parquet", row_group_size=950)
    source = parquet.parquet_source(tmp_path / "a.parquet")
    assert source.n_rows == 1350
    names = [partition.name for partition in source.partitions]
    assert names[:2] == ["a.parquet, row group 0, rows 0 to 236", "a.parquet, row group 0, rows 237 to 474"]
    assert len(names) == 8  # four pieces of each
    monkeypatch.setattr(parquet, "frame_rows", lambda _: 64)  # frames that begin and end within pieces
    frames = [frame for partition in source.partitions for frame in partition.frames(["a"])]
    np.testing.assert_array_equal(np.concatenate([frame["a"] for frame in frames]), rows["a"])
    assert all((frame.index == frame["a"] % 950).all() for frame in frames)


def test_frames_of_many_columns_have_fewer_rows() -> None:
    assert frame_rows(20) == FRAME_ROWS
    assert frame_rows(400) == 10_000
    assert frame_rows(10**6) == 1024


@pytest.mark.parametrize(
    ("values", "width"),
    [([0, 1, -3, 127], 1), ([0.5, 1 / 3], 8), ([0.5, 2.0**30], 4), ([1, 128], 4), ([1, 2**25 + 1], 8)],
)
def test_numbers_are_kept_in_the_fewest_bytes_that_hold_them_exactly(values: list[float], width: int) -> None:
    X = np.tile(np.array(values, dtype=float), 50)[:, None]
    store = Store(9.0 * X.size)
    kept = list(store.filled(0, [_design(X)]))
    assert store.used == X.size * (width + 1)  # and a byte for each label
    assert np.shares_memory(kept[0].X, X)
    (read,) = store.read(0)
    assert read.X.dtype == np.float64
    np.testing.assert_array_equal(read.X, X)


def test_a_single_number_that_needs_all_bytes_keeps_them() -> None:
    X = np.ones((10_000, 1))
    X[4321] = 1 / 3  # not among the rows that are looked at first
    store = Store()
    list(store.filled(0, [_design(X)]))
    (read,) = store.read(0)
    np.testing.assert_array_equal(read.X, X)
