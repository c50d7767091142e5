"""From a model with group-level effects to the marginal density of its weights and hyperparameters, and its maximum."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.checks import listed, shortened
from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.data.design import Design
from bayes_softmax.density.building import build_posterior
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.marginal import CoordinatesOf, Integral, MarginalPosterior
from bayes_softmax.density.groups.one_grouping import OneGrouping
from bayes_softmax.density.groups.several_groupings import SeveralGroupings
from bayes_softmax.fitting.groups import covariance_data, level_rows
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.inference.redundant import RedundantMode, maximise_redundant
from bayes_softmax.inference.restarts import lbfgs_restarts
from bayes_softmax.spec.groups.log_prior import correlation_name, log_hyperprior_draws, sd_name
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.specification import Specification

N_NODES = 15  # in each dimension: the log-likelihood of a panel of binary-like answers is then exact to 1e-6
CHECK_NODES = 25  # by which the error of the log-likelihood is judged, at the maximum
MOST_DIMENSIONS = 2  # of a level's effects, up to which they are integrated out by quadrature
MAX_ITERATIONS = 1000
LARGEST = 1000  # coordinates up to which the Hessian is formed, by twice as many gradients
FIRST_SD = 0.5  # from which the search begins, in logits


class Rule(NamedTuple):
    """How levels are integrated out: nodes in each dimension, one for Laplace's method; and in words."""

    n_nodes: int
    words: str


def rule_of(spec: Specification) -> Rule:
    """Quadrature for one grouping with few effects a level, else Laplace's method."""
    names = listed([shortened(effects.name) for effects in spec.groups])
    m = spec.groups[0].n_free
    if len(spec.groups) == 1 and m <= MOST_DIMENSIONS:
        nodes = " x ".join([str(N_NODES)] * m)
        method = f"adaptive Gauss-Hermite quadrature, {nodes} nodes"
        return Rule(N_NODES, f"the log-likelihood is marginal: levels of {names} integrated out by {method}")
    method = "Laplace's method, an approximation"
    return Rule(1, f"the log-likelihood is marginal: levels of {names} integrated out by {method}")


def marginal_density(
    spec: Specification, coordinates_of: CoordinatesOf, n_nodes: int, *, priors: bool
) -> MarginalPosterior:
    """The marginal density of the distinct rows; with priors of weights and hyperparameters, or the likelihood."""
    design = spec.distinct
    covariances = tuple(covariance_data(e) if priors else _identified(e) for e in spec.groups)
    base = build_posterior(design, spec.coordinates, spec.priors)
    integral = _integral(spec, design, n_nodes)
    coordinates = tuple(map(coordinates_of, covariances))
    return MarginalPosterior(base, design, integral, covariances, coordinates, priors, design.standardised())


def _integral(spec: Specification, design: Design, n_nodes: int) -> Integral:
    levels, contrasts = level_rows(spec, design), spec.coordinates.weights_contrast
    if len(levels) == 1:
        return OneGrouping(design, levels[0], contrasts, n_nodes)
    return SeveralGroupings(design, levels, contrasts)


def _identified(effects: GroupEffects) -> CovarianceData:
    """The same set of covariances in fewer numbers, where no prior needs sds and correlations of all classes.

    With sds and correlations of all columns every covariance of free coordinates is reached, and so it is with those of
    the free coordinates themselves.
    """
    k, form = effects.contrast.shape[1], effects.prior.covariance
    if effects.coding != "zero-sum" or (form == "independent" and k > 1):
        return covariance_data(effects)
    return covariance_data(replace(effects, coding="reference"))


def maximum(spec: Specification, density: MarginalPosterior, options: SolverOptions, n_nodes: int) -> RedundantMode:
    """Maximise the marginal density; where quadrature is used, Laplace's method finds where to begin."""
    limit = MAX_ITERATIONS if options.max_iterations is None else options.max_iterations
    unit, n = units(spec, density), density.base.total_weight
    with blas_on_one_thread(), np.errstate(all="ignore"):
        start = _start(spec, density)
        if n_nodes > 1:
            cheap = replace(density, integral=_integral(spec, density.design, 1))
            start = lbfgs_restarts(cheap.value_gradient, start[None], n, limit, unit=unit).points[0]
        return maximise_redundant(
            density.value_gradient, start, n, unit, density.identified_jacobian, max_iterations=limit
        )


def quadrature_error(spec: Specification, density: MarginalPosterior, mode: RedundantMode, n_nodes: int) -> float:
    """By how much more nodes change the log-likelihood at the maximum; zero for Laplace's method, whose error differs.

    It is large where variances are so large that levels with one class each have skewed effects.
    """
    if n_nodes == 1 or not np.isfinite(mode.value):
        return 0.0
    finer = replace(density, integral=_integral(spec, density.design, CHECK_NODES))
    return abs(finer.value(mode.theta) - mode.value)


def _start(spec: Specification, density: MarginalPosterior) -> FloatArray:
    """The weights without effects, and moderate sds."""
    theta = solve(density.base, SolverOptions(max_iterations=20)).theta
    pairs = zip(density.coordinates, density.covariances, sizes(spec, density), strict=True)
    hyper = [own.start(cov, FIRST_SD * sds) for own, cov, sds in pairs]
    return np.concatenate([np.where(np.isfinite(theta), theta, 0.0), *hyper])


def units(spec: Specification, density: MarginalPosterior) -> FloatArray:
    """Natural sizes (d + H,) of the coordinates."""
    pairs = zip(density.coordinates, density.covariances, sizes(spec, density), strict=True)
    return np.concatenate([np.ones(density.n_weights), *(own.unit(cov, sds) for own, cov, sds in pairs)])


def sizes(spec: Specification, density: MarginalPosterior) -> list[FloatArray]:
    """Sds at which effects change logits by one: of each grouping's sds, the inverse of the term's size."""
    found = []
    for cov, rows in zip(density.covariances, level_rows(spec, density.design), strict=True):
        size = np.sqrt((rows.terms**2).mean(axis=0))
        term, sds = np.arange(len(cov.mapping)) * rows.n_terms // len(cov.mapping), np.ones(len(cov.scale))
        sds[cov.sd_of_column] = (1.0 / np.where(size > 0, size, 1.0))[term]
        found.append(sds)
    return found


def refuse_unsuited(density: MarginalPosterior, method: str) -> None:
    """Raise for a prior with kinks, and for too many weights and hyperparameters for a Hessian by differences."""
    if density.base.penalty is not None:
        raise ValueError(
            f"{method}: a Laplace prior has a kink at zero, and the marginal posterior of a model with groups is "
            "maximised by smooth steps; use Normal or StudentT, or sample()"
        )
    if density.dimension > LARGEST:
        raise ValueError(
            f"{method} of a model with groups forms the Hessian of {density.dimension:,} weights and hyperparameters "
            f"by differences of gradients, possible up to {LARGEST:,}; sample() has no such limit"
        )


def hyperprior_constant(spec: Specification, density: MarginalPosterior) -> float:
    """By how much the log prior of hyperparameters exceeds that of the density, which is without constants.

    Compared where all sds are one and all correlations zero, at which the Jacobians of the coordinates are one.
    """
    hyper: dict[str, FloatArray] = {}
    for effects in spec.groups:
        hyper[sd_name(effects.name)] = np.ones(effects.n_sds)
        hyper[correlation_name(effects.name)] = np.eye(len(effects.pair))
    pairs = zip(density.coordinates, density.covariances, strict=True)
    starts = [own.start(cov, np.ones(len(cov.scale))) for own, cov in pairs]
    base = density.base.log_prior(np.zeros(density.n_weights))
    without = density.log_prior(np.concatenate([np.zeros(density.n_weights), *starts])) - base
    return float(log_hyperprior_draws(spec.groups, hyper)) - without
