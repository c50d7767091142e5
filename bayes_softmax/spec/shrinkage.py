"""Which features share which learned scales, and in what units."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.hyperpriors import LearnedNormal, ShrinkagePrior
from bayes_softmax.spec.priors import PriorTable


class Group(NamedTuple):
    """Features that carry the same shrinkage prior and so share its hyperparameters.

    ``members`` are feature positions; a scale ``sigma`` of the prior is ``sigma / units[i]`` per unit of the raw
    feature; ``suffix`` tells the names of several groups apart.
    """

    family: ShrinkagePrior
    members: tuple[int, ...]
    units: FloatArray
    suffix: str

    def named(self, name: str) -> str:
        """Name of a hyperparameter of this group."""
        return name + self.suffix

    @property
    def dim(self) -> str:
        """Dimension of what each member has of its own, where not all features are members."""
        return f"feature_shrunk{self.suffix}"


def shrinkage_groups(priors: PriorTable) -> tuple[Group, ...]:
    """The groups of a model, in the order in which their first features stand; features in their order."""
    groups = []
    for number, (family, members) in enumerate(priors.learned, start=1):
        units = np.ones(len(members)) if isinstance(family, LearnedNormal) else priors.spread[members]
        suffix = "" if len(priors.learned) == 1 else f"_{number}"
        groups.append(Group(family, tuple(members.tolist()), units, suffix))
    return tuple(groups)


def describe(group: Group) -> str:
    """Where a group's scale is measured, and what its features share."""
    n = len(group.members)
    shared = "learned" if n == 1 else f"learned by {n} features together"
    if isinstance(group.family, LearnedNormal):
        return f"per unit of the feature, {shared}"
    return f"per sd of the feature, {shared}"


def without_shrinkage(priors: PriorTable) -> PriorTable:
    """The fixed priors alone: flat where a scale is learned."""
    family = np.where(priors.fixed, priors.features.family, registry.position(Flat))
    return replace(priors, features=priors.features._replace(family=family), learned=())
