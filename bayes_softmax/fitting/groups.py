"""From the specification of a model with group-level effects to its compiled density."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.groups.grouping import parts_of
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.drawn import in_batches
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.groups.posterior import GroupsPosterior, groups_posterior
from bayes_softmax.spec.groups.log_prior import hyperparameters
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.specification import Specification


def covariance_data(effects: GroupEffects) -> CovarianceData:
    """The covariance of a grouping as compiled code reads it."""
    return CovarianceData(effects.mapping, effects.sd_of_column, effects.pair, effects.power, *effects.numbers())


def level_rows(spec: Specification, design: Design) -> list[LevelRows]:
    """Levels and terms of the rows, for each grouping."""
    assert design.group_columns is not None
    return [
        LevelRows(codes, grouping.n_levels, terms)
        for grouping, codes, terms in parts_of(spec.schema.groups, design.group_columns)
    ]


class GroupedDensity(NamedTuple):
    """The compiled log posterior, with its groupings in the order in which it has them, the largest first."""

    density: GroupsPosterior
    effects: tuple[GroupEffects, ...]


def grouped_density(spec: Specification) -> GroupedDensity:
    """The compiled log posterior of the distinct rows, expanded at zero."""
    design = spec.distinct
    rows = level_rows(spec, design)
    order = sorted(range(len(rows)), key=lambda j: -rows[j].n_levels)
    effects = tuple(spec.groups[j] for j in order)
    base = build_posterior(design, spec.coordinates, spec.priors)
    density = groups_posterior(base, design, [rows[j] for j in order], [covariance_data(e) for e in effects])
    return GroupedDensity(density, effects)


class NamedDraws(NamedTuple):
    """Draws of the parameters by name (S, *shape), and of the hyperparameters."""

    parameters: dict[str, FloatArray]
    hyper: dict[str, FloatArray]


def named_draws(spec: Specification, grouped: GroupedDensity, points: FloatArray) -> NamedDraws:
    """Parameters of whitened points (S, dimension), some at a time."""
    density, S = grouped.density, len(points)
    n_weights = spec.coordinates.dimension
    thetas, hypers = np.empty((S, n_weights)), np.empty((S, len(density.data.location)))
    shapes, found = spec.logits.shapes, dict[str, FloatArray]()
    for effects in grouped.effects:
        found[effects.name] = np.empty((S, *shapes[effects.name]))
    for batch in in_batches(density, points):
        part = slice(batch.first, batch.first + len(batch.flat))
        thetas[part], hypers[part] = batch.flat[:, :n_weights], batch.hyper
        for j, effects in enumerate(grouped.effects):
            found[effects.name][part] = effects.effects(density.layout.effects(batch.flat, j))
    parameters = {**spec.coordinates.to_parameters(thetas), **found}
    hyper: dict[str, FloatArray] = {}
    for effects, h in zip(grouped.effects, _hyper_of(grouped.effects, hypers), strict=True):
        parameters[effects.covariance_name] = effects.covariance(h)
        hyper |= hyperparameters(effects, h)
    return NamedDraws({name: parameters[name] for name in shapes}, hyper)


def _hyper_of(effects: tuple[GroupEffects, ...], hypers: FloatArray) -> list[FloatArray]:
    """The hyperparameters (S, H_j) of each grouping."""
    ends = np.cumsum([e.n_hyper for e in effects])[:-1]
    return np.split(hypers, ends, axis=-1)
