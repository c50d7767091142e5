"""One gradient against the machine's floor."""

import json
from collections.abc import Sequence

from tests.benchmarks.engines import ONE_THREAD, environment, worker_command
from tests.benchmarks.report import Report
from tests.benchmarks.run import data_file, run_limited, scratch

SENTENCE = (
    "Gradient: one value and gradient of our log posterior on one thread; the floor is 4 N q K floating-point "
    "operations at the measured rate of a 1000 x 1000 matrix product plus N K exponentials at NumPy's measured rate; "
    "shortest times."
)


def table(report: Report, sets: Sequence[str], limit: float) -> None:
    """One row a data set."""
    report.table("gradient", SENTENCE, ["data", "dgemm GFLOP/s", "exp ns", "floor ms", "gradient ms", "ratio"])
    for name in sets:
        path, data = data_file(name)
        with scratch() as folder:
            out = folder / "figures.json"
            arguments = json.dumps({"data": str(path), "out": str(out)})
            command = worker_command("own", "gradient", arguments)
            finished = run_limited(command, limit, environment(**ONE_THREAD))
            figures = {} if finished.failure else json.loads(out.read_text())
        path.unlink()
        if finished.failure:
            report.row([f"{name} {data.shape}", finished.failure, None, None, None, None])
            continue
        floor, gradient = figures["floor_s"], figures["gradient_s"]
        rates = [figures["flops"] / 1e9, figures["exp_s"] * 1e9]
        report.row([f"{name} {data.shape}", *rates, 1e3 * floor, 1e3 * gradient, gradient / floor])
