"""No prior: improper and constant."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.keywords import explains_making
from bayes_softmax.core.records import FloatArray


@explains_making
@dataclass(frozen=True)
class Flat:
    """Improper constant prior: the MAP estimate is the maximum-likelihood estimate.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]
    >>> flat = bs.SoftmaxRegression(X, y, prior=bs.Flat(), intercept_prior=bs.Flat())
    >>> flat.map().log_likelihood == flat.mle().log_likelihood
    True
    """


class FlatFamily:
    """Mathematics of :class:`Flat`."""

    prior: type[Flat] = Flat
    words = "flat"
    proper = False
    log_concave = True
    quadratic = True
    kinked = False
    spherical_variable_is = "free"

    @staticmethod
    def numbers(prior: Flat) -> tuple[float, float]:
        """It has none: one and zero stand in."""
        return 1.0, 0.0

    @staticmethod
    def from_numbers(scale: float, df: float) -> Flat:
        """The prior, whatever they are."""
        return Flat()

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Zero."""
        return 0.0 * r

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Zero."""
        return 0.0 * r

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
        """Zero, by convention."""
        return 0.0

    @staticmethod
    def variance(k: int, df: float) -> float:
        """Infinite."""
        return np.inf

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """Nothing can be drawn."""
        raise ValueError("Flat() is improper: nothing can be drawn from it")

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        """``pm.Flat``."""
        import pymc as pm

        return pm.Flat(name, dims=dims)

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        """The same: it has no coordinates of its own."""
        return FlatFamily.elementwise_variable(name, scale, df, dims)
