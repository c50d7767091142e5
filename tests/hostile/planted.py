"""A worker with faults planted: seed 1 crashes the process, seed 2 hangs, the others do as they should."""

import faulthandler
import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    faulthandler.enable()
    out, limit, *seeds = sys.argv[1:]
    with Path(out).open("a") as lines:
        for seed in map(int, seeds):
            print(json.dumps({"begins": seed}), file=lines, flush=True)
            faulthandler.dump_traceback_later(float(limit), exit=True)
            if seed == 1:
                os.abort()
            if seed == 2:
                time.sleep(100)
            faulthandler.cancel_dump_traceback_later()
            done = {"seed": seed, "findings": [], "calls": 3, "refusals": 1}
            print(json.dumps(done), file=lines, flush=True)
