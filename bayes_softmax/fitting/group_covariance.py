"""Uncertainty of the parameters of a model with group-level effects, at a maximum of the marginal density.

Weights and hyperparameters have the inverse observed information; the effects of levels are normal given these, around
modes that move with them: :math:`J V J' + W`, with the Jacobian J of all parameters in weights and hyperparameters, and
the covariance W of effects given both.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.groups.marginal import MarginalPosterior
from bayes_softmax.fitting.group_marginal import units
from bayes_softmax.inference.local_mode import hessian_by_differences
from bayes_softmax.inference.redundant import RedundantMode
from bayes_softmax.separation.directions import open_directions
from bayes_softmax.separation.examination import Examination
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.specification import Specification

STEP = 1e-4  # of central differences of modes, relative to the units of the coordinates
RANK = 1e-8  # relative to the largest singular value of unit directions


def to_classes(effects: GroupEffects) -> FloatArray:
    """Matrix (q K, m): effects of all classes of a level's free coordinates."""
    by_class: FloatArray = effects.effects(np.eye(effects.n_free)).reshape(effects.n_free, -1)
    return by_class.T


def joint_covariance(
    spec: Specification, density: MarginalPosterior, mode: RedundantMode, found: Examination | None
) -> FloatArray:
    """Covariance of all parameters in their flat order; NaN where the maximum leaves it undetermined."""
    V = free_covariance(spec, density, mode, found)
    J = _jacobian(spec, density, mode.theta)
    with np.errstate(invalid="ignore"):
        result: FloatArray = J @ V @ J.T
    at = spec.coordinates.raw_map.shape[0]
    own, places = density.joint_covariance(mode.theta), []
    T = []
    for effects in spec.groups:
        size = effects.grouping.n_levels * effects.n_terms * spec.design.n_classes
        places.append(np.arange(at, at + size))
        T.append((effects.grouping.n_levels, to_classes(effects)))
        at += size + (effects.n_terms * spec.design.n_classes) ** 2
    _add_blocks(result, own, places, T)
    return result


def _add_blocks(result: FloatArray, own: FloatArray, places: list[np.ndarray], T: list[tuple[int, FloatArray]]) -> None:
    """Add the covariances of levels' free effects, in all classes, to the places of each grouping."""
    ends = np.cumsum([0, *(n * turn.shape[1] for n, turn in T)])
    for i, (n_i, T_i) in enumerate(T):
        for j, (n_j, T_j) in enumerate(T):
            block = own[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            shaped = block.reshape(n_i, T_i.shape[1], n_j, T_j.shape[1])
            full = np.einsum("ab,gbhc,dc->gahd", T_i, shaped, T_j, optimize=True)
            result[np.ix_(places[i], places[j])] += full.reshape(len(places[i]), len(places[j]))


def row_variances(
    spec: Specification, density: MarginalPosterior, mode: RedundantMode, found: Examination | None
) -> FloatArray:
    """Covariance (q, K, K) over the classes of each row of raw coefficients, intercept first."""
    n, K = density.n_weights, spec.design.n_classes
    V, R = free_covariance(spec, density, mode, found)[:n, :n], spec.coordinates.raw_map.reshape(-1, K, n)
    variances: FloatArray = np.einsum("qka,ab,qlb->qkl", R, V, R, optimize=True)
    return variances


def free_covariance(
    spec: Specification, density: MarginalPosterior, mode: RedundantMode, found: Examination | None
) -> FloatArray:
    """Covariance (d + H, d + H) of weights and hyperparameters, in the directions that are identified.

    With an optimum at infinity it is that of the coordinates orthogonal to the directions of recession.
    """
    if mode.converged:
        return mode.covariance
    unknown = np.full((density.dimension,) * 2, np.nan)
    if found is None or found.is_determined:
        return unknown
    coordinates, n = spec.coordinates, density.n_weights
    open_ = np.zeros((0, density.dimension))
    for raw in open_directions(found):
        open_ = np.vstack([open_, np.zeros(density.dimension)])
        open_[-1, :n] = coordinates.from_raw(raw[0], raw[1:])
    unit = open_ / np.linalg.norm(open_, axis=1, keepdims=True)
    _, values, vectors = np.linalg.svd(unit, full_matrices=True)
    Q = vectors[int((values > RANK * values[0]).sum()) :].T
    _, sizes, ways = np.linalg.svd(density.identified_jacobian(mode.theta) @ Q)
    Q = Q @ ways[: int((sizes > RANK * sizes[0]).sum())].T
    with blas_on_one_thread(), np.errstate(all="ignore"):
        H = Q.T @ hessian_by_differences(density.value_gradient, mode.theta, units(spec, density)) @ Q
    try:
        covariance: FloatArray = Q @ cho_solve(cho_factor(H), Q.T)
    except (LinAlgError, ValueError):
        return unknown
    return covariance


def _jacobian(spec: Specification, density: MarginalPosterior, point: FloatArray) -> FloatArray:
    """Derivatives (parameters, d + H): of raw coefficients, effects at their modes, and covariances of effects."""
    n, raw, unit = density.n_weights, spec.coordinates.raw_map, units(spec, density)
    linear = np.zeros((len(raw), density.dimension))
    linear[:, :n] = raw
    identified, of_modes = density.identified_jacobian(point)[n:], []
    with blas_on_one_thread():
        for e, u in zip(np.eye(density.dimension), unit, strict=True):
            ahead, behind = (density.normals(point + sign * STEP * u * e).modes for sign in (1.0, -1.0))
            of_modes.append([(a - b) / (2.0 * STEP * u) for a, b in zip(ahead, behind, strict=True)])
    parts, at = [linear], 0
    for j, effects in enumerate(spec.groups):
        own = np.array([moved[j] for moved in of_modes])
        parts.append(effects.effects(own).reshape(density.dimension, -1).T)
        T, m = to_classes(effects), effects.n_free
        of_sigma = identified[at : at + m * m].reshape(m, m, -1)
        parts.append(np.einsum("ab,bcx,dc->adx", T, of_sigma, T, optimize=True).reshape(-1, density.dimension))
        at += m * m
    return np.concatenate(parts)
