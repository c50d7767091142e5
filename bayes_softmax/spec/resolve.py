"""From the arguments ``prior`` and ``intercept_prior`` to a table of priors."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.spec.autoscale import (
    DEFAULT_INTERCEPT_SCALE,
    FeatureColumns,
    default_scales,
    variance_units,
)
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.families.registry import FamilyPrior
from bayes_softmax.spec.priors import LEARNED, FamilyRows, Jeffreys, Prior, PriorTable, instead_of, is_prior, repeated
from bayes_softmax.spec.scales.hyperpriors import HierarchicalNormal, ScalePrior, ShrinkagePrior
from bayes_softmax.spec.scales.shared import SharedScale, shared_scales


def resolve_priors(
    prior: Prior | Mapping[str, Prior] | None,
    intercept_prior: Prior | None,
    *,
    coding: str,
    columns: FeatureColumns,
    scale: FloatArray,
    feature_names: Sequence[str],
    has_intercept: bool,
) -> PriorTable:
    """Turn the ``prior`` and ``intercept_prior`` arguments into one family per feature.

    A mapping is of features: terms are resolved by :func:`~bayes_softmax.spec.by_term.priors_by_feature`.
    ``columns`` are those of the rows that hold observations; ``scale`` is the features' standard deviation there.
    """
    if isinstance(prior, Jeffreys):
        return _jeffreys_table(intercept_prior, coding, len(feature_names), has_intercept=has_intercept)
    chosen = _per_feature(prior, feature_names)
    by_default, constant = chosen.by_default, np.nan
    if by_default.any():
        rms = columns.rms(by_default, scale[by_default])
        constant, scales = default_scales(columns.spread(by_default, rms), rms)
        for extreme in scales[~((scales > 0) & (scales < np.inf))].tolist():
            Normal(extreme)  # which refuses it
        chosen.features.scale[by_default] = scales
    intercept = Normal(DEFAULT_INTERCEPT_SCALE) if intercept_prior is None else _of_intercept(intercept_prior)
    if not has_intercept and intercept_prior is not None:
        raise ValueError(f"intercept_prior={shown(intercept_prior)} was given, but the model has no intercept")
    table = PriorTable(
        chosen.features,
        intercept if has_intercept else None,
        "means" if intercept_prior is None else "zero",
        coding == "zero-sum",
        by_default,
        learned=_learned(chosen.learned, columns, scale),
        constant=constant,
    )
    if coding == "full" and table.flat_features.any():
        named = [feature_names[j] for j in np.flatnonzero(table.flat_features).tolist()]
        raise ValueError(
            f"coding='full' needs a proper prior, but the prior of {listed(named)} is Flat(): "
            "with K free columns the weights are not identified; use coding='zero-sum' or 'reference'"
        )
    return table


def _of_intercept(prior: Prior) -> FamilyPrior:
    """The prior, if an intercept can have it."""
    possible = f"{registry.names(kinked=False)} or None"
    if isinstance(prior, Jeffreys):
        raise ValueError("intercept_prior=Jeffreys() is a prior of all coefficients together: pass prior=Jeffreys()")
    if not is_prior(prior):
        raise TypeError(f"intercept_prior={shown(prior)} must be {possible}{instead_of(prior)}")
    resolved = _resolved(prior)
    if isinstance(resolved, ShrinkagePrior):
        raise TypeError(f"intercept_prior={prior!r} must have a fixed scale: scales are learned for weights")
    if registry.family_of(resolved).kinked:
        raise ValueError(
            f"intercept_prior={prior!r}: {type(prior).__name__} is a prior of weights, to drop features; an intercept "
            f"of exactly zero would drop nothing. Use {possible}"
        )
    return resolved


def _learned(
    carried: dict[ShrinkagePrior, IntArray], columns: FeatureColumns, scale: FloatArray
) -> tuple[SharedScale, ...]:
    """Learned scales of the features that carry each prior; those that share one :math:`R^2` share its variance."""
    carried = {prior: features for prior, features in carried.items() if len(features)}  # a model may have none
    if not carried:
        return ()
    units = columns.spread(np.ones(len(scale), dtype=np.bool_), scale)
    for features in carried.values():
        units[features] = variance_units(units[features], scale[features])
    return shared_scales(carried, units)


def _jeffreys_table(intercept_prior: Prior | None, coding: str, n_features: int, *, has_intercept: bool) -> PriorTable:
    """Jeffreys' prior for every coefficient; refuses arguments that it cannot be combined with."""
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
    return PriorTable(
        repeated(Flat(), n_features),
        Flat() if has_intercept else None,
        "means",
        coding == "zero-sum",
        np.zeros(n_features, dtype=np.bool_),
        is_jeffreys=True,
    )


class _Chosen(NamedTuple):
    """The priors given for each feature; the default's scales are still to be found."""

    features: FamilyRows
    by_default: NDArray[np.bool_]
    learned: dict[ShrinkagePrior, IntArray]


def _per_feature(prior: Prior | Mapping[str, Prior] | None, feature_names: Sequence[str]) -> _Chosen:
    """The priors given for each feature."""
    p = len(feature_names)
    features = repeated(Normal(1.0), p)
    if prior is None:
        return _Chosen(features, np.ones(p, dtype=np.bool_), {})
    if not isinstance(prior, Mapping):
        if not is_prior(prior):
            raise TypeError(
                f"prior={shown(prior)} must be {registry.names()}, Jeffreys, R2D2, a mapping from term or feature to "
                f"prior, or None{instead_of(prior)}"
            )
        return _filled(features, [(np.arange(p), prior)])
    given = [(np.array([j]), prior[name]) for j, name in enumerate(feature_names) if name in prior]
    return _filled(features, given)


def _filled(features: FamilyRows, given: list[tuple[IntArray, Prior]]) -> _Chosen:
    """Rows of normal priors, the default's, replaced by those given at some positions, in their order."""
    by_default = np.ones(len(features.family), dtype=np.bool_)
    learned: dict[ShrinkagePrior, list[IntArray]] = {}
    for places, prior in given:
        by_default[places] = False
        resolved = _resolved(prior)
        if isinstance(resolved, ShrinkagePrior):
            learned.setdefault(resolved, []).append(places)
            features.family[places] = LEARNED
        else:
            family = registry.family_of(resolved)
            features.family[places] = registry.code_of(family)
            features.scale[places], features.df[places] = family.numbers(resolved)
    return _Chosen(features, by_default, {prior: np.concatenate(found) for prior, found in learned.items()})


def _resolved(prior: Prior) -> FamilyPrior | ShrinkagePrior:
    """The family of a prior; normal priors whose scale is learned have one of their own."""
    if isinstance(prior, Jeffreys):
        raise TypeError("Jeffreys() is a prior of all coefficients together")
    if isinstance(prior, Normal) and isinstance(prior.scale, ScalePrior):
        return HierarchicalNormal(prior.scale)
    return prior
