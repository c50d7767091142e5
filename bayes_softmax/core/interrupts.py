"""Ctrl-C: libraries are imported whole or not at all, and finished work is not thrown away."""

import importlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from bayes_softmax.core.logger import LOGGER

INTERRUPTED = "interrupted"  # first word of the notes about it
WAITING = "interrupted; stopping as soon as the libraries are loaded"


@dataclass
class InterruptCount:
    """Number of times that Ctrl-C was pressed while it was held back."""

    times: int = 0


def load_in_full(*modules: str) -> None:
    """Import modules; Ctrl-C waits until they are there.

    An interrupted import leaves modules half initialised, and compiled ones cannot be initialised twice: every later
    import in the process would fail.
    """
    missing = [name for name in modules if name not in sys.modules]
    if not missing:
        return
    with _counting_interrupts(lambda noted: LOGGER.info(WAITING) if noted == 1 else None):
        for name in missing:
            importlib.import_module(name)


@contextmanager
def held_to_the_end() -> Iterator[None]:
    """Context for steps that must not be cut: Ctrl-C is raised at its end."""
    with _counting_interrupts(lambda _: None):
        yield


@contextmanager
def held_back(*, pressed_before: bool = False) -> Iterator[InterruptCount]:
    """Context for the steps after finished work: the first Ctrl-C is only counted, the second is raised at once.

    If Ctrl-C was ``pressed_before``, the next one is the second.
    """
    if pressed_before:
        yield InterruptCount()
        return

    def handle(times: int) -> None:
        if times > 1:
            raise KeyboardInterrupt

    with _counting_interrupts(handle, raise_later=False) as noted:
        yield noted


@contextmanager
def _counting_interrupts(handle: Callable[[int], None], *, raise_later: bool = True) -> Iterator[InterruptCount]:
    """Context in which Ctrl-C calls ``handle`` with the count so far; ``raise_later`` raises it at the end."""
    noted, before = InterruptCount(), signal.getsignal(signal.SIGINT)
    # Only the main thread receives signals and may set handlers; handlers other than Python's default are kept.
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield noted
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        noted.times += 1
        handle(noted.times)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
    if raise_later and noted.times:
        raise KeyboardInterrupt
