"""Our time and memory where there are a million units."""

import json
from typing import Any

from tests.benchmarks.engines import ENGINES, environment, worker_command
from tests.benchmarks.report import Report
from tests.benchmarks.run import CHAINS, CORES, DRAWS, data_file, run_limited, sample, scratch
from tests.benchmarks.score import score
from tests.benchmarks.workers.memory import FORMS, K, P

SENTENCE = (
    f'Memory: sampling by engine="auto", {CHAINS} chains x {DRAWS} draws on {CORES} cores; MB beyond the data include '
    "the libraries loaded, total seconds their import. Set-up holds the construction of the model, so also the "
    "collapsing of equal rows; the last two rows are the same data, a row each unit and a row each pattern with counts."
)
ROWS = 1_000_000
SENTENCE_OF_FORMS = (
    f"Memory by the form of the data: peak beyond the data of making a model and its MAP, of {ROWS:,} rows with {P} "
    f"features (or two factors and a number) and {K} classes; the packed rows, which the density reads, take "
    "8 (p + 1) N bytes. Each form in a process of its own, after a smaller fit; the peak is VmHWM beyond what the "
    "process with its data held."
)
SETS = ("million", "collapsible", "collapsed")


def table(report: Report, limit: float) -> None:
    """One row a data set."""
    columns = ["data", "total s", "set-up s", "sampling s", "ESS", "data MB", "peak MB", "beyond the data MB"]
    report.table("memory", SENTENCE, columns)
    for name in SETS:
        path, data = data_file(name)
        title = f"{name} {data.shape}"
        megabytes = (data.X.nbytes + data.y.nbytes) / 2**20
        del data
        result = sample(ENGINES["ours"], path, limit)
        path.unlink()
        if isinstance(result, str):
            report.row([title, result, *[None] * (len(columns) - 2)])
            continue
        figures: dict[str, Any] = result.figures
        times = [figures[key] for key in ("total_s", "setup_s", "sampling_s")]
        beyond = round(figures["peak_mb"] - figures["data_mb"])
        ess = round(score(result.draws).ess)
        report.row([title, *times, ess, round(megabytes), round(figures["peak_mb"]), beyond])
    forms(report, limit)


def forms(report: Report, limit: float) -> None:
    """One row a form of the data."""
    columns = ["data", "packed MB", "model MB", "with MAP MB", "ratio to packed", "model s", "MAP s"]
    report.table("memory", SENTENCE_OF_FORMS, columns)
    for form in FORMS:
        with scratch() as folder:
            out = folder / "figures.json"
            command = worker_command("own", "memory", form, str(ROWS), str(out))
            failure = run_limited(command, limit, environment()).failure
            if failure:
                report.row([form, failure, *[None] * (len(columns) - 2)])
                continue
            found = json.loads(out.read_text())
        packed, model, fit = (round(found[key]) for key in ("packed_mb", "model_mb", "fit_mb"))
        report.row([form, packed, model, fit, found["fit_mb"] / found["packed_mb"], found["model_s"], found["map_s"]])
