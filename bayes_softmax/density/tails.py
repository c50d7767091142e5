"""Priors of a density that a search changes: those that are not log-concave, with several modes, and flat ones."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density import prior
from bayes_softmax.density.log_prior import FLAT, NORMAL, split_code
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.spec.families import registry


def heavy_tailed(density: SoftmaxPosterior) -> tuple[str, ...]:
    """Names of the prior families that are not log-concave."""
    families = registry.each(split_code(density.data.family)[0])
    return tuple(family.words for family, _ in families if not family.log_concave)


def in_a_tail(density: SoftmaxPosterior, theta: FloatArray) -> bool:
    r"""Whether some coefficient lies where its prior is log-convex: for Student-t, beyond :math:`\sqrt\nu` scales."""
    return prior.in_a_tail(density.prior_rows, density.coordinates, theta)


def with_normal_priors(density: SoftmaxPosterior, widening: float) -> SoftmaxPosterior:
    """The density with normal priors of ``widening`` times the scale in place of those that are not log-concave."""
    heavy = ~prior.rows_that_are(density.data.family, "log_concave")
    family = np.where(heavy, NORMAL, density.data.family)
    scale = np.where(heavy, widening * density.data.scale, density.data.scale)
    return replace(density, data=density.data._replace(family=family, scale=scale))


def with_bounds(density: SoftmaxPosterior, scales: FloatArray) -> SoftmaxPosterior:
    """The density with normal priors of these scales, in engine units, in place of flat and of wider smooth ones."""
    smooth = ~prior.rows_that_are(density.data.family, "kinked")
    flat = split_code(density.data.family)[0] == split_code(FLAT)[0]
    bounded = smooth & (flat | (scales < density.data.scale))
    family = np.where(bounded, NORMAL, density.data.family)
    scale = np.where(bounded, scales, density.data.scale)
    return replace(density, data=density.data._replace(family=family, scale=scale))
