"""``make bench``: us and each peer in one run, on the same data with the same priors; markdown tables.

    python -m tests.benchmarks                        everything: hours, since peers run into the limit
    python -m tests.benchmarks --quick                the small sets, in 5 minutes
    python -m tests.benchmarks map start              only these tables
    python -m tests.benchmarks groups --scale         with thousands of levels
    python -m tests.benchmarks sampling --sets iris wine --engines ours stan --limit 120

``make bench BENCH_ARGS="..."`` passes the same arguments, after making the peers' environments in ``.bench/``.
"""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from tests.benchmarks.data import OVERHEAD, SETS
from tests.benchmarks.engines import ENGINES
from tests.benchmarks.report import Report, machine
from tests.benchmarks.tables import answers, estimates, gradient, groups, memory, networks, questions, sampling, start

TABLES = ("questions", "start", "sampling", "map", "networks", "gradient", "memory", "answers", "groups")
LIMIT, QUICK_LIMIT = 600.0, 30.0
QUICK_TABLES = ("start", "sampling", "map", "networks", "gradient", "answers")
QUICK_ENGINES = ("ours", "pymc", "stan")
QUICK_SETS = {
    "sampling": ("penguins", "iris", "mid"),
    "map": ("penguins", "iris", *OVERHEAD, "digits", "mid"),
    "gradient": ("mid",),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sets, few engines, a short limit")
    parser.add_argument("--limit", type=float, metavar="S", help=f"seconds a run may take (default {LIMIT:g})")
    parser.add_argument("--sets", nargs="+", choices=SETS, metavar="NAME", help=f"of {', '.join(SETS)}")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, metavar="NAME", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--tune", type=int, metavar="N", help="warm-up of the peers (default: each one's own)")
    parser.add_argument("--scale", action="store_true", help="groups: thousands of levels too, for minutes each")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to this file as well")
    options = parser.parse_intermixed_args(arguments)
    if unknown := [name for name in options.tables if name not in TABLES]:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    return options


def flags(options: argparse.Namespace) -> str:
    """The options that change results, as they are typed."""
    words = [f"--{name}" for name in ("quick", "scale") if getattr(options, name)]
    for name in ("limit", "tune"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name}", f"{value:g}"]
    for name in ("sets", "engines"):
        words += [f"--{name}", *getattr(options, name)] if getattr(options, name) else []
    return shlex.join(words)


def main() -> None:
    """Make the tables asked for."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C, take the running worker along
    quick = options.quick
    tables = options.tables or (QUICK_TABLES if quick else TABLES)
    limit = options.limit or (QUICK_LIMIT if quick else LIMIT)
    engines = options.engines or (QUICK_ENGINES if quick else tuple(ENGINES))
    report = Report(options.out, flags(options))
    report.line(f"Measured on {machine()}; no run longer than {limit:g} s.")

    def sets(table: str) -> list[str]:
        every = [name for name in SETS if table == "map" or name not in OVERHEAD]
        return options.sets or list(QUICK_SETS[table] if quick else every)

    if "questions" in tables:
        questions.table(report, limit)
    if "start" in tables:
        start.table(report, limit, quick=quick)
    if "sampling" in tables:
        sampling.table(report, sets("sampling"), engines, limit, options.tune)
    if "map" in tables:
        estimates.table(report, sets("map"), limit)
    if "networks" in tables:
        networks.table(report, limit, quick=quick)
    if "gradient" in tables:
        # The floor counts every row; where equal rows are collapsed it says nothing.
        gradient.table(report, [name for name in sets("gradient") if name != "collapsible"], limit)
    if "memory" in tables:
        memory.table(report, limit)
    if "answers" in tables:
        answers.table(report, limit, quick=quick)
    if "groups" in tables:
        groups.table(report, limit, options.tune, scale=options.scale)


if __name__ == "__main__":
    main()
