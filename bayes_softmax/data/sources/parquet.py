"""Parquet files and pyarrow datasets as sources: a partition is a row group, or a fragment."""

import glob
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.data.sources.partitions import Source, frame_rows

SUFFIXES = (".parquet", ".pq")
GLOB_SIGNS = "*?["
SPLIT_ROWS = 262_144  # of a row group that is read in pieces, at least twice as many


@dataclass(frozen=True)
class RowGroup:
    """Rows ``first <= i < end`` of one row group of a Parquet file."""

    path: str
    number: int
    first: int
    end: int
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames; they are numbered as in the row group."""
        from pyarrow.parquet import ParquetFile

        start = 0
        with ParquetFile(self.path) as file:
            known = file.schema_arrow.names
            wanted = known if columns is None else [name for name in columns if name in set(known)]
            rows = frame_rows(len(wanted))
            for batch in file.iter_batches(rows, row_groups=[self.number], columns=wanted, use_threads=False):
                start, before = start + batch.num_rows, start
                cut = batch.slice(max(self.first - before, 0), max(self.end - max(self.first, before), 0))
                if cut.num_rows:
                    yield _as_frame(cut, max(self.first, before))
                if start >= self.end:
                    return


@dataclass(frozen=True, eq=False)
class Fragment:
    """A fragment of a pyarrow dataset."""

    fragment: Any
    schema: Any
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        start, wanted = 0, list(self.schema.names if columns is None else columns)
        rows = frame_rows(len(wanted))
        for batch in self.fragment.to_batches(self.schema, columns=wanted, batch_size=rows, use_threads=False):
            yield _as_frame(batch, start)
            start += batch.num_rows


def _as_frame(batch: Any, start: int) -> pd.DataFrame:
    frame: pd.DataFrame = batch.to_pandas(use_threads=False)
    return frame.set_axis(pd.RangeIndex(start, start + len(frame)))


def names_parquet(value: Any) -> bool:
    """Whether text or a path names Parquet: by its suffix, as a folder, or as a pattern of such files."""
    path = Path(value)
    return path.suffix.lower() in SUFFIXES or path.is_dir()


def parquet_source(value: Any) -> Source:
    """The source of a Parquet file, a folder with such files below it, or a pattern."""
    from pyarrow.parquet import ParquetFile

    files = parquet_files(value)
    groups: list[RowGroup] = []
    columns: tuple[str, ...] = ()
    n_rows = 0
    for path in files:
        short = Path(path).name
        try:
            with ParquetFile(path) as file:
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                columns = columns or tuple(file.schema_arrow.names)
        except Exception as error:
            raise ValueError(f"{short}: cannot be read as Parquet: {error}") from error
        for i, size in enumerate(sizes):
            groups += row_groups(path, i, size, short if len(sizes) == 1 else f"{short}, row group {i}")
        n_rows += sum(sizes)
    if not groups:
        raise ValueError(f"data={shown(str(value))} has no rows")
    return Source(str(value), tuple(groups), columns, n_rows)


def row_groups(path: str, number: int, size: int, name: str) -> list[RowGroup]:
    """A row group as partitions: a large one in up to four pieces, so that there is work for several threads.

    Each reads what is before it in the group as well, so there are few; they do not depend on the number of cores,
    because random numbers do not.
    """
    n = max(min(size // SPLIT_ROWS, 4), 1)
    bounds = [size * i // n for i in range(n + 1)]
    if n == 1:
        return [RowGroup(path, number, 0, size, name)]
    return [RowGroup(path, number, a, b, f"{name}, rows {a} to {b - 1}") for a, b in itertools.pairwise(bounds)]


def parquet_files(value: Any) -> list[str]:
    """The files that a path or a pattern names, sorted."""
    path, text = Path(value).expanduser(), str(value)
    if path.is_dir():
        found = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not _is_hidden(p, path))
    elif any(sign in text for sign in GLOB_SIGNS):
        found = sorted(glob.glob(str(path), recursive=True))
    elif path.is_file():
        found = [str(path)]
    else:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise FileNotFoundError(f"data={shown(text)}: there is no such file or folder{near}")
    if not found:
        raise FileNotFoundError(f"data={shown(text)}: no file with suffix {' or '.join(SUFFIXES)} was found")
    return found


def _is_hidden(path: Path, below: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(below).parts)


def dataset_source(dataset: Any) -> Source:
    """The source of a pyarrow dataset."""
    names = tuple(dataset.schema.names)
    fragments = [
        Fragment(fragment, dataset.schema, Path(getattr(fragment, "path", "") or f"fragment {i}").name)
        for i, fragment in enumerate(dataset.get_fragments())
    ]
    return Source(f"the dataset of {len(fragments)} fragments", tuple(fragments), names)
