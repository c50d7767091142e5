"""Waiting for a pass on a Dask cluster: what is done is counted, and what goes wrong is said."""

import queue
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import Any

from bayes_softmax.core.checks import counted
from bayes_softmax.core.errors import ClusterError
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.data.sources.clients import lost, raise_for_merge, raise_for_partition
from bayes_softmax.data.sources.on_worker import n_running_here
from bayes_softmax.data.sources.partitions import Source

LOOK = 0.5  # seconds between two looks at the connection
ANSWER = 60.0  # seconds until a client that does not answer is looked at again
PATIENCE = 5.0  # seconds without a result, after which workers are looked at


@dataclass(frozen=True, eq=False)
class Watch:
    """One pass over a source, as seen from the process that asked for it.

    Attributes
    ----------
    source, client
        Its partitions, and the client that made it.
    address, title
        The scheduler and the pass, for messages.
    begun
        Numbers of the partitions that workers began, each as often as it was begun.
    """

    source: Source
    client: Any
    address: str
    title: str
    begun: Callable[[], list[int]]

    def result(self, parts: list[Any], last: Any, count: Callable[[int], None]) -> Any:
        """The result of the ``last`` future, when those of all ``parts`` are done.

        A part is released when it is done, so that its result is forgotten when it is merged.  After an error or
        Ctrl-C all are released, and Dask forgets what nobody waits for.
        """
        n, n_done = len(parts), 0
        waiting = dict(enumerate([*parts, last]))
        parts.clear()
        events: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number, future in waiting.items():
            future.add_done_callback(partial(_note, events, number))
        try:
            while (number := self._next(events, n_done)) != n:
                self._check(number, waiting, n_done)
                done = waiting.pop(number)
                if done is not last:  # of a single partition there is nothing to merge
                    done.release()
                n_done += 1
                count(1)
            for part in sorted(waiting):
                self._check(part, waiting, n_done)
            count(n - n_done)
            return self._fetched(last, n)
        finally:
            for future in waiting.values():
                future.release()

    def _next(self, events: "queue.SimpleQueue[int]", n_done: int) -> int:
        """The number of the next future that is done; Ctrl-C is heard meanwhile."""
        looks, silence = 0, 0.0
        while True:
            try:
                return events.get(timeout=LOOK)
            except queue.Empty:
                silence += LOOK
            if self.client.status not in ("running", "connecting"):
                raise self._lost(n_done)
            if silence >= PATIENCE:
                silence, looks = 0.0, self._looked(looks)

    def _looked(self, looks: int) -> int:
        """Say if there is no worker; raise if all wait for memory, found twice in a row."""
        workers = self.client.scheduler_info(n_workers=-1).get("workers", {})
        if not workers:
            if looks == 0:
                LOGGER.info(f"the Dask cluster at {self.address} has no workers; waiting for one")
            return -1
        paused = all(worker["status"] == "paused" for worker in workers.values())
        if not paused or any(self.client.run(n_running_here, on_error="ignore").values()):
            return 0
        if looks > 0:
            raise ClusterError(
                f"{self.title}: all {counted(len(workers), 'worker')} of the cluster at {self.address} are paused, "
                "since their memory is nearly full, and none is at work; give workers more memory, let go of what else "
                "they hold, or cut the rows into smaller partitions"
            )
        return 1

    def _check(self, number: int, waiting: dict[int, Any], n_done: int) -> None:
        """Raise if the pass cannot go on; a result lost with its worker is computed again when it is needed."""
        from distributed import KilledWorker

        future, n = waiting[number], len(self.source.partitions)
        if future.status == "cancelled":
            raise self._lost(n_done)  # a closed client cannot be asked why
        if future.status == "error":
            error = future.exception(timeout=ANSWER)
            if isinstance(error, KilledWorker):
                # Dask suspects all that a worker was to do; what kills workers has been begun most often.
                failed = {part for part in waiting if waiting[part].status == "error"}
                begun = Counter(part for part in self.begun() if part in failed)
                number = begun.most_common(1)[0][0] if begun else number
            if number < n:
                raise_for_partition(self.source.partitions[number].name, error)
            raise_for_merge(self.title, error)

    def _fetched(self, last: Any, n: int) -> Any:
        """The result itself, which comes from the worker that has it."""
        while True:
            try:
                return last.result(timeout=ANSWER)
            except TimeoutError:
                if self.client.status != "running":
                    raise self._lost(n) from None
            except CancelledError as error:
                raise self._lost(n) from error

    def _lost(self, n_done: int) -> ClusterError:
        status = self.client.status
        why = "its work was cancelled" if status == "running" else f"the client is {status}"
        return lost(self.address, self.title, n_done, len(self.source.partitions), why)


def _note(events: "queue.SimpleQueue[int]", number: int, _future: Any) -> None:
    events.put(number)
