"""Hostile calls from the command line: ``python -m tests.hostile --cases 2000 --seed 1 --jobs 2``."""

import argparse
import faulthandler
import sys

from tests.hostile.runner import LIMIT, run, table


def main() -> int:
    """Run the cases and print what was found; a single case shows its calls."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="the cases are seed x 1000000 + 0, 1, 2, ...")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a case")
    parser.add_argument("--case", type=int, help="run this one here, and show its calls")
    arguments = parser.parse_args()
    if arguments.case is not None:
        from tests.hostile.operations import run_case

        faulthandler.enable()
        faulthandler.dump_traceback_later(arguments.limit, exit=True)
        outcome = run_case(arguments.case)
        print("\n".join(outcome.log))
        return len(outcome.findings) > 0
    first = arguments.seed * 1_000_000
    report = run(range(first, first + arguments.cases), arguments.jobs, limit=arguments.limit)
    print(table(report))
    return len(report.findings) > 0


if __name__ == "__main__":
    sys.exit(main())
