"""BLAS on one thread, since chains and blocks run in parallel; and a pool for functions that release Python's lock.

Work is cut into parts by its size alone, never by the number of cores, so that sums are the same on every machine.
"""

import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from threadpoolctl import OpenBLASController, ThreadpoolController

from bayes_softmax.core.interrupts import held_to_the_end

PART_WORK = 1e6  # multiplications worth a task of their own: about 0.1 ms
MAX_PARTS = 8


class _Libraries(NamedTuple):
    """The BLAS libraries of the process: ``shared`` have one thread count for all callers, ``own`` one for each."""

    shared: list[Any]
    own: list[Any]


@functools.lru_cache(maxsize=1)
def _libraries() -> _Libraries:
    # Finding the loaded BLAS libraries takes milliseconds, longer than a small fit: done once.
    import scipy.linalg.cython_blas  # noqa: F401, PLC0415 (loads the BLAS that compiled code calls)

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [library for library in found if getattr(library, "threading_layer", None) == "openmp"]
    return _Libraries([library for library in found if library not in own], own)


def _change(libraries: list[Any], threads: list[int]) -> list[int]:
    """Set thread counts and return the previous ones."""
    before = [library.num_threads for library in libraries]
    # threadpoolctl lets only the first thread that asked change the thread count of OpenBLAS, and ignores the others.
    OpenBLASController.clear_controlling_thread(force=True)
    for library, n in zip(libraries, threads, strict=True):
        library.set_num_threads(n)
    OpenBLASController.clear_controlling_thread(force=True)
    return before


class _Limit:
    """The process-wide limit of BLAS threads: set by the first caller, lifted when the last is done.

    If an earlier one lifted it, the others would go on with several threads, and their sums would depend on who else
    is running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[int] | None = None
        self._thread = threading.local()

    def enter(self) -> None:
        shared, own = _libraries()
        with self._lock:
            if self._before is None:
                self._before = _change(shared, [1] * len(shared))
            self._users += 1
        entered = getattr(self._thread, "entered", 0)
        if entered == 0 and own:
            self._thread.before = _change(own, [1] * len(own))
        self._thread.entered = entered + 1

    def leave(self) -> None:
        shared, own = _libraries()
        self._thread.entered -= 1
        if self._thread.entered == 0 and own:
            _change(own, self._thread.before)
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._before is not None:
                _change(shared, self._before)
                self._before = None

    def forked(self) -> None:
        """In a new process only the thread that forked goes on; if others held the limit, the next caller lifts it."""
        self._lock = threading.Lock()
        self._users = getattr(self._thread, "entered", 0)


_limit = _Limit()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_limit.forked)


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Context in which BLAS uses one thread; it may be entered again, and by several threads."""
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def in_this_thread() -> Iterator[None]:
    """Context that uses no other thread: the cores belong to tasks beside this one."""
    token = _ALONE.set(True)
    try:
        with blas_on_one_thread():
            yield
    finally:
        _ALONE.reset(token)


@functools.cache
def _n_threads() -> int:
    return os.cpu_count() or 1  # a system call of microseconds each time


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    n = max(_n_threads() - 1, 1)  # the caller works too
    # All threads start here, waiting for each other: one whose start Ctrl-C cuts is unknown to the pool, which would
    # not end it, and Python would wait for it at exit.
    with held_to_the_end():
        pool, all_here = ThreadPoolExecutor(n, thread_name_prefix="bayes_softmax"), threading.Barrier(n + 1)
        for _ in range(n):
            pool.submit(all_here.wait)
        all_here.wait()
    return pool


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

    n_others = 0 if _ALONE.get() else min(_n_threads() - 1, len(parts) - 1)
    others = [_pool().submit(work) for _ in range(n_others)]
    try:
        work()
    finally:
        for _ in waiting:  # after an error or Ctrl-C nothing more is started
            pass
        for other in others:
            # A task that has not begun has nothing left to do; after a fork there may be no thread to begin it.
            if not other.cancel():
                other.result()
    return results  # type: ignore[return-value]
