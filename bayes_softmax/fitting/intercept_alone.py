"""Coefficients with flat priors that only the prior of the intercept bounds: a posterior that is proper by accident.

A direction of separation mostly moves the intercept too.  The default prior of the intercept, normal at the feature
means, then keeps the posterior proper although the weights have no prior: their values are decided by that prior, and
by no observation.
"""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.fitting.problem import certified, problem_of
from bayes_softmax.fitting.solvers import SolverOptions, solve
from bayes_softmax.separation.diagnosis import diagnose_separation
from bayes_softmax.separation.directions import on_all_columns, unseen_directions
from bayes_softmax.separation.examination import Examination
from bayes_softmax.separation.in_passes import what_is_open_in
from bayes_softmax.separation.rays import ZERO
from bayes_softmax.spec.families.flat import Flat
from bayes_softmax.spec.linear import LINEAR
from bayes_softmax.spec.specification import Specification


def warn_if_intercept_alone(spec: Specification) -> tuple[str, ...]:
    """The note on such coefficients of a proper posterior, which is a warning too; none if there are none."""
    note = intercept_alone(spec)
    if note is None:
        return ()
    warn_caller(note, NotReliableWarning)
    return (note,)


def intercept_alone(spec: Specification) -> str | None:
    """Which coefficients only the intercept's prior bounds, why, and what to do; None if there are none."""
    priors = spec.priors
    if spec.logits.kind != LINEAR:
        return None
    if priors.is_jeffreys or priors.intercept is None or priors.flat_intercept or not priors.flat_features.any():
        return None
    free = replace(spec, priors=replace(priors, intercept=Flat(), intercept_at="means"))
    if _has_optimum(free):
        return None
    found = what_is_open_in(free.rows, free.priors)
    reasons = diagnose_separation(found).reasons
    if not reasons:
        return None
    return (
        f"only the prior of the intercept keeps {listed(_moved(found))} finite, whose own prior is flat: "
        f"{'; '.join(reasons)}. The data do not say how large these coefficients are; give them a proper prior "
        "(prior=None is the autoscaled default)"
    )


def _has_optimum(spec: Specification) -> bool:
    """Whether a finite optimum under these priors is certified, which proves that nothing is open."""
    if spec.priors.learns_scales or spec.priors.has_heavy_tails:
        return False
    problem = problem_of(spec)
    return certified(spec, problem, solve(problem.density, SolverOptions()), max_iterations=0).converged


def _moved(found: Examination) -> list[str]:
    """Features whose coefficients move along a direction that the likelihood leaves open."""
    directions = np.concatenate([on_all_columns(found, found.cone.directions), unseen_directions(found)])
    moved = (np.ptp(directions, axis=1) > ZERO).any(axis=0)
    first = int(found.design.has_intercept)
    return [name for name, j in zip(found.design.feature_names, moved[first:], strict=True) if j]
