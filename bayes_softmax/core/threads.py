"""Threads: BLAS on one, since chains and blocks run in parallel themselves; and functions that release Python's lock.

Work is cut into parts by its size alone, never by the number of cores, so that sums come out the same everywhere.
"""

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

PART_WORK = 1e6  # multiplications worth a task of their own: about 0.1 ms
MAX_PARTS = 8


@functools.lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Finding the loaded BLAS libraries takes milliseconds, longer than a small fit: done once.
    import scipy.linalg.cython_blas  # noqa: F401, PLC0415 (loads the BLAS that compiled code calls)

    return ThreadpoolController()


_limiting = threading.Lock()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Context in which BLAS uses one thread.

    The limit is the process's.  Of several threads the first one in sets and restores it: were another to restore
    what it found, that would be the first one's limit, for good.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


def _n_threads() -> int:
    return os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # The caller works too.
    return ThreadPoolExecutor(max(_n_threads() - 1, 1), thread_name_prefix="bayes_softmax")


def ranges(n: int, work: float) -> list[tuple[int, int]]:
    """Cut ``0 <= i < n`` into consecutive ranges, each worth a task if all of them are ``work`` multiplications."""
    n_parts = int(min(max(work // PART_WORK, 1), MAX_PARTS, max(n, 1)))
    bounds = [n * part // n_parts for part in range(n_parts + 1)]
    return list(itertools.pairwise(bounds))


def in_parallel[T](function: Callable[[int, int], T], parts: Sequence[tuple[int, int]]) -> list[T]:
    """Results of ``function(first, end)`` for each range, in order; ``function`` must release Python's lock.

    The caller works too, and every thread takes the next range when it is done with one.
    """
    results: list[T | None] = [None] * len(parts)
    waiting = iter(range(len(parts)))  # shared: Python's lock lets one thread at a time take a number

    def work() -> None:
        for i in waiting:
            results[i] = function(*parts[i])

    others = [_pool().submit(work) for _ in range(min(_n_threads() - 1, len(parts) - 1))]
    try:
        work()
    finally:
        for _ in waiting:  # after an error or Ctrl-C nothing more is started
            pass
        for other in others:
            # What has not begun has nothing to do any more; after a fork there may be no thread that would begin it.
            if not other.cancel():
                other.result()
    return results  # type: ignore[return-value]
