"""From the argument ``group_prior`` to the effects of each grouping."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.groups.grouping import Grouping, parts_of
from bayes_softmax.spec.autoscale import DEFAULT_INTERCEPT_SCALE, feature_spread
from bayes_softmax.spec.groups.arguments import GroupNormal
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.scales.hyperpriors import HalfStudentT, ScalePrior

DEFAULT_DF = 3.0


def group_effects(
    design: Design, groups: tuple[Grouping, ...], given: Any, coding: str, contrast: FloatArray
) -> tuple[GroupEffects, ...]:
    """The effects of all groupings with their priors; ``contrast`` (K, k) is that of the weights.

    Raises
    ------
    ValueError, TypeError
        ``group_prior`` without groups, of an unknown grouping, or not ``GroupNormal(...)``.
    """
    priors = _by_grouping(given, groups)
    if not groups:
        return ()
    assert design.group_columns is not None
    used, totals = design.totals > 0, design.totals[design.totals > 0]
    return tuple(
        GroupEffects(grouping, priors[grouping.name], _scales(priors[grouping.name], terms, totals), coding, contrast)
        for grouping, _, terms in parts_of(groups, design.group_columns[used])
    )


def _by_grouping(given: Any, groups: tuple[Grouping, ...]) -> dict[str, GroupNormal]:
    names = [grouping.name for grouping in groups]
    if given is not None and not groups:
        raise ValueError(
            "group_prior was given, but the model has no groups: write (1 | person) in the formula, or pass groups="
        )
    by_name = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
    for name, prior in by_name.items():
        if name not in names:
            hint = did_you_mean(name, names)
            raise ValueError(f"group_prior: there is no grouping {shown(name)}{hint} (groupings: {listed(names)})")
        if prior is not None and not isinstance(prior, GroupNormal):
            where = f"group_prior[{name!r}]" if isinstance(given, Mapping) else "group_prior"
            raise TypeError(f"{where}={shown(prior)} must be GroupNormal(...), or a mapping from grouping to it")
    return {name: by_name.get(name) or GroupNormal() for name in names}


def _scales(prior: GroupNormal, terms: FloatArray, totals: FloatArray) -> tuple[ScalePrior, ...]:
    """Prior of the standard deviation of each term's effects: as given, or by the terms' spread.

    That is of the terms (N, q) over the observations, of which the rows have ``totals`` (N,).
    """
    if prior.scale is not None:
        n_terms: int = terms.shape[1]
        return (prior.scale,) * n_terms
    mean = np.average(terms, axis=0, weights=totals)
    sd = np.sqrt(np.average(np.square(terms - mean), axis=0, weights=totals))
    sd[np.ptp(terms, axis=0) == 0] = 0.0  # up to rounding
    unit = feature_spread(DenseFeatures(terms), np.where(sd > 0, sd, 1.0))
    unit[sd == 0] = 1.0  # an intercept is its own unit
    return tuple(HalfStudentT(DEFAULT_DF, DEFAULT_INTERCEPT_SCALE / u) for u in unit.tolist())
