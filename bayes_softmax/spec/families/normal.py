"""The normal prior: ridge."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import set_positive
from bayes_softmax.core.keywords import explains_making
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.scales.hyperpriors import ScalePrior


@explains_making
@dataclass(frozen=True)
class Normal:
    """Normal prior with mean 0 and standard deviation ``scale`` (ridge, L2).

    With a prior for ``scale``, ``HalfNormal(1)`` or ``HalfStudentT(3, 1)``, the scale is learned: one for all features
    that carry the same prior, on the raw weights like every explicit prior.

    Examples
    --------
    >>> Normal(2.5)
    Normal(scale=2.5)
    """

    scale: float | ScalePrior

    def __post_init__(self) -> None:
        if not isinstance(self.scale, ScalePrior):
            set_positive(self, "scale")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"Normal({self.scale if isinstance(self.scale, ScalePrior) else format(self.scale, '.4g')})"


class NormalFamily:
    """Mathematics of :class:`Normal`."""

    prior: type[Normal] = Normal
    words = "normal"
    proper = True
    log_concave = True
    quadratic = True
    kinked = False
    spherical_variable_is = "coefficients"

    @staticmethod
    def numbers(prior: Normal) -> tuple[float, float]:
        """Scale, where it is not learned, and 0."""
        if isinstance(prior.scale, ScalePrior):
            raise TypeError(f"{prior!r} has no fixed scale")
        return prior.scale, 0.0

    @staticmethod
    def from_numbers(scale: float, df: float) -> Normal:
        """The prior of a scale."""
        return Normal(scale)

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        """:math:`r / 2`."""
        return 0.5 * r

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """One half."""
        return 0.0 * r + 0.5

    @staticmethod
    def bend(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Zero."""
        return 0.0 * r

    @staticmethod
    def rounding(k: int) -> float:
        """There is no kink."""
        return 0.0

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """Of k independent normals."""
        return -0.5 * k * math.log(2 * math.pi)

    @staticmethod
    def variance(k: int, df: float) -> float:
        """One."""
        return 1.0

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """Independent normals, which are spherical too."""
        return rng.standard_normal((n, k))

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        """``pm.Normal``."""
        import pymc as pm

        return pm.Normal(name, 0.0, scale, dims=dims)

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        """``pm.ZeroSumNormal`` of the coefficients."""
        import pymc as pm

        return pm.ZeroSumNormal(name, sigma=scale, dims=dims)
