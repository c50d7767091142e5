"""Worker: one gradient of our log posterior against what the machine could do at best, on one thread.

``python -m tests.benchmarks.workers.gradient JOB`` with a job in JSON: ``data`` and ``out``.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bayes_softmax as bs

MATRIX, VECTOR = 1000, 2**15  # the vector stays in the second cache level


def best(function: Callable[[], object], seconds: float = 0.7) -> float:
    """Shortest time of a call among those of some tenths of a second, at least five."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main(job: dict[str, str]) -> None:
    """Rates of the machine, then the gradient at a random point."""
    rng = np.random.default_rng(0)
    A, out = rng.normal(size=(MATRIX, MATRIX)), np.empty((MATRIX, MATRIX))
    flops = 2 * MATRIX**3 / best(lambda: np.matmul(A, A, out=out))
    x = -rng.uniform(0, 5, size=VECTOR)
    exp_seconds = best(lambda: np.exp(x, out=out.ravel()[:VECTOR])) / VECTOR
    with np.load(job["data"]) as arrays:
        X, y = arrays["X"], arrays["y"]
    density = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0)).log_density
    theta = 0.1 * rng.normal(size=density.dimension)
    (N, p), K = X.shape, int(y.max() + 1)
    figures = {
        "flops": flops,
        "exp_s": exp_seconds,
        "floor_s": 4 * N * (p + 1) * K / flops + N * K * exp_seconds,
        "gradient_s": best(lambda: density.value_gradient(theta)),
    }
    Path(job["out"]).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
