"""Sampling models with group-level effects: time, memory, and how good the draws are."""

import json

from tests.benchmarks.engines import environment, worker_command
from tests.benchmarks.report import Report
from tests.benchmarks.run import CHAINS, CORES, DRAWS, SEED, run_limited, scratch

SENTENCE = (
    f"Group-level effects: {CHAINS} chains x {DRAWS} draws on {CORES} cores, seconds from a data frame to named draws "
    "(mode, tuning, draws, effects of all levels), compiled code at hand; the smaller of bulk and tail ESS, and R-hat, "
    "of the worst weight and the worst entry of the effects' covariances; peak MB of the process, of which it held "
    "'before' when it began."
)
TITLES = {
    "housing": "housing: 1289 rows, K = 3, 361 levels",
    "ratings": "InstEval: 73421 rows, K = 5, 2972 x 1128 levels, crossed",
    "nested": "simulated: 100000 rows, K = 5, 5000 levels in 500",
}
SMALL, LARGE = ("housing",), ("housing", "ratings", "nested")
PATIENCE = 3  # times the limit, for the large sets


def table(report: Report, limit: float, tune: int | None, *, scale: bool = False) -> None:
    """One row for each data set."""
    columns = ["data", "seconds", "sampling s", "leapfrogs", "divergences", "ESS weights", "ESS covariances", "R-hat"]
    report.table("groups", SENTENCE, [*columns, "before MB", "peak MB"])
    for name in LARGE if scale else SMALL:
        job = {"name": name, "draws": DRAWS, "tune": tune, "chains": CHAINS, "cores": CORES, "seed": SEED}
        with scratch() as folder:
            out = folder / "figures.json"
            command = worker_command("own", "groups", json.dumps(job | {"out": str(out)}))
            finished = run_limited(command, PATIENCE * limit if scale else limit, environment())
            if finished.failure:
                report.row([TITLES[name], finished.failure, *[None] * 8])
                continue
            figures = json.loads(out.read_text())
        names = ("seconds", "sampling_s", "leapfrogs", "divergences", "ess_weights", "ess_covariances")
        rest = [round(figures["r_hat"], 3), round(figures["before_mb"]), round(figures["peak_mb"])]
        report.row([TITLES[name], *(figures[each] for each in names), *rest])
