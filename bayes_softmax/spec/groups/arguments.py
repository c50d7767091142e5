"""Priors of group-level effects, as users write them."""

from dataclasses import dataclass, field

from bayes_softmax.core.checks import check_choice, set_positive, shown
from bayes_softmax.core.keywords import explains_making
from bayes_softmax.spec.scales.hyperpriors import HalfNormal, HalfStudentT, ScalePrior

COVARIANCES = ("unstructured", "independent", "exchangeable")


@explains_making
@dataclass(frozen=True)
class LKJ:
    r"""Prior of correlations ``R``: density :math:`\propto \det(R)^{\eta - 1}`.

    Parameters
    ----------
    eta
        1 is uniform over correlation matrices; with a larger ``eta`` correlations are smaller.

    Notes
    -----
    Lewandowski, Kurowicka and Joe, *Journal of Multivariate Analysis* 100 (2009).

    Examples
    --------
    >>> print(LKJ(2))
    LKJ(2)
    """

    eta: float = 2.0

    def __post_init__(self) -> None:
        set_positive(self, "eta")

    def __str__(self) -> str:
        """Return a short form for tables."""
        return f"LKJ({self.eta:.4g})"


@explains_making
@dataclass(frozen=True)
class GroupNormal:
    """Prior of the effects of a grouping's levels: normal, with standard deviations and correlations that are learned.

    Parameters
    ----------
    scale
        Prior of the standard deviations, ``HalfNormal`` or ``HalfStudentT``, one for each class and term.  Default:
        ``HalfStudentT(3, s)``, with ``s = 1.5`` for the levels' intercepts and 1.5 over its spread for a slope, see
        :meth:`~bayes_softmax.SoftmaxRegression.describe_prior`.
    correlation
        Prior of the correlations.
    covariance
        ``"unstructured"`` (default: effects of all classes and terms are correlated), ``"independent"`` (none are),
        or ``"exchangeable"`` (none are, and all classes have one standard deviation for each term).

    Examples
    --------
    >>> from bayes_softmax.spec.scales.hyperpriors import HalfStudentT
    >>> print(GroupNormal(scale=HalfStudentT(3, 2.5)))
    GroupNormal(HalfStudentT(3, 2.5), LKJ(2))
    >>> print(GroupNormal(covariance="independent"))
    GroupNormal(default scale, independent)
    """

    scale: ScalePrior | None = None
    correlation: LKJ = field(default_factory=LKJ)
    covariance: str = "unstructured"

    def __post_init__(self) -> None:
        if self.scale is not None and not isinstance(self.scale, HalfNormal | HalfStudentT):
            raise TypeError(f"scale={shown(self.scale)} must be HalfNormal(...), HalfStudentT(...) or None")
        if not isinstance(self.correlation, LKJ):
            raise TypeError(f"correlation={shown(self.correlation)} must be LKJ(...)")
        check_choice("covariance", self.covariance, COVARIANCES)

    def __str__(self) -> str:
        """Return a short form for tables."""
        scale = "default scale" if self.scale is None else str(self.scale)
        correlated = self.correlation if self.covariance == "unstructured" else self.covariance
        return f"GroupNormal({scale}, {correlated})"
