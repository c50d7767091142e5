"""How the maximisation of a marginal density ended, in words: with variances of zero, or without a maximum."""

import numpy as np

from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray, Status
from bayes_softmax.density.groups.marginal import MarginalPosterior
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.fitting.advice import collinearity_notes
from bayes_softmax.fitting.groups import level_rows
from bayes_softmax.inference.redundant import RedundantMode
from bayes_softmax.separation.diagnosis import diagnose_separation
from bayes_softmax.separation.examination import Examination
from bayes_softmax.spec.groups.structure import GroupEffects
from bayes_softmax.spec.specification import Specification

ZERO = 1e-8  # of a variance, relative to the largest, or to one over the square of its term's size
LARGE = 400.0  # a variance, in logits, beyond which quadrature fails and it seems to grow without end


def status_of(
    spec: Specification, density: MarginalPosterior, mode: RedundantMode, found: Examination | None, kind: str
) -> str:
    """The certificate in words; or why there is none, and what to do."""
    if mode.converged:
        zero = boundary(spec, density, mode.theta)
        return f"{mode.status.value}, on the boundary" if zero else mode.status.value
    told = _advice(spec, density, mode, found, kind)
    return f"not certified: {told}" if mode.status is Status.UNBOUNDED else f"{mode.status.value}; {told}"


def boundary(spec: Specification, density: MarginalPosterior, point: FloatArray) -> tuple[str, ...]:
    """Which variances of effects are zero, and which effects are perfectly correlated: a sentence for each grouping."""
    sentences = []
    rows = level_rows(spec, density.design)
    for effects, sigma, levels in zip(spec.groups, density.sigmas(point), rows, strict=True):
        scale = np.repeat(np.sqrt((levels.terms**2).mean(axis=0)), len(sigma) // effects.n_terms)
        scaled = sigma * scale * scale[:, None]
        zero = _zero_terms(effects, scaled)
        if zero:
            which = f"the sd of {listed(zero)} is zero" if len(zero) == 1 else f"the sds of {listed(zero)} are zero"
            sentences.append(f"on the boundary: {which} over the levels of {effects.name}")
        kept = np.diag(scaled) > ZERO
        values = np.linalg.eigvalsh(scaled[np.ix_(kept, kept)]) if kept.any() else np.ones(1)
        if values[0] < ZERO * values[-1]:
            sentences.append(
                f"on the boundary: a combination of the effects of {effects.name} has variance zero, as where they are "
                "perfectly correlated"
            )
    return tuple(sentences)


def single_notes(spec: Specification, density: MarginalPosterior) -> tuple[str, ...]:
    """The groupings of which every level has one observation."""
    pairs = zip(spec.groups, level_rows(spec, density.design), strict=True)
    return tuple(
        f"every level of {effects.name} has one observation, from which its variance is hardly determined"
        for effects, rows in pairs
        if _single(density, rows)
    )


def _single(density: MarginalPosterior, rows: LevelRows) -> bool:
    """Whether no level has more than one observation."""
    return bool(np.bincount(rows.codes, density.design.totals).max() <= 1.0)


def _zero_terms(effects: GroupEffects, scaled: FloatArray) -> list[str]:
    """The terms that do not vary over the levels."""
    variances = np.diag(scaled).reshape(effects.n_terms, -1)
    return [name for name, own in zip(effects.grouping.terms, variances, strict=True) if (own <= ZERO).all()]


def _advice(
    spec: Specification, density: MarginalPosterior, mode: RedundantMode, found: Examination | None, kind: str
) -> str:
    """Why a maximum is not certified, and what to do."""
    then = "; map() has priors to decide" if kind == "mle" else ""
    separated = None if found is None else diagnose_separation(found).advice
    if separated is not None:
        return separated + then
    if mode.status is Status.MAX_ITERATIONS:
        return "raise max_iterations"
    if not np.isfinite(mode.value):
        return "the log density is not finite where the search began, with very large offsets"
    if collinearity_notes(spec, found):
        return f"features are nearly collinear{then}"
    for effects, sigma, rows in zip(
        spec.groups, density.sigmas(mode.theta), level_rows(spec, density.design), strict=True
    ):
        if _single(density, rows):
            return f"every level of {effects.name} has one observation, from which its variance is not determined{then}"
        if np.diag(sigma).max() > LARGE:
            return (
                f"the variance of {effects.name} grows without end, as it does where levels have only one class each, "
                f"whose effects are not bounded, or where offsets are very large{then}"
            )
    return f"the data hardly determine the variances of the effects{then}; sample() shows what they leave open"
