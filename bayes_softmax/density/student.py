"""What Student-t priors do to a log posterior: it need not have one mode only, and where it may have more."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density import kernel
from bayes_softmax.density.posterior import SoftmaxPosterior

STUDENT = (kernel.T_SPHERICAL, kernel.T_ELEMENTWISE)


def has_student(density: SoftmaxPosterior) -> bool:
    """Whether some coefficients have a Student-t prior, which is not log-concave."""
    return bool(np.isin(density.data.family, STUDENT).any())


def in_a_tail(density: SoftmaxPosterior, theta: FloatArray) -> bool:
    r"""Whether a coefficient is where its Student-t prior is log-convex: beyond :math:`\sqrt\nu` scales."""
    data, coordinates = density.data, density.coordinates
    at_means, weights = coordinates.split(theta)
    intercept = at_means - weights[: len(at_means)] @ data.centre
    rows = [intercept, *weights.T] if coordinates.has_intercept else list(weights.T)
    largest = np.array(
        [
            (g**2).sum() if f == kernel.T_SPHERICAL else (g**2).max(initial=0.0)
            for g, f in zip(rows, data.family.tolist(), strict=True)
        ]
    )
    return bool((np.isin(data.family, STUDENT) & (largest > data.df * data.scale**2)).any())


def with_normal_priors(density: SoftmaxPosterior, widening: float) -> SoftmaxPosterior:
    """The density with normal priors, of ``widening`` times the scale, in place of Student-t."""
    student = np.isin(density.data.family, STUDENT)
    family = np.where(student, kernel.NORMAL, density.data.family)
    scale = np.where(student, widening * density.data.scale, density.data.scale)
    return replace(density, data=density.data._replace(family=family, scale=scale))
