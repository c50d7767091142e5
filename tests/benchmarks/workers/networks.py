"""Worker: MAP estimates of a network by everyone in one process, in turn, repeated; each from one random start.

``python -m tests.benchmarks.workers.networks JOB`` with a job in JSON: ``data``, ``out``, ``limit`` (seconds a fit),
``rounds``, ``hidden`` (tanh units), ``scale`` (of normal priors of all weights).  Every third row is held out.  Writes
a line of JSON for each fit as it ends.
"""

import json
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.neural_network import MLPClassifier

import bayes_softmax as bs
from tests.benchmarks.workers.common import peak_mb
from tests.benchmarks.workers.estimates import SLOW, out_of_time

TOLERANCE, ITERATIONS = 1e-6, 5000


class Job(NamedTuple):
    """Standardised features and codes of the rows that are fitted, and the network."""

    X: np.ndarray
    y: np.ndarray
    hidden: int
    scale: float

    @property
    def n_classes(self) -> int:
        return int(self.y.max() + 1)


Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[Job, int], Predict]


def model(job: Job) -> bs.SoftmaxRegression:
    """The network with one prior scale, coded as the peers have it."""
    prior = bs.Normal(job.scale)
    return bs.SoftmaxRegression(job.X, job.y, logits=bs.MLP(job.hidden), prior=prior, coding="full")


def ours(job: Job, seed: int) -> Predict:
    found = model(job).map(restarts=1, random_seed=seed)
    return lambda X: found.predict_proba(X).to_numpy()


def scikit_learn(job: Job, seed: int) -> Predict:
    """The same penalty of the weights; biases have none."""
    net = MLPClassifier(job.hidden, "tanh", solver="lbfgs", alpha=job.scale**-2.0, tol=TOLERANCE,
                        max_iter=ITERATIONS, max_fun=2 * ITERATIONS, random_state=seed)  # fmt: skip
    found = net.fit(job.X, job.y)
    return lambda X: found.predict_proba(X)


def numpy_lbfgs(job: Job, seed: int) -> Predict:
    """Back-propagation in plain NumPy, row-major, and SciPy's L-BFGS."""
    (n, p), H, K = job.X.shape, job.hidden, job.n_classes
    Y, ends = np.eye(K)[job.y], np.cumsum([p * H, H, H * K, K])

    def parts(theta: np.ndarray) -> tuple[np.ndarray, ...]:
        A, a, B, b, _ = np.split(theta, ends)
        return A.reshape(p, H), a, B.reshape(H, K), b

    def probabilities(X: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        A, a, B, b = parts(theta)
        units = np.tanh(X @ A + a)
        logits = units @ B + b
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return units, log_p, np.exp(log_p)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        units, log_p, P = probabilities(job.X, theta)
        back = P - Y
        below = (back @ parts(theta)[2].T) * (1 - units**2)
        gradient = [(job.X.T @ below).ravel(), below.sum(axis=0), (units.T @ back).ravel(), back.sum(axis=0)]
        value = -(Y * log_p).sum() + 0.5 * (theta @ theta) / job.scale**2
        return value / n, (np.concatenate(gradient) + theta / job.scale**2) / n

    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(p, H)) / p**0.5, rng.normal(size=(H, K)) / H**0.5
    start = np.concatenate([A.ravel(), np.zeros(H), B.ravel(), np.zeros(K)])
    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "maxcor": 30, "ftol": 0.0, "gtol": TOLERANCE}
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return lambda X: probabilities(X, theta)[2]


def pymc(job: Job, seed: int) -> Predict:
    """``pm.find_MAP`` of the same ``pm.Model``, compiling included, from a random start: zero is a saddle point."""
    import pymc as pm

    own, rng = model(job), np.random.default_rng(seed)
    zero = own.pymc_model.initial_point()
    start = {name: rng.normal(size=a.shape) / len(a) ** 0.5 for name, a in zero.items()}
    with own.pymc_model:
        found = pm.find_MAP(start=start, progressbar=False, maxeval=2 * ITERATIONS)
    centre, scale = job.X.mean(axis=0), job.X.std(axis=0)

    def predict(X: np.ndarray) -> np.ndarray:
        units = np.tanh((X - centre) / scale @ found["hidden_1"] + found["hidden_1_bias"])
        return bs.softmax(units @ found["weights"] + found["intercept"])

    return predict


FITS: dict[str, Fit] = {"ours": ours, "scikit-learn": scikit_learn, "NumPy": numpy_lbfgs, "PyMC": pymc}


def attempt(fit: Fit, job: Job, held: tuple[np.ndarray, np.ndarray], seed: int, limit: float) -> dict[str, Any]:
    """One timed fit: seconds, of wall clock and processors, and scores of the rows held out; or why there are none."""
    signal.setitimer(signal.ITIMER_REAL, limit)
    start, cpu = time.perf_counter(), time.process_time()
    try:
        predict = fit(job, seed)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    except TimeoutError:
        return {"failure": f"> {limit:g} s"}
    except Exception as error:
        return {"failure": f"failed: {type(error).__name__}: {error}".replace("|", "/")[:120]}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    X, y = held
    P = predict(X)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "log_loss": -float(np.log(np.maximum(P[np.arange(len(y)), y], 1e-300)).mean()),
        "accuracy": float((P.argmax(axis=1) == y).mean()),
        "peak_mb": peak_mb(),
    }


def main(options: dict[str, Any]) -> None:
    """Everyone once on a few rows, to load its code; then rounds over all that are quick enough."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, out_of_time)
    with np.load(options["data"]) as arrays:
        X, y = arrays["X"], arrays["y"]
    out_ = np.arange(len(y)) % 3 == 2
    X = X[:, np.ptp(X[~out_], axis=0) > 0]
    X = (X - X[~out_].mean(axis=0)) / X[~out_].std(axis=0)  # as ours are anyway: the same priors for all
    job, held = Job(X[~out_], y[~out_], options["hidden"], options["scale"]), (X[out_], y[out_])
    fits = {name: FITS[name] for name in options.get("who", FITS)}
    small = Job(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3, 2, 1.0)
    for fit in fits.values():
        attempt(fit, small, (small.X, small.y), 0, limit=0)  # none: imports take their time
    with open(options["out"], "w") as out:
        for seed in range(options["rounds"]):
            for name, fit in list(fits.items()):
                result = attempt(fit, job, held, seed, options["limit"])
                print(json.dumps({"who": name} | result), file=out, flush=True)
                if result.get("seconds", np.inf) > SLOW:
                    del fits[name]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
