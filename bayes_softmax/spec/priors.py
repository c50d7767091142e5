r"""Prior families and how they are resolved to one row per coefficient.

A prior on the weights of a feature acts on that feature's free coordinates :math:`g` (k,), *raw*: per unit of
the feature as given.  Under zero-sum coding it is spherical in ``g`` and so exchangeable over the classes;
under reference and full coding it is element-wise.

===================  ===========================================  ====================================
family               log density of g, up to a constant           spherical form
===================  ===========================================  ====================================
``Normal(s)``        ``-|g|^2 / (2 s^2)``                         the same
``StudentT(nu, s)``  ``-(nu + 1)/2 sum log(1 + g_c^2/(nu s^2))``  ``-(nu + k)/2 log(1 + |g|^2/(nu s^2))``
``Laplace(b)``       ``-sum |g_c| / b`` (lasso)                   ``-|g| / b`` (group lasso)
``Flat()``           ``0`` (improper)                             the same
===================  ===========================================  ====================================

``Jeffreys()`` is a prior of all coefficients together, ``1/2 log det I`` with the Fisher information ``I``.
Priors whose scale is learned (``Normal(scale=HalfNormal(1))``, ``R2D2``) are in
:mod:`bayes_softmax.spec.scales`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.autoscale import (
    DEFAULT_INTERCEPT_SCALE,
    column_rms,
    default_scales,
    feature_spread,
    variance_units,
)
from bayes_softmax.spec.scales.hyperpriors import (
    HalfNormal,
    HierarchicalNormal,
    ScalePrior,
    ShrinkagePrior,
    set_positive,
)
from bayes_softmax.spec.scales.shared import SharedScale, shared_scales


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


@dataclass(frozen=True)
class Flat:
    """Improper constant prior: the MAP estimate is the maximum-likelihood estimate."""


@dataclass(frozen=True)
class Jeffreys:
    """Jeffreys' prior of all coefficients, the intercept among them: ``map()`` is Firth's bias-reduced estimate.

    The estimate is finite also where classes are separated, where the maximum-likelihood estimate is not.  It is for
    ``map()`` alone, under zero-sum or reference coding, which give the same estimate: the prior does not depend on
    the coordinates.  Firth, *Biometrika* 80 (1993); Kosmidis and Firth, *Biometrika* 108 (2021).

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[-2.0], [-1.0], [1.0], [2.0]], ["a", "a", "b", "b"], prior=Jeffreys())
    >>> model.map().converged
    True
    """


Prior = Normal | StudentT | Laplace | Flat | Jeffreys | ShrinkagePrior
PriorArgument = Prior | Mapping[str, Prior] | None


def known_scale(prior: Prior) -> float:
    """The scale of a prior that has one and does not learn it."""
    if not isinstance(prior, Normal | StudentT | Laplace) or isinstance(prior.scale, ScalePrior):
        raise TypeError(f"{prior!r} has no fixed scale")
    return prior.scale


@dataclass(frozen=True)
class PriorTable:
    """Priors of a model, resolved: one family per feature, one for the intercept.

    ``intercept`` is None for a model without one; ``intercept_at`` says where it is measured, ``"zero"``
    (x = 0) or ``"means"`` (of the features).  ``spherical`` is True under zero-sum coding.  ``constant`` is that of
    :func:`~bayes_softmax.spec.autoscale.default_scales`, NaN where no feature takes the default.
    """

    weights: tuple[Prior, ...]
    intercept: Prior | None
    intercept_at: str
    spherical: bool
    autoscaled: tuple[bool, ...]
    constant: float = field(default=np.nan, compare=False)
    spread: FloatArray = field(default_factory=lambda: np.empty(0), compare=False)

    @property
    def learns_scales(self) -> bool:
        """Whether some features have a prior with hyperparameters."""
        return any(isinstance(prior, ShrinkagePrior) for prior in self.weights)

    @property
    def shared_scales(self) -> tuple[SharedScale, ...]:
        """Features that share learned scales."""
        return shared_scales(self.weights, self.spread)

    @property
    def flat_features(self) -> tuple[bool, ...]:
        """Which features have an improper prior."""
        return tuple(isinstance(prior, Flat) for prior in self.weights)

    @property
    def all_flat(self) -> bool:
        """Whether there are features, and all of them have improper priors."""
        return bool(self.weights) and all(self.flat_features)

    @property
    def is_jeffreys(self) -> bool:
        """Whether the prior is Jeffreys', of all coefficients together."""
        return any(isinstance(prior, Jeffreys) for prior in (*self.weights, self.intercept))

    @property
    def flat_intercept(self) -> bool:
        """Whether there is an intercept with an improper prior."""
        return isinstance(self.intercept, Flat)

    @property
    def is_proper(self) -> bool:
        """Whether every prior integrates to one."""
        return not (self.flat_intercept or any(self.flat_features))

    @property
    def has_heavy_tails(self) -> bool:
        """Whether a prior is not log-concave."""
        light = (Normal, Laplace, Flat, Jeffreys, HierarchicalNormal)
        learned = [p.scale_prior for p in self.weights if isinstance(p, HierarchicalNormal)]
        fixed = [p for p in (*self.weights, self.intercept) if p is not None]
        return not (all(isinstance(p, light) for p in fixed) and all(isinstance(s, HalfNormal) for s in learned))


def without_learned_scales(table: PriorTable) -> PriorTable:
    """The fixed priors alone: flat where a scale is learned."""
    fixed = tuple(Flat() if isinstance(family, ShrinkagePrior) else family for family in table.weights)
    return replace(table, weights=fixed)


def flat_table(table: PriorTable) -> PriorTable:
    """The same model with every prior flat."""
    flat = tuple(Flat() for _ in table.weights)
    intercept = None if table.intercept is None else Flat()
    return PriorTable(flat, intercept, "means", table.spherical, (False,) * len(flat))


def resolve_priors(
    prior: PriorArgument,
    intercept_prior: Prior | None,
    *,
    coding: str,
    X: FloatArray,
    totals: FloatArray,
    scale: FloatArray,
    feature_names: Sequence[str],
    has_intercept: bool,
) -> PriorTable:
    """Turn the ``prior`` and ``intercept_prior`` arguments into one family per feature.

    ``X`` and ``totals`` are of the rows that hold observations; ``scale`` is the features' standard deviation there.
    """
    if isinstance(prior, Jeffreys):
        return _jeffreys_table(prior, intercept_prior, coding, len(feature_names), has_intercept=has_intercept)
    chosen = _per_feature(prior, feature_names)
    by_default = np.array([c is None for c in chosen], dtype=bool)
    constant, scales = np.nan, np.empty(0)
    if by_default.any():
        taking = X if by_default.all() else X[:, by_default]
        rms = column_rms(taking, totals, scale[by_default], has_intercept=has_intercept)
        constant, scales = default_scales(feature_spread(taking, rms), rms)
    left = iter(scales.tolist())
    weights = tuple(c if c is not None else Normal(next(left)) for c in chosen)
    intercept = Normal(DEFAULT_INTERCEPT_SCALE) if intercept_prior is None else _of_intercept(intercept_prior)
    if not has_intercept and intercept_prior is not None:
        raise ValueError("intercept_prior was given, but the model has no intercept")
    table = PriorTable(
        weights,
        intercept if has_intercept else None,
        "means" if intercept_prior is None else "zero",
        coding == "zero-sum",
        tuple(by_default.tolist()),
        constant,
        _shrinkage_units(weights, X, scale),
    )
    if coding == "full" and any(table.flat_features):
        named = [n for n, flat in zip(feature_names, table.flat_features, strict=True) if flat]
        raise ValueError(
            f"coding='full' needs a proper prior, but the prior of {listed(named)} is Flat(): "
            "with K free columns the weights are not identified; use coding='zero-sum' or 'reference'"
        )
    return table


def _of_intercept(prior: Prior) -> Prior:
    """The prior, if an intercept can have it."""
    if not isinstance(prior, Prior):
        raise TypeError(f"intercept_prior={shown(prior)} must be Normal, StudentT, Flat or None")
    if isinstance(prior, Jeffreys):
        raise ValueError("intercept_prior=Jeffreys() is a prior of all coefficients together: pass prior=Jeffreys()")
    if isinstance(prior, Laplace):
        raise ValueError(
            f"intercept_prior={prior!r}: Laplace is a prior of weights, to drop features; an intercept of exactly zero "
            "would drop nothing. Use Normal, StudentT, Flat or None"
        )
    if isinstance(_resolved(prior), ShrinkagePrior):
        raise TypeError(f"intercept_prior={prior!r} must have a fixed scale: scales are learned for weights")
    return prior


def _shrinkage_units(weights: tuple[Prior, ...], X: FloatArray, scale: FloatArray) -> FloatArray:
    """Unit of each feature for priors that learn scales; those that share one :math:`R^2` share its variance."""
    families = {w for w in weights if isinstance(w, ShrinkagePrior)}
    if not families:
        return np.empty(0)
    units = feature_spread(X, scale)
    for family in families:
        members = np.array([w == family for w in weights], dtype=bool)
        units[members] = variance_units(units[members], scale[members])
    return units


def _jeffreys_table(
    prior: Jeffreys, intercept_prior: Prior | None, coding: str, n_features: int, *, has_intercept: bool
) -> PriorTable:
    """Jeffreys' prior for every coefficient; refuses what it cannot be combined with."""
    if intercept_prior is not None:
        raise ValueError(
            f"intercept_prior={intercept_prior!r} was given beside prior=Jeffreys(), which is a prior of all "
            "coefficients, the intercept among them; leave intercept_prior at None"
        )
    if coding == "full":
        raise ValueError(
            "prior=Jeffreys() needs coding='zero-sum' or 'reference': with the K free columns of coding='full' the "
            "Fisher information is singular, and its determinant zero everywhere"
        )
    weights = (prior,) * n_features
    return PriorTable(weights, prior if has_intercept else None, "means", coding == "zero-sum", (False,) * n_features)


def _per_feature(prior: PriorArgument, feature_names: Sequence[str]) -> list[Prior | None]:
    """One prior, or None for the default, for each feature; a mapping must name existing features."""
    if prior is None or isinstance(prior, Prior):
        return [_resolved(prior)] * len(feature_names)
    if not isinstance(prior, Mapping):
        raise TypeError(
            f"prior={shown(prior)} must be Normal, StudentT, Laplace, Flat, Jeffreys, R2D2, a mapping from feature to "
            "prior, or None"
        )
    unknown = [name for name in prior if name not in feature_names]
    if unknown:
        raise ValueError(
            f"prior names unknown feature {unknown[0]!r}{did_you_mean(unknown[0], feature_names)}; the features are "
            f"{listed(feature_names)}"
        )
    for name, family in prior.items():
        if isinstance(family, Jeffreys):
            raise ValueError(
                f"prior[{name!r}]=Jeffreys(): it is a prior of all coefficients together; pass prior=Jeffreys()"
            )
        if not isinstance(family, Prior):
            raise TypeError(f"prior[{name!r}]={shown(family)} must be Normal, StudentT, Laplace, Flat or R2D2")
    return [_resolved(prior.get(name)) for name in feature_names]


def _resolved(prior: Prior | None) -> Prior | None:
    """A normal prior whose scale is learned, as the family of its own that it is."""
    if isinstance(prior, Normal) and isinstance(prior.scale, ScalePrior):
        return HierarchicalNormal(prior.scale)
    return prior
