"""Passes over the rows of a source: a task for each partition, and a merge of what comes back."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

import pandas as pd

from bayes_softmax.core.checks import shortened
from bayes_softmax.core.progress import showing, steps
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.partitions import Merge, Numbered, Partition, Source, Task
from bayes_softmax.data.sources.reader import FrameReader
from bayes_softmax.data.sources.store import Store
from bayes_softmax.data.sources.tree import Tree

# Types that say no more than their message.  An OSError is none: it would look like that of a lost connection.
RENAMED = (
    ValueError, TypeError, RuntimeError, NotImplementedError, ArithmeticError, ZeroDivisionError, OverflowError,
)  # fmt: skip
LONGEST = 300  # characters of a message of another library


class Passes(Protocol):
    """One way over the rows, wherever they are.

    A task is called once for each partition, perhaps in another thread or process: it is a function of a module, or a
    ``functools.partial`` of one, and what it returns is small.  Results are merged in the order of the partitions.
    """

    @property
    def source(self) -> Source:
        """The partitions."""
        ...

    def run_frames[T](
        self, columns: Sequence[str] | None, task: Task[pd.DataFrame, T], merge: Merge[T], title: str
    ) -> T:
        """A pass over rows as they are given."""
        ...

    def run[T](self, reader: FrameReader, task: Task[Design, T], merge: Merge[T], title: str) -> T:
        """A pass over encoded rows."""
        ...

    def keeping(self, budget: float | None, size: float) -> "Passes":
        """Passes that keep encoded rows for the next ones, on so many bytes of disk, or half of what is free.

        ``size`` is about what all encoded rows take.
        """
        ...


class Stopped(Exception):
    """A pass was stopped, so a thread gives up its partition."""


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Passes by threads of this process, each with one frame in memory.

    Attributes
    ----------
    source
        The partitions.
    store
        Encoded rows on disk, for passes after the first; None keeps none.
    n_threads
        Partitions that are read at the same time.
    """

    source: Source
    store: Store | None = None
    n_threads: int = field(default_factory=lambda: os.cpu_count() or 1)

    def run_frames[T](
        self, columns: Sequence[str] | None, task: Task[pd.DataFrame, T], merge: Merge[T], title: str
    ) -> T:
        """A pass over rows as they are given."""

        def of_partition(number: int, partition: Partition, stop: threading.Event) -> T:
            return task(Numbered(number, partition.name, until(partition.frames(columns), stop)))

        return self._run(of_partition, merge, title)

    def run[T](self, reader: FrameReader, task: Task[Design, T], merge: Merge[T], title: str) -> T:
        """A pass over encoded rows, from the store where it has them."""

        def of_partition(number: int, partition: Partition, stop: threading.Event) -> T:
            designs = encoded(reader, number, partition, self.store)
            return task(Numbered(number, partition.name, until(designs, stop)))

        return self._run(of_partition, merge, title)

    def keeping(self, budget: float | None, size: float) -> "LocalPasses":
        """Passes with a store of so many bytes; without one of none."""
        return self if budget == 0 else replace(self, store=Store(budget))

    def _run[T](self, of_partition: Callable[[int, Partition, threading.Event], T], merge: Merge[T], title: str) -> T:
        """Results of all partitions, merged in their order; few are started before the first is done."""
        stop, waiting = threading.Event(), iter(enumerate(self.source.partitions))
        running: list[tuple[Partition, Future[T]]] = []
        merged = Tree(merge)
        n = len(self.source.partitions)

        def start(pool: ThreadPoolExecutor) -> None:
            for number, partition in waiting:
                running.append((partition, pool.submit(_alone, of_partition, number, partition, stop)))
                return

        with showing(title), steps("partitions", n) as count, ThreadPoolExecutor(self.n_threads, "partitions") as pool:
            try:
                for _ in range(2 * self.n_threads):  # one that is large does not make the others wait
                    start(pool)
                while running:
                    partition, future = running.pop(0)
                    found = _result(partition, future)
                    merged.add(found)
                    count(1)
                    start(pool)
            except BaseException:
                stop.set()
                for _, future in running:
                    future.cancel()
                raise
        return merged.root()


def _alone[T](
    of_partition: Callable[[int, Partition, threading.Event], T], number: int, partition: Partition, stop: Any
) -> T:
    with blas_on_one_thread():
        return of_partition(number, partition, stop)


def until[T](items: Iterator[T], stop: threading.Event) -> Iterator[T]:
    """The items until a pass is stopped."""
    for item in items:
        if stop.is_set():
            raise Stopped
        yield item


def encoded(reader: FrameReader, number: int, partition: Partition, store: Store | None) -> Iterator[Design]:
    """The encoded rows of a partition: from the store, or read and kept there if it has room."""
    if store is None:
        return reader.designs(partition)
    if not store.has(number):
        return reader.finished(store.filled(number, reader.raw_designs(partition)))
    return reader.designs(partition) if reader.with_variables else reader.finished(store.read(number))


def _result[T](partition: Partition, future: Future[T]) -> T:
    try:
        return future.result()
    except Exception as error:
        raise_named(partition.name, error)


def raise_named(name: str, error: BaseException) -> NoReturn:
    """Raise an error of a partition again, of its type, with the name of the partition before its message.

    An error of a type whose message cannot be changed becomes a ``ValueError``.
    """
    if isinstance(error, MemoryError | KeyboardInterrupt):
        raise error
    kind = type(error) if type(error) in RENAMED else ValueError
    said = str(error).removeprefix("data: ") if kind in (ValueError, TypeError) and kind is type(error) else ""
    said = said or f"cannot be read: {type(error).__name__}: {_first_line(error)}"
    raise kind(f"{name}: {said}") from error


def _first_line(error: BaseException) -> str:
    """What an error of another library says, cut to what can be read."""
    lines = str(error).strip().splitlines()
    return shortened(lines[0], LONGEST) if lines else "no reason is given"
