"""Worker: point estimates of one data set by every solver in one process, in turn, repeated.

``python -m tests.benchmarks.workers.estimates JOB`` with a job in JSON: ``data``, ``out``, ``limit`` (seconds a fit),
``rounds``, ``mle`` (whether the likelihood has a maximum).  Writes a line of JSON for each fit as it ends.
"""

import json
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.tools import add_constant

import bayes_softmax as bs

SLOW = 20.0  # seconds; what took longer is not repeated
CHOLESKY_LIMIT = 2000  # p K; newton-cholesky solves a dense system of that size in every step
Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def ours(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), intercept_prior=bs.Flat()).map()
    return found.intercept.values, found.weights.values


def ours_mle(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = bs.SoftmaxRegression(X, y).mle()
    return found.intercept.values, found.weights.values


def scikit_learn(solver: str) -> Fit:
    def fit(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = LogisticRegression(C=1.0, solver=solver, tol=1e-8, max_iter=10_000).fit(X, y)
        return found.intercept_, found.coef_.T

    return fit


def statsmodels(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = MNLogit(y, add_constant(X)).fit(method="newton", maxiter=100, disp=False)
    rows = np.pad(np.asarray(found.params), [(0, 0), (1, 0)])  # the first class is the reference
    return rows[0], rows[1:]


def objective(X: np.ndarray, y: np.ndarray, intercept: np.ndarray, weights: np.ndarray, penalty: float) -> float:
    """Cross-entropy sum, plus half the squared weights times the penalty."""
    logits = intercept + X @ weights
    top = logits.max(axis=1)
    normalisers = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float((normalisers - logits[np.arange(len(y)), y]).sum() + 0.5 * penalty * (weights**2).sum())


def solvers(n_coefficients: int, *, mle: bool) -> dict[str, tuple[Fit, float]]:
    """Who takes part, with the penalty of the objective."""
    entries: dict[str, tuple[Fit, float]] = {"ours": (ours, 1.0)}
    for name in ("lbfgs", "newton-cg", "newton-cholesky"):
        if name != "newton-cholesky" or n_coefficients < CHOLESKY_LIMIT:
            entries[name] = (scikit_learn(name), 1.0)
    if mle:
        entries |= {"ours mle": (ours_mle, 0.0), "statsmodels": (statsmodels, 0.0)}
    return entries


def attempt(fit: Fit, penalty: float, X: np.ndarray, y: np.ndarray, limit: float) -> dict[str, Any]:
    """One timed fit: seconds and objective, or why there are none."""
    signal.setitimer(signal.ITIMER_REAL, limit)
    start = time.perf_counter()
    try:
        coefficients = fit(X, y)
        seconds = time.perf_counter() - start
    except TimeoutError:
        return {"failure": f"> {limit:g} s"}
    except Exception as error:
        return {"failure": f"failed: {type(error).__name__}: {error}".replace("|", "/")[:120]}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"seconds": seconds, "objective": objective(X, y, *coefficients, penalty)}


def out_of_time(*_: object) -> None:
    raise TimeoutError


def main(job: dict[str, Any]) -> None:
    """Every solver once on a few rows, to load its code; then rounds over all that are quick enough."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, out_of_time)
    with np.load(job["data"]) as arrays:
        X, y = arrays["X"], arrays["y"]
    entries = solvers(X.shape[1] * int(y.max() + 1), mle=job["mle"])
    rng = np.random.default_rng(0)
    for fit, penalty in entries.values():
        attempt(fit, penalty, rng.normal(size=(60, 2)), np.arange(60) % 3, limit=0)  # none: imports take their time
    with open(job["out"], "w") as out:
        for _ in range(job["rounds"]):
            for name, (fit, penalty) in list(entries.items()):
                result = attempt(fit, penalty, X, y, job["limit"])
                print(json.dumps({"solver": name} | result), file=out, flush=True)
                if result.get("seconds", np.inf) > SLOW:
                    del entries[name]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
