"""Which groupings, terms and contrasts an answer on group-level effects is about, and where an estimate has errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_softmax.answers.contrasts import Average, View, build_view
from bayes_softmax.answers.fitted import Fitted
from bayes_softmax.core.checks import did_you_mean, listed, shown
from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Label
from bayes_softmax.data.groups.grouping import Grouping
from bayes_softmax.data.schema import Schema

Versus = Label | Sequence[Label] | Sequence[Sequence[Label]] | Average | None


def chosen_groupings(schema: Schema, group: Any) -> list[Grouping]:
    """The groupings of these names, or all, in the order of the model."""
    known = {grouping.name: grouping for grouping in schema.groups}
    if not known:
        raise ValueError(
            "this fit is of a model without groups; they are written (1 | person) in a formula, or given as groups="
        )
    if group is None:
        return list(known.values())
    names = _names(group, "group", "grouping")
    for name in names:
        if name not in known:
            raise ValueError(
                f"group: {shown(name)} is not a grouping of the model{did_you_mean(name, known)} "
                f"(groupings: {listed(known)})"
            )
    return [grouping for name, grouping in known.items() if name in names]


def chosen_terms(groupings: Sequence[Grouping], terms: Any) -> list[list[int]]:
    """Positions of the terms of these names in each grouping, or of all; a grouping may have none of them."""
    if terms is None:
        return [list(range(len(grouping.terms))) for grouping in groupings]
    names = _names(terms, "terms", "term")
    known = list(dict.fromkeys(term for grouping in groupings for term in grouping.terms))
    for name in names:
        if name not in known:
            raise ValueError(f"terms: {shown(name)} is not a term{did_you_mean(name, known)} (terms: {listed(known)})")
    return [[t for t, term in enumerate(grouping.terms) if term in names] for grouping in groupings]


def _names(given: Any, argument: str, what: str) -> list[str]:
    """One or several names."""
    names = [given] if isinstance(given, str) else given
    named = isinstance(names, Sequence) and not isinstance(names, bytes)
    if not named or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument}={shown(given)} must be the name of a {what}, or a sequence of names")
    if not names:
        raise ValueError(f"{argument} is empty; name at least one {what}")
    return list(names)


def build_views(schema: Schema, vs: Versus) -> View:
    """Contrasts as of :func:`build_view`, or of several pairs, ``[("a", "b"), ("c", "d")]``."""
    several = isinstance(vs, list | tuple) and len(vs) > 0 and all(isinstance(pair, list | tuple) for pair in vs)
    if not several:
        return build_view(schema, vs)
    views = [build_view(schema, tuple(pair)) for pair in vs]  # type: ignore[union-attr, arg-type]
    names = [name for view in views for name in view.names]
    if len(set(names)) < len(names):
        raise ValueError(f"vs={shown(vs)} names a pair twice")
    classes = tuple(label for view in views for label in view.classes)
    return View(np.hstack([view.matrix for view in views]), tuple(names), classes)


def covariance_of_parameters(fit: Fitted, names: Sequence[str]) -> FloatArray | None:
    """Covariance (d, d) of some parameters of an estimate in their flat order, one after the other; None without."""
    try:
        known = fit.delta_covariance
    except ValueError:  # effects of so many levels that their covariance is not formed
        known = None
    if known is None:
        return None
    sizes = {name: int(np.prod(shape)) for name, shape in fit.logits.shapes.items()}
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1].tolist(), strict=True))
    places = np.concatenate([starts[name] + np.arange(sizes[name]) for name in names])
    covariance: FloatArray = known[np.ix_(places, places)]
    return covariance
