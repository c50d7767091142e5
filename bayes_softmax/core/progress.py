"""Progress of what takes longer than a moment, as one line on standard error.

On a terminal it is a bar that vanishes; in a notebook a plain line without escape codes or widgets, since what is shown
there is kept with the file.  It is not shown where standard error goes to a file, nor where the logger
``bayes_softmax`` is set to be silent.
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
RARER = 1.25  # a plain line is written anew after so many times the seconds of the last: some thirty times in an hour


class Line:
    """Rows done so far; safe to advance from several threads."""

    def __init__(self, title: str) -> None:
        self._title, self._done, self._unit = title, 0, ""
        self._total: int | None = None
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
            self._bar.update(self._task, completed=self._done, unit=self._unit + self._left())

    def _left(self) -> str:
        """The time that is left if the other steps take as long as those before."""
        if self._total is None or not 0 < self._done < self._total:
            return ""
        seconds = (time.monotonic() - self._start) * (self._total - self._done) / self._done
        return f", {in_words(seconds)} left" if seconds >= 1 else ""

    def _show(self, unit: str, total: int | None) -> None:
        self._unit, self._total = unit, total
        if self._bar is None:
            self._bar = bar()
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=total, unit=unit)

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()


class PlainLine:
    """A line of plain text in a notebook, written anew over itself; nothing before ``DELAY``, and one line at the end.

    It has the methods of rich's ``Progress`` that are called here.
    """

    def __init__(self) -> None:
        self._title, self._unit, self._text, self._total = "", "", "", None
        self._start, self._next = time.monotonic(), DELAY

    def __enter__(self) -> "PlainLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Nothing: the first update that is late enough writes."""

    def add_task(self, title: str, *, total: int | None, unit: str) -> None:
        """Say what is counted."""
        self._title, self._unit = title, unit

    def update(self, task: None, *, completed: int, total: int | None = None, unit: str | None = None) -> None:
        """Write the line anew, if the last is old enough."""
        self._unit = self._unit if unit is None else unit
        seconds = time.monotonic() - self._start
        if seconds < self._next:
            return
        self._next = RARER * seconds
        of = "" if total is None else f" of {total:,}"
        self._write(f"{self._title}: {completed:,}{of} {self._unit}, {seconds:.0f} s")

    def stop(self) -> None:
        """End the line, with the time that it took, if there is one."""
        if self._text:
            self._write(f"{self._title}: done in {time.monotonic() - self._start:.0f} s")
            print(file=sys.stderr)

    def _write(self, text: str) -> None:
        """Write over the last text."""
        print(f"\r{text.ljust(len(self._text))}", end="", file=sys.stderr, flush=True)
        self._text = text


_LINE: ContextVar[Line | None] = ContextVar("line", default=None)


def bar() -> Any:
    """A progress bar of rich on standard error, which vanishes at its end; in a notebook a plain line."""
    if in_notebook():
        return PlainLine()
    load_in_full("rich.progress", "rich.console")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, force_jupyter=False)
    counted = TextColumn("{task.completed:,} {task.fields[unit]}")
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), counted, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def in_words(seconds: float) -> str:
    """A time of some precision.

    >>> in_words(12.3), in_words(150), in_words(9000)
    ('12 s', '2.5 min', '2.5 h')
    """
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} s"


def can_show() -> bool:
    """Whether somebody would see a line on standard error, and wants to."""
    if sys.stderr is None or not LOGGER.isEnabledFor(logging.INFO):
        return False
    return sys.stderr.isatty() or in_notebook()


def in_notebook() -> bool:
    """Whether standard error is that of a notebook."""
    return type(sys.stderr).__module__.startswith("ipykernel")


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
