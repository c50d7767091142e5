"""Which features share which learned scales, in what units, and the same model with the scales held fixed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.design import Design
from bayes_softmax.spec.hyperpriors import Horseshoe, LearnedNormal, ShrinkagePrior
from bayes_softmax.spec.priors import Flat, Normal, Prior, PriorTable

RELEVANT_SHARE = 0.2  # of the features, where the horseshoe is not told how many matter


class Group(NamedTuple):
    """Features that carry the same shrinkage prior and so share its hyperparameters.

    ``members`` are feature positions; a scale ``sigma`` of the prior is ``sigma / units[i]`` per unit of the raw
    feature; ``global_scale`` is the horseshoe's (1 for others); ``suffix`` tells the names of several groups apart.
    """

    family: ShrinkagePrior
    members: tuple[int, ...]
    units: FloatArray
    global_scale: float
    suffix: str

    def named(self, name: str) -> str:
        """Name of a hyperparameter of this group."""
        return name + self.suffix

    @property
    def dim(self) -> str:
        """Dimension of what each member has of its own, where not all features are members."""
        return f"feature_shrunk{self.suffix}"


def shrinkage_groups(priors: PriorTable, design: Design) -> tuple[Group, ...]:
    """The groups of a model, in the order in which their first features stand; features in their order."""
    found: dict[ShrinkagePrior, list[int]] = {}
    for j, family in enumerate(priors.weights):
        if isinstance(family, ShrinkagePrior):
            found.setdefault(family, []).append(j)
    groups = []
    for number, (family, members) in enumerate(found.items(), start=1):
        units = np.ones(len(members)) if isinstance(family, LearnedNormal) else priors.spread[members]
        suffix = "" if len(found) == 1 else f"_{number}"
        groups.append(Group(family, tuple(members), units, _global_scale(family, len(members), design), suffix))
    return tuple(groups)


def describe(group: Group) -> str:
    """Where a group's scale is measured, and what its features share."""
    n = len(group.members)
    shared = "learned" if n == 1 else f"learned by {n} features together"
    if isinstance(group.family, LearnedNormal):
        return f"per unit of the feature, {shared}"
    typical = f", tau_0 = {group.global_scale:.3g}" if isinstance(group.family, Horseshoe) else ""
    return f"per sd of the feature, {shared}{typical}"


def _global_scale(family: ShrinkagePrior, p: int, design: Design) -> float:
    """The horseshoe's ``tau_0``; see its docstring."""
    if not isinstance(family, Horseshoe):
        return 1.0
    if family.global_scale is not None:
        return family.global_scale
    if family.relevant is not None and not family.relevant < p:
        raise ValueError(
            f"Horseshoe: relevant={family.relevant!r} must be less than the number of features that carry this "
            f"prior, {p}"
        )
    expected = min(max(1.0, RELEVANT_SHARE * p), 0.5 * p) if family.relevant is None else family.relevant
    return float(expected / (p - expected) * np.sqrt(design.n_classes / design.total_weight))


def with_scales(priors: PriorTable, groups: tuple[Group, ...], scales: Mapping[int, float]) -> PriorTable:
    """The same table with every learned scale held at the given raw value, by feature position."""
    fixed: list[Prior] = [Normal(scales[j]) if j in scales else family for j, family in enumerate(priors.weights)]
    return replace(priors, weights=tuple(fixed))


def without_shrinkage(priors: PriorTable) -> PriorTable:
    """The fixed priors alone: flat where a scale is learned."""
    return replace(priors, weights=tuple(Flat() if isinstance(f, ShrinkagePrior) else f for f in priors.weights))
