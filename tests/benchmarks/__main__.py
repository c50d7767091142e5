"""``make bench``: us and each peer in one run, on the same data with the same priors; prints tables of ratios.

    python -m tests.benchmarks            everything (about 15 minutes)
    python -m tests.benchmarks --quick    the small sets (about 4 minutes)
    python -m tests.benchmarks map start  only these tables

BLAS runs on one thread for us (we set it so) and on all cores for scikit-learn (its default).  Times are medians.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import bayes_softmax as bs
from tests.benchmarks.data import SETS

QUICK = ("penguins 333x4x3", "digits 1797x61x10", "mid 10000x20x5")


def timed(function: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Median seconds of ``repeats`` calls, and the last result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


def bench_map(names: list[str]) -> None:
    """MAP with ``Normal(1)`` on the features as given and a flat intercept, from arrays to coefficients.

    The gap is what a solver's objective lacks to the better of the two, relative to it.
    """
    from sklearn.linear_model import LogisticRegression

    print("\nMAP (L2, C = 1): seconds from arrays to the estimate; gap of the objective\n")
    print("| data | ours | gap | best scikit-learn | solver | gap | ratio |\n|---|---|---|---|---|---|---|")
    options: dict[str, Any] = {"prior": bs.Normal(1.0), "intercept_prior": bs.Flat()}
    bs.SoftmaxRegression([[0.0], [1.0], [2.0]], [0, 1, 0], **options).map()  # load the kernel
    for name in names:
        X, y = SETS[name]()
        ours, fit = timed(lambda X=X, y=y: bs.SoftmaxRegression(X, y, **options).map())
        objective = penalised(X, y, fit.intercept.values, fit.weights.values)
        best, solver, theirs = np.inf, "", np.inf
        for candidate in ("lbfgs", "newton-cg", "newton-cholesky"):
            model = LogisticRegression(C=1.0, solver=candidate, tol=1e-8, max_iter=10_000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seconds, fitted = timed(lambda model=model, X=X, y=y: model.fit(X, y), repeats=2)
            if seconds < best:
                best, solver = seconds, candidate
                theirs = penalised(X, y, fitted.intercept_, fitted.coef_.T)
        floor = min(objective, theirs)
        gaps = [f"{(value - floor) / floor:.0e}" for value in (objective, theirs)]
        print(
            f"| {name} | {ours:.4f} | {gaps[0]} | {best:.4f} | {solver} | {gaps[1]} | {best / ours:.1f} |", flush=True
        )


def penalised(X: np.ndarray, y: np.ndarray, intercept: np.ndarray, weights: np.ndarray) -> float:
    """Cross-entropy sum plus half the squared weights."""
    return -bs.log_likelihood(intercept + X @ weights, y) + 0.5 * float((weights**2).sum())


def bench_sampling(names: list[str]) -> None:
    """Effective draws a second of NUTS: smallest over the coefficients of min(bulk, tail), sampling time only."""
    print("\nNUTS, 4 chains x 1000 draws: seconds after model set-up; ESS is the smallest of bulk and tail\n")
    print("| data | ours | ESS | ESS/s | leapfrogs | raw PyMC | ESS | ESS/s | leapfrogs | ratio of ESS/s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        X, y = SETS[name]()
        model = bs.SoftmaxRegression((X - X.mean(axis=0)) / X.std(axis=0), y, prior=bs.Normal(1.0))
        model.sample(draws=10, tune=10, engine="nuts", progressbar=False)
        rows = []
        for engine in ("nuts", "pymc"):
            post = model.sample(random_seed=1, engine=engine, progressbar=False)
            d, seconds = post.diagnostics, post.timings["sampling"]
            ess = min(d.min_ess_bulk, d.min_ess_tail)
            rows.append((seconds, ess, ess / seconds, d.steps_per_draw))
        cells = " | ".join(f"{s:.2f} | {e:.0f} | {r:.0f} | {n:.0f}" for s, e, r, n in rows)
        print(f"| {name} | {cells} | {rows[0][2] / rows[1][2]:.0f} |", flush=True)


START = {
    "bayes_softmax": """
import bayes_softmax as bs
from tests.benchmarks.data import penguins
X, y = penguins()
bs.SoftmaxRegression((X - X.mean(0)) / X.std(0), y).sample(random_seed=1, progressbar=False)
""",
    "raw PyMC": """
import pymc as pm
from tests.benchmarks.data import penguins
X, y = penguins()
with pm.Model():
    W = pm.ZeroSumNormal("weights", 1.0, shape=(4, 3))
    b = pm.ZeroSumNormal("intercept", 1.5, shape=3)
    pm.Categorical("y", logit_p=b + (X - X.mean(0)) / X.std(0) @ W, observed=y)
    pm.sample(random_seed=1, progressbar=False)
""",
}


def bench_start() -> None:
    """Seconds from starting Python to the posterior of the penguins, caches warm."""
    print("\nTime from a fresh process to the posterior of the penguins (4 x 1000 draws), caches warm\n")
    print("| | seconds |\n|---|---|")
    seconds = {}
    for name, code in START.items():
        command = [sys.executable, "-W", "ignore", "-c", code]
        subprocess.run(command, check=True, capture_output=True)
        seconds[name], _ = timed(lambda command=command: subprocess.run(command, check=True, capture_output=True))
        print(f"| {name} | {seconds[name]:.1f} |")
    print(f"\nratio {seconds['raw PyMC'] / seconds['bayes_softmax']:.1f}", flush=True)


def main() -> None:
    """Run the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], "map", "sampling", "start"], help="default: all")
    parser.add_argument("--quick", action="store_true", help="small data sets only")
    options = parser.parse_args()
    tables = options.tables or ["map", "sampling", "start"]
    if "map" in tables:
        bench_map([n for n in SETS if n in QUICK or not options.quick])
    if "sampling" in tables:
        bench_sampling([n for n in QUICK if n == QUICK[0] or not options.quick])
    if "start" in tables:
        bench_start()


if __name__ == "__main__":
    main()
