"""What a billion rows on a hundred workers would take, from what was measured here, with all that is assumed."""

import os
from typing import NamedTuple

ROWS, WORKERS = 1e9, 100
PARTITION_ROWS = 250_000
TASK_S = 1e-3  # what Dask's documentation names as the scheduler's time for a task; at least one a partition and pass
FAN_IN = 8  # results merged by a task


class Cost(NamedTuple):
    """Seconds of a pass here, rows in it, and how often there is one in the MAP estimate, and in the posterior."""

    seconds: float
    n_rows: int
    in_map: int
    in_sample: int

    @property
    def of_row(self) -> float:
        """Seconds of one core for one row."""
        return self.seconds * n_cores() / self.n_rows


def n_cores() -> int:
    """Cores of this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def projection(costs: dict[str, Cost], outside_s: float, bytes_a_row: float, cluster: float | None) -> list[str]:
    """The lines to print: times, then assumptions."""
    slower = max(cluster or 1.0, 1.0)
    tasks = ROWS / PARTITION_ROWS * (1 + 1 / (FAN_IN - 1))
    lines = [f"\nProjection to {ROWS:g} rows on {WORKERS} workers of one core each; computed, not measured:\n"]
    totals = [0.0, 0.0]
    for name, cost in costs.items():
        work = ROWS / WORKERS * cost.of_row * slower
        each = max(work, tasks * TASK_S)
        totals = [totals[0] + each * cost.in_map, totals[1] + each * cost.in_sample]
        lines.append(
            f"- {name}: {cost.of_row * 1e6:.2f} microseconds of one core a row, so {each:.0f} s a pass; "
            f"{cost.in_map} in the MAP estimate, {cost.in_sample} in the posterior"
        )
    lines.append(f"- MAP estimate {totals[0]:.0f} s, 4 x 1000 draws {totals[1] + outside_s:.0f} s, from the files on")
    measured = f"{slower:.2f}, as two local processes took longer than threads" if cluster else "1: it was not measured"
    per_worker = ROWS / WORKERS * bytes_a_row / 2**30
    lines += [
        "\nAssumed:\n",
        "- a core of a worker is as fast as one here, and has its own memory bandwidth;",
        f"- rows have the same number of features and classes, and {bytes_a_row:.0f} bytes in Parquet;",
        f"- each worker reads its {per_worker:.1f} GB twice from the storage as quickly as here from a warm cache, and "
        "has as much free on its disk for encoded rows, from which later passes read;",
        "- passes are as many as at the largest size here: a start from 100 000 rows is the better the more rows it is "
        "a start for, and a sample of rows for the draws need not grow;",
        f"- factor for the cluster {measured};",
        f"- partitions of {PARTITION_ROWS:,} rows, tasks merged by {FAN_IN}: {tasks:,.0f} tasks a pass at 1 ms of the "
        f"scheduler each, {tasks * TASK_S:.1f} s, which overlap with the work; results of a task are kilobytes, except "
        "the sample of rows;",
        "- no worker is lost, and none is slower than the others.",
    ]
    return lines
