r"""The protocol of a prior family: its mathematics, its name in words, and its variable in PyMC.

Every family is radial.  Of the free coordinates :math:`g` (k,) of a coefficient row, with :math:`r = |g|^2 / s^2`,

.. math:: \log p(g) = c_k - k \log s - \varphi(r), \qquad \varphi(0) = 0,

and the slope and curvature of minus the log density are :math:`2 \varphi' g / s^2` and
:math:`2 \varphi' I / s^2 + 4 \varphi'' g g' / s^4`.  The element-wise form is the case k = 1.

==================  =====================================  ===============================================
family              spherical in g                         :math:`\varphi(r)`
==================  =====================================  ===============================================
``Normal(s)``       ridge                                  :math:`r / 2`
``StudentT(nu,s)``  multivariate t                         :math:`\frac{\nu + k}{2} \log(1 + r / \nu)`
``Laplace(s)``      group lasso (k = 1: lasso)             :math:`\sqrt{r + \epsilon^2}`, :math:`\epsilon = 0`
``Flat()``          improper                               :math:`0`
==================  =====================================  ===============================================

``phi``, ``slope`` and ``bend`` are written once, for numbers and arrays: the kernel compiles them, NumPy and PyMC call
them.  ``df`` is a family's second parameter, zero where it has none.  To add a family, write its two classes, the prior
and its mathematics, and put the second into :data:`bayes_softmax.spec.families.registry.FAMILIES`.
"""

from typing import Any, Protocol

import numpy as np

from bayes_softmax.core.records import FloatArray


class Family(Protocol):
    """A prior family: a class that is never instantiated, the mathematics of the priors that users write.

    Attributes
    ----------
    prior
        Class of the priors, a frozen dataclass of their parameters; ``str`` of one is its short form for tables.
    words
        Its name in a sentence.
    proper, log_concave
        Whether the density integrates to one, and whether its logarithm is concave.
    quadratic
        Whether ``phi`` is linear in r, so that the curvature is constant, and the element-wise form equals the
        spherical one.
    kinked
        Whether minus the log density is the norm ``|g| / s``: a kink at zero, whose prox is the soft threshold.  Then
        ``df`` rounds it off, by ``rounding(k)`` for a smooth surrogate.
    spherical_variable_is
        The random variable of the spherical form in PyMC: ``"coefficients"`` of all K classes, their ``"free"``
        coordinates, or ``"unit-scale"``, these over their scale.
    """

    prior: type[Any]
    words: str
    proper: bool
    log_concave: bool
    quadratic: bool
    kinked: bool
    spherical_variable_is: str

    @staticmethod
    def numbers(prior: Any) -> tuple[float, float]:
        """Scale and ``df`` of a prior."""
        ...

    @staticmethod
    def from_numbers(scale: float, df: float) -> Any:
        """The prior of a scale and ``df``."""
        ...

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Minus the log density at ``r``, less that at zero."""
        ...

    @staticmethod
    def slope(r: FloatArray, k: int, df: Any) -> FloatArray:
        """First derivative of ``phi``; zero at a kink."""
        ...

    @staticmethod
    def bend(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Second derivative of ``phi``; zero at a kink."""
        ...

    @staticmethod
    def rounding(k: int) -> float:
        """``df`` of the smooth surrogate of a kink whose curvature at zero is one over the prior's variance."""
        ...

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """Log density of k coordinates at zero, for scale 1; zero where it is improper."""
        ...

    @staticmethod
    def variance(k: int, df: float) -> float:
        """Variance of one of k coordinates drawn together, for scale 1; infinite where there is none."""
        ...

    @staticmethod
    def draw(n: int, k: int, df: float, rng: np.random.Generator) -> FloatArray:
        """Draws (n, k) for scale 1; asked of proper families only."""
        ...

    @staticmethod
    def elementwise_variable(name: str, scale: Any, df: float, dims: tuple[str, ...]) -> Any:
        """PyMC variable of independent coordinates."""
        ...

    @staticmethod
    def spherical_variable(name: str, scale: Any, df: float, k: int, dims: tuple[str, ...]) -> Any:
        """PyMC variable of rows (..., k), each spherical; see ``spherical_variable_is``."""
        ...
