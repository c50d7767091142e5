"""Priors of scales, and the families of normal priors that carry them; formulae in :mod:`bayes_softmax.spec.scales`."""

from dataclasses import dataclass

from bayes_softmax.core.checks import set_positive
from bayes_softmax.core.keywords import explains_making


@explains_making
@dataclass(frozen=True)
class HalfNormal:
    r"""Prior of a scale to be learned: the absolute value of a normal, density :math:`\propto e^{-\tau^2/(2s^2)}`.

    Parameters
    ----------
    scale
        ``s``; the median is ``0.67 s``, and 95 % lie below ``1.96 s``.

    Examples
    --------
    >>> from bayes_softmax.spec.families.normal import Normal
    >>> print(Normal(scale=HalfNormal(1.0)))
    Normal(HalfNormal(1))
    """

    scale: float

    def __post_init__(self) -> None:
        set_positive(self, "scale")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"HalfNormal({self.scale:.4g})"


@explains_making
@dataclass(frozen=True)
class HalfStudentT:
    r"""Prior of a scale to be learned, heavier in the tail: :math:`\propto (1 + \tau^2/(\nu s^2))^{-(\nu+1)/2}`.

    Parameters
    ----------
    df
        Degrees of freedom; 1 is the half-Cauchy.
    scale
        ``s``.

    Examples
    --------
    >>> print(HalfStudentT(df=3, scale=1.0))
    HalfStudentT(3, 1)
    """

    df: float
    scale: float

    def __post_init__(self) -> None:
        set_positive(self, "df", "scale")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"HalfStudentT({self.df:g}, {self.scale:.4g})"


ScalePrior = HalfNormal | HalfStudentT


@dataclass(frozen=True)
class HierarchicalNormal:
    """Normal prior whose standard deviation has a prior: ``Normal(scale=HalfNormal(...))`` in a model's table."""

    scale_prior: ScalePrior

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"Normal({self.scale_prior})"


@explains_making
@dataclass(frozen=True)
class R2D2:
    r"""R2-induced Dirichlet decomposition: a prior on how much the features explain, shared out among them.

    With standardised features, :math:`R^2 = \omega / (1 + \omega)` for the total variance :math:`\omega` of a free
    logit (in units of a noise of variance 1), and feature ``j`` has the share :math:`\phi_j` of it:

    .. math:: R^2 \sim \mathrm{Beta}(m n, (1 - m) n), \quad \phi \sim \mathrm{Dirichlet}(a, \ldots, a), \quad
              g_j \sim N(0, \phi_j \omega)

    Zhang, Naughton, Bondell and Reich, *JASA* 117 (2022); Aguilar and Bürkner, *Electronic Journal of Statistics* 17
    (2023).

    Parameters
    ----------
    mean, precision
        ``m`` and ``n`` of the prior of :math:`R^2`.  The default ``Beta(2, 2)`` is the flattest of whole numbers under
        which the total variance has a mean; where classes are separated the data set it no upper limit.
    concentration
        ``a``: below 1, few features carry most of the variance.

    Examples
    --------
    >>> print(R2D2(mean=0.3, precision=5))
    R2D2(0.3, 5, 0.5)
    """

    mean: float = 0.5
    precision: float = 4.0
    concentration: float = 0.5

    def __post_init__(self) -> None:
        set_positive(self, "mean", "precision", "concentration")
        if not self.mean < 1:
            raise ValueError(f"R2D2: mean={self.mean!r} must be between 0 and 1")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"R2D2({self.mean:.4g}, {self.precision:.4g}, {self.concentration:.4g})"


ShrinkagePrior = HierarchicalNormal | R2D2
