"""Damaged files, errors in partitions, full disks and Ctrl-C: named, and nothing is left behind."""

import _thread
import errno
import gc
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import bayes_softmax as bs
from bayes_softmax.data.sources import gathering, store
from tests.data.sources.partitions import Part, model_of, source_of_parts

N = 400
RNG = np.random.default_rng(8)
FRAME = pd.DataFrame({"a": RNG.normal(size=N), "g": RNG.choice(list("pq"), N), "y": RNG.choice(list("uvw"), N)})
PARTS = [FRAME.iloc[i : i + 50] for i in range(0, N, 50)]


@pytest.fixture(autouse=True)
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are never kept in memory."""
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of 50 rows."""
    for i, part in enumerate(PARTS):
        part.to_parquet(tmp_path / f"part-{i}.parquet", index=False)
    return tmp_path


# ---------------------------------------------------------------------- files


def truncate(path: Path) -> None:
    """Lose the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    """Lose what the footer points to."""
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(bytes(content))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (truncate, r"part-3\.parquet: cannot be read as Parquet: .*magic bytes"),
    "empty": (lambda path: path.write_bytes(b""), r"part-3\.parquet: cannot be read as Parquet: .*size is 0 bytes"),
    "text": (lambda path: path.write_text("a,y\n1,2\n"), r"part-3\.parquet: cannot be read as Parquet: "),
    "overwritten": (overwrite, r"part-3\.parquet: cannot be read: \w+: \w+"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(folder: Path, damage: str) -> None:
    harm, message = DAMAGE[damage]
    harm(folder / "part-3.parquet")
    with pytest.raises((ValueError, OSError), match=message) as caught:
        bs.SoftmaxRegression.from_formula("y ~ a", folder)
    assert len(str(caught.value)) < 400
    harm_first = folder / "part-0.parquet"
    harm(harm_first)
    with pytest.raises((ValueError, OSError), match="part-0"):
        bs.SoftmaxRegression.from_formula("y ~ a", folder)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_a_dataset_is_named(folder: Path, damage: str) -> None:
    dataset = ds.dataset(folder)
    DAMAGE[damage][0](folder / "part-3.parquet")
    with pytest.raises((ValueError, OSError), match=r"part-3\.parquet: cannot be read"):
        bs.SoftmaxRegression.from_formula("y ~ a", dataset)


def test_a_file_that_is_gone_in_a_later_pass_is_named(folder: Path) -> None:
    model = bs.SoftmaxRegression.from_formula("y ~ a", folder, scratch=0)
    (folder / "part-5.parquet").unlink()
    with pytest.raises(ValueError, match=r"part-5\.parquet: cannot be read: FileNotFoundError: "):
        model.map()


def test_files_without_rows_are_passed_over(folder: Path) -> None:
    pq.write_table(pa.Table.from_pandas(PARTS[0].iloc[:0]), folder / "part-9.parquet")
    schema = pa.schema([("a", pa.float64()), ("g", pa.null()), ("y", pa.string())])
    pq.ParquetWriter(folder / "none.parquet", schema).close()
    (folder / "_metadata.parquet").write_bytes(b"")
    (folder / "_SUCCESS").write_bytes(b"")
    assert bs.SoftmaxRegression.from_formula("y ~ a + g", folder)._spec.rows.n_obs == N
    with pytest.raises(ValueError, match="has no rows"):
        bs.SoftmaxRegression.from_formula("y ~ a", folder / "none.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        bs.SoftmaxRegression.from_formula("y ~ a", folder / "part-9.parquet")


# ---------------------------------------------------------------------- errors in partitions

ERRORS: list[tuple[Exception, type[Exception], str]] = [
    (ValueError("odd"), ValueError, "part 2: odd"),
    (TypeError("odd"), TypeError, "part 2: odd"),
    (PermissionError(13, "denied"), ValueError, "part 2: cannot be read: PermissionError: .*denied"),
    (RuntimeError("odd"), RuntimeError, "part 2: cannot be read: RuntimeError: odd"),
    (KeyError("k"), ValueError, "part 2: cannot be read: KeyError: 'k'"),
    (UnicodeDecodeError("utf-8", b"a", 0, 1, "odd"), ValueError, "part 2: cannot be read: UnicodeDecodeError: 'utf-8'"),
    (pl.exceptions.ComputeError("odd\nand more"), ValueError, "part 2: cannot be read: ComputeError: odd$"),
    (MemoryError("much"), MemoryError, "much"),
]


@pytest.mark.parametrize(("error", "kind", "message"), ERRORS, ids=[type(error[0]).__name__ for error in ERRORS])
def test_errors_of_a_partition_name_it(error: Exception, kind: type[Exception], message: str) -> None:
    def fail() -> None:
        raise error

    source = source_of_parts(PARTS)
    part = Part(PARTS[2], "part 2", before=fail)
    broken = type(source)("the parts", (*source.partitions[:2], part, *source.partitions[3:]), source.columns)
    with pytest.raises(kind, match=message) as caught:
        model_of("y ~ a", broken)
    assert caught.value is error or caught.value.__cause__ is error


def test_ctrl_c_ends_a_pass_and_its_threads() -> None:
    model = model_of("y ~ a", source_of_parts(PARTS, piece=1), scratch=0)
    pieces: list[int] = []

    def wait() -> None:
        pieces.append(1)
        if len(pieces) == 1:
            assert threading.current_thread().name.startswith("partitions")
            _thread.interrupt_main()
        time.sleep(0.01)

    for part in model._spec.streamed.passes.source.partitions:
        object.__setattr__(part, "before", wait)
    with pytest.raises(KeyboardInterrupt):
        model.map()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("partitions")]
    assert len(pieces) < 50  # fewer than one partition has
    assert np.isfinite(model.map().weights).all()


# ---------------------------------------------------------------------- scratch


def reads(model: bs.SoftmaxRegression) -> list[int]:
    """Passes over each partition so far."""
    return [len(part.reads) for part in model._spec.streamed.passes.source.partitions]


def fitted(**options: Any) -> tuple[bytes, list[int], bs.SoftmaxRegression]:
    """The estimate, how often each partition was read for it beyond the first two passes, and the model."""
    model = model_of("y ~ a + g", source_of_parts(PARTS, piece=20), **options)
    before = reads(model)
    found = model.map().weights.to_numpy().tobytes()
    return found, [b - a for a, b in zip(before, reads(model), strict=True)], model


def test_later_passes_read_what_the_scratch_folder_has() -> None:
    kept, read, model = fitted()
    assert set(read) == {0}
    size = model._spec.streamed.passes.store.used
    half, read, _ = fitted(scratch=size / 2 / 2**30)
    assert {0} < set(read)
    none, read, model = fitted(scratch=0)
    assert min(read) > 1
    assert model._spec.streamed.passes.store is None
    assert kept == half == none


def test_a_full_disk_costs_time_alone() -> None:
    expected = fitted()[0]
    calls, save = [], np.save

    def fill(path: str, *args: Any, **options: Any) -> None:
        calls.append(path)
        if len(calls) > 11:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.np, "save", fill)
        model = model_of("y ~ a + g", source_of_parts(PARTS, piece=20))
    kept = model._spec.streamed.passes.store
    assert 0 < len(kept.numbers()) < len(PARTS)
    assert not [path for path in kept.folder.iterdir() if path.read_bytes() == b"half"]
    assert model.map().weights.to_numpy().tobytes() == expected


def test_a_folder_that_is_removed_costs_time_alone() -> None:
    expected, _, model = fitted()
    shutil.rmtree(model._spec.streamed.passes.store.folder)
    before = reads(model)
    again = model.mle().weights
    assert np.isfinite(again).all()
    assert min(b - a for a, b in zip(before, reads(model), strict=True)) > 0
    assert model.map().weights.to_numpy().tobytes() == expected


def test_no_file_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(store.tempfile, "tempdir", None)

    def fail_late() -> None:
        if len(reads_so_far) > 12:
            raise ValueError("odd")
        reads_so_far.append(1)

    model = fitted()[2]
    assert list(tmp_path.iterdir())
    del model
    reads_so_far: list[int] = []
    with pytest.raises(ValueError, match="odd"):
        model_of("y ~ a + g", source_of_parts(PARTS, before=fail_late))
    gc.collect()
    assert not list(tmp_path.iterdir())
