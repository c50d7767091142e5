"""Laplace approximations, by the kind of logits."""

from collections.abc import Callable

from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.network_laplace import sample_network
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.weighted import sample_weighted
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import Specification

KINDS: dict[str, Callable[[Specification, LaplaceSettings], PosteriorDraws]] = {NETWORK: sample_network}


def sample_laplace(spec: Specification, settings: LaplaceSettings) -> PosteriorDraws:
    """Draws from the Laplace approximation of a model."""
    return KINDS.get(spec.logits.kind, sample_weighted)(spec, settings)
