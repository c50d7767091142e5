"""Runs cases in a process of its own: one JSON line when a case begins, one when it has ended.

A crash or a hang ends the process; the last line then says in which case.
"""

import faulthandler
import json
import sys
from pathlib import Path

from tests.hostile.operations import run_case


def main(path: str, limit: float, seeds: list[int]) -> None:
    """Run the cases of the seeds; what takes longer than ``limit`` seconds is ended with a traceback."""
    with Path(path).open("a") as out:
        for seed in seeds:
            print(json.dumps({"begins": seed}), file=out, flush=True)
            faulthandler.dump_traceback_later(limit, exit=True)
            outcome = run_case(seed)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(outcome._asdict()), file=out, flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1], float(sys.argv[2]), [int(seed) for seed in sys.argv[3:]])
