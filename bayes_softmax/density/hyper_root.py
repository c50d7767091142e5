"""A root of the covariance of hyperparameters, from the curvature of their marginal log density."""

from collections.abc import Callable

import numpy as np

from bayes_softmax.core.records import FloatArray


def hyper_root(
    gradient: Callable[[FloatArray], FloatArray], size: int, step: float, sd_limits: tuple[float, float]
) -> FloatArray:
    """Symmetric root (H, H) of the inverse of a Hessian, by central differences.

    ``gradient`` (H,) is that of minus the log density, at a displacement (H,).  Along each principal axis the standard
    deviation is kept within ``sd_limits``: where the curvature is small or negative it is the larger one.
    """
    ends = [(gradient(step * unit), gradient(-step * unit)) for unit in np.eye(size)]
    curvature = np.array([(ahead - behind) / (2 * step) for ahead, behind in ends])
    values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
    sds = np.clip(np.maximum(values, sd_limits[1] ** -2) ** -0.5, *sd_limits)
    return np.ascontiguousarray((vectors * sds) @ vectors.T)
