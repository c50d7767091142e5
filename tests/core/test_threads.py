"""Threads: results in order, no hang after a fork or when nested, and one limit of BLAS for all who ask."""

import multiprocessing
import os
import subprocess
import sys
from threading import Event, Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from bayes_softmax.core import threads


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def squares(n: int) -> list[int]:
    return threads.in_parallel(lambda first, end: first * first, [(i, i + 1) for i in range(n)])


def test_results_stand_in_order() -> None:
    assert squares(100) == [i * i for i in range(100)]
    assert squares(0) == []


def test_nested_calls_end(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = threads.in_parallel(lambda first, end: sum(squares(5)) + first, [(i, i + 1) for i in range(8)])
    assert outer == [30 + i for i in range(8)]


def test_an_error_stops_and_is_raised() -> None:
    def fail(first: int, end: int) -> int:
        if first == 3:
            raise ArithmeticError("third")
        return first

    with pytest.raises(ArithmeticError, match="third"):
        threads.in_parallel(fail, [(i, i + 1) for i in range(50)])
    assert squares(3) == [0, 1, 4]


CUT_START = """
import signal, threading
from bayes_softmax.core import threads

start = threading.Thread.start

def cut(thread):
    start(thread)
    signal.raise_signal(signal.SIGINT)

threading.Thread.start = cut
call = lambda: threads.in_parallel(lambda first, end: first, [(0, 1), (1, 2)])
try:
    call()
except KeyboardInterrupt:
    print("interrupted")
threading.Thread.start = start
print(call())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core there is no other thread")
def test_ctrl_c_while_a_thread_starts_does_not_keep_the_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", CUT_START], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "interrupted\n[0, 1]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked on Windows")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested is what it warns of
def test_a_forked_process_does_not_wait_for_threads_it_does_not_have() -> None:
    squares(10)  # the pool exists before the fork
    child = multiprocessing.get_context("fork").Process(target=squares, args=(10,))
    child.start()
    child.join(timeout=20)
    ended = child.exitcode
    child.kill()
    assert ended == 0


def test_the_threads_of_blas_are_restored_whoever_leaves_last() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_threads()
    entered, leave = Event(), Event()

    def other() -> None:
        with threads.blas_on_one_thread():
            entered.set()
            leave.wait(10)

    thread = Thread(target=other)
    with threads.blas_on_one_thread():
        assert blas_threads() == {1}
        thread.start()
        entered.wait(10)
    leave.set()
    thread.join()
    assert blas_threads() == before
    with pytest.raises(ArithmeticError), threads.blas_on_one_thread():
        raise ArithmeticError
    assert blas_threads() == before
    with threads.blas_on_one_thread(), threads.blas_on_one_thread():
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_the_limit_holds_until_the_last_one_leaves_and_in_whatever_thread() -> None:
    """threadpoolctl lets only the first thread change OpenBLAS, and the first one out would free all others."""
    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_threads()
    entered, leave, seen = Event(), Event(), []

    def first() -> None:
        with threads.blas_on_one_thread():
            entered.set()
            leave.wait(10)

    def second() -> None:
        with threads.blas_on_one_thread():
            seen.append(blas_threads())
            leave.set()
            one.join()
            seen.append(blas_threads())

    one, two = Thread(target=first), Thread(target=second)
    one.start()
    entered.wait(10)
    two.start()
    two.join()
    assert seen == [{1}, {1}]
    assert blas_threads() == before


def limited_in_child(before: set[int]) -> None:
    with threads.blas_on_one_thread():
        assert blas_threads() == {1}
    sys.exit(0 if blas_threads() == before else 3)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked on Windows")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_restores_the_limit_of_threads_it_does_not_have() -> None:
    before = blas_threads()
    entered, leave = Event(), Event()

    def hold() -> None:
        with threads.blas_on_one_thread():
            entered.set()
            leave.wait(20)

    holder = Thread(target=hold)
    holder.start()
    entered.wait(10)
    child = multiprocessing.get_context("fork").Process(target=limited_in_child, args=(before,))
    child.start()
    child.join(timeout=20)
    ended = child.exitcode
    child.kill()
    leave.set()
    holder.join()
    assert ended == 0
    assert blas_threads() == before
