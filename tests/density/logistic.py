"""A prior family that the package does not have, as its user would add it: the prior and its mathematics."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import zeta

from bayes_softmax.core.checks import set_positive
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.families.radial import log_sphere, spherical_variable

PROPOSALS = 64  # each is accepted with probability 1/4 at least: none of them is once in 10^8 draws


@dataclass(frozen=True)
class Logistic:
    """Logistic prior, spherical: density proportional to ``1 / cosh(|g| / (2 scale))^2``."""

    scale: float

    def __post_init__(self) -> None:
        set_positive(self, "scale")

    def __str__(self) -> str:
        return f"Logistic({self.scale:.4g})"


class LogisticFamily:
    """Its mathematics."""

    prior = Logistic
    words = "logistic"
    proper = True
    log_concave = True
    quadratic = False
    kinked = False
    spherical_variable_is = "free"

    @staticmethod
    def numbers(prior: Logistic) -> tuple[float, float]:
        return prior.scale, 0.0

    @staticmethod
    def from_numbers(scale: float, df: float) -> Logistic:
        return Logistic(scale)

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        """``2 log cosh(x / 2)`` with ``x`` the root of r."""
        x = np.sqrt(r)
        return x + 2.0 * np.log1p(np.exp(-x)) - 2.0 * np.log(2.0)

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """``tanh(x / 2) / 2x``; near zero its series."""
        near = 1.0 * (r < 2.5e-3)
        x = np.sqrt(r) + near
        series = 0.25 - r / 48.0 + r * r / 480.0 - 17.0 * r * r * r / 80640.0
        return near * series + (1.0 - near) * np.tanh(0.5 * x) / (2.0 * x)

    @staticmethod
    def bend(r: FloatArray, k: int, df: Any) -> FloatArray:
        near = 1.0 * (r < 2.5e-3)
        x = np.sqrt(r) + near
        series = -1.0 / 48.0 + r / 240.0 - 17.0 * r * r / 26880.0
        return near * series - (1.0 - near) * (np.tanh(0.5 * x) / x - 0.5 / np.cosh(0.5 * x) ** 2) / (4.0 * x * x)

    @staticmethod
    def rounding(k: int) -> float:
        return 0.0

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """The radius' density ``x^(k - 1) / cosh(x / 2)^2`` has the integral ``4 Gamma(k) eta(k - 1)``."""
        return -log_sphere(k) - math.log(4.0) - math.lgamma(k) - math.log(_eta(k - 1))

    @staticmethod
    def variance(k: int, df: float) -> float:
        return (k + 1) * _eta(k + 1) / _eta(k - 1)

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """A uniform direction times a radius by rejection: its density is at most four times that of a Gamma(k)."""
        direction = rng.standard_normal((n, k))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        radius = np.full((n, 1), np.nan)
        while (open_ := np.isnan(radius)).any():
            proposed = rng.gamma(k, size=int(open_.sum()))
            kept = rng.random(len(proposed)) < 1.0 / (1.0 + np.exp(-proposed)) ** 2
            radius[open_] = np.where(kept, proposed, np.nan)
        return radius * direction

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        import pymc as pm

        return pm.Logistic(name, mu=0.0, s=scale, dims=dims)

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        import pymc as pm
        import pytensor.tensor as pt

        def radius(size: Any) -> Any:
            several = pt.concatenate([size, [PROPOSALS]])
            proposed = pm.Gamma.dist(k, 1.0, size=several)
            kept = pm.Uniform.dist(0.0, 1.0, size=several) < 1.0 / (1.0 + pt.exp(-proposed)) ** 2
            return pt.take_along_axis(proposed, pt.argmax(kept, axis=-1, keepdims=True), axis=-1)[..., 0]

        return spherical_variable(name, scale * np.ones(k), dims, LogisticFamily, radius)


def _eta(s: int) -> float:
    """Dirichlet's eta function at a whole number that is not negative."""
    return {0: 0.5, 1: math.log(2.0)}.get(s) or float((1.0 - 2.0 ** (1 - s)) * zeta(s))
