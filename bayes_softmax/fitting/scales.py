"""Whitened densities of models that learn scales, ready to be sampled."""

import time
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.scales.marginal import whitened_posterior
from bayes_softmax.density.scales.posterior import HierarchicalPosterior, require_in_memory
from bayes_softmax.fitting.problem import builder_of
from bayes_softmax.fitting.refusals import refuse_improper
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.spec.priors import without_learned_scales
from bayes_softmax.spec.specification import Specification


class PreparedHierarchy(NamedTuple):
    """A density in whitened coordinates, and the seconds spent on its preparation."""

    density: HierarchicalPosterior
    timings: dict[str, float]


def prepare_hierarchy(spec: Specification) -> PreparedHierarchy:
    """Find where to whiten the joint posterior of coefficients and scales; refuses improper posteriors."""
    start = time.perf_counter()
    base = builder_of(spec)(spec.distinct, spec.coordinates, without_learned_scales(spec.priors))
    require_in_memory(base)
    base.value_gradient(np.zeros(base.dimension))
    loaded = time.perf_counter()

    def mode(density: SoftmaxPosterior) -> FloatArray:
        return solve(density, SolverOptions()).theta

    def proper_mode(density: SoftmaxPosterior) -> FloatArray:
        found = solve(density, SolverOptions())
        refuse_improper(spec, found)
        return found.theta

    density = whitened_posterior(base, spec.priors.learned, mode, proper_mode)
    return PreparedHierarchy(density, {"compile": loaded - start, "mode": time.perf_counter() - loaded})
