"""Worker: what a package answers to four questions about the iris.

``python -m tests.benchmarks.workers.questions ours|scikit-learn|statsmodels|bambi DATA OUT``
"""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SPECIES = ("setosa", "versicolor", "virginica")
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
NEW = pd.DataFrame([[6.0, 2.8, 4.9, 1.7], [6.2, 2.2, 5.0, 1.5], [5.7, 3.4, 3.2, 1.0]], columns=FEATURES)


def renamed(y: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Labels whose alphabetical order is ``order``."""
    names = {k: f"{'abc'[place]}_{SPECIES[k]}" for place, k in enumerate(order)}
    return np.array([names[k] for k in y])


def spread(probabilities: Callable[[np.ndarray], np.ndarray], y: np.ndarray) -> float:
    """Largest change of a new flower's probability when another species comes first."""
    found = []
    for order in ORDERS:
        columns = probabilities(renamed(y, order))
        found.append(columns[:, np.argsort(order)])
    return float(np.ptp(found, axis=0).max())


def attempt(answer: Callable[[], object]) -> str:
    """ "yes", or the error that a call ends in."""
    try:
        answer()
    except Exception as error:
        return type(error).__name__
    return "yes"


def heard(call: Callable[[], object]) -> str:
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return "; ".join(f"{w.category.__name__}: {' '.join(str(w.message).split())[:90]}" for w in caught) or "nothing"


def ours(X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    import bayes_softmax as bs

    def model(labels: np.ndarray) -> bs.SoftmaxRegression:
        return bs.SoftmaxRegression(X, labels, feature_names=FEATURES)

    post = model(renamed(y, ORDERS[0])).sample(random_seed=1, progressbar=False)
    return {
        "reference": spread(lambda labels: model(labels).map().predict_proba(NEW).to_numpy(), y),
        "interval": attempt(lambda: post.predict_proba(NEW, ci_prob=0.9)),
        "effect": attempt(lambda: post.effects("petal_length")),
        "separated": heard(model(renamed(y, ORDERS[0])).mle),
    }


def scikit_learn(X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    from sklearn.linear_model import LogisticRegression

    def probabilities(labels: np.ndarray) -> np.ndarray:
        model = LogisticRegression(max_iter=10_000, tol=1e-10)
        return np.asarray(model.fit(X, labels).predict_proba(NEW.to_numpy()))

    return {
        "reference": spread(probabilities, y),
        "interval": "no such method",
        "effect": "no such method",
        "separated": heard(lambda: LogisticRegression(C=np.inf, max_iter=10_000).fit(X, y)),
    }


def statsmodels(X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    import statsmodels.api as sm

    def fitted(labels: np.ndarray) -> sm.MNLogit:
        """One feature only, in which the species overlap."""
        codes = np.unique(labels, return_inverse=True)[1]
        return sm.MNLogit(codes, sm.add_constant(X[:, :1])).fit(disp=False)

    new = sm.add_constant(NEW.to_numpy()[:, :1])
    return {
        "reference": spread(lambda labels: np.asarray(fitted(labels).predict(new)), y),
        "interval": attempt(fitted(y).get_prediction),
        "effect": attempt(lambda: fitted(y).get_margeff().summary()),
        "separated": heard(lambda: sm.MNLogit(y, sm.add_constant(X)).fit(disp=False).summary()),
    }


def bambi(X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    import bambi as bmb

    def fitted(labels: np.ndarray) -> tuple[bmb.Model, object]:
        frame = pd.DataFrame(X, columns=FEATURES).assign(species=labels)
        model = bmb.Model(f"species ~ {' + '.join(FEATURES)}", frame, family="categorical")
        return model, model.fit(draws=2500, chains=4, random_seed=1, progressbar=False)

    def probabilities(labels: np.ndarray) -> np.ndarray:
        model, draws = fitted(labels)
        tree = model.predict(draws, data=NEW, inplace=False)
        return np.asarray(tree.posterior["p"].mean(("chain", "draw")).values)

    model, draws = fitted(renamed(y, ORDERS[0]))
    return {
        "reference": spread(probabilities, y),
        "interval": attempt(lambda: bmb.interpret.predictions(model, draws, "petal_length")),
        "effect": attempt(lambda: bmb.interpret.slopes(model, draws, "petal_length", average_by=True)),
        "separated": "has priors",
    }


PACKAGES = {"ours": ours, "scikit-learn": scikit_learn, "statsmodels": statsmodels, "bambi": bambi}

if __name__ == "__main__":
    package, data, out = sys.argv[1:]
    with np.load(data) as arrays:
        Path(out).write_text(json.dumps(PACKAGES[package](arrays["X"], arrays["y"]), indent=1))
