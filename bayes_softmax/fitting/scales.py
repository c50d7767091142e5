"""Models that learn scales: their density, whitened and ready to be sampled."""

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray
from bayes_softmax.fitting.estimates import SolverOptions, refuse_improper, solve
from bayes_softmax.spec.priors import without_learned_scales
from bayes_softmax.spec.specification import Specification

if TYPE_CHECKING:
    from bayes_softmax.density.posterior import SoftmaxPosterior
    from bayes_softmax.density.scales.posterior import HierarchicalPosterior


class PreparedHierarchy(NamedTuple):
    """A density in whitened coordinates, and the seconds its preparation took."""

    density: "HierarchicalPosterior"
    timings: dict[str, float]


def prepare_hierarchy(spec: Specification) -> PreparedHierarchy:
    """Find where to whiten the joint posterior of coefficients and scales; refuses improper posteriors."""
    load_in_full("bayes_softmax.density.scales.marginal")
    from bayes_softmax.density.posterior import build_posterior
    from bayes_softmax.density.scales.marginal import whitened_posterior

    start = time.perf_counter()
    base = build_posterior(spec.distinct, spec.coordinates, without_learned_scales(spec.priors))
    base.value_gradient(np.zeros(base.dimension))
    loaded = time.perf_counter()

    def mode(density: "SoftmaxPosterior") -> FloatArray:
        return solve(density, SolverOptions()).theta

    def proper_mode(density: "SoftmaxPosterior") -> FloatArray:
        found = solve(density, SolverOptions())
        refuse_improper(spec, found)
        return found.theta

    density = whitened_posterior(base, spec.priors.learned, mode, proper_mode)
    return PreparedHierarchy(density, {"compile": loaded - start, "mode": time.perf_counter() - loaded})
