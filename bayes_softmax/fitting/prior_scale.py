"""Entry point of the choice of a prior's scale: what has no Laplace evidence is refused, then the search is loaded."""

from bayes_softmax.core.checks import listed, shown
from bayes_softmax.core.interrupts import load_in_full
from bayes_softmax.spec.custom.refusals import refuse_custom
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.linear import LINEAR
from bayes_softmax.spec.rescaled import refuse_unscaled
from bayes_softmax.spec.specification import Specification


def with_best_scale(spec: Specification) -> Specification:
    """The model with the scale of its weights' priors that maximises the Laplace evidence."""
    _refuse(spec)
    load_in_full("bayes_softmax.fitting.evidence")
    from bayes_softmax.fitting.evidence import choose_scale

    return choose_scale(spec)


def _refuse(spec: Specification) -> None:
    """Raise where the Laplace evidence does not exist, or is not a function of one scale."""
    refuse_custom(spec.logits, "choose_prior_scale()")
    if spec.logits.compiled != LINEAR:
        raise ValueError(
            f"choose_prior_scale() is for linear logits, and those of this model are of kind {shown(spec.logits.kind)}"
        )
    priors = spec.priors
    if not len(priors.features.family):
        raise ValueError("choose_prior_scale(): the model has no features, so no weights whose scale could be chosen")
    if priors.learns_scales:
        raise ValueError(
            f"choose_prior_scale(): {priors.learned[0].prior} learns its scale already; sample() gives its posterior"
        )
    refuse_unscaled(priors)
    kinked = registry.that_are(priors.features.family, "kinked")
    if kinked.any():
        names = [name for name, kink in zip(spec.schema.feature_names, kinked.tolist(), strict=True) if kink]
        raise ValueError(
            f"choose_prior_scale(): the prior of {listed(names)} has a kink at zero, where weights of the mode come to "
            "rest and Laplace's approximation does not hold; use Normal priors, or cross-validation"
        )
