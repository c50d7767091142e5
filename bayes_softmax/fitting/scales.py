"""Models that learn scales: where to whiten them, and their draws as named hyperparameters."""

import itertools
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize

from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.records import FloatArray, Mode
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.fitting.refusals import refuse_improper
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.spec.pymc_shrinkage import hyperparameters
from bayes_softmax.spec.shrinkage import shrinkage_groups, without_shrinkage
from bayes_softmax.spec.specification import Specification

if TYPE_CHECKING:
    from bayes_softmax.density.scales.hierarchical import HierarchicalPosterior
    from bayes_softmax.density.scales.hyperscales import ShrinkageData

ROUNDS = 5  # of mode given scales, scales given the normal approximation there; it only chooses coordinates
SETTLED = 0.1  # change of a logarithm of a scale that whitening does not feel
REACH = 8.0  # logarithms of scales are searched within this of the middle of their prior
WIDTHS = (0.05, 3.0)  # limits of a hyperparameter's assumed sd: where its evidence is flat the prior's is near 1.5
LARGER = 2.5  # how much larger the scales are where it is measured how the coefficients grow with them
STEP = 1e-4  # for second derivatives of the evidence


class PreparedHierarchy(NamedTuple):
    """A density in whitened coordinates, and the seconds its preparation took."""

    density: "HierarchicalPosterior"
    timings: dict[str, float]


def prepare_hierarchy(spec: Specification) -> PreparedHierarchy:
    """Find scales that the data support and the mode given these, and whiten there; refuses improper posteriors."""
    load_in_full("bayes_softmax.density.scales.hierarchical")
    from bayes_softmax.density.posterior import build_posterior
    from bayes_softmax.density.scales import hierarchical

    start = time.perf_counter()
    groups = shrinkage_groups(spec.priors)
    base = build_posterior(spec.distinct, spec.coordinates, without_shrinkage(spec.priors))
    sh = hierarchical.shrinkage_data(base, groups)
    base.value_gradient(np.zeros(base.dimension))
    loaded = time.perf_counter()
    h = sh.centre
    for _ in range(ROUNDS):
        scales = hierarchical.engine_scales(sh, h)
        mode: Mode = solve(hierarchical.conditional(base, sh, scales), SolverOptions())
        refuse_improper(spec, mode)
        with blas_on_one_thread():
            density = hierarchical.whiten_conditionally(base, groups, sh, mode.theta, h)
        before, h = h, supported(density.shrinkage, sh.centre)
        if np.abs(h - before).max() < SETTLED:
            break
    larger = LARGER * scales
    there = solve(hierarchical.conditional(base, sh, larger), SolverOptions())
    with blas_on_one_thread():
        density = hierarchical.corrected(density, mode.theta, before)
        density = hierarchical.stretched(density, there.theta, larger, LARGER)
    density = hierarchical.recentred(density, h, widths(density.shrinkage, h))
    return PreparedHierarchy(density, {"compile": loaded - start, "mode": time.perf_counter() - loaded})


def supported(sh: "ShrinkageData", middle: FloatArray) -> FloatArray:
    """Hyperparameters (H,) of the largest evidence, in the normal approximation that ``sh`` holds."""
    from bayes_softmax.density.scales.shrinkage_kernel import evidence

    def negative(h: FloatArray) -> tuple[float, FloatArray]:
        gradient = np.empty(len(h))
        value = evidence(sh, h, gradient)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros(len(h)))

    bounds = [(c - REACH, c + REACH) for c in middle]
    found: FloatArray = minimize(negative, sh.centre, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found


def widths(sh: "ShrinkageData", h: FloatArray) -> FloatArray:
    """Root (H, H) of about the covariance of the hyperparameters, from the curvature of their log evidence."""
    from bayes_softmax.density.scales.shrinkage_kernel import evidence

    H = len(h)
    curvature, ahead, behind = np.empty((H, H)), np.empty(H), np.empty(H)
    for i, unit in enumerate(np.eye(H)):
        evidence(sh, h + STEP * unit, ahead)
        evidence(sh, h - STEP * unit, behind)
        curvature[i] = (behind - ahead) / (2 * STEP)
    values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
    sds = np.clip(np.maximum(values, WIDTHS[1] ** -2) ** -0.5, *WIDTHS)
    root: FloatArray = (vectors * sds) @ vectors.T
    return root


def named_hyperparameters(density: "HierarchicalPosterior", h: FloatArray) -> dict[str, FloatArray]:
    """Hyperparameters by name from real ones (..., H)."""
    named: dict[str, FloatArray] = {}
    for group, (first, end) in zip(
        density.groups, itertools.pairwise(density.shrinkage.first_hyper.tolist()), strict=True
    ):
        named |= hyperparameters(group, h[..., first:end])
    return named
