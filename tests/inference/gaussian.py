"""A Gaussian log density, where Newton, Laplace and NUTS have exact answers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Gaussian(NamedTuple):
    """``N(mean, precision^-1)``, as a ``LogDensity`` without native callbacks."""

    mean: np.ndarray
    precision: np.ndarray
    total_weight: float = 1.0

    @classmethod
    def random(cls, dimension: int, seed: int = 0) -> "Gaussian":
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(dimension, dimension)) + 2 * np.eye(dimension)
        return cls(rng.normal(size=dimension), root @ root.T)

    @property
    def dimension(self) -> int:
        return len(self.mean)

    @property
    def work(self) -> float:
        return float(self.precision.size)

    @property
    def hessian_work(self) -> float:
        return self.work

    @property
    def definite(self) -> bool:
        return True

    def value(self, theta: np.ndarray) -> float:
        return float(-0.5 * (theta - self.mean) @ self.precision @ (theta - self.mean))

    def value_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        return self.value(theta), -self.precision @ (theta - self.mean)

    def values(self, thetas: np.ndarray) -> np.ndarray:
        return np.array([self.value(t) for t in thetas])

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        return self.precision

    def metric(self, theta: np.ndarray) -> np.ndarray:
        return self.precision

    def low_rank_metric(self, theta: np.ndarray) -> None:
        return None

    def hessian_vector(self, theta: np.ndarray, *, convex: bool = True) -> Callable[[np.ndarray], np.ndarray]:
        return lambda v: self.precision @ v

    def block_metric(self, theta: np.ndarray) -> None:
        return None

    def native(self, whitening: object) -> None:
        return None
