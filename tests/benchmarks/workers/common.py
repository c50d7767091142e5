"""What all sampling workers share; needs no more than NumPy, since Stan's environment has no more.

A worker is ``python -m tests.benchmarks.workers.NAME JOB`` with a job in JSON: ``data`` (npz with X and y),
``out`` (folder), ``variant``, ``draws``, ``tune``, ``chains``, ``cores``, ``seed``.  It writes ``draws.npz``,
``intercept`` (chain, draw, K) and ``weights`` (chain, draw, p, K), and ``figures.json``.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

INTERCEPT_SD, WEIGHTS_SD = 2.5, 1.0


class Job(NamedTuple):
    """Standardised features, codes (or counts), and how to sample."""

    X: np.ndarray
    y: np.ndarray
    variant: str
    draws: int
    tune: int | None
    chains: int
    cores: int
    seed: int

    @property
    def n_classes(self) -> int:
        return int(self.y.shape[1] if self.y.ndim == 2 else self.y.max() + 1)


class Sampled(NamedTuple):
    """Draws of all K columns, and what they cost.

    ``setup_s`` is building and compiling; ``sampling_s`` is warm-up and draws.  ``children_mb`` is what processes
    of the worker's own held beyond what they shared with it.
    """

    intercept: np.ndarray
    weights: np.ndarray
    setup_s: float
    sampling_s: float
    leapfrogs: float
    divergences: int | None
    children_mb: float = 0.0


def main(sample: Callable[[Job], Sampled]) -> None:
    """Run the job of the command line."""
    options = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):  # some engines take every core they see
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options["cores"]])
    out = Path(options.pop("out"))
    with np.load(options.pop("data")) as arrays:
        job = Job(arrays["X"], arrays["y"], **options)
    data_mb = peak_mb()
    start = time.perf_counter()
    sampled = sample(job)
    figures = {
        "setup_s": sampled.setup_s,
        "sampling_s": sampled.sampling_s,
        "total_s": time.perf_counter() - start,
        "leapfrogs": sampled.leapfrogs,
        "divergences": sampled.divergences,
        "peak_mb": peak_mb() + sampled.children_mb,
        "data_mb": data_mb,
    }
    (out / "figures.json").write_text(json.dumps(figures))
    np.savez(out / "draws.npz", intercept=zero_sum(sampled.intercept), weights=zero_sum(sampled.weights))


def peak_mb() -> float:
    """Most memory this process has held.

    Where there is /proc, not ``ru_maxrss``: that of a child begins at what its parent held when it was started.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def zero_sum(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients with the mean over the classes, the last axis, taken out."""
    return coefficients - coefficients.mean(axis=-1, keepdims=True)


def contrast(n_classes: int) -> np.ndarray:
    """Orthonormal basis (K, K-1) of the vectors that sum to zero."""
    return np.linalg.qr(np.column_stack([np.ones(n_classes), np.eye(n_classes)[:, 1:]]))[0][:, 1:]
