"""What the priors say before any data, in plain NumPy: draws of the coefficients, and their standard deviations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import Laplace, Normal, Prior, PriorTable, StudentT, known_scale
from bayes_softmax.spec.scales.hyperpriors import ShrinkagePrior


def prior_draws(
    priors: PriorTable,
    coordinates: Coordinates,
    n: int,
    rng: np.random.Generator,
    *,
    feature_names: Sequence[str] = (),
) -> tuple[FloatArray, FloatArray]:
    r"""Independent draws from the prior: raw ``intercept`` (n, K) at x = 0 and ``weights`` (n, p, K).

    The free coordinates :math:`g` of each row are drawn from its family (table in :mod:`bayes_softmax.spec.priors`)
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
        Names for the message of an error; positions otherwise.

    Raises
    ------
    ValueError
        If a prior is improper.

    Examples
    --------
    >>> import bayes_softmax as bs
    >>> model = bs.SoftmaxRegression([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    >>> intercept, weights = prior_draws(model.priors, model.coordinates, 100, np.random.default_rng(0))
    >>> intercept.shape, weights.shape
    ((100, 3), (100, 1, 3))
    """
    K, p = coordinates.n_classes, coordinates.n_features
    weights = np.empty((n, p, K))
    for j, family in enumerate(priors.weights):
        name = repr(feature_names[j]) if feature_names else f"feature {j}"
        if not isinstance(family, ShrinkagePrior):
            weights[:, j] = _rows(family, f"weights of {name}", coordinates.weights_contrast, n, rng, priors.spherical)
    k = coordinates.weights_contrast.shape[1]
    for scale in priors.shared_scales:
        sds = scale.draw_raw_sds(n, rng)
        free = sds[:, :, None] * rng.standard_normal((*sds.shape, k))
        weights[:, list(scale.features)] = free @ coordinates.weights_contrast.T
    if priors.intercept is None:
        return np.zeros((n, K)), weights
    intercept = _rows(priors.intercept, "intercept", coordinates.intercept_contrast, n, rng, priors.spherical)
    if priors.intercept_at == "means":
        intercept -= np.einsum("p,npk->nk", coordinates.centre, weights)
    return intercept, weights


def _rows(
    family: Prior, name: str, contrast: FloatArray, n: int, rng: np.random.Generator, spherical: bool
) -> FloatArray:
    """Draws (n, K) of one coefficient row."""
    if type(family) not in DRAWS:
        raise ValueError(f"the prior of the {name} is {family}, from which nothing can be drawn; give it a proper one")
    drawn: FloatArray = DRAWS[type(family)](family, (n, contrast.shape[1]), rng, spherical) @ contrast.T
    return drawn


def _normal(family: Normal, shape: tuple[int, int], rng: np.random.Generator, spherical: bool) -> FloatArray:
    """Independent normals, which are spherical too."""
    return known_scale(family) * rng.standard_normal(shape)


def _student(family: StudentT, shape: tuple[int, int], rng: np.random.Generator, spherical: bool) -> FloatArray:
    """Normals over the root of chi-square / df: one divisor for the row if spherical, else one for each coordinate."""
    divisors = rng.chisquare(family.df, size=(shape[0], 1) if spherical else shape) / family.df
    drawn: FloatArray = family.scale * rng.standard_normal(shape) / np.sqrt(divisors)
    return drawn


def _laplace(family: Laplace, shape: tuple[int, int], rng: np.random.Generator, spherical: bool) -> FloatArray:
    """Laplace numbers; if spherical a uniform direction times a Gamma(k) radius."""
    if not spherical:
        return rng.laplace(scale=family.scale, size=shape)
    direction = rng.standard_normal(shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * rng.gamma(shape[1], family.scale, size=(shape[0], 1))


DRAWS: dict[type, Callable[[Any, tuple[int, int], np.random.Generator, bool], FloatArray]] = {
    Normal: _normal,
    StudentT: _student,
    Laplace: _laplace,
}


def prior_sds(priors: PriorTable, centre: FloatArray, n_classes: int) -> tuple[float | None, ...]:
    r"""Standard deviation of the free coordinates of each raw coefficient row, intercept first; None where infinite.

    An intercept whose prior sits at the feature means ``m`` has, at x = 0, the variance
    :math:`s_b^2 + \sum_j m_j^2 s_j^2` (every coding gives contrasts of classes the same factor in all rows).  A row
    that the model does not have is None.
    """
    size = n_classes - 1 if priors.spherical else 1
    weights = [coordinate_sd(family, size) for family in priors.weights]
    if priors.intercept is None:
        return (None, *map(_finite, weights))
    shift = centre if priors.intercept_at == "means" else np.zeros_like(centre)
    moved = [m * s for m, s in zip(shift.tolist(), weights, strict=True) if m]
    return tuple(map(_finite, (float(np.hypot.reduce([coordinate_sd(priors.intercept, size), *moved])), *weights)))


def coordinate_sd(family: Prior, size: int) -> float:
    """Of one of ``size`` coordinates that are drawn together; infinite where there is no variance, or none known."""
    return SDS[type(family)](family, size) if type(family) in SDS else np.inf


def _finite(sd: float) -> float | None:
    return float(sd) if np.isfinite(sd) else None


SDS: dict[type, Callable[[Any, int], float]] = {
    Normal: lambda family, size: family.scale,
    StudentT: lambda family, size: family.scale * (family.df / (family.df - 2)) ** 0.5 if family.df > 2 else np.inf,
    Laplace: lambda family, size: family.scale * (size + 1) ** 0.5,  # E r^2 = k (k + 1) s^2 of a Gamma(k, s) radius
}
