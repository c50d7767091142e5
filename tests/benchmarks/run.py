"""Running workers: each in a process of its own, under a time limit, with what it says kept when it fails."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.data import ANSWERS, BENT, PIXELS, SETS, WEIGHTED, Data
from tests.benchmarks.engines import FOLDER, ONE_THREAD, ROOT, Engine, environment, last_line

CHAINS, CORES, DRAWS, SEED = 4, 2, 1000, 1


class Finished(NamedTuple):
    """How a process ended: ``failure`` is None, or what to write instead of numbers."""

    seconds: float
    failure: str | None


class Sampling(NamedTuple):
    """What a sampling worker returned: its figures and all coefficients, (chain, draw, coefficient)."""

    figures: dict[str, Any]
    draws: np.ndarray


def run_limited(command: list[str], limit: float, env: dict[str, str]) -> Finished:
    """Run a command in the repository; what it started dies with it, at the limit or when we are interrupted."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        # A session of its own, so that the whole group can be killed: Stan's chains are processes.
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            return Finished(limit, f"> {limit:g} s")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        seconds = time.perf_counter() - start
        if status == 0:
            return Finished(seconds, None)
        errors.seek(0)
        reason = f"killed by signal {-status}" if status < 0 else last_line(errors.read())
        return Finished(seconds, f"failed: {reason}")


def data_file(name: str, *, raw: bool = False) -> tuple[Path, Data]:
    """Write a data set for the workers: features standardised, or as they are (pixels: always)."""
    data = (SETS | WEIGHTED | ANSWERS | BENT)[name]()
    data = data if raw or name in PIXELS else data.standardised()
    path = FOLDER / "data" / f"{name}{'-raw' if raw else ''}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, X=np.ascontiguousarray(data.X, dtype=float), y=data.y.astype(np.int64))
    return path, data


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the output of one worker."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="run-") as folder:
        yield Path(folder)


def sample(engine: Engine, data: Path, limit: float, **options: Any) -> Sampling | str:
    """Run one engine on one data set; a string says why there is no result."""
    if engine.missing:
        return engine.missing
    job = {"variant": engine.variant, "tune": engine.tune, "draws": DRAWS, "chains": CHAINS, "cores": CORES}
    with scratch() as folder:
        arguments = json.dumps(job | {"seed": SEED, "data": str(data), "out": str(folder)} | options)
        finished = run_limited(engine.command(arguments), limit, environment(**ONE_THREAD))
        if finished.failure:
            return finished.failure
        with np.load(folder / "draws.npz") as arrays:
            intercept, weights = arrays["intercept"], arrays["weights"]
        draws = np.concatenate([intercept, weights.reshape(*weights.shape[:2], -1)], axis=2)
        return Sampling(json.loads((folder / "figures.json").read_text()), draws)
