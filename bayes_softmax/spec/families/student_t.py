"""The Student-t prior: heavier tails, not log-concave."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import set_positive
from bayes_softmax.core.keywords import explains_making
from bayes_softmax.core.records import FloatArray


@explains_making
@dataclass(frozen=True)
class StudentT:
    """Student-t prior with ``df`` degrees of freedom, centre 0 and the given ``scale``.

    Examples
    --------
    >>> StudentT(df=4, scale=2.5)
    StudentT(df=4.0, scale=2.5)
    """

    df: float
    scale: float

    def __post_init__(self) -> None:
        set_positive(self, "df", "scale")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"StudentT({self.df:g}, {self.scale:.4g})"


class StudentTFamily:
    """Mathematics of :class:`StudentT`."""

    prior: type[StudentT] = StudentT
    words = "Student-t"
    proper = True
    log_concave = False
    quadratic = False
    kinked = False
    spherical_variable_is = "unit-scale"

    @staticmethod
    def numbers(prior: StudentT) -> tuple[float, float]:
        """Scale and degrees of freedom."""
        return prior.scale, prior.df

    @staticmethod
    def from_numbers(scale: float, df: float) -> StudentT:
        """The prior of a scale and degrees of freedom."""
        return StudentT(df, scale)

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        r""":math:`\frac{\nu + k}{2} \log(1 + r / \nu)`."""
        value: FloatArray = 0.5 * (df + k) * np.log1p(r / df)
        return value

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Its derivative, the weight of the scale mixture's majoriser (EM)."""
        value: FloatArray = 0.5 * (df + k) / (df + r)
        return value

    @staticmethod
    def bend(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Its second derivative."""
        value: FloatArray = -0.5 * (df + k) / ((df + r) * (df + r))
        return value

    @staticmethod
    def rounding(k: int) -> float:
        """There is no kink."""
        return 0.0

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """Of the multivariate t."""
        return math.lgamma(0.5 * (df + k)) - math.lgamma(0.5 * df) - 0.5 * k * math.log(df * math.pi)

    @staticmethod
    def variance(k: int, df: float) -> float:
        """Infinite with two degrees of freedom or less."""
        return df / (df - 2) if df > 2 else np.inf

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """Normals over the root of chi-square / df, one divisor for a row."""
        divisors = rng.chisquare(df, size=(n, 1)) / df
        drawn: FloatArray = rng.standard_normal((n, k)) / np.sqrt(divisors)
        return drawn

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        """``pm.StudentT``."""
        import pymc as pm

        return pm.StudentT(name, nu=df, mu=0.0, sigma=scale, dims=dims)

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        """``pm.MvStudentT`` of scale 1: it takes one matrix for all rows."""
        import pymc as pm

        return pm.MvStudentT(name, nu=df, mu=np.zeros(k), scale=np.eye(k), dims=dims)
