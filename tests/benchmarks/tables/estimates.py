"""Seconds to point estimates: the MAP against scikit-learn, the MLE against statsmodels."""

import json
from collections import defaultdict
from collections.abc import Sequence
from statistics import geometric_mean, median
from typing import Any, NamedTuple

from tests.benchmarks.data import OVERLAPPING
from tests.benchmarks.engines import environment, worker_command
from tests.benchmarks.report import Cell, Report
from tests.benchmarks.run import data_file, run_limited, scratch

SENTENCE = (
    "MAP: seconds from arrays to the estimate with Normal(1) weights and a flat intercept (scikit-learn's C = 1), "
    "features as they are, scikit-learn at tol 1e-8, all in one process with BLAS's default threads, medians of "
    "interleaved rounds; the gap is what the objective lacks to the best found, relative; ratio is scikit-learn's "
    "quickest solver over ours."
)
MLE_SENTENCE = "MLE: the same without priors, where the estimate exists, against statsmodels' MNLogit (Newton)."
SOLVERS = ("ours", "lbfgs", "newton-cg", "newton-cholesky")
MLE_SOLVERS = ("ours mle", "statsmodels")
ROUNDS = 5


class Estimate(NamedTuple):
    """Median seconds and objective of a solver."""

    seconds: float
    objective: float


Estimates = dict[str, Estimate | str]


def table(report: Report, sets: Sequence[str], limit: float) -> None:
    """One row a data set, then the geometric mean of the ratios; then the table of MLEs."""
    columns = ["data", *(title for s in SOLVERS for title in (f"{s} s" if s == "ours" else s, "gap")), "ratio"]
    report.table("map", SENTENCE, columns)
    ratios: list[float] = []
    mle: dict[str, Estimates] = {}
    for name in sets:
        title, found = estimates(name, limit)
        theirs = [e.seconds for s in SOLVERS[1:] if isinstance(e := found.get(s), Estimate)]
        ours = found["ours"]
        if isinstance(ours, Estimate) and theirs:
            ratios.append(min(theirs) / ours.seconds)
        report.row([title, *cells(found, SOLVERS), ratios[-1] if theirs and isinstance(ours, Estimate) else None])
        if name in OVERLAPPING:
            mle[title] = found
    if ratios:
        report.line(f"\nGeometric mean of the ratios: {geometric_mean(ratios):.2f}; smallest {min(ratios):.2f}.")
    if mle:
        mle_table(report, mle)


def mle_table(report: Report, mle: dict[str, Estimates]) -> None:
    """One row a data set whose classes overlap."""
    report.table("map", MLE_SENTENCE, ["data", "ours s", "gap", "statsmodels", "gap", "ratio"])
    for title, found in mle.items():
        ours, theirs = (found.get(s) for s in MLE_SOLVERS)
        both = isinstance(ours, Estimate) and isinstance(theirs, Estimate)
        report.row([title, *cells(found, MLE_SOLVERS), theirs.seconds / ours.seconds if both else None])


def cells(found: Estimates, solvers: Sequence[str]) -> list[Cell]:
    """Seconds and gap of each solver, or the reason why there are none."""
    floor = min((e.objective for s in solvers if isinstance(e := found.get(s), Estimate)), default=float("nan"))
    row: list[Cell] = []
    for solver in solvers:
        estimate = found.get(solver, "not run: too many coefficients")
        if isinstance(estimate, str):
            row += [estimate, None]
        else:
            row += [estimate.seconds, f"{(estimate.objective - floor) / abs(floor):.0e}"]
    return row


def estimates(name: str, limit: float) -> tuple[str, Estimates]:
    """All solvers on one data set, in a worker of its own."""
    path, data = data_file(name, raw=True)
    with scratch() as folder:
        out = folder / "fits.jsonl"
        job: dict[str, Any] = {"data": str(path), "out": str(out), "limit": limit, "rounds": ROUNDS}
        arguments = json.dumps(job | {"mle": name in OVERLAPPING})
        command = worker_command("own", "estimates", arguments)
        # The worker stops each fit itself; this limit is for one that does not listen.
        finished = run_limited(command, 60 + limit * (len(SOLVERS) + len(MLE_SOLVERS) + 1), environment())
        lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    path.unlink()
    found = summary(lines)
    if finished.failure:
        expected = SOLVERS + MLE_SOLVERS if name in OVERLAPPING else SOLVERS
        found = dict.fromkeys(expected, finished.failure) | found
    return f"{name} {data.shape}", found


def summary(lines: Sequence[dict[str, Any]]) -> Estimates:
    """Medians over the rounds."""
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        rounds[line["solver"]].append(line)
    found: Estimates = {}
    for solver, results in rounds.items():
        failures = [r["failure"] for r in results if "failure" in r]
        seconds = [r["seconds"] for r in results if "seconds" in r]
        found[solver] = failures[0] if failures else Estimate(median(seconds), results[-1]["objective"])
    return found
