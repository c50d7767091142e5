"""Worker: answers from a fit, with the seconds and the memory they take beyond the fit itself.

``python -m tests.benchmarks.workers.answers ours|arviz|bambi|effects|margeff DATA OUT``
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.workers.common import peak_mb

DRAWS = 1000


def reset_peak() -> float:
    """MB held now; what the process held at most is counted anew (Linux)."""
    status = Path("/proc/self/clear_refs")
    if status.exists():
        status.write_text("5")
    return peak_mb()


def measured(answers: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Seconds and peak MB beyond the start, of each answer in turn."""
    found = {}
    for name, answer in answers.items():
        before, start = reset_peak(), time.perf_counter()
        answer()
        found[name] = {"seconds": time.perf_counter() - start, "mb": peak_mb() - before}
    return found


def ours(X: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], object]]:
    """Summaries of predictions, leave-one-out, and scores, from 1000 draws."""
    import arviz_stats  # noqa: F401  (its import is not an answer)

    import bayes_softmax as bs

    post = bs.SoftmaxRegression(X, y).laplace(draws=DRAWS, random_seed=1, progressbar=False)
    return {"predict": lambda: post.predict_proba(X, 0.9), "loo": post.loo, "evaluate": post.evaluate}


def arviz(X: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], object]]:
    """The same draws as arrays of N x K x draws in a DataTree, summarised by NumPy and ArviZ."""
    import arviz as az
    import xarray as xr

    import bayes_softmax as bs

    post = bs.SoftmaxRegression(X, y).laplace(draws=DRAWS, random_seed=1, progressbar=False)

    def predict() -> object:
        draws = post.predict_draws(X)
        return draws.mean(("chain", "draw")), draws.quantile([0.05, 0.95], ("chain", "draw"))

    def loo() -> object:
        p = post.predict_draws(X).values
        log_p = np.log(np.take_along_axis(p, y[None, None, :, None], axis=3)[..., 0])
        post.idata["log_likelihood"] = xr.DataTree(xr.Dataset({"y": (("chain", "draw", "obs"), log_p)}))
        return az.loo(post.idata)

    return {"predict": predict, "loo": loo}


def bambi(X: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], object]]:
    """Bambi's own predictions and log likelihood, then ArviZ."""
    import arviz as az
    import bambi as bmb
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).assign(y=pd.Categorical(y))
    model = bmb.Model(f"y ~ {' + '.join(frame.columns[:-1])}", frame, family="categorical")
    options = {"draws": DRAWS // 2, "chains": 2, "tune": 500, "random_seed": 1, "progressbar": False}
    fitted = model.fit(**options)

    def predict() -> object:
        model.predict(fitted, kind="response_params")
        p = fitted["posterior"]["p"]
        return p.mean(("chain", "draw")), p.quantile([0.05, 0.95], ("chain", "draw"))

    def loo() -> object:
        model.compute_log_likelihood(fitted)
        return az.loo(fitted)

    return {"predict": predict, "loo": loo}


def effects(X: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], object]]:
    """Average effects with intervals, from the estimate and from draws."""
    import bayes_softmax as bs

    model = bs.SoftmaxRegression(X, y)
    mle, post = model.mle(), model.laplace(draws=DRAWS, random_seed=1, progressbar=False)
    return {"effects of the MLE": mle.effects, "effects of 1000 draws": post.effects}


def margeff(X: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], object]]:
    """Average marginal effects by statsmodels."""
    import statsmodels.api as sm

    fitted = sm.MNLogit(y, sm.add_constant(X)).fit(method="newton", disp=0)
    return {"effects of the MLE": fitted.get_margeff}


WORKERS = {"ours": ours, "arviz": arviz, "bambi": bambi, "effects": effects, "margeff": margeff}

if __name__ == "__main__":
    with np.load(sys.argv[2]) as arrays:
        prepared = WORKERS[sys.argv[1]](arrays["X"], arrays["y"])
    Path(sys.argv[3]).write_text(json.dumps(measured(prepared)))
