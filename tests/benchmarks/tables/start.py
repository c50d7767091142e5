"""Seconds from starting Python to a posterior."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.engines import FOLDER, ROOT, environment, missing, worker_command
from tests.benchmarks.report import Report
from tests.benchmarks.run import Finished, data_file, run_limited

SENTENCE = (
    "Start: seconds from starting a fresh Python process to the posterior (a DataTree) of the penguins, four chains "
    "and otherwise each package's defaults, the same model (Bambi: its own priors and sampler). Warm: median of "
    "{repeats} runs after a first one. Cold: one run with Numba's and PyTensor's caches empty; byte code and the "
    "system's file cache stay warm."
)
REPEATS = 3


class Contestant(NamedTuple):
    """A row of the table: its title, the environment it runs in, and its name in the worker."""

    title: str
    environment: str
    function: str


CONTESTANTS = (
    Contestant("bayes_softmax", "own", "ours"),
    Contestant("PyMC ZeroSumNormal", "own", "pymc"),
    Contestant("Bambi", "peers", "bambi"),
)


def table(report: Report, limit: float, *, quick: bool) -> None:
    """One row a package; the ratio is its time over ours."""
    columns = ["package", "warm s", "ratio", *([] if quick else ["cold s", "ratio"])]
    repeats = 1 if quick else REPEATS
    report.table("start", SENTENCE.format(repeats=repeats), columns)
    path, _ = data_file("penguins")
    ours: list[float | str] = []
    for contestant in CONTESTANTS[:2] if quick else CONTESTANTS:
        seconds = [warm(contestant, path, limit, repeats)]
        if not quick:
            seconds.append(once(contestant, path, limit, empty=True))
        ours = ours or seconds
        cells: list[float | str | None] = [contestant.title]
        for theirs, best in zip(seconds, ours, strict=True):
            numbers = isinstance(theirs, float) and isinstance(best, float)
            cells += [theirs, theirs / best if numbers else None]
        report.row(cells)


def warm(contestant: Contestant, path: Path, limit: float, repeats: int) -> float | str:
    """Median time with caches filled by a run before."""
    times: list[float] = []
    for _ in range(1 + repeats):
        seconds = once(contestant, path, limit, empty=False)
        if isinstance(seconds, str):
            return seconds
        times.append(seconds)
    return median(times[1:])


def once(contestant: Contestant, path: Path, limit: float, *, empty: bool) -> float | str:
    """Time of one fresh process."""
    if reason := missing(contestant.environment):
        return reason
    command = worker_command(contestant.environment, "start", contestant.function, str(path))
    finished = in_empty_caches(command, limit) if empty else run_limited(command, limit, environment())
    return finished.failure or finished.seconds


def in_empty_caches(command: Sequence[str], limit: float) -> Finished:
    """Run with nothing compiled by Numba or PyTensor before."""
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="cold-") as folder:
        relative = Path(folder).relative_to(ROOT)  # PyTensor's flags cannot hold a path with a space or a comma
        changes = {"NUMBA_CACHE_DIR": f"{folder}/numba", "PYTENSOR_FLAGS": f"base_compiledir={relative}/pytensor"}
        return run_limited(list(command), limit, environment(**changes))
