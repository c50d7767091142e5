"""Parquet files and pyarrow datasets as sources: a partition is a row group, or a fragment."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.data.sources.partitions import FRAME_ROWS, Source

SUFFIXES = (".parquet", ".pq")
GLOB_SIGNS = "*?["


@dataclass(frozen=True)
class RowGroup:
    """One row group of a Parquet file."""

    path: str
    number: int
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        from pyarrow.parquet import ParquetFile

        start = 0
        with ParquetFile(self.path) as file:
            known = set(file.schema_arrow.names)
            wanted = None if columns is None else [name for name in columns if name in known]
            for batch in file.iter_batches(FRAME_ROWS, row_groups=[self.number], columns=wanted, use_threads=False):
                yield _as_frame(batch, start)
                start += batch.num_rows


@dataclass(frozen=True, eq=False)
class Fragment:
    """A fragment of a pyarrow dataset."""

    fragment: Any
    schema: Any
    name: str

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        start = 0
        wanted = None if columns is None else list(columns)
        for batch in self.fragment.to_batches(self.schema, columns=wanted, batch_size=FRAME_ROWS, use_threads=False):
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
    for path in files:
        short = Path(path).name
        try:
            with ParquetFile(path) as file:
                n = file.num_row_groups
                columns = columns or tuple(file.schema_arrow.names)
        except Exception as error:
            raise ValueError(f"{short}: cannot be read as Parquet: {error}") from error
        groups += [RowGroup(path, i, short if n == 1 else f"{short}, row group {i}") for i in range(n)]
    if not groups:
        raise ValueError(f"data={shown(str(value))} has no rows")
    return Source(str(value), tuple(groups), columns)


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
