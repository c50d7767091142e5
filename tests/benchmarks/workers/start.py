"""Worker: from a fresh process to a posterior, by the shortest code a user writes.

``python -m tests.benchmarks.workers.start ours|pymc|bambi DATA``
"""

import sys

import numpy as np


def ours(X: np.ndarray, y: np.ndarray) -> object:
    import bayes_softmax as bs

    model = bs.SoftmaxRegression(X, y, prior=bs.Normal(1.0), intercept_prior=bs.Normal(2.5))
    return model.sample(random_seed=1, progressbar=False).idata


def pymc(X: np.ndarray, y: np.ndarray) -> object:
    import pymc as pm

    p, K = X.shape[1], int(y.max() + 1)
    with pm.Model():
        weights = pm.ZeroSumNormal("weights", 1.0, shape=(p, K))
        intercept = pm.ZeroSumNormal("intercept", 2.5, shape=K)
        pm.Categorical("y", logit_p=intercept + X @ weights, observed=y)
        return pm.sample(chains=4, random_seed=1, progressbar=False)


def bambi(X: np.ndarray, y: np.ndarray) -> object:
    import bambi as bmb
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).assign(y=pd.Categorical(y))
    formula = f"y ~ {' + '.join(frame.columns[:-1])}"
    return bmb.Model(formula, frame, family="categorical").fit(chains=4, random_seed=1, progressbar=False)


if __name__ == "__main__":
    with np.load(sys.argv[2]) as arrays:
        tree = {"ours": ours, "pymc": pymc, "bambi": bambi}[sys.argv[1]](arrays["X"], arrays["y"])
    assert tree["posterior"].sizes["chain"] == 4
