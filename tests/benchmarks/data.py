"""Data sets of the benchmarks, each a function of no arguments; synthetic ones have fixed seeds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Features (N, p) and codes (N,), or counts (N, K)."""

    X: np.ndarray
    y: np.ndarray

    @property
    def n_classes(self) -> int:
        return int(self.y.shape[1] if self.y.ndim == 2 else self.y.max() + 1)

    @property
    def shape(self) -> str:
        """``333x4x3``: rows, features, classes."""
        return "x".join(str(n) for n in (*self.X.shape, self.n_classes))

    def standardised(self) -> "Data":
        """Columns of mean 0 and sd 1 (ddof 0) over the observations."""
        weights = self.y.sum(axis=1) if self.y.ndim == 2 else None
        mean = np.average(self.X, axis=0, weights=weights)
        centred = self.X - mean
        return Data(centred / np.sqrt(np.average(centred**2, axis=0, weights=weights)), self.y)


def penguins() -> Data:
    """The penguins: separable."""
    import bayes_softmax as bs

    frame = bs.datasets.load_penguins().dropna()
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    return Data(frame[columns].to_numpy(float), np.unique(frame["species"], return_inverse=True)[1])


def iris() -> Data:
    """Three irises: one is apart from the others."""
    from sklearn.datasets import load_iris

    return Data(*load_iris(return_X_y=True))


def wine() -> Data:
    """Three cultivars of wine: separable."""
    from sklearn.datasets import load_wine

    return Data(*load_wine(return_X_y=True))


def digits() -> Data:
    """Handwritten digits, without the three pixels that never change."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return Data(X[:, np.ptp(X, axis=0) > 0] / 16.0, y.astype(int))


def anes96() -> Data:
    """Party identification in seven classes, American National Election Study 1996."""
    from statsmodels.datasets import anes96 as survey

    frame = survey.load_pandas().data
    X = frame[["logpopul", "selfLR", "age", "educ", "income"]].to_numpy(float)
    return Data(X, frame["PID"].to_numpy(int))


def labels(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One code a row from the softmax of ``logits`` (the Gumbel-max trick)."""
    return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def correlated(n_obs: int, n_features: int, n_classes: int) -> Data:
    """Correlated normal features, labels from a softmax regression."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(n_features, n_features)) / np.sqrt(n_features) + 0.5 * np.eye(n_features)
    X = rng.normal(size=(n_obs, n_features)) @ mixing
    logits = X @ (0.5 * rng.normal(size=(n_features, n_classes))) + 0.5 * rng.normal(size=n_classes)
    return Data(X, labels(logits, rng))


def ill_scaled() -> Data:
    """Neighbouring columns correlated 0.99, on scales from a thousandth to a thousand."""
    rng = np.random.default_rng(1)
    n_obs, n_features, n_classes, rho = 2000, 10, 4, 0.99
    X = rng.normal(size=(n_obs, n_features))
    for j in range(1, n_features):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    y = labels(X @ rng.normal(size=(n_features, n_classes)), rng)
    return Data(X * 10 ** rng.uniform(-3, 3, size=n_features), y)


def collapsed() -> Data:
    """A million units as counts: 1000 patterns of six features with five levels each."""
    rng = np.random.default_rng(2)
    n_patterns, n_features, n_classes = 1000, 6, 3
    cells = rng.choice(5**n_features, size=n_patterns, replace=False)
    X = (cells[:, None] // 5 ** np.arange(n_features) % 5).astype(float)
    logits = (X - 2) @ (0.3 * rng.normal(size=(n_features, n_classes)))
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    totals = 1 + rng.multinomial(1_000_000 - n_patterns, np.full(n_patterns, 1 / n_patterns))
    return Data(X, rng.multinomial(totals, P))


def collapsible() -> Data:
    """The same million units, a row each, in random order."""
    X, counts = collapsed()
    pattern, y = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    order = np.random.default_rng(3).permutation(y.size)
    return Data(X[pattern[order]], y[order])


def mnist_like() -> Data:
    """Non-negative features, a fifth of them not zero, correlated through twenty factors."""
    rng = np.random.default_rng(4)
    n_obs, n_features, n_factors, n_classes = 5000, 784, 20, 10
    factors = rng.normal(size=(n_obs, n_factors))
    latent = factors @ rng.normal(size=(n_factors, n_features)) / np.sqrt(n_factors)
    latent += 0.5 * rng.normal(size=latent.shape)
    X = np.maximum(latent - np.quantile(latent, 0.8), 0)
    logits = (X - X.mean(axis=0)) @ rng.normal(size=(n_features, n_classes))
    return Data(X, labels(3 * logits / logits.std(), rng))


def moons() -> Data:
    """Two half moons, with noise."""
    from sklearn.datasets import make_moons

    return Data(*make_moons(400, noise=0.3, random_state=0))


def many_classes() -> Data:
    """Three thousand classes, of two to three rows each in five thousand that are fitted."""
    rng = np.random.default_rng(5)
    n_obs, n_features, n_classes = 7500, 20, 3000
    X = rng.normal(size=(n_obs, n_features))
    y = labels(X @ rng.normal(size=(n_features, n_classes)), rng)
    first = np.flatnonzero(np.arange(n_obs) % 3 != 2)[:n_classes]  # rows that are fitted have every class
    y[first] = np.arange(n_classes)
    return Data(X, y)


SETS: dict[str, Callable[[], Data]] = {
    "penguins": penguins,
    "iris": iris,
    "wine": wine,
    "anes96": anes96,
    "illscaled": ill_scaled,
    "small": lambda: correlated(100, 30, 3),
    "thin": lambda: correlated(150, 500, 3),
    "digits": digits,
    "mid": lambda: correlated(10_000, 20, 5),
    "wide": lambda: correlated(2000, 200, 5),
    "short": lambda: correlated(200, 2000, 4),
    "letter": lambda: correlated(20_000, 16, 26),
    "large": lambda: correlated(100_000, 20, 5),
    "huge": lambda: correlated(500_000, 10, 3),
    "collapsible": collapsible,
    "mnist": mnist_like,
    "million": lambda: correlated(1_000_000, 20, 5),
}
# A fit of these takes a few milliseconds: what is measured is what stands around the arithmetic.
OVERHEAD = ("small", "thin")
# Pixels: their common scale means something, and standardising would blow up the ones that are nearly always blank.
PIXELS = ("digits", "mnist")
# For networks: boundaries that bend, and thousands of classes.
BENT = {"moons": moons, "classes": many_classes}
WEIGHTED = {"collapsed": collapsed}  # counts, which the peers do not take
ANSWERS = {"answers": lambda: correlated(20_000, 8, 6), "twomillion": lambda: correlated(2_000_000, 6, 4)}

# Where the classes overlap in every direction, so that the maximum-likelihood estimate exists.
OVERLAPPING = ("anes96", "illscaled", "mid", "letter", "large", "huge", "collapsible")
