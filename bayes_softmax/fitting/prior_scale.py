"""Entry point of the choice of priors' scales: what has no Laplace evidence is refused, then the search is loaded."""

import numpy as np

from bayes_softmax.core.checks import check_counts, check_flags, listed
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.core.randomness import RandomNumbers, RandomSeed, seed_of
from bayes_softmax.spec.custom.refusals import refuse_custom
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.families.normal import NormalFamily
from bayes_softmax.spec.rescaled import layer_names, refuse_unscaled
from bayes_softmax.spec.specification import Specification

RESTARTS = 4


def with_best_scale(
    spec: Specification, restarts: int | None, random_seed: RandomSeed, rng: RandomNumbers, *, progressbar: bool
) -> Specification:
    """The model with the scales of its weights' priors that maximise the Laplace evidence.

    ``restarts`` and the seed are those of a network's modes; a linear model has one mode, and needs neither.
    """
    seed = seed_of(random_seed, rng)
    check_counts(restarts=RESTARTS if restarts is None else restarts)
    check_flags(progressbar=progressbar)
    return chosen_again(spec, seed, RESTARTS if restarts is None else restarts, progressbar=progressbar)


def chosen_again(
    spec: Specification, seed: int, restarts: int = RESTARTS, *, progressbar: bool = False
) -> Specification:
    """The same for a seed; from scales that were chosen before, the search goes on from these."""
    _refuse(spec)
    if spec.hidden is None:
        load_in_full("bayes_softmax.fitting.evidence")
        from bayes_softmax.fitting.evidence import choose_scale

        return choose_scale(spec)
    load_in_full("bayes_softmax.fitting.layer_evidence")
    from bayes_softmax.fitting.layer_evidence import choose_layer_scales

    return choose_layer_scales(spec, restarts, np.random.default_rng(seed), progressbar=progressbar)


def _refuse(spec: Specification) -> None:
    """Raise where the Laplace evidence does not exist, or is not a function of the scales."""
    refuse_custom(spec.logits, "choose_prior_scale()")
    priors = spec.priors
    if spec.groups:
        raise ValueError(
            "choose_prior_scale() is for models without groups, and this one has "
            f"{listed([effects.name for effects in spec.groups])}: compare kfold() of a few scales, or plots.map_path"
        )
    if not len(priors.features.family):
        raise ValueError("choose_prior_scale(): the model has no features, so no weights whose scale could be chosen")
    if spec.learns_scales:
        raise ValueError(
            f"choose_prior_scale(): {spec.learned_priors[0]} learns its scale already; sample() gives its posterior"
        )
    refuse_unscaled(priors)
    if spec.hidden is not None:
        _refuse_other_than_normal(spec)
        return
    kinked = registry.that_are(priors.features.family, "kinked")
    if kinked.any():
        names = [name for name, kink in zip(spec.schema.feature_names, kinked.tolist(), strict=True) if kink]
        raise ValueError(
            f"choose_prior_scale(): the prior of {listed(names)} has a kink at zero, where weights of the mode come to "
            "rest and Laplace's approximation does not hold; use Normal priors, or cross-validation"
        )


def _refuse_other_than_normal(spec: Specification) -> None:
    """Raise if a layer of a network has a prior that is not normal: its Gauss-Newton curvature is no Hessian then."""
    assert spec.hidden is not None
    normal = spec.priors.features.family == registry.code_of(NormalFamily)
    units = np.arange(len(normal)) < spec.hidden.n_units
    flat = [f"hidden_{layer}" for layer, scale in enumerate(spec.hidden.scales, 1) if not np.isfinite(scale).all()]
    flat += [name for name, rows in (("weights", units), ("skip", ~units)) if not normal[rows].all()]
    if flat:
        raise ValueError(
            f"choose_prior_scale() of a network needs Normal priors in every layer, and {listed(flat)} has another; "
            f"layers are {listed(layer_names(spec))}"
        )
