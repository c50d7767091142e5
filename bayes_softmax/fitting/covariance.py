"""Covariance of the raw coefficients at an optimum: of all, or of each coefficient row if there are many."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.records import FloatArray, Mode, Penalty
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.fitting.problem import MANY_COORDINATES, Problem, density_of
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.inference.laplace import covariance, covariance_without, laplace_approximation
from bayes_softmax.inference.limiting import complement_covariance
from bayes_softmax.separation.directions import open_directions
from bayes_softmax.separation.examination import Examination
from bayes_softmax.spec.specification import Specification


def raw_covariance(
    spec: Specification, mode: Mode, found: Examination | None, density: SoftmaxPosterior | None = None
) -> FloatArray:
    """Covariance of the raw coefficients; with the optimum at infinity, of those that do not diverge, else NaN.

    ``density`` is the model's own, built anew where it is not given.
    """
    coordinates, density = spec.coordinates, density or density_of(spec)
    raw_map, free = coordinates.raw_map, None
    held = held_at_kink(density.penalty, mode.theta)
    if mode.converged:
        free = covariance_without(density, mode, held)
    elif found is not None and not found.is_determined and coordinates.dimension <= DENSE_DIMENSION:
        open_ = np.array([coordinates.from_raw(raw[0], raw[1:]) for raw in open_directions(found)])
        free = complement_covariance(density, mode, open_)
    if free is None:
        return np.full((raw_map.shape[0],) * 2, np.nan)
    result: FloatArray = raw_map @ free @ raw_map.T
    # The weights held at zero have no standard errors; the intercept's are conditional on them.
    unknown = raw_map[:, held].any(axis=1)
    unknown[: coordinates.n_classes] = False
    result[unknown] = np.nan
    result[:, unknown] = np.nan
    return result


def variances_of(problem: Problem, solved: Mode, mode: Mode) -> Callable[[], FloatArray] | None:
    """With many coefficients, a function for the covariance of each coefficient row separately: exact, or NaN."""
    if not problem.has_many_coefficients:
        return None
    # Not the problem itself, which would keep the model's own density alive as long as the estimate.
    coordinates, reduced, density = problem.coordinates, problem.reduced, problem.density
    if reduced is None or not mode.converged or density.dimension > MANY_COORDINATES:
        K = coordinates.n_classes
        return lambda: np.full((1 + coordinates.n_features, K, K), np.nan)

    def exact() -> FloatArray:
        try:
            inside = covariance(laplace_approximation(density, solved))
        except ValueError:  # a prior so weak in some direction that it is lost to rounding
            inside = np.full((density.dimension,) * 2, np.nan)
        return reduced.variances(coordinates, inside)

    return exact


def held_at_kink(penalty: Penalty | None, theta: FloatArray) -> NDArray[np.bool_]:
    """Mask (d,) of the free coordinates that a Laplace prior holds at exactly zero."""
    held = np.zeros(len(theta), dtype=bool)
    if penalty is not None:
        held[penalty.groups[penalty.norms(theta) == 0]] = True
    return held
