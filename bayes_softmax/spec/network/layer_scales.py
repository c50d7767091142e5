"""Prior standard deviations of a network's parameters, each as one number, for tables that outlive the priors."""

from dataclasses import replace

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.logits import SKIP, hidden_names
from bayes_softmax.spec.prior_draws import prior_sds
from bayes_softmax.spec.specification import Specification


def with_layer_sds(spec: Specification) -> Specification:
    """The same model of a network, with a schema that has the prior standard deviations of its layers.

    Call it after any change of the priors; of linear logits nothing changes.
    """
    if spec.hidden is None:
        return spec
    return replace(spec, schema=replace(spec.schema, prior_sd=(), layer_sd=layer_sds(spec)))


def layer_sds(spec: Specification) -> tuple[tuple[str, float | None], ...]:
    """Root mean square over the entries of each parameter, by name; None where it is infinite.

    Of the last layer, and of the features in it, they are those of free coordinates; features count per standard
    deviation.  The intercept's is that at units of zero and, with ``skip``, at features of zero.
    """
    hidden, last = spec.hidden, spec.coordinates
    assert hidden is not None
    found: dict[str, float] = {}
    for layer, scale in enumerate(hidden.scales, 1):
        weights, bias = hidden_names(layer)
        found |= {weights: _rms(scale[1:]), bias: float(scale[0])}
    raw = [np.inf if sd is None else sd for sd in prior_sds(spec.priors, last.centre, last.n_classes)]
    inputs = np.array(raw[1:]) * last.scale
    if spec.schema.has_intercept:
        found[INTERCEPT] = raw[0]
    found[WEIGHTS] = _rms(inputs[: hidden.n_units])
    if hidden.skip:
        found[SKIP] = _rms(inputs[hidden.n_units :])
    learned = {layer.name for layer in hidden.learned}  # whose scales are no numbers
    return tuple(
        (name, sd if np.isfinite(sd) else None)
        for name, sd in found.items()
        if name.removesuffix("_bias") not in learned
    )


def _rms(values: FloatArray) -> float:
    """Root mean square; zero of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
