"""Spherical densities that PyMC does not have, from a family's ``phi``."""

import math
from collections.abc import Callable
from typing import Any, Protocol

from bayes_softmax.core.records import FloatArray


class Radial(Protocol):
    """A density of k coordinates as a function of their squared norm, for scale 1."""

    @staticmethod
    def phi(r: FloatArray, k: int, df: Any) -> FloatArray:
        """Minus the log density at ``r``, less that at zero."""
        ...

    @staticmethod
    def log_normaliser(k: int, df: float) -> float:
        """Log density at zero."""
        ...


def log_sphere(k: int) -> float:
    """Log surface of the unit sphere in k dimensions."""
    return math.log(2) + 0.5 * k * math.log(math.pi) - math.lgamma(0.5 * k)


def spherical_variable(
    name: str, scale: FloatArray, dims: tuple[str, ...], family: Radial, radius: Callable[[Any], Any]
) -> Any:
    """Rows ``g`` (rows, k) of a family without a second parameter; ``scale`` (rows, k) repeats each row's.

    ``radius`` makes a PyMC variable of radii of a given shape, from which prior draws are made.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.tensor.type_other import NoneTypeT

    k = scale.shape[-1]

    def logp(value: Any, scale: Any) -> Any:
        r = (value**2).sum(axis=-1) / scale[..., 0] ** 2
        inside = pt.gt(r, 0)  # at zero the derivative is taken as zero, not NaN
        phi = pt.switch(inside, family.phi(pt.switch(inside, r, 1.0), k, 0.0), 0.0)
        return family.log_normaliser(k, 0.0) - k * pt.log(scale[..., 0]) - phi

    def draw(scale: Any, size: Any) -> Any:
        rows = scale.shape[:-1] if isinstance(size.type, NoneTypeT) else size
        direction = pm.Normal.dist(0.0, 1.0, size=pt.concatenate([rows, [k]]))
        return scale * (radius(rows) / pt.sqrt((direction**2).sum(axis=-1)))[..., None] * direction

    return pm.CustomDist(
        name,
        scale,
        logp=logp,
        dist=draw,
        support_point=lambda rv, *_: pt.zeros_like(rv),
        signature="(k)->(k)",
        dims=dims,
    )
