"""Answers for every row of a source in a folder of Parquet files, one for each partition.

The files are written into a hidden folder beside the one that is asked for, which takes its name when all are complete:
whatever happens before, there is no folder with some of the answers.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pandas as pd

from bayes_softmax.answers.cautions import both_cautions
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.answers.levels import Asked
from bayes_softmax.answers.new_sources import columns_read
from bayes_softmax.answers.source_rows import passes_beside
from bayes_softmax.core.checks import counted, shown
from bayes_softmax.data.sources.partitions import Numbered, Source
from bayes_softmax.data.sources.passes import LocalPasses, Passes

WRITING = ".writing"


class Answer(NamedTuple):
    """What is answered for some rows: a table with their index, cautions about rows, and other notes."""

    table: pd.DataFrame
    cautions: tuple[str, ...] = ()
    notes: tuple[str | None, ...] = ()


class Written(NamedTuple):
    """Files of some partitions, each with its partition and number of rows, and what is to be said of them."""

    files: tuple[tuple[str, str, int], ...]
    cautions: tuple[str, ...]
    notes: tuple[str | None, ...]

    @property
    def table(self) -> pd.DataFrame:
        """The files with their partitions and numbers of rows."""
        table = pd.DataFrame(self.files, columns=["file", "partition", "rows"])
        return table.set_index("file")


type OfFrame = Callable[[pd.DataFrame], Answer]


def folder_of(out: Any) -> Path:
    """The folder that is asked for; raises where it holds something already, or cannot be made."""
    if not isinstance(out, str | os.PathLike) or not str(out).strip():
        raise TypeError(f"out={shown(out)} must be the name of a folder, a str or a Path")
    folder = Path(out).expanduser()
    if folder.is_dir():
        if any(folder.iterdir()):
            raise FileExistsError(f"out={shown(str(out))} is not empty; name a new folder for the answers")
    elif folder.exists():
        raise FileExistsError(f"out={shown(str(out))} is a file; name a folder for the answers")
    if not folder.resolve().parent.is_dir():
        raise FileNotFoundError(f"out={shown(str(out))}: there is no folder {shown(str(folder.resolve().parent))}")
    return folder.resolve()


def write_for_source(
    source: Source,
    fit: Fitted,
    question: Callable[[Any, Any, Any], Answer],
    by_row: tuple[Any, Any],
    asked: Asked,
    out: Any,
) -> Written:
    """Write the answers to a question about all rows of a source; ``by_row`` are offset and choice sets, by name."""
    if asked.groups is not None or asked.drawn:
        raise ValueError("data: levels that are given by value, or drawn anew, need a data frame in place of a source")
    columns = columns_read(source, fit.schema, offset=by_row[0], available=by_row[1])
    ask_one = partial(_asked_of_frame, question, by_row)
    passes = passes_beside(fit.training, source.narrowed(tuple(columns)))
    return write_answers(passes, columns, ask_one, out, "answers for all rows")


def _asked_of_frame(question: Callable[[Any, Any, Any], Answer], by_row: tuple[Any, Any], frame: Any) -> Answer:
    return question(frame, *by_row)


def write_answers(passes: Passes, columns: list[str] | None, of_frame: OfFrame, out: Any, title: str) -> Written:
    """Write what is answered for each partition to the folder ``out``, which is made."""
    folder = folder_of(out)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=WRITING, dir=folder.parent))
    try:
        aside.chmod(0o700 | (folder.parent.stat().st_mode & 0o055))  # as readable as its parent
        writer = PartitionWriter(str(aside), of_frame)
        found = passes.run_frames(columns, writer.written, _both, title)
        missing = [name for name, _, _ in found.files if not (aside / name).is_file()]
        if missing:
            raise ValueError(
                f"out={shown(str(out))}: {counted(len(missing), 'file')} that workers wrote cannot be seen here; name "
                "a folder that all machines share"
            )
        if folder.is_dir():
            folder.rmdir()
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found._replace(files=tuple((str(folder / file), part, n) for file, part, n in found.files))


def _both(a: Written, b: Written) -> Written:
    notes = tuple(dict.fromkeys((*a.notes, *b.notes)))
    return Written((*a.files, *b.files), both_cautions(a.cautions, b.cautions), notes)


@dataclass(frozen=True)
class PartitionWriter:
    """Writes the answers for a partition, of which one without rows has no file; small, and sent to where rows are.

    Attributes
    ----------
    folder
        Where the files go.
    of_frame
        What is answered for a frame.
    """

    folder: str
    of_frame: OfFrame

    def written(self, part: Numbered[pd.DataFrame]) -> Written:
        """The file of a partition, complete or not there."""
        name = f"part-{part.number:05d}.parquet"
        path = Path(self.folder) / f"{name}.{uuid4().hex}"  # a cluster may run a task twice
        found, n_rows = Written((), (), ()), 0
        try:
            with _Tables(path) as tables:
                for frame in filter(len, part.items):
                    answer = self.of_frame(frame)
                    _written(tables, answer.table)
                    n_rows += len(frame)
                    found = _both(found, Written((), answer.cautions, answer.notes))
            if n_rows:
                path.replace(Path(self.folder) / name)
        finally:
            path.unlink(missing_ok=True)
        return found._replace(files=((name, part.name, n_rows),) if n_rows else ())


def write_one(answer: Answer, out: Any) -> Written:
    """Write the answer for rows in memory to a folder."""
    frame = pd.DataFrame(answer.table)
    source = Source("data", (_InMemory(frame),), tuple(map(str, frame.columns)))
    return write_answers(LocalPasses(source), None, Answer, out, "answers")


@dataclass(frozen=True, eq=False)
class _InMemory:
    """A frame as the only partition, with its row labels."""

    frame: pd.DataFrame
    name: str = "data"

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        yield self.frame


def _written(tables: "_Tables", table: pd.DataFrame) -> None:
    """Write some rows; what the disk says is told apart from what reading says."""
    try:
        tables.add(table)
    except OSError as error:
        raise ValueError(f"the answers cannot be written: {error.strerror or error}") from error


class _Tables:
    """A Parquet file that tables are added to; all have the types of the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writers: list[Any] = []

    def __enter__(self) -> "_Tables":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()

    def add(self, table: pd.DataFrame) -> None:
        """Write some rows."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        has_labels = not isinstance(table.index, pd.RangeIndex)
        schema = self._writers[0].schema if self._writers else None
        arrow = pa.Table.from_pandas(flat(table), schema=schema, preserve_index=has_labels)
        if not self._writers:
            self._writers.append(ParquetWriter(self._path, arrow.schema))
        self._writers[0].write_table(arrow)


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names of columns in one level, as text: ``('a', 'mean')`` is ``a_mean``."""
    columns: list[Any] = table.columns.tolist()
    names = ["_".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in columns]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f"two columns of the answer would be called {twice!r} in a file; rename a class")
    return pd.DataFrame(table).set_axis(names, axis=1)
