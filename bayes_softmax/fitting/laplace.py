"""Laplace approximations, by the kind of logits and the structure of a network's curvature."""

from collections.abc import Callable

from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.group_laplace import sample_group_laplace
from bayes_softmax.fitting.last_layer_laplace import sample_last
from bayes_softmax.fitting.network_laplace import STRUCTURES, sample_all_layers
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.weighted import sample_laplace
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import Specification

type Sample = Callable[[Specification, LaplaceSettings], PosteriorDraws]

OF_NETWORK: dict[str, Sample] = {"last-layer": sample_last, **dict.fromkeys(STRUCTURES, sample_all_layers)}


def laplace_draws(spec: Specification, settings: LaplaceSettings) -> PosteriorDraws:
    """Draws from the Laplace approximation of a model; all weights of a network only where they were asked for."""
    refuse_learned_scales(spec, "laplace()")
    if spec.logits.kind == NETWORK:
        return OF_NETWORK[settings.structure or "last-layer"](spec, settings)
    if settings.structure == "kron":
        raise ValueError(
            "structure='kron' is for the logits of a network; linear logits are one layer, for which laplace() has one "
            "approximation: leave structure at None"
        )
    if spec.groups:
        return sample_group_laplace(spec, settings)
    return sample_laplace(spec, settings.draws, settings.seed, settings.progressbar)
