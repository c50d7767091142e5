"""Whether the optimum of a network is certified, in words, and what to do where it is not."""

from typing import NamedTuple

import numpy as np

from bayes_softmax.core.checks import counted
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.records import FloatArray, Status
from bayes_softmax.inference.local_mode import Curvature, LocalMode
from bayes_softmax.inference.restarts import GRADIENT_TOLERANCE
from bayes_softmax.spec.specification import Specification

KINK_TOLERANCE = 1e-3  # per observation, of convex combinations of gradients around a kink
# What to do where the likelihood alone does not decide, by the kind of the estimate.
WITH_PRIOR = {"mle": "map() has a prior to decide", "map": "give all layers a proper prior, such as prior=None"}


class Verdict(NamedTuple):
    """Whether an optimum is certified, and the certificate in words."""

    converged: bool
    status: str


def verdict_of(spec: Specification, kind: str, mode: LocalMode, *, at_limit: bool, separated: bool) -> Verdict:
    """What is known of the point where the best of the runs ended.

    ``kind`` is the name of the estimate, ``"mle"`` or ``"map"``; ``at_limit`` says that the iteration limit ended it,
    ``separated`` that it separates the data under a flat prior.
    """
    if separated:
        n = counted(spec.design.total_weight, "observation")
        return Verdict(
            False,
            f"not certified: the network separates all {n}, so that the log-likelihood rises towards 0 as weights of "
            f"the last layer grow, and no estimate is the best; {WITH_PRIOR[kind]}",
        )
    if not np.isfinite(mode.value):
        return Verdict(False, "not certified: the log density is not finite at any of the starts; check the offsets")
    if mode.curvature is Curvature.KINKED:
        return _at_kinks(mode, at_limit=at_limit)
    vanishes = mode.gradient_norm <= GRADIENT_TOLERANCE
    if mode.curvature is Curvature.INDEFINITE and (vanishes or not at_limit):
        return Verdict(False, f"{Status.SADDLE.value}; raise restarts or max_iterations")
    flat = bool(spec.priors.flat_features.any() or (spec.hidden and any(np.isinf(s).any() for s in spec.hidden.scales)))
    if not vanishes and (at_limit or not flat):
        stopped = Status.MAX_ITERATIONS if at_limit else Status.NO_PROGRESS
        return Verdict(False, f"{stopped.value}; raise max_iterations{f', or {WITH_PRIOR[kind]}' if flat else ''}")
    if not vanishes or mode.curvature is Curvature.FLAT:
        return Verdict(
            False,
            "not certified: the log density hardly changes along some direction, as where weights of a hidden unit "
            f"grow without end; {WITH_PRIOR[kind]}",
        )
    known = "the curvature is positive definite"
    if mode.curvature is Curvature.NOT_NEGATIVE:
        known = "no direction of negative curvature was found"
    return Verdict(True, f"converged to a local optimum: the gradient vanishes and {known}")


def _at_kinks(mode: LocalMode, *, at_limit: bool) -> Verdict:
    """The verdict where units have kinks."""
    around = f"gradients around it cancel to {mode.residual:.0e} per observation"
    if mode.residual <= KINK_TOLERANCE:
        return Verdict(
            True,
            f"converged to a local optimum at kinks of relu units, where a gradient need not vanish: {around}",
        )
    stopped = Status.MAX_ITERATIONS if at_limit else Status.NO_PROGRESS
    return Verdict(
        False, f"{stopped.value}: relu units have kinks, and {around}; activation='gelu' has none, or raise restarts"
    )


def separates(spec: Specification, parameters: Parameters) -> bool:
    """Whether every observation has the largest logit at its class, and nothing bounds the last layer.

    Then the likelihood has no maximum: it tends to one as the weights of the last layer are multiplied by ever larger
    numbers.  Offsets are left out, as they are outweighed in the end.
    """
    if not spec.priors.all_flat or (spec.schema.has_intercept and not spec.priors.flat_intercept):
        return False
    design = spec.distinct
    logits = spec.logits.at(parameters)(design.X)[:, :, 0].T
    if design.available is not None:
        logits = np.where(design.available, logits, -np.inf)
    counts = design.dense_counts()
    own = np.where(counts > 0, logits, np.inf).min(axis=1)
    others: FloatArray = np.where(counts > 0, -np.inf, logits).max(axis=1)
    alone = (counts > 0).sum(axis=1) <= 1
    return bool((alone & (own > others)).all())
