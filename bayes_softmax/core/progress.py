"""Progress of what takes longer than a moment, as one line on standard error.

It is shown on a terminal, and as plain text in a notebook; not where standard error goes to a file, and not where the
logger ``bayes_softmax`` is set to be silent.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.logger import LOGGER

DELAY = 1.5  # seconds of silence: most answers have been given by then


class Line:
    """Rows done so far; safe to advance from several threads."""

    def __init__(self, title: str) -> None:
        self._title, self._done = title, 0
        self._start, self._lock = time.monotonic(), threading.Lock()
        self._bar: Any = None
        self._task: Any = None

    def advance(self, n: int) -> None:
        """Count rows, and show the count from ``DELAY`` on."""
        with self._lock:
            self._done += n
            if self._bar is None and time.monotonic() - self._start < DELAY:
                return
            self._show("rows", None)
            self._bar.update(self._task, completed=self._done)

    def start(self, unit: str, total: int) -> None:
        """Show at once how many of a known number of steps are done."""
        with self._lock:
            self._show(f"of {total} {unit}", total)

    def step(self, n: int) -> None:
        """Count steps of a known number."""
        with self._lock:
            self._done += n
            self._bar.update(self._task, completed=self._done)

    def _show(self, unit: str, total: int | None) -> None:
        if self._bar is None:
            self._bar = bar()
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=total, unit=unit)

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()


_LINE: ContextVar[Line | None] = ContextVar("line", default=None)


def bar() -> Any:
    """A progress bar of rich on standard error, which vanishes at its end; it needs no widgets in a notebook."""
    load_in_full("rich.progress", "rich.console")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, force_jupyter=False)
    counted = TextColumn("{task.completed:,} {task.fields[unit]}")
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), counted, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def can_show() -> bool:
    """Whether somebody would see a line on standard error, and wants to."""
    if sys.stderr is None or not LOGGER.isEnabledFor(logging.INFO):
        return False
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


@contextmanager
def showing(title: str, *, wanted: bool = True) -> Iterator[None]:
    """Context of a computation that counts its rows by :func:`counter`; the outermost one gives the title."""
    if _LINE.get() is not None or not (wanted and can_show()):
        yield
        return
    line = Line(title)
    token = _LINE.set(line)
    try:
        yield
    finally:
        _LINE.reset(token)
        line.close()


def counter() -> Callable[[int], None]:
    """The function that counts rows, for use in any thread."""
    line = _LINE.get()
    return _silent if line is None else line.advance


@contextmanager
def steps(unit: str, total: int) -> Iterator[Callable[[int], None]]:
    """Context of a known number of long steps, with the function that counts them; the rows of a step do not count."""
    line = _LINE.get()
    if line is None:
        yield _silent
        return
    line.start(unit, total)
    token = _LINE.set(None)
    try:
        yield line.step
    finally:
        _LINE.reset(token)


def _silent(n: int) -> None:
    """Count nothing."""
