"""Seconds to a local optimum of a network, ours and the peers'; and memory with thousands of classes."""

import json
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.engines import ONE_THREAD, environment, worker_command
from tests.benchmarks.report import Cell, Report
from tests.benchmarks.run import data_file, run_limited, scratch

SENTENCE = (
    "MAP of a network of one hidden layer (tanh) with Normal(scale) weights, from one random start each, to a gradient "
    "of 1e-6 per observation; every third row is held out; seconds from arrays to the estimate, which ours spends on a "
    "certificate too, medians of interleaved rounds in one process; BLAS has one thread, with which scikit-learn and "
    "NumPy are quickest on few cores; cpu is over all threads; ratio is theirs over ours."
)
WHO = ("ours", "scikit-learn", "NumPy", "PyMC")
ROUNDS = 5
MANY_ROUNDS = 1  # of the network with thousands of classes


class Net(NamedTuple):
    """A network on a data set."""

    data: str
    hidden: int
    scale: float
    who: tuple[str, ...] = WHO
    rounds: int = ROUNDS


NETS = (
    Net("moons", 10, 2.0),
    Net("penguins", 20, 1.0),
    Net("digits", 50, 1.5, ("ours", "scikit-learn", "NumPy")),
    Net("classes", 128, 1.0, ("ours",), MANY_ROUNDS),
)


def table(report: Report, limit: float, *, quick: bool = False) -> None:
    """One row for each network and each who fits it."""
    columns = ["network", "by", "seconds", "cpu", "ratio", "log loss", "accuracy", "peak MB"]
    report.table("networks", SENTENCE, columns)
    for net in NETS:
        if quick and net.data == "classes":
            continue
        title, found = fits(net, limit)
        seconds = {who: f["seconds"] for who, f in found.items() if isinstance(f, dict)}
        for who in net.who:
            report.row([title, who, *cells(found.get(who, "no result"), seconds.get("ours"))])


def cells(figures: dict[str, float] | str, ours: float | None) -> list[Cell]:
    """Figures of one who fits, or the reason why there are none."""
    if isinstance(figures, str):
        return [figures, None, None, None, None, None]
    ratio = None if ours is None else figures["seconds"] / ours
    names = ("log_loss", "accuracy", "peak_mb")
    return [figures["seconds"], figures["cpu"], ratio, *(figures[name] for name in names)]


def fits(net: Net, limit: float) -> tuple[str, dict[str, dict[str, float] | str]]:
    """Everyone on one data set, in a worker of its own."""
    path, data = data_file(net.data)
    with scratch() as folder:
        out = folder / "fits.jsonl"
        job: dict[str, Any] = {"data": str(path), "out": str(out), "limit": limit, "rounds": net.rounds}
        arguments = json.dumps(job | {"hidden": net.hidden, "scale": net.scale, "who": net.who})
        command = worker_command("own", "networks", arguments)
        finished = run_limited(command, 120 + limit * len(net.who), environment(**ONE_THREAD))
        lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    path.unlink()
    found = medians(lines)
    if finished.failure:
        found = dict.fromkeys(net.who, finished.failure) | found
    return f"{net.data} {data.shape}, {net.hidden} units", found


def medians(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, float] | str]:
    """Medians over the rounds."""
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        rounds[line.pop("who")].append(line)
    found: dict[str, dict[str, float] | str] = {}
    for who, results in rounds.items():
        failures = [r["failure"] for r in results if "failure" in r]
        found[who] = failures[0] if failures else {name: median(r[name] for r in results) for name in results[0]}
    return found
