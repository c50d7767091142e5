"""The delta method by differences: an estimate moved along the principal axes of its covariance, as if by draws.

A quantity f has variance ``sum_i (df/dv_i)^2 l_i`` over the eigenvectors v_i and eigenvalues l_i of the covariance of
the parameters.  The derivatives are central differences, taken of all axes at once: every answer to draws thereby has
standard errors for an estimate, averages over a population of levels among them, to which the covariances of effects
contribute as the weights do.
"""

from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.probabilities import ThinnedDraws
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.protocols import Logits
from bayes_softmax.core.records import FloatArray, IntArray

STEP = 1e-3  # standard deviations
NEGLIGIBLE = 1e-12  # part of the largest variance below which a direction is not moved along


class Moved(NamedTuple):
    """An estimate, then the estimate moved up and down each of the m axes: 1 + 2 m draws."""

    draws: ThinnedDraws

    def errors(self, values: FloatArray) -> FloatArray:
        """Standard errors (...) of quantities (1 + 2 m, ...) of these draws."""
        up, down = np.split(values[1:], 2)
        error: FloatArray = np.sqrt((((up - down) / (2.0 * STEP)) ** 2).sum(axis=0))
        return error


class Axes(NamedTuple):
    """Principal axes of the covariance of some of the parameters: places (f,) in the flat order, and steps (m, f).

    A step is one standard deviation long.
    """

    where: IntArray
    steps: FloatArray


def principal_axes(logits: Logits, covariance: FloatArray, without: tuple[str, ...] = ()) -> Axes:
    """Axes of a covariance (d, d) of all parameters; those ``without`` stay as they are."""
    sizes = {name: int(np.prod(shape)) for name, shape in logits.shapes.items()}
    free = np.concatenate([np.full(size, name not in without) for name, size in sizes.items()])
    where = np.flatnonzero(free)
    values, vectors = np.linalg.eigh(covariance[np.ix_(where, where)])
    used = values > NEGLIGIBLE * values.max(initial=0.0)
    return Axes(where, (vectors[:, used] * np.sqrt(values[used])).T)


def parameters_at(logits: Logits, parameters: Parameters, axes: Axes, points: FloatArray) -> Parameters:
    """The parameters of one draw moved by ``points`` (S, m) in units of the axes: S draws."""
    flat = np.repeat(parameters.flat(), len(points), axis=0)
    flat[:, axes.where] += points @ axes.steps
    parts = np.split(flat, np.cumsum([int(np.prod(shape)) for shape in logits.shapes.values()])[:-1], axis=1)
    shapes = logits.shapes.items()
    return Parameters({name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes, parts, strict=True)})


def moved(logits: Logits, parameters: Parameters, covariance: FloatArray, without: tuple[str, ...] = ()) -> Moved:
    """The estimate moved along the axes of its covariance (d, d); parameters ``without`` stay as they are."""
    axes = principal_axes(logits, covariance, without)
    m = len(axes.steps)
    points = STEP * np.concatenate([np.zeros((1, m)), np.eye(m), -np.eye(m)])
    return Moved(ThinnedDraws(logits, parameters_at(logits, parameters, axes, points)))
