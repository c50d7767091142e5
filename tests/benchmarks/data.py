"""Data sets of the benchmarks: features (N, p) and codes (N,)."""

from collections.abc import Callable

import numpy as np

import bayes_softmax as bs

Data = tuple[np.ndarray, np.ndarray]


def penguins() -> Data:
    """333 x 4 x 3: separable."""
    frame = bs.datasets.load_penguins().dropna()
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    return frame[columns].to_numpy(float), frame["species"].astype("category").cat.codes.to_numpy().astype(int)


def digits() -> Data:
    """1797 x 61 x 10: handwritten digits, without the three pixels that never change."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X[:, np.ptp(X, axis=0) > 0] / 16.0, y.astype(int)


def correlated(n_obs: int, n_features: int, n_classes: int) -> Data:
    """Correlated normal features, labels from a softmax regression; seed 0."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(n_features, n_features)) / np.sqrt(n_features) + 0.5 * np.eye(n_features)
    X = rng.normal(size=(n_obs, n_features)) @ mixing
    logits = X @ (0.5 * rng.normal(size=(n_features, n_classes))) + 0.5 * rng.normal(size=n_classes)
    return X, (logits + rng.gumbel(size=(n_obs, n_classes))).argmax(axis=1)


SETS: dict[str, Callable[[], Data]] = {
    "penguins 333x4x3": penguins,
    "digits 1797x61x10": digits,
    "mid 10000x20x5": lambda: correlated(10_000, 20, 5),
    "large 100000x20x5": lambda: correlated(100_000, 20, 5),
    "wide 2000x200x5": lambda: correlated(2000, 200, 5),
    "huge 500000x10x3": lambda: correlated(500_000, 10, 3),
}
