"""The priors before any data, in plain NumPy: draws of the coefficients, and their standard deviations."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.registry import FamilyPrior
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.priors import FamilyRows, Jeffreys, PriorTable


def prior_draws(
    priors: PriorTable,
    coordinates: Coordinates,
    n: int,
    rng: np.random.Generator,
    *,
    feature_names: Sequence[str] = (),
) -> dict[str, FloatArray]:
    r"""Independent draws from the prior, by name: raw ``intercept`` (n, K) at x = 0 and ``weights`` (n, p, K).

    The free coordinates :math:`g` of each row are drawn from its family (:mod:`bayes_softmax.spec.families.family`)
    and mapped by the coding, :math:`W_j = C g`.  An intercept whose prior sits at the feature means ``m`` is brought
    to x = 0 by :math:`b - m'W`.

    Parameters
    ----------
    priors, coordinates
        Of the model.
    n
        Number of draws.
    rng
        Generator.
    feature_names
        Names for error messages; positions otherwise.

    Raises
    ------
    ValueError
        If a prior is improper.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    >>> drawn = prior_draws(model._spec.priors, model._spec.coordinates, 100, np.random.default_rng(0))
    >>> drawn["intercept"].shape, drawn["weights"].shape
    ((100, 3), (100, 1, 3))
    """
    if priors.is_jeffreys:
        _refuse(feature_names, 0 if coordinates.n_features else -1, Jeffreys())
    K, p = coordinates.n_classes, coordinates.n_features
    k = coordinates.weights_contrast.shape[1]
    weights = np.empty((n, p, K))
    for j in np.flatnonzero(priors.fixed).tolist():
        prior = priors.features.at(j)
        if not registry.family_of(prior).proper:
            _refuse(feature_names, j, prior)
        weights[:, j] = _draw_row(prior, n, k, rng, spherical=priors.spherical) @ coordinates.weights_contrast.T
    for scale in priors.learned:
        sds = scale.draw_raw_sds(n, rng)
        free = sds[:, :, None] * rng.standard_normal((*sds.shape, k))
        weights[:, list(scale.features)] = free @ coordinates.weights_contrast.T
    if priors.intercept is None:
        return {INTERCEPT: np.zeros((n, K)), WEIGHTS: weights}
    if not registry.family_of(priors.intercept).proper:
        _refuse(feature_names, -1, priors.intercept)
    drawn = _draw_row(priors.intercept, n, coordinates.n_free_intercept, rng, spherical=priors.spherical)
    intercept: FloatArray = drawn @ coordinates.intercept_contrast.T
    if priors.intercept_at == "means":
        intercept -= np.einsum("p,npk->nk", coordinates.centre, weights)
    return {INTERCEPT: intercept, WEIGHTS: weights}


def _refuse(feature_names: Sequence[str], feature: int, prior: FamilyPrior | Jeffreys) -> NoReturn:
    """Raise because of an improper prior of a feature, or, with -1, of the intercept."""
    name = repr(feature_names[feature]) if feature_names else f"feature {feature}"
    row = "intercept" if feature < 0 else f"weights of {name}"
    raise ValueError(f"the prior of the {row} is {prior}, from which nothing can be drawn; give it a proper one")


def _draw_row(prior: FamilyPrior, n: int, k: int, rng: np.random.Generator, *, spherical: bool) -> FloatArray:
    """Draws (n, k) of the free coordinates of one coefficient row, jointly or independently."""
    family = registry.family_of(prior)
    scale, df = family.numbers(prior)
    return scale * (family.draw(n, k, df, rng) if spherical else family.draw(n * k, 1, df, rng).reshape(n, k))


def prior_sds(priors: PriorTable, centre: FloatArray, n_classes: int) -> tuple[float | None, ...]:
    r"""Standard deviation of the free coordinates of each raw coefficient row, intercept first; None where infinite.

    An intercept whose prior sits at the feature means ``m`` has, at x = 0, the variance
    :math:`s_b^2 + \sum_j m_j^2 s_j^2` (every coding gives contrasts of classes the same factor in all rows).  A row
    that the model does not have, and one whose scale is learned, is None.
    """
    intercept, weights = coordinate_sds(priors, n_classes)
    if priors.intercept is not None and priors.intercept_at == "means":
        shift = centre != 0
        with np.errstate(over="ignore"):
            intercept = float(np.hypot.reduce(np.append(intercept, centre[shift] * weights[shift])))
    sds = np.append(intercept, weights)
    known = sds.astype(object)
    known[~np.isfinite(sds)] = None
    return tuple(known.tolist())


def coordinate_sds(priors: PriorTable, n_classes: int) -> tuple[float, FloatArray]:
    """Standard deviations of a free coordinate of the intercept, and (p,) of the features.

    Infinite where there is none, and for an intercept that the model does not have; NaN where it is not known, as of
    learned scales and under Jeffreys' prior.
    """
    size = n_classes - 1 if priors.spherical else 1
    intercept, weights = np.inf, np.full(len(priors.features.family), np.nan)
    if priors.is_jeffreys:
        return np.nan, weights
    if priors.intercept is not None:
        family = registry.family_of(priors.intercept)
        scale, df = family.numbers(priors.intercept)
        intercept = scale * family.variance(size, df) ** 0.5
    weights[priors.fixed] = _sds(priors.features.of(priors.fixed), size)
    return intercept, weights


def _sds(rows: FamilyRows, size: int) -> FloatArray:
    """Standard deviations (rows,) of one of ``size`` coordinates that are drawn jointly."""
    sds = np.empty(len(rows.family))
    for family, members in registry.each(rows.family):
        df = rows.df[members]
        if (df == df[0]).all():
            sds[members] = rows.scale[members] * family.variance(size, float(df[0])) ** 0.5
            continue
        dfs, which = np.unique(df, return_inverse=True)
        unit_sds = np.array([family.variance(size, df) ** 0.5 for df in dfs.tolist()])
        sds[members] = rows.scale[members] * unit_sds[which]
    return sds
