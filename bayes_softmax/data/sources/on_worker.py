"""What runs on the workers of a Dask cluster: tasks, merges, and encoded rows on disk."""

import shutil
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayes_softmax.core.threads import in_this_thread
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.partitions import Merge, Numbered, Partition, Task
from bayes_softmax.data.sources.passes import encoded
from bayes_softmax.data.sources.reader import FrameReader
from bayes_softmax.data.sources.store import FREE_SHARE, Store


@dataclass(frozen=True)
class FrameTask[T]:
    """What a pass over rows as they are given does with each partition."""

    columns: Sequence[str] | None
    task: Task[pd.DataFrame, T]

    def __call__(self, number: int, partition: Partition, _scratch: "Scratch") -> T:
        """The result of one partition."""
        with in_this_thread():
            return self.task(Numbered(number, partition.name, partition.frames(self.columns)))


@dataclass(frozen=True)
class DesignTask[T]:
    """What a pass over encoded rows does with each partition."""

    reader: FrameReader
    task: Task[Design, T]

    def __call__(self, number: int, partition: "Partition | KeptRows", scratch: "Scratch") -> T:
        """The result of one partition, from encoded rows where this worker has them."""
        with in_this_thread():
            if isinstance(partition, KeptRows):
                designs = self.reader.finished(partition.designs)
            else:
                designs = encoded(self.reader, number, partition, scratch.store())
            return self.task(Numbered(number, partition.name, designs))


class KeptRows(NamedTuple):
    """The encoded rows of a partition, as a result that Dask holds."""

    name: str
    designs: tuple[Design, ...]


def kept_rows(reader: FrameReader, partition: Partition) -> KeptRows:
    """The encoded rows of a partition, with all features and not standardised."""
    with in_this_thread():
        return KeptRows(partition.name, tuple(reader.raw_designs(partition)))


def sent[T](value: T) -> T:
    """The value: a task of its own, so that workers get it from each other, and again where one was lost."""
    return value


type Leaf[T] = Callable[[int, Any, Scratch], T]


def apply[T](task: "Leaf[T]", name: str, number: int, partition: Any, scratch: "Scratch") -> T:
    """Run the task of the pass ``name`` for one partition; the scheduler knows of it, should this worker die."""
    from distributed import get_worker

    get_worker().log_event(scratch.token, [name, number])
    return task(number, partition, scratch)


def merged[T](merge: Merge[T], results: list[T]) -> T:
    """Results of consecutive partitions as one."""
    return reduce(merge, results)


class Share(NamedTuple):
    """The bytes that a worker may keep on its disk: so many, or half of what is free, by how many share that disk."""

    budget: float | None
    of_disk: int


class Scratch:
    """The encoded rows of one model that this worker keeps on its disk.

    Dask holds it as a result on each worker that works for the model.  A copy that comes from another worker is the one
    of this process, empty at first.  When the model is gone, Dask forgets the result, and the files go with it.
    """

    def __init__(self, token: str, share: Share) -> None:
        self.token, self.share = token, share
        self._store: Store | None = None

    def store(self) -> Store | None:
        """Where encoded rows are kept, made by the first task that asks; None if none are to be."""
        with _LOCK:
            if self._store is None and self.share.budget != 0:
                folder = _folder_of_worker()
                free = FREE_SHARE * shutil.disk_usage(folder).free / self.share.of_disk
                self._store = Store(free if self.share.budget is None else self.share.budget, folder)
        return self._store

    def numbers(self) -> list[int]:
        """The partitions of which it has the encoded rows."""
        return [] if self._store is None else self._store.numbers()

    def __reduce__(self) -> Any:
        return scratch_here, (self.token, self.share)


_HERE: weakref.WeakValueDictionary[str, Scratch] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()


def scratch_here(token: str, share: Share) -> Scratch:
    """The scratch of this process for a model."""
    with _LOCK:
        found = _HERE.get(token)
        if found is None:
            found = _HERE[token] = Scratch(token, share)
        return found


def numbers_here(token: str) -> list[int]:
    """Partitions of which this process has the encoded rows."""
    found = _HERE.get(token)
    return [] if found is None else found.numbers()


def n_running_here(dask_worker: Any) -> int:
    """Number of tasks that this worker is at work on."""
    return len(dask_worker.state.executing)


def _folder_of_worker() -> Path:
    """The folder for temporary files that was set up for this worker, which Dask removes when the worker has died."""
    from distributed import get_worker

    return Path(get_worker().local_directory)
