r"""The certificate of a local mode of a density that is not log-concave, from values and gradients alone.

It says whether the gradient vanishes there, and whether the Hessian ``H`` of minus the log density is positive
definite: a stationary point may be a saddle, from which the density rises.  Up to :data:`FEW` coordinates ``H`` is
formed, column by column from differences of gradients; above, the Lanczos process looks for a direction of negative
curvature (:func:`bayes_softmax.inference.conjugate.smallest_curvature`).  Newton steps then take out what L-BFGS left.

Where the density has kinks its gradient need not vanish at a mode.  There zero is a convex combination of the gradients
around (Clarke, *Optimization and Nonsmooth Analysis*, 1983), of which some are drawn at random, as in gradient sampling
(Burke, Lewis and Overton, *SIAM J. Optim.* 15, 2005).
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from bayes_softmax.core.records import FloatArray
from bayes_softmax.inference.certificate import newton_step
from bayes_softmax.inference.conjugate import PROBE_STEPS, conjugate_gradients, smallest_curvature
from bayes_softmax.inference.restarts import ValueGradient

FEW = 500  # coordinates up to which the Hessian is formed: twice as many gradients
STEP = 6e-6  # of central differences: the cube root of the rounding unit
FLAT = 1e-8  # smallest eigenvalue, relative to the largest, that is no rounding error
NEWTON_STEPS = 5
ACCURACY = 1e-10  # of the gradient per observation, at which Newton steps end
CG_ACCURACY = 1e-2  # of a Newton step by conjugate gradients, relative
AROUND = 1e-4  # distance of gradients that are drawn around a kink, relative to the largest coordinate
DRAWN = 400  # most of these gradients
SUM_WEIGHT = 1e3  # makes non-negative least squares keep the sum of its weights at one


class Curvature(Enum):
    """What is known of the Hessian of minus the log density; the value is in words."""

    DEFINITE = "positive definite"
    NOT_NEGATIVE = "nowhere found negative"
    INDEFINITE = "negative in some direction"
    FLAT = "zero in some direction"
    KINKED = "undefined at kinks"
    UNKNOWN = "unknown"


class LocalMode(NamedTuple):
    """A point and its certificate.

    ``gradient_norm`` is the largest absolute entry of the gradient per observation, ``residual`` the same at kinks, of
    the smallest convex combination of gradients around, else equal to it.  ``newton_decrement`` is NaN and ``hessian``
    None where they are not known; ``direction`` is one in which the density rises, if one was found.
    """

    theta: FloatArray
    value: float
    gradient_norm: float
    residual: float
    curvature: Curvature
    newton_decrement: float = np.nan
    hessian: FloatArray | None = None
    direction: FloatArray | None = None


def local_mode(
    density: ValueGradient,
    theta: FloatArray,
    total_weight: float,
    scale: FloatArray,
    *,
    kinked: bool = False,
    products: int = PROBE_STEPS,
) -> LocalMode:
    """Polish ``theta`` (d,), where a solver ended, by Newton steps, and certify it.

    Parameters
    ----------
    density
        Value and gradient.
    theta
        Where the gradient is small.
    total_weight
        Number of observations.
    scale
        (d,) natural sizes of the coordinates, in which curvatures are compared.
    kinked
        Whether the density has kinks.
    products
        With many coordinates, the most products of the Hessian with a vector, of two gradients each, in the search for
        negative curvature, and again in the Newton step.

    Examples
    --------
    >>> def saddle(x):
    ...     return float(x[0] ** 2 - x[1] ** 2), np.array([2.0, -2.0]) * x
    >>> local_mode(saddle, np.zeros(2), 1.0, np.ones(2)).curvature.value
    'negative in some direction'
    """
    value, gradient = density(theta)
    norm = _norm(gradient, total_weight)
    if not np.isfinite(value):
        return LocalMode(theta, value, norm, norm, Curvature.UNKNOWN)
    if kinked:
        return LocalMode(theta, value, norm, kink_residual(density, theta, total_weight), Curvature.KINKED)
    if len(theta) > FEW:
        return _by_products(density, theta, total_weight, scale, products)
    return _by_hessian(density, theta, total_weight, scale)


def _by_hessian(density: ValueGradient, theta: FloatArray, total_weight: float, scale: FloatArray) -> LocalMode:
    """The certificate by the Hessian itself."""
    value, gradient = density(theta)
    H = hessian_by_differences(density, theta, scale)
    values, vectors = np.linalg.eigh(H * scale * scale[:, None])
    norm = _norm(gradient, total_weight)
    if values[0] < FLAT * values[-1]:
        rises = values[0] < -FLAT * values[-1]
        kind = Curvature.INDEFINITE if rises else Curvature.FLAT
        return LocalMode(theta, value, norm, norm, kind, hessian=H, direction=scale * vectors[:, 0] if rises else None)
    start = theta
    for _ in range(NEWTON_STEPS):
        step = newton_step(H, gradient)
        if step is None or norm <= ACCURACY:
            break
        at = density(theta + step)
        if not _norm(at[1], total_weight) < norm or not at[0] >= value - 1e-9 * (1.0 + abs(value)):
            break
        theta, (value, gradient), norm = theta + step, at, _norm(at[1], total_weight)
    if theta is not start:  # the steps shared one Hessian; the certificate is of where they ended
        H = hessian_by_differences(density, theta, scale)
    step = newton_step(H, gradient)
    decrement = np.nan if step is None else float(np.sqrt(max(float(gradient @ step), 0.0)))
    return LocalMode(theta, value, norm, norm, Curvature.DEFINITE, decrement, H)


def _by_products(
    density: ValueGradient, theta: FloatArray, total_weight: float, scale: FloatArray, products: int
) -> LocalMode:
    """The certificate by products of the Hessian with vectors."""
    value, gradient = density(theta)
    product = hessian_products(density, theta, scale)
    smallest, direction = smallest_curvature(product, lambda r: scale**2 * r, len(theta), products)
    norm = _norm(gradient, total_weight)
    if not smallest > 0:
        size = float(np.abs(direction / scale).max())
        return LocalMode(theta, value, norm, norm, Curvature.INDEFINITE, direction=direction / size)
    step = conjugate_gradients(product, gradient, CG_ACCURACY, lambda r: scale**2 * r, products)
    decrement = float(np.sqrt(max(float(gradient @ step), 0.0)))
    at = density(theta + step)
    if at[0] > value and _norm(at[1], total_weight) < norm:
        theta, (value, gradient), norm = theta + step, at, _norm(at[1], total_weight)
    return LocalMode(theta, value, norm, norm, Curvature.NOT_NEGATIVE, decrement)


def hessian_by_differences(density: ValueGradient, theta: FloatArray, scale: FloatArray) -> FloatArray:
    """Hessian (d, d) of minus the log density, by central differences of its gradient."""
    product = hessian_products(density, theta, scale)
    H: FloatArray = np.array([product(e) for e in np.eye(len(theta))]).reshape(len(theta), -1)
    symmetric: FloatArray = 0.5 * (H + H.T)
    return symmetric


def hessian_products(
    density: ValueGradient, theta: FloatArray, scale: FloatArray
) -> Callable[[FloatArray], FloatArray]:
    """A function that multiplies the same Hessian with a vector (d,)."""
    sizes = np.maximum(np.abs(theta), np.minimum(scale, 1.0))

    def product(vector: FloatArray) -> FloatArray:
        length = float(np.abs(vector / sizes).max(initial=0.0))
        if not length > 0:
            return np.zeros_like(vector)
        move = (STEP / length) * vector
        (_, after), (_, before) = density(theta + move), density(theta - move)
        found: FloatArray = (before - after) * (0.5 * length / STEP)
        return found

    return product


def kink_residual(density: ValueGradient, theta: FloatArray, total_weight: float) -> float:
    """Largest absolute entry, per observation, of a small convex combination of gradients around ``theta`` (d,)."""
    rng, d = np.random.default_rng(0), len(theta)
    reach = AROUND * max(1.0, float(np.abs(theta).max(initial=0.0)))
    points = theta + reach * rng.uniform(-1.0, 1.0, size=(min(2 * d, DRAWN), d))
    gradients = np.array([density(point)[1] for point in [theta, *points]]) / total_weight
    size = float(np.abs(gradients).max(initial=0.0))
    if not 0 < size < np.inf:
        return size
    rows = np.vstack([gradients.T / size, np.full(len(gradients), SUM_WEIGHT)])
    target = np.zeros(len(rows))
    target[-1] = SUM_WEIGHT
    try:
        weights, _ = nnls(rows, target)
    except RuntimeError:  # its iteration limit
        return float(np.abs(gradients[0]).max())
    return float(np.abs(weights @ gradients).max() / weights.sum())


def _norm(gradient: FloatArray, total_weight: float) -> float:
    return float(np.abs(gradient).max(initial=0.0)) / total_weight
