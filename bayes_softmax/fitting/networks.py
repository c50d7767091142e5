"""From the specification of a network to its compiled density."""

from bayes_softmax.density.network.posterior import NetworkPosterior, build_network_posterior
from bayes_softmax.spec.network.logits import NetworkLogits
from bayes_softmax.spec.specification import Specification


def network_density(spec: Specification) -> NetworkPosterior:
    """The compiled log posterior of the distinct rows, in the free coordinates of the network."""
    if not isinstance(spec.logits, NetworkLogits):
        raise TypeError(f"logits of kind {spec.logits.kind!r} are not those of a network")
    return build_network_posterior(spec.distinct, spec.network_coordinates, spec.logits.activation, spec.priors)
