"""``make bench-scale``: fits of 1e5 to 1e7 rows of a Parquet file in passes, and what they cost; markdown tables.

    python -m tests.benchmarks.scale                          everything
    python -m tests.benchmarks.scale --sizes 1e5 1e6          not the largest
    python -m tests.benchmarks.scale passes cluster           only these tables
    python -m tests.benchmarks.scale passes --sizes 1e8       17 GB of data, and as much for encoded rows

``make bench-scale BENCH_ARGS="..."`` passes the same arguments, after making the peers' environment in ``.bench/``.
Every fit runs in a process of its own.  Files are written once, into ``.bench/data``.
"""

import argparse
import math
import shlex
import signal
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks.many_rows import CLASSES, FEATURES, parquet_file
from tests.benchmarks.projection import Cost, projection
from tests.benchmarks.report import Report, machine
from tests.benchmarks.streamed import DATA, Fit, fit, worker

TABLES = ("passes", "patterns", "memory", "cluster", "peers")
SIZES = (1e5, 1e6, 1e7)
LIMIT, PEER_LIMIT = 900.0, 240.0
WORKERS = 2  # processes of the local cluster
IN_MEMORY_ROWS = 1e6
PEERS = {
    "scikit-learn, lbfgs": "own",
    "scikit-learn, newton-cholesky": "own",
    "Spark ML": "scale",
}
NO_MULTINOMIAL = "glum 3.4 and dask-ml 2025.1 have no multinomial model: they fit two classes."


def passes(report: Report, options: argparse.Namespace) -> list[Fit]:
    """The MAP estimate and the posterior, by number of rows."""
    shape = f"N x {FEATURES} x {CLASSES}"
    report.table(
        "passes",
        f"Rows that are read in passes, {shape} from Parquet, by two threads, also where they would fit into "
        "memory. MAP: seconds from the file on, with scan and encoding, which are two of the passes.",
        ["rows", "file MB", "scan s", "encoding s", "evaluation s", "passes", "MAP s", "converged", "peak MB"],
    )
    fits: list[Fit] = []
    for n in options.sizes:
        found = fit("numbers", n, options.limit)
        if isinstance(found, str):
            report.row([f"{n:g}", found])
            continue
        fits.append(found)
        size = parquet_file(DATA, "numbers", int(n)).stat().st_size / 2**20
        (_, scan), (_, encoding), *_ = found.passes
        times = [scan, encoding, found.evaluation, len(found.passes), found.map_s]
        converged = "yes" if found.figures["map"]["converged"] else "no"
        report.row([f"{n:g}", round(size), *times, converged, round(found.figures["map"]["peak_mb"])])
    if fits:
        posterior(report, fits)
    return fits


def posterior(report: Report, fits: list[Fit]) -> None:
    """The draws of the same fits."""
    report.table(
        "passes",
        "The same, 4 x 1000 draws by `sample()`: seconds from the file on, of which outside passes over the rows; the "
        "error of a log weight as predicted by the sample of rows and as found on all rows; ESS is the smallest.",
        ["rows", "passes", "s", "ratio to MAP", "s outside passes", "ESS", "ESS/s", "predicted", "found", "peak MB"],
    )
    for found in fits:
        ess, times = found.figures["sample"]["ess"], [found.sample_s, found.sample_s / found.map_s, found.drawing_s]
        counted = [round(ess), ess / found.sample_s, *found.errors, round(found.figures["peak_mb"])]
        report.row([f"{found.n_rows:g}", found.sample_passes, *times, *counted])
    if len(fits) > 1:
        report.line(
            f"\nFrom {fits[-2].n_rows:g} to {fits[-1].n_rows:g} rows, cost grows as N to the power of "
            f"{exponent(fits, 'passes_s'):.2f} for the passes of the MAP estimate ({exponent(fits, 'map_s'):.2f} with "
            f"the start from 100 000 rows), {exponent(fits, 'evaluation'):.2f} for one evaluation, and "
            f"{exponent(fits, 'drawing_s'):.2f} for draws outside passes."
        )


def exponent(fits: list[Fit], name: str) -> float:
    """By which power of N a cost grows between the two largest files."""
    a, b = fits[-2:]
    return math.log(getattr(b, name) / getattr(a, name)) / math.log(b.n_rows / a.n_rows)


def patterns(report: Report, options: argparse.Namespace) -> None:
    """Factors alone."""
    report.table(
        "patterns",
        "Three factors of ten levels: rows collapse partition by partition to 1000 patterns with counts, so that only "
        "two passes depend on their number.",
        ["rows", "scan and encoding s", "MAP s", "4 x 1000 draws s", "engine", "ESS", "peak MB"],
    )
    for n in options.sizes:
        found = fit("patterns", n, options.limit)
        if isinstance(found, str):
            report.row([f"{n:g}", found])
            continue
        f = found.figures
        engine = f["sample"]["engine"].split(";")[0].split("(")[0].strip()
        seconds = [f[name]["seconds"] for name in ("model", "map", "sample")]
        report.row([f"{n:g}", *seconds, engine, round(f["sample"]["ess"]), round(f["peak_mb"])])


def memory(report: Report, options: argparse.Namespace) -> None:
    """A million rows in memory."""
    report.table(
        "memory",
        f"{IN_MEMORY_ROWS:g} x {FEATURES} x {CLASSES} in memory, 4 x 1000 draws: from a sample of the rows, and from "
        "all of them.",
        ["engine", "s", "ESS", "largest distance of means, sd", "of sds"],
    )
    found = fit("numbers", IN_MEMORY_ROWS, options.limit, in_memory=True)
    if isinstance(found, str):
        report.row([found])
        return
    f = found.figures
    for name in ("independence", "subsampled"):
        apart = [f["means_apart"], f"{f['sds_apart']:.1%}"] if name == "subsampled" else [None, None]
        report.row([name, f[name]["seconds"], round(f[name]["ess"]), *apart])
    report.line(f"\nRatio {f['independence']['seconds'] / f['subsampled']['seconds']:.1f}.")


def cluster(report: Report, options: argparse.Namespace, local: list[Fit]) -> float | None:
    """The largest file by a cluster of two processes; the ratio of its MAP to that of threads."""
    n = options.cluster_rows or max(options.sizes)
    report.table(
        "cluster",
        f"{n:g} rows by `client=` of a `LocalCluster` with {WORKERS} worker processes of one thread, and by threads.",
        ["", "scan s", "encoding s", "evaluation s", "MAP s", "4 x 1000 draws s", "peak MB, all processes"],
    )
    here = next((found for found in local if found.n_rows == n), None) or fit("numbers", n, options.limit)
    there = fit("numbers", n, options.limit, workers=WORKERS)
    for name, found in (("threads", here), ("cluster", there)):
        if isinstance(found, str):
            report.row([name, found])
            continue
        (_, scan), (_, encoding), *_ = found.passes
        times = [scan, encoding, found.evaluation, found.map_s, found.sample_s]
        report.row([name, *times, round(found.figures["peak_mb"])])
    if isinstance(here, str) or isinstance(there, str):
        return None
    ratio = there.map_s / here.map_s
    apart = np.abs(np.subtract(here.figures["map"]["weights"], there.figures["map"]["weights"])).max()
    report.line(
        f"\nRatio of the cluster to threads: MAP {ratio:.2f}, draws {there.sample_s / here.sample_s:.2f}. Weights "
        f"of the two differ by {apart:.1g}."
    )
    return ratio


def peers(report: Report, options: argparse.Namespace, local: list[Fit]) -> None:
    """The MAP estimate by others."""
    report.table(
        "peers",
        f"MAP estimate from the Parquet file, weights Normal(1) and a flat intercept for all: seconds with reading, "
        f"and the largest difference of a weight to ours; no peer more than {PEER_LIMIT:g} s. {NO_MULTINOMIAL}",
        ["rows", "package", "reading s", "with the fit s", "ratio to ours", "difference", "peak MB"],
    )
    waiting = dict(PEERS)
    for n in options.sizes:
        path = parquet_file(DATA, "numbers", int(n))
        ours = next((found for found in local if found.n_rows == n), None) or fit("numbers", n, options.limit)
        if isinstance(ours, str):
            report.row([f"{n:g}", "ours", ours])
            continue
        report.row([f"{n:g}", "ours", ours.figures["model"]["seconds"], ours.map_s, None, None, peak(ours)])
        for package, python in list(waiting.items()):
            limit = min(options.limit, PEER_LIMIT)
            found = worker("many_rows_peers", python, limit, path=str(path), package=package)
            if isinstance(found, str):
                report.row([f"{n:g}", package, found])
                del waiting[package]  # more rows would take longer
                continue
            apart = np.abs(np.subtract(ours.figures["map"]["weights"], found["weights"])).max()
            ratio = found["map_s"] / ours.map_s
            seconds = [found["read_s"], found["map_s"], ratio]
            report.row([f"{n:g}", package, *seconds, f"{apart:.0e}", round(found["peak_mb"])])


def peak(found: Fit) -> int:
    """Most memory up to the MAP estimate."""
    return round(found.figures["map"]["peak_mb"])


def far(report: Report, local: list[Fit], ratio: float | None) -> None:
    """The projection, from the largest file."""
    largest = local[-1]
    (_, scan), (_, encoding), *rest = largest.passes
    n, later = largest.n_rows, largest.sample_passes - 2
    costs = {
        "scan": Cost(scan, n, 1, 1),
        "encoding": Cost(encoding, n, 1, 1),
        "evaluation": Cost(largest.evaluation, n, len(rest), later),
    }
    size = parquet_file(DATA, "numbers", n).stat().st_size / n
    for line in projection(costs, largest.drawing_s, size, ratio):
        report.line(line)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--sizes", nargs="+", type=float, default=SIZES, metavar="N", help="rows (default 1e5 1e6 1e7)")
    parser.add_argument(
        "--cluster-rows", type=float, metavar="N", help="rows of the cluster's table (the largest size)"
    )
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="S", help=f"seconds of a worker ({LIMIT:g})")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to this file as well")
    options = parser.parse_intermixed_args(arguments)
    if unknown := [name for name in options.tables if name not in TABLES]:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    return options


def main() -> None:
    """Make the tables asked for."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C, take the running worker along
    options.sizes = sorted(options.sizes)
    tables = options.tables or TABLES
    report = Report(options.out, shlex.join(f"--sizes {' '.join(f'{n:g}' for n in options.sizes)}".split()), "scale")
    report.line(f"Measured on {machine()}; a worker has {options.limit:g} s.")
    local = passes(report, options) if "passes" in tables else []
    if "patterns" in tables:
        patterns(report, options)
    if "memory" in tables:
        memory(report, options)
    ratio = cluster(report, options, local) if "cluster" in tables else None
    if "peers" in tables:
        peers(report, options, local)
    if local:
        far(report, local, ratio)


if __name__ == "__main__":
    main()
