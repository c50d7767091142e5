"""Line searches where an evaluation is a pass over many rows: one of a step, one of all shorter steps together."""

import numpy as np

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Penalty
from bayes_softmax.inference.newton import ARMIJO, VALUE_ROUNDING, Trial
from bayes_softmax.inference.proximal import Current

LENGTHS: FloatArray = 0.5 ** np.arange(1.0, 25.0)  # of shorter steps


def search_ray(
    density: LogDensity, theta: FloatArray, value: float, gradient: FloatArray, step: FloatArray
) -> Trial | None:
    """The full step if the value rises enough (Armijo); else the best of shorter ones, whose values are one pass."""
    slope = float(gradient @ step)
    candidate = theta + step
    new_value, new_gradient = density.value_gradient(candidate)
    if np.isfinite(new_value) and new_value >= value + ARMIJO * slope - VALUE_ROUNDING * abs(value):
        return Trial(candidate, new_value, new_gradient, 1.0)
    points = theta + LENGTHS[:, None] * step
    values = density.values(points)
    best = _highest(values, value + ARMIJO * LENGTHS * slope - VALUE_ROUNDING * abs(value))
    if best is None:
        return None
    return Trial(points[best], *density.value_gradient(points[best]), float(LENGTHS[best]))


def search_segment(smooth: LogDensity, penalty: Penalty, current: Current, proposal: FloatArray) -> Current | None:
    """The same for a smooth density minus norms, along the segment to a point (Armijo rule of Tseng and Yun)."""
    theta, value, gradient = current
    before = penalty.value(theta)
    rise = float(gradient @ (proposal - theta)) - penalty.value(proposal) + before
    rounding = VALUE_ROUNDING * (abs(value) + before)
    new_value, new_gradient = smooth.value_gradient(proposal)
    if new_value - penalty.value(proposal) >= value - before + ARMIJO * rise - rounding:
        return Current(proposal, new_value, new_gradient)
    points = theta + LENGTHS[:, None] * (proposal - theta)
    values = smooth.values(points) - np.array([penalty.value(point) for point in points])
    best = _highest(values, value - before + ARMIJO * LENGTHS * rise - rounding)
    return None if best is None else Current(points[best], *smooth.value_gradient(points[best]))


def _highest(values: FloatArray, enough: FloatArray) -> int | None:
    """Position of the highest of the values that are high enough."""
    fine = np.isfinite(values) & (values >= enough)
    return int(np.argmax(np.where(fine, values, -np.inf))) if fine.any() else None
