"""Our time and memory where there are a million units."""

from typing import Any

from tests.benchmarks.engines import ENGINES
from tests.benchmarks.report import Report
from tests.benchmarks.run import CHAINS, CORES, DRAWS, data_file, sample
from tests.benchmarks.score import score

SENTENCE = (
    f'Memory: sampling by engine="auto", {CHAINS} chains x {DRAWS} draws on {CORES} cores; MB beyond the data include '
    "the libraries loaded, total seconds their import. Set-up holds the construction of the model, so also the "
    "collapsing of equal rows; the last two rows are the same data, a row each unit and a row each pattern with counts."
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
