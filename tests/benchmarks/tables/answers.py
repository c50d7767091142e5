"""Seconds and memory of answers: predictions with intervals, leave-one-out, average effects."""

import json
from typing import Any

from tests.benchmarks.engines import environment, missing, worker_command
from tests.benchmarks.report import Report
from tests.benchmarks.run import data_file, run_limited, scratch

SENTENCE = (
    "Answers: seconds, and MB beyond the fit and the data at the peak, each answer after the one above it. 1000 draws; "
    "ArviZ gets the same draws as we have, as arrays of rows x classes x draws; Bambi samples its own. Ratio: seconds "
    "of the peer over ours."
)
# Data set, title and worker of ours, then of the peers.
CONTESTS = (
    ("answers", (("bayes_softmax", "own", "ours"), ("NumPy and ArviZ", "own", "arviz"), ("Bambi", "peers", "bambi"))),
    ("twomillion", (("bayes_softmax", "own", "effects"), ("statsmodels get_margeff", "own", "margeff"))),
)


def table(report: Report, limit: float, *, quick: bool) -> None:
    """One row for each answer of each package."""
    report.table("answers", SENTENCE, ["data", "answer", "package", "s", "MB", "ratio"])
    for name, contestants in CONTESTS[:1] if quick else CONTESTS:
        path, data = data_file(name)
        title = f"{name} {data.shape}"
        del data
        best: dict[str, float] = {}
        for package, where, worker in contestants[:2] if quick else contestants:
            found = _run(where, worker, str(path), limit)
            if isinstance(found, str):
                report.row([title, found, package, None, None, None])
                continue
            for answer, cost in found.items():
                seconds = float(cost["seconds"])
                best.setdefault(answer, seconds)
                ratio = None if package == "bayes_softmax" else seconds / best[answer]
                report.row([title, answer, package, seconds, round(cost["mb"]), ratio])
        path.unlink()


def _run(where: str, worker: str, path: str, limit: float) -> dict[str, Any] | str:
    """Figures of one worker, or why there are none."""
    if reason := missing(where):
        return reason
    with scratch() as folder:
        out = folder / "figures.json"
        command = worker_command(where, "answers", worker, path, str(out))
        finished = run_limited(command, limit, environment())
        return finished.failure or json.loads(out.read_text())
