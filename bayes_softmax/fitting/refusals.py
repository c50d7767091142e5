"""Refusals before any draw is made, with reasons: improper posteriors, and methods that do not suit a model."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, warn_caller
from bayes_softmax.core.records import Mode
from bayes_softmax.fitting.covariance import held_at_kink
from bayes_softmax.fitting.problem import Problem
from bayes_softmax.separation.diagnosis import diagnose_separation
from bayes_softmax.separation.examination import what_is_open
from bayes_softmax.separation.in_passes import check_separation_in, what_is_open_in
from bayes_softmax.spec.families.normal import Normal
from bayes_softmax.spec.linear import WEIGHTS
from bayes_softmax.spec.network.logits import SKIP
from bayes_softmax.spec.priors import repeated
from bayes_softmax.spec.specification import Specification


def refuse_learned_scales(spec: Specification, method: str) -> None:
    """Raise if a scale is learned, as a mode and a normal approximation around it are then meaningless."""
    if not spec.learns_scales:
        return
    family = spec.learned_priors[0]
    raise ValueError(
        f"{method} needs priors with fixed scales, but {family} learns its scale: the joint mode of scale and weights "
        "depends on the parametrisation of the scale, and with weights at zero the density is unbounded as the scale "
        "falls to zero. Run sample(), or fix the scale, for example at its posterior mean: prior=Normal(<scale>)"
    )


def refuse_jeffreys(spec: Specification) -> None:
    """Raise if the prior is Jeffreys', which is for estimates only."""
    if spec.priors.is_jeffreys:
        raise ValueError(
            "prior=Jeffreys() is for map(): it reduces the bias of an estimate, and does not describe plausible "
            "coefficients; for a posterior use prior=None (autoscaled) or a proper prior such as Normal"
        )


def refuse_improper(spec: Specification, mode: Mode) -> None:
    """Raise if the posterior is improper; warn if its mode is not certified.

    For a log-concave density a finite stationary point with a positive definite Hessian proves that it is proper.  A
    solver that stopped earlier proves nothing: linear programs then decide.
    """
    reasons = None if mode.converged or spec.priors.is_proper else why_uncertified(spec)
    if reasons is not None:
        raise ImproperPosteriorError(
            f"the posterior is improper, there is nothing to sample: {reasons}. Give the coefficients a proper prior "
            "(prior=None is the autoscaled default)"
        )
    if not mode.converged:
        warn_caller(f"the mode: {mode.status.value}", NotConvergedWarning)
    if spec.priors.is_proper or not spec.priors.has_heavy_tails:
        return
    # Polynomial tails beside flat directions: finite mode, perhaps infinite mass.
    separation = check_separation_in(spec.rows)
    if separation.separated:
        raise ImproperPosteriorError(
            f"the posterior may be improper: {separation!r}, and Student-t tails are too heavy to compensate for the "
            "flat prior; use Normal priors, or no flat ones"
        )


def refuse_improper_network(spec: Specification) -> None:
    """Raise if the posterior of all layers of a network is improper, or is not known to be proper.

    The likelihood of a network does not vanish as the weights of a hidden layer grow: bounded units saturate, and a
    larger scale of the others is undone by the layer above.  Hidden layers can separate the classes with their units.
    Under normal priors of all weights a flat one of the intercept leaves the posterior proper if every class was
    observed: the likelihood's integral over the intercept grows no faster than a power of the largest logit.
    """
    hidden, priors = spec.hidden, spec.priors
    assert hidden is not None
    flat = [f"hidden_{layer}" for layer, scale in enumerate(hidden.scales, 1) if not np.isfinite(scale).all()]
    names = [WEIGHTS] * hidden.n_units + [f"{SKIP}[{name}]" for name in spec.schema.feature_names]
    flat += dict.fromkeys(name for name, is_flat in zip(names, priors.flat_features, strict=False) if is_flat)
    if flat:
        raise ImproperPosteriorError(
            f"the posterior of the network is improper, or may be: the prior of {listed(flat)} is Flat(), and the "
            "likelihood need not vanish as these weights grow; give every layer a proper prior (prior=None is the "
            "autoscaled default)"
        )
    if not priors.flat_intercept:
        return
    if priors.has_heavy_tails:
        raise ImproperPosteriorError(
            "the posterior may be improper: the prior of the intercept is Flat(), and the Student-t tails of other "
            "weights may be too heavy to compensate for it; use Normal priors, or no flat ones"
        )
    proper = repeated(Normal(1.0), spec.design.n_features)
    alone = replace(priors, features=proper, by_default=np.zeros(spec.design.n_features, dtype=np.bool_))
    reasons = diagnose_separation(what_is_open(spec.design, alone)).reasons
    if reasons:
        raise ImproperPosteriorError(
            f"the posterior is improper, there is nothing to sample: {'; '.join(reasons)}. Give the intercept a proper "
            "prior (intercept_prior=None is the default)"
        )


def why_uncertified(spec: Specification) -> str | None:
    """Reasons why there is no finite optimum under these priors, in words; None if there are none."""
    return "; ".join(diagnose_separation(what_is_open_in(spec.rows, spec.priors)).reasons) or None


def refuse_kink(spec: Specification, problem: Problem, mode: Mode) -> None:
    """Raise if a Laplace prior holds weights of the mode at exactly zero."""
    held = held_at_kink(problem.density.penalty, mode.theta)
    if not held.any():
        return
    rows = problem.coordinates.split(held)[1]
    names = [spec.schema.feature_names[j] for j in np.flatnonzero(rows.any(axis=0))]
    raise ValueError(
        f"laplace(): the mode is at the kink of the Laplace prior, with weights of {listed(names)} "
        "exactly zero, where no normal distribution approximates the posterior; run model.sample() instead"
    )
