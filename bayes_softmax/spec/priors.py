r"""Priors of a model, resolved to numbers: one family per coefficient row.

A prior on the weights of a feature acts on that feature's free coordinates :math:`g` (k,), *raw*: per unit of
the feature as given.  Under zero-sum coding it is spherical in ``g`` and so exchangeable over the classes;
under reference and full coding it is element-wise.  The families are in :mod:`bayes_softmax.spec.families`.

``Jeffreys()`` is a prior of all coefficients together, ``1/2 log det I`` with the Fisher information ``I``.
Priors whose scale is learned (``Normal(scale=HalfNormal(1))``, ``R2D2``) are in
:mod:`bayes_softmax.spec.scales`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import is_number, shown
from bayes_softmax.core.keywords import explains_making
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import Flat, FlatFamily
from bayes_softmax.spec.families.registry import FamilyPrior
from bayes_softmax.spec.scale_choice import ScaleChoice
from bayes_softmax.spec.scales.hyperpriors import ShrinkagePrior
from bayes_softmax.spec.scales.shared import SharedScale

LEARNED = -1  # in place of a family's code, where the scale is learned


@explains_making
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


Prior = FamilyPrior | Jeffreys | ShrinkagePrior
PriorArgument = Prior | Mapping[str, Prior | None] | None


def is_prior(prior: object) -> bool:
    """Whether an object is a prior that one feature may have."""
    return registry.is_family(prior) or isinstance(prior, ShrinkagePrior)


def instead_of(given: object) -> str:
    """A hint for something that is no prior: a scale alone, or a family without one."""
    if is_number(given):
        return f"; with a scale of {shown(given)} it is Normal({shown(given)})"
    examples = {"Normal": "1.0", "Laplace": "1.0", "StudentT": "4, 1.0", "Flat": "", "Jeffreys": "", "R2D2": ""}
    if isinstance(given, type) and given.__name__ in examples:
        return f"; the class is called: {given.__name__}({examples[given.__name__]})"
    return ""


class FamilyRows(NamedTuple):
    """Priors of coefficient rows as numbers: codes of the families, scales per raw unit, second parameters, (rows,)."""

    family: IntArray
    scale: FloatArray
    df: FloatArray

    def at(self, row: int) -> FamilyPrior:
        """The prior of one row."""
        family = registry.family_at(int(self.family[row]))
        prior: FamilyPrior = family.from_numbers(float(self.scale[row]), float(self.df[row]))
        return prior

    def of(self, rows: NDArray[np.bool_]) -> "FamilyRows":
        """Some of the rows."""
        return FamilyRows(self.family[rows], self.scale[rows], self.df[rows])


def repeated(prior: FamilyPrior, n: int) -> FamilyRows:
    """The same prior for n rows."""
    family = registry.family_of(prior)
    scale, df = family.numbers(prior)
    return FamilyRows(np.full(n, registry.code_of(family)), np.full(n, scale), np.full(n, df))


@dataclass(frozen=True, eq=False)
class PriorTable:
    """Priors of a model, resolved.

    Attributes
    ----------
    features
        Families of the features; ``LEARNED`` where the scale is.
    intercept
        None for a model without one.
    intercept_at
        Where the intercept is measured: ``"zero"`` (x = 0) or ``"means"`` (of the features).
    spherical
        True under zero-sum coding.
    by_default
        (p,) which features take the default.
    is_jeffreys
        Whether the prior is Jeffreys', of all coefficients together; then no row has one of its own, all are flat.
    learned
        Learned scales, and the features that share each, in the order of their first features.
    constant
        That of :func:`~bayes_softmax.spec.autoscale.default_scales`, NaN where no feature takes the default.
    choice
        How the scales of the weights were chosen from the data, if they were; ``constant`` is without its factor.
    """

    features: FamilyRows
    intercept: FamilyPrior | None
    intercept_at: str
    spherical: bool
    by_default: NDArray[np.bool_]
    is_jeffreys: bool = False
    learned: tuple[SharedScale, ...] = ()
    constant: float = np.nan
    choice: ScaleChoice | None = None

    @cached_property
    def weights(self) -> tuple[Prior, ...]:
        """The priors of the features, as objects to read."""
        learned = {j: scale.prior for scale in self.learned for j in scale.features}
        return tuple(learned.get(j) or self.features.at(j) for j in range(len(self.features.family)))

    def of(self, rows: NDArray[np.bool_]) -> "PriorTable":
        """The same with some of the rows, whose scales are fixed."""
        return replace(self, features=self.features.of(rows), by_default=self.by_default[rows])

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """(p,) which features have a family with a fixed scale."""
        fixed: NDArray[np.bool_] = self.features.family != LEARNED
        return fixed

    @property
    def learns_scales(self) -> bool:
        """Whether some features have a prior with hyperparameters."""
        return bool(self.learned)

    @property
    def flat_features(self) -> NDArray[np.bool_]:
        """(p,) which features have an improper prior."""
        flat: NDArray[np.bool_] = self._lacking("proper") & (not self.is_jeffreys)
        return flat

    @property
    def all_flat(self) -> bool:
        """Whether there are features, and all of them have improper priors."""
        return bool(len(self.features.family)) and bool(self.flat_features.all())

    @property
    def flat_intercept(self) -> bool:
        """Whether there is an intercept with an improper prior."""
        improper = self.intercept is not None and not registry.family_of(self.intercept).proper
        return improper and not self.is_jeffreys

    @property
    def is_proper(self) -> bool:
        """Whether every prior integrates to one."""
        return not (self.flat_intercept or self.flat_features.any())

    @property
    def has_heavy_tails(self) -> bool:
        """Whether a prior is not log-concave."""
        light = not any(scale.hyperprior.heavy_tailed for scale in self.learned)
        concave = self.intercept is None or registry.family_of(self.intercept).log_concave
        return not (light and concave) or bool(self._lacking("log_concave").any())

    def _lacking(self, attribute: str) -> NDArray[np.bool_]:
        """(p,) which features have a family without an attribute."""
        lacking, fixed = np.zeros(len(self.features.family), dtype=np.bool_), self.fixed
        lacking[fixed] = ~registry.that_are(self.features.family[fixed], attribute)
        return lacking


def without_learned_scales(table: PriorTable) -> PriorTable:
    """The fixed priors alone: flat where a scale is learned."""
    family = np.where(table.fixed, table.features.family, registry.code_of(FlatFamily))
    return replace(table, features=table.features._replace(family=family), learned=())


def flat_table(table: PriorTable) -> PriorTable:
    """The same model with every prior flat."""
    p = len(table.features.family)
    intercept = None if table.intercept is None else Flat()
    return PriorTable(repeated(Flat(), p), intercept, "means", table.spherical, np.zeros(p, dtype=np.bool_))
