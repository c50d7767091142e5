"""Uncertainty for an optimum at infinity: that of the functions which do not diverge."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from bayes_softmax.core.protocols import LogDensity
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.inference.certificate import GRADIENT_TOLERANCE, STEP_TOLERANCE, newton_step

RANK_TOLERANCE = 1e-8  # relative to the largest singular value of unit directions


def complement_covariance(density: LogDensity, mode: Mode, directions: FloatArray) -> FloatArray | None:
    r"""Covariance (d, d) of the coordinates orthogonal to ``directions`` (R, d), along which the density never falls.

    Far along them the density is that of the *limiting conditional model*, which does not depend on them (Geyer,
    *Electronic Journal of Statistics* 3, 2009).  With an orthonormal basis ``Q`` of their complement and the Hessian
    ``H`` of minus the log density the covariance is :math:`Q (Q'HQ)^{-1} Q'`; it applies to every linear function
    that vanishes on ``directions``.

    Returns
    -------
    ndarray or None
        None if the solver stopped before gradient and Newton step vanished in the complement.
    """
    if not mode.gradient_norm <= GRADIENT_TOLERANCE:
        return None
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    _, values, vectors = np.linalg.svd(unit, full_matrices=True)
    rank = int((values > RANK_TOLERANCE * values[0]).sum())
    Q = vectors[rank:].T
    if not Q.shape[1]:
        return np.zeros((Q.shape[0],) * 2)
    H = Q.T @ density.hessian(mode.theta) @ Q
    step = newton_step(H, Q.T @ density.value_gradient(mode.theta)[1])
    if step is None or np.abs(step).max() > STEP_TOLERANCE * (1.0 + np.abs(Q.T @ mode.theta).max()):
        return None
    covariance: FloatArray = Q @ cho_solve(cho_factor(H), Q.T)
    return covariance
