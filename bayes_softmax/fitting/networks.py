"""From the specification of a network to its compiled density, and to its modes."""

import itertools

import numpy as np

from bayes_softmax.core.checks import check_counts
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.network.posterior import NetworkPosterior, build_network_posterior
from bayes_softmax.inference.restarts import MAX_ITERATIONS, Restarts, lbfgs_restarts
from bayes_softmax.spec.families import registry
from bayes_softmax.spec.network.activations import KINKED
from bayes_softmax.spec.network.hidden import NetworkCoordinates
from bayes_softmax.spec.network.logits import NetworkLogits
from bayes_softmax.spec.specification import Specification


def network_density(spec: Specification) -> NetworkPosterior:
    """The compiled log posterior of the distinct rows, in the free coordinates of the network."""
    if not isinstance(spec.logits, NetworkLogits):
        raise TypeError(f"logits of kind {spec.logits.kind!r} are not those of a network")
    return build_network_posterior(spec.distinct, spec.network_coordinates, spec.logits.activation, spec.priors)


def network_modes(
    spec: Specification, restarts: int, rng: np.random.Generator, max_iterations: int = MAX_ITERATIONS
) -> Restarts:
    """Modes of the log posterior, found from random starts; with flat priors those of the likelihood."""
    check_counts(restarts=restarts, max_iterations=max_iterations)
    density = smooth_density(spec)
    return modes_from(spec, density, random_starts(density.coordinates, restarts, rng), max_iterations)


def smooth_density(spec: Specification) -> NetworkPosterior:
    """The compiled log posterior; raises where a prior has a kink."""
    if registry.that_are(spec.priors.features.family, "kinked").any():
        raise ValueError(
            "a Laplace prior has a kink at zero, for which L-BFGS is no method: give the last layer of a network "
            "Normal or StudentT"
        )
    return network_density(spec)


def modes_from(
    spec: Specification, density: NetworkPosterior, starts: FloatArray, max_iterations: int = MAX_ITERATIONS
) -> Restarts:
    """Where L-BFGS ends from each of ``starts`` (R, d), in units of the priors' scales."""
    evaluate = density.value_gradient if len(starts) == 1 else density.value_gradient_on_one_thread
    return lbfgs_restarts(
        evaluate, starts, density.total_weight, max_iterations, kinked=has_kinks(spec), unit=unit_of(density)
    )


def unit_of(density: NetworkPosterior) -> FloatArray:
    """The scale of each coordinate's prior (d,), one where it is flat."""
    return density.prior_scales(np.zeros(density.dimension))


def has_kinks(spec: Specification) -> bool:
    """Whether the log density has no gradient where a hidden unit is zero."""
    return isinstance(spec.logits, NetworkLogits) and spec.logits.activation in KINKED


def random_start(coordinates: NetworkCoordinates, rng: np.random.Generator) -> FloatArray:
    """Normal weights of variance one over the fan-in, and biases of zero: pre-activations then have size one."""
    hidden, last, parts = coordinates.hidden, coordinates.last, []
    for fan_in, units in itertools.pairwise(hidden.sizes):
        weights = rng.normal(size=(units, fan_in)) / max(fan_in, 1) ** 0.5
        parts.append(np.column_stack([np.zeros(units), weights]).ravel())
    of_last = rng.normal(size=last.dimension) / max(hidden.n_inputs, 1) ** 0.5
    if last.has_intercept:
        intercepts, _ = last.split(np.arange(last.dimension))
        of_last[intercepts] = 0.0
    return np.concatenate([*parts, of_last])


def random_starts(coordinates: NetworkCoordinates, n: int, rng: np.random.Generator) -> FloatArray:
    """Several of these, (n, d)."""
    return np.array([random_start(coordinates, rng) for _ in range(n)])
