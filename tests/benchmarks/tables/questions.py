"""What each package answers to four questions about the iris: the facts of the README's first table."""

import json

from tests.benchmarks.engines import environment, missing, worker_command
from tests.benchmarks.report import Cell, Report
from tests.benchmarks.run import data_file, run_limited, scratch

SENTENCE = (
    "Questions about the iris (raw features, each package's defaults). Reference: largest change of a probability of "
    "three new flowers when another species comes first in the alphabet. Interval: of the class probabilities of a "
    "row. Effect: average effect of petal length on every class probability, with an interval, in one call. "
    "Separated: what the maximum-likelihood fit says, where no maximum exists."
)
CONTESTANTS = (("ours", "own"), ("scikit-learn", "own"), ("statsmodels", "own"), ("bambi", "peers"))
QUESTIONS = ("reference", "interval", "effect", "separated")


def table(report: Report, limit: float) -> None:
    """One row for each package."""
    report.table("questions", SENTENCE, ["package", *QUESTIONS])
    path, _ = data_file("iris", raw=True)
    for package, where in CONTESTANTS:
        found = answers(package, where, str(path), limit)
        cells: list[Cell] = [found] if isinstance(found, str) else [found[question] for question in QUESTIONS]
        report.row([package, *cells])


def answers(package: str, where: str, path: str, limit: float) -> dict[str, Cell] | str:
    """The answers of one package, or why there are none."""
    if reason := missing(where):
        return reason
    with scratch() as folder:
        out = folder / "answers.json"
        finished = run_limited(worker_command(where, "questions", package, path, str(out)), limit, environment())
        found: dict[str, Cell] = {} if finished.failure else json.loads(out.read_text())
        return finished.failure or found
