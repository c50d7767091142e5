"""Worker: Stan's ``categorical_logit_glm`` through pystan, zero-sum by an orthonormal contrast.

Sampling time is Stan's own clock: the times of the chains, placed in order on the cores.  What pystan adds, JSON
and a local server, is not counted.  ``python -m tests.benchmarks.workers.stan_glm build`` only compiles the program,
which pystan keeps in the user's cache (the parent moves that into ``.bench/``).
"""

import multiprocessing
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from tests.benchmarks.workers.common import INTERCEPT_SD, WEIGHTS_SD, Job, Sampled, contrast, main, peak_mb

PROGRAM = """
data {
  int<lower=1> N;
  int<lower=1> p;
  int<lower=2> K;
  real<lower=0> intercept_sd;
  real<lower=0> weights_sd;
  matrix[N, p] X;
  array[N] int<lower=1, upper=K> y;
  matrix[K, K - 1] C;
}
parameters {
  vector[K - 1] alpha;
  matrix[p, K - 1] gamma;
}
model {
  alpha ~ normal(0, intercept_sd);
  to_vector(gamma) ~ normal(0, weights_sd);
  y ~ categorical_logit_glm(X, C * alpha, gamma * C');
}
"""
CHAIN_SECONDS = re.compile(rb"([0-9.e+-]+) seconds \(Total\)")
at_start = {"mb": 0.0}


def remember_memory() -> None:
    """At the start of a chain's process: what it shares with the worker."""
    at_start["mb"] = peak_mb()


def own_memory() -> float:
    """What a chain's process held beyond that."""
    return peak_mb() - at_start["mb"]


def makespan(seconds: list[float], cores: int) -> float:
    """Time until the last of these jobs ends, each started on the first core that is free."""
    ends = [0.0] * cores
    for duration in seconds:
        ends[ends.index(min(ends))] += duration
    return max(ends)


def build(X: np.ndarray, y: np.ndarray, n_classes: int, seed: int) -> Any:
    """The model on data; compiles the program if this was never done here."""
    import stan

    data = {"N": len(X), "p": X.shape[1], "K": n_classes, "intercept_sd": INTERCEPT_SD, "weights_sd": WEIGHTS_SD}
    return stan.build(PROGRAM, data | {"X": X, "y": y + 1, "C": contrast(n_classes)}, random_seed=seed)


def sample(job: Job) -> Sampled:
    """Build, sample, and forget the fit: pystan would answer the next run from its cache."""
    import httpstan.cache
    import httpstan.services_stub

    # pystan's own pool has as many processes as the machine has cores.
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(job.cores, fork, remember_memory)
    httpstan.services_stub.executor = pool
    start = time.perf_counter()
    model = build(job.X, job.y, job.n_classes, job.seed)
    setup = time.perf_counter() - start
    try:
        fit = model.sample(num_chains=job.chains, num_warmup=job.tune, num_samples=job.draws)
    finally:
        shutil.rmtree(httpstan.cache.model_directory(model.model_name) / "fits", ignore_errors=True)
    seconds = [float(CHAIN_SECONDS.findall(output)[-1]) for output in fit.stan_outputs]
    children = job.cores * pool.submit(own_memory).result()

    def draws(name: str) -> np.ndarray:
        """(chain, draw, ...) from pystan's (..., draw and chain), chains next to each other."""
        values = fit[name]
        return np.moveaxis(values.reshape(*values.shape[:-1], job.draws, job.chains), (-1, -2), (0, 1))

    steps, divergences = float(fit["n_leapfrog__"].mean()), int(fit["divergent__"].sum())
    sampling, C = makespan(seconds, job.cores), contrast(job.n_classes)
    return Sampled(draws("alpha") @ C.T, draws("gamma") @ C.T, setup, sampling, steps, divergences, children)


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(np.eye(3), np.arange(3), 3, 1)
    else:
        main(sample)
