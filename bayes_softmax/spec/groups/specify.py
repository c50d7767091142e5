"""From the specification of a linear model to that of one with group-level effects on the same rows."""

from dataclasses import replace
from typing import Any

from bayes_softmax.core.checks import listed
from bayes_softmax.data.options import Options
from bayes_softmax.spec.groups.logits import GroupLogits, group_shapes
from bayes_softmax.spec.groups.resolve import group_effects
from bayes_softmax.spec.specification import Specification


def refuse_other_logits(options: Options) -> None:
    """Raise for groups beside logits that are not linear."""
    if options.logits is not None:
        raise ValueError(
            "logits: group-level effects are added to linear logits; leave logits at None, or the groups out"
        )


def with_groups(linear: Specification, group_prior: Any) -> Specification:
    """The model with effects of the levels of each grouping.

    Raises
    ------
    ValueError
        Priors of the weights that have no place beside effects of groups: ``Jeffreys``, or scales that are learned.
    """
    priors, schema = linear.priors, linear.schema
    effects = group_effects(
        linear.design, schema.groups, group_prior, schema.coding, linear.coordinates.weights_contrast
    )
    names = listed([grouping.name for grouping in schema.groups])
    if priors.is_jeffreys:
        raise ValueError(f"prior=Jeffreys() is for models without groups, and this one has {names}; use Normal or None")
    if priors.learns_scales:
        raise ValueError(
            f"prior: scales of weights are not learned beside effects of groups ({names}); give them fixed scales"
        )
    logits = GroupLogits(linear.design.n_features, linear.design.n_classes, group_shapes(schema.groups))
    return replace(linear, logits=logits, groups=effects)
