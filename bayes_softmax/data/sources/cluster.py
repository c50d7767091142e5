"""Passes over the rows of a source by the workers of a Dask cluster."""

import re
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from bayes_softmax.core.errors import ClusterError
from bayes_softmax.core.progress import showing, steps
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.clients import RESUME, active_client, check_client, lost
from bayes_softmax.data.sources.graph import tasks_of_encoding, tasks_of_pass
from bayes_softmax.data.sources.on_worker import DesignTask, FrameTask, Leaf, Share, numbers_here, scratch_here
from bayes_softmax.data.sources.partitions import Merge, Source, Task
from bayes_softmax.data.sources.passes import LocalPasses, Passes
from bayes_softmax.data.sources.reader import FrameReader
from bayes_softmax.data.sources.watch import Watch

MEMORY_SHARE = 0.4  # of the workers' memory that encoded rows take at most: from .6 on Dask writes them to disk
RETRIES = 3  # times that a partition is tried again after an error: files on a network fail for a moment


@dataclass(frozen=True, eq=False)
class DaskPasses:
    """Passes by a cluster: one task per partition and pass, and a tree of merges, of which only the root comes back.

    Results are merged in the order of the partitions, whichever worker had them, so sums do not depend on the cluster.
    A worker that dies takes results and encoded rows with it; Dask then computes these again on another one.

    Attributes
    ----------
    source
        The partitions.  A worker reads them itself; rows that Dask holds stay on the worker that has them.
    client
        A connected ``distributed.Client``.
    budget
        Bytes of encoded rows that the workers may keep on their disks, for passes after the first, all together; None
        is half of what is free there, and 0 keeps none.
    retries
        Times that a partition is tried again after an error.
    holds
        Whether encoded rows are kept as results of Dask, which it spills to disk where memory is short.
    """

    source: Source
    client: Any
    budget: float | None = 0.0
    retries: int = RETRIES
    holds: bool = False
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _of_scratch: list[Any] = field(default_factory=list)  # futures, made in the first pass
    _of_rows: list[Any] = field(default_factory=list)

    def run_frames[T](
        self, columns: Sequence[str] | None, task: Task[pd.DataFrame, T], merge: Merge[T], title: str
    ) -> T:
        """A pass over rows as they are given."""
        return self._run(FrameTask(columns, task), merge, title, None)

    def run[T](self, reader: FrameReader, task: Task[Design, T], merge: Merge[T], title: str) -> T:
        """A pass over encoded rows."""
        return self._run(DesignTask(reader, task), merge, title, reader)

    def keeping(self, budget: float | None, size: float) -> "DaskPasses":
        """Passes that keep encoded rows: those of Dask as results of Dask, others on so many bytes of the disks."""
        if not self.source.on_dask:
            return DaskPasses(self.source, self.client, budget, self.retries)
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        holds = budget != 0 and size <= MEMORY_SHARE * sum(worker["memory_limit"] for worker in workers)
        return DaskPasses(self.source, self.client, 0.0, self.retries, holds)

    def _run[T](self, leaf: Leaf[T], merge: Merge[T], title: str, reader: FrameReader | None) -> T:
        if self.client.status != "running":
            raise ClusterError(
                f"{title} needs the Dask client of this model, which is {self.client.status}: "
                f"connect to a cluster and build the model anew; {RESUME}"
            )
        address, n = self.client.scheduler.address, len(self.source.partitions)
        name = f"{'-'.join(re.findall('[A-Za-z]+', title)) or 'pass'}-{uuid.uuid4().hex}"
        watch = Watch(self.source, self.client, address, title, partial(self._begun, name))
        try:
            tasks, root = tasks_of_pass(leaf, merge, name, self._rows(reader), self._scratch(), self._on_disks(reader))
            with showing(title), steps("partitions", n) as count:
                # Dask's own collections are optimised already; fused tasks would lose the workers that they prefer.
                *parts, last = self.client.compute([*tasks, root], retries=self.retries, optimize_graph=False)
                result: T = watch.result(parts, last, count)
        except OSError as error:  # of the connection; those of partitions have been named
            raise lost(address, title, 0, n, error) from error
        return result

    def _begun(self, name: str) -> list[int]:
        """Numbers of the partitions that workers began in a pass, each as often as it was begun."""
        return [number for _, (begun_in, number) in self.client.get_events(self._token) if begun_in == name]

    def _scratch(self) -> Any:
        """The future of the scratch: it lives as long as these passes."""
        if not _are_well(self._of_scratch):
            hosts = [urlsplit(address).hostname for address in self.client.nthreads()]
            n, most = max(len(hosts), 1), max(Counter(hosts).values(), default=1)
            share = Share(None if self.budget is None else self.budget / n, most)
            self._of_scratch[:] = [self.client.submit(scratch_here, self._token, share, key=f"scratch-{self._token}")]
        return self._of_scratch[0]

    def _on_disks(self, reader: FrameReader | None) -> dict[int, list[str]]:
        """Addresses of the workers that have the encoded rows of a partition on their disks, by its number."""
        found: dict[int, list[str]] = {}
        if reader is not None and self.budget != 0:
            for address, numbers in self.client.run(numbers_here, self._token, on_error="ignore").items():
                for number in numbers:
                    found.setdefault(number, []).append(address)
        return found

    def _rows(self, reader: FrameReader | None) -> Sequence[Any]:
        """The partitions, or futures of their encoded rows; Dask encodes again what is lost with a worker."""
        if reader is None or reader.with_variables or not self.holds:
            return self.source.partitions
        if not _are_well(self._of_rows):
            tasks = tasks_of_encoding(reader, self.source.partitions)
            self._of_rows[:] = self.client.compute(tasks, retries=self.retries, optimize_graph=False)
        return self._of_rows


def _are_well(futures: list[Any]) -> bool:
    """Whether there are futures, and none was cancelled with a cluster or failed."""
    return bool(futures) and all(future.status not in ("cancelled", "error") for future in futures)


def passes_of(source: Source, client: Any) -> Passes:
    """The passes over a source, by the workers of a client where there is one, else by threads of this process.

    Rows that Dask holds are read where Dask itself would compute them: by the workers of the active client.
    """
    found = check_client(client)
    if found is None and source.on_dask and client is not False:
        found = active_client()
    return LocalPasses(source) if found is None else DaskPasses(source, found)
