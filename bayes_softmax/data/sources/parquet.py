"""Parquet files as sources: a partition is a row group."""

import glob
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import did_you_mean, shown
from bayes_softmax.data.sources.partitions import Source, frame_rows, numbered_frame

SUFFIXES = (".parquet", ".pq")
GLOB_SIGNS = "*?["
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # how Hive, and all that write such folders, name a missing value
SPLIT_ROWS = 262_144  # of a row group that is read in pieces, at least twice as many
WHOLE = re.compile(r"[-+]?\d+")


class InPath(NamedTuple):
    """A column whose value is in the path of a file, ``year=2020/part-0.parquet``: a factor of the values there are."""

    name: str
    value: Any
    categories: tuple[Any, ...]

    def column(self, n_rows: int) -> pd.Categorical:
        """The column of some rows."""
        code = -1 if self.value is None else self.categories.index(self.value)
        return pd.Categorical.from_codes(np.full(n_rows, code), categories=pd.Index(self.categories))


@dataclass(frozen=True)
class RowGroup:
    """Rows ``first <= i < end`` of one row group of a Parquet file."""

    path: str
    number: int
    first: int
    end: int
    name: str
    in_path: tuple[InPath, ...] = ()

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames; they are numbered as in the row group."""
        from pyarrow.parquet import ParquetFile

        start, values = 0, [value for value in self.in_path if columns is None or value.name in columns]
        with ParquetFile(self.path) as file:
            known = [name for name in file.schema_arrow.names if name not in {value.name for value in values}]
            wanted = known if columns is None else [name for name in columns if name in set(known)]
            rows = frame_rows(len(wanted))
            for batch in file.iter_batches(rows, row_groups=[self.number], columns=wanted, use_threads=False):
                start, before = start + batch.num_rows, start
                cut = batch.slice(max(self.first - before, 0), max(self.end - max(self.first, before), 0))
                if cut.num_rows:
                    frame = numbered_frame(cut.to_pandas(use_threads=False), max(self.first, before))
                    yield frame.assign(**{value.name: value.column(len(frame)) for value in values})
                if start >= self.end:
                    return


def names_parquet(value: Any) -> bool:
    """Whether text or a path names Parquet: by its suffix, as a folder, or as a pattern of files or folders."""
    path = Path(value).expanduser()
    if path.suffix.lower() in SUFFIXES or path.is_dir():
        return True
    found = glob.glob(str(path), recursive=True) if _is_pattern(path) else []
    return any(names_parquet(name) for name in found if not _is_pattern(name))


def _is_pattern(value: Any) -> bool:
    return any(sign in str(value) for sign in GLOB_SIGNS)


def parquet_source(value: Any) -> Source:
    """The source of a Parquet file, a folder with such files below it, or a pattern."""
    from pyarrow.parquet import ParquetFile

    files = parquet_files(value)
    folder = _common_folder(files)
    groups: list[RowGroup] = []
    columns: tuple[str, ...] = ()
    values, n_rows = _values_in_paths(files, folder), 0
    for path in files:
        short = str(Path(path).relative_to(folder))
        try:
            with ParquetFile(path) as file:
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                columns = columns or (*file.schema_arrow.names, *(found.name for found in values[path]))
        except Exception as error:
            raise ValueError(f"{short}: cannot be read as Parquet: {error}") from error
        for i, size in enumerate(sizes):
            name = short if len(sizes) == 1 else f"{short}, row group {i}"
            groups += row_groups(path, i, size, name, values[path])
        n_rows += sum(sizes)
    if not groups:
        raise ValueError(f"data={shown(str(value))} has no rows")
    return Source(str(value), tuple(groups), columns, n_rows)


def row_groups(path: str, number: int, size: int, name: str, values: tuple[InPath, ...] = ()) -> list[RowGroup]:
    """A row group as partitions: a large one in up to four pieces, so that there is work for several threads.

    Each reads what is before it in the group as well, so there are few; they do not depend on the number of cores,
    because random numbers do not.
    """
    n = max(min(size // SPLIT_ROWS, 4), 1)
    bounds = [size * i // n for i in range(n + 1)]
    if n == 1:
        return [RowGroup(path, number, 0, size, name, values)]
    return [RowGroup(path, number, a, b, f"{name}, rows {a} to {b - 1}", values) for a, b in itertools.pairwise(bounds)]


def parquet_files(value: Any) -> list[str]:
    """The files that a path or a pattern names, sorted."""
    path, text = Path(value).expanduser(), str(value)
    if "://" in text:
        raise ValueError(
            f"data={shown(text)} is no file on this machine; pass pyarrow.dataset.dataset({shown(text)}), or a lazy or "
            "a Dask data frame that reads it"
        )
    if path.is_dir() or path.is_file():
        found = _below(path)
    elif _is_pattern(path):
        found = sorted(name for match in glob.glob(str(path), recursive=True) for name in _below(Path(match)))
    else:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise FileNotFoundError(f"data={shown(text)}: there is no such file or folder{near}")
    if not found:
        raise FileNotFoundError(f"data={shown(text)}: no file with suffix {' or '.join(SUFFIXES)} was found")
    return list(dict.fromkeys(found))


def _below(path: Path) -> list[str]:
    """A file, or the Parquet files below a folder."""
    if not path.is_dir():
        return [str(path)]
    return sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not _is_hidden(p, path))


def _is_hidden(path: Path, below: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(below).parts)


def _common_folder(files: list[str]) -> Path:
    """The folder that holds all files, perhaps in folders below it."""
    parents = [set(Path(path).parents) for path in files]
    common: Path = max(set.intersection(*parents), key=lambda folder: len(folder.parts))
    while "=" in common.name:  # a folder of one value of a column: the column is in the path below its parent
        common = common.parent
    return common


def _values_in_paths(files: list[str], folder: Path) -> dict[str, tuple[InPath, ...]]:
    """The columns in the path of each file: factors as ``pandas.read_parquet`` makes them, of whole numbers or text."""
    found: dict[str, dict[str, str | None]] = {}
    for path in files:
        steps = [part.partition("=") for part in Path(path).relative_to(folder).parent.parts]
        found[path] = {name: None if value == NO_VALUE else unquote(value) for name, sign, value in steps if sign}
    values: dict[str, tuple[Any, ...]] = {}
    for name in dict.fromkeys(name for named in found.values() for name in named):
        texts = dict.fromkeys(text for named in found.values() if (text := named.get(name)) is not None)
        whole = all(WHOLE.fullmatch(text) and abs(int(text)) < 2**31 for text in texts)  # as pyarrow takes them
        values[name] = tuple(int(text) if whole else text for text in texts)
    return {
        path: tuple(
            InPath(name, None if text is None else type(values[name][0])(text), values[name])
            for name, text in named.items()
        )
        for path, named in found.items()
    }
