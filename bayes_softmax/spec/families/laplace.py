"""The Laplace prior: lasso and group lasso, with exact zeros."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.checks import set_positive
from bayes_softmax.core.keywords import explains_making
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.families.radial import log_sphere, spherical_variable

AT_KINK = 1e-100  # in scales: the cube of a smaller number is subnormal


@explains_making
@dataclass(frozen=True)
class Laplace:
    r"""Laplace (double-exponential) prior, density proportional to ``exp(-|g| / scale)``: MAP estimates have zeros.

    Under reference and full coding it is element-wise, with standard deviation ``sqrt(2) scale``, and the MAP estimate
    is the lasso (L1; scikit-learn's ``C = scale`` under full coding).  Under zero-sum coding it is spherical over a
    feature's ``k = K - 1`` free coordinates, each of standard deviation ``sqrt(k + 1) scale``, and the MAP estimate is
    the group lasso, which drops a feature for all classes or for none.  Park and Casella, *JASA* 103 (2008).

    Examples
    --------
    >>> Laplace(0.5)
    Laplace(scale=0.5)
    """

    scale: float

    def __post_init__(self) -> None:
        set_positive(self, "scale")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"Laplace({self.scale:.4g})"


class LaplaceFamily:
    """Mathematics of :class:`Laplace`."""

    prior: type[Laplace] = Laplace
    words = "Laplace"
    proper = True
    log_concave = True
    quadratic = False
    kinked = True
    spherical_variable_is = "free"

    @staticmethod
    def numbers(prior: Laplace) -> tuple[float, float]:
        """Scale, and no rounding of the kink."""
        return prior.scale, 0.0

    @staticmethod
    def from_numbers(scale: float, df: float) -> Laplace:
        """The prior of a scale."""
        return Laplace(scale)

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        r""":math:`h = \sqrt{r + \epsilon^2}` with the rounding :math:`\epsilon`, ``df``."""
        value: FloatArray = np.sqrt(r + df * df)
        return value

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """:math:`1 / 2h`; zero, one of the subgradients, at the kink."""
        h = np.sqrt(r + df * df)
        value: FloatArray = 0.5 * (h > 0.0) / (h + (h == 0.0))
        return value

    @staticmethod
    def bend(r: FloatArray, k: int, df: Any) -> FloatArray:
        """:math:`-1 / 4h^3`; zero at the kink."""
        h = np.sqrt(r + df * df)
        away = h > AT_KINK
        safe = h + (h <= AT_KINK)
        value: FloatArray = -0.25 * away / (safe * safe * safe)
        return value

    @staticmethod
    def rounding(k: int) -> float:
        """``k + 1``: the prior's variance in each coordinate, in squares of the scale."""
        return k + 1.0

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """The integral of ``exp(-|g|)`` is the sphere's surface times ``Gamma(k)``."""
        return -log_sphere(k) - math.lgamma(k)

    @staticmethod
    def variance(k: int, df: float) -> float:
        """Of a Gamma(k) radius, whose mean square is k (k + 1)."""
        return k + 1.0

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """A uniform direction times a Gamma(k) radius."""
        direction = rng.standard_normal((n, k))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        drawn: FloatArray = direction * rng.gamma(k, size=(n, 1))
        return drawn

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        """``pm.Laplace``."""
        import pymc as pm

        return pm.Laplace(name, mu=0.0, b=scale, dims=dims)

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        """A custom distribution of the free coordinates: PyMC has none."""
        import pymc as pm

        def radius(size: Any) -> Any:
            return pm.Gamma.dist(k, 1.0, size=size)

        return spherical_variable(name, scale * np.ones(k), dims, LaplaceFamily, radius)
