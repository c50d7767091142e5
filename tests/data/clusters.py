"""Partitions, tasks and a cluster of two worker processes for the tests of passes on Dask."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.data.sources.partitions import Numbered, Source, in_frames

COLUMNS = ("a", "b")


@dataclass(frozen=True)
class Drawn:
    """A hundred rows of random numbers; each reading leaves a line in a file, if there is one."""

    name: str
    seed: int
    log: str = ""

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{self.seed}\n")
        rows = np.random.default_rng(self.seed).normal(size=(100, 2))
        yield from in_frames(pd.DataFrame(rows, columns=list(COLUMNS)))


def drawn_source(n: int, log: str = "") -> Source:
    return Source("rows", tuple(Drawn(f"rows-{i}.parquet", i, log) for i in range(n)), COLUMNS)


def total(part: Numbered[pd.DataFrame]) -> Any:
    """Sums of the columns."""
    return sum(frame.to_numpy().sum(axis=0) for frame in part.items)


def slow_total(seconds: float, part: Numbered[pd.DataFrame]) -> Any:
    time.sleep(seconds)
    return total(part)


def once(folder: str, number: int, act: Any, part: Numbered[pd.DataFrame]) -> Any:
    """The total; before it, the first time in one partition, something else."""
    mark = Path(folder, "done")
    if part.number == number and not mark.exists():
        mark.touch()
        act()
    return total(part)


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.05)


def die() -> None:
    """Kill this process, as the system does where memory is short; a moment after its work began."""
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(error: type[Exception], text: str) -> None:
    raise error(text)


def always(number: int, act: Any, part: Numbered[pd.DataFrame]) -> Any:
    """The total, and in one partition something else."""
    if part.number == number:
        act()
    return total(part)
