"""Our fits of files of many rows, each run by a worker, and what it found."""

import json
import re
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.engines import FOLDER, environment, missing, worker_command
from tests.benchmarks.many_rows import parquet_file
from tests.benchmarks.run import run_limited, scratch

DATA = FOLDER / "data"
WARM_ROWS = 3000
PATTERN_FORMULA = "y ~ a + b + c"


class Fit(NamedTuple):
    """Figures of one file, as the worker wrote them."""

    n_rows: int
    figures: dict[str, Any]

    @property
    def passes(self) -> list[tuple[str, float]]:
        """Passes of the MAP estimate from the file on: the scan, the encoding, and evaluations."""
        return [*self.figures["model"]["passes"], *self.figures["map"]["passes"]]

    @property
    def evaluation(self) -> float:
        """Seconds of a pass with value, gradient and Hessian; the first writes and compiles nothing."""
        return float(np.median([seconds for _, seconds in self.figures["map"]["passes"]] or [np.nan]))

    @property
    def map_s(self) -> float:
        """Seconds from the file to the MAP estimate."""
        return float(self.figures["model"]["seconds"] + self.figures["map"]["seconds"])

    @property
    def passes_s(self) -> float:
        """Seconds of the MAP estimate in passes over the rows: without the start from a sample of fixed size."""
        return sum(seconds for _, seconds in self.passes)

    @property
    def sample_s(self) -> float:
        """Seconds from the file to the draws, the mode included."""
        return float(self.figures["model again"]["seconds"] + self.figures["sample"]["seconds"])

    @property
    def sample_passes(self) -> int:
        """Passes of the posterior from the file on."""
        return len(self.figures["model again"]["passes"]) + len(self.figures["sample"]["passes"])

    @property
    def drawing_s(self) -> float:
        """Seconds of the posterior outside passes over the rows."""
        sample = self.figures["sample"]
        return float(sample["seconds"] - sum(seconds for _, seconds in sample["passes"]))

    @property
    def errors(self) -> tuple[str | None, str | None]:
        """Error of a log weight, predicted and found on all rows."""
        found = re.search(r"error of a log weight (\S+) predicted, (\S+) found", self.figures["sample"]["engine"])
        return (found[1], found[2]) if found else (None, None)


def worker(name: str, python: str, limit: float, **job: Any) -> dict[str, Any] | str:
    """Run a job in a process of its own; a string says why there are no figures."""
    if reason := missing(python):
        return reason
    with scratch() as folder:
        out = folder / "figures.json"
        arguments = json.dumps(job | {"out": str(out)})
        finished = run_limited(worker_command(python, name, arguments), limit, environment())
        return finished.failure or json.loads(out.read_text())


def fit(kind: str, n_rows: float, limit: float, **job: Any) -> Fit | str:
    """Our fits of a file."""
    path, warm = (parquet_file(DATA, kind, int(n)) for n in (n_rows, WARM_ROWS))
    formula = PATTERN_FORMULA if kind == "patterns" else None
    standard = {"formula": formula, "streamed": kind == "numbers", "workers": 0, "in_memory": False}
    found = worker("many_rows", "own", limit, path=str(path), warm=str(warm), **standard | job)
    return found if isinstance(found, str) else Fit(int(n_rows), found)
