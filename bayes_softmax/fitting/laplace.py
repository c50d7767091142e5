"""Laplace approximations, by the kind of logits and the structure of a network's curvature."""

from collections.abc import Callable

from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.group_laplace import sample_group_laplace
from bayes_softmax.fitting.last_layer_laplace import sample_last
from bayes_softmax.fitting.network_laplace import STRUCTURES, sample_all_layers
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.subsampled import FIRST_ROWS, MAX_ERROR, RowChoice
from bayes_softmax.fitting.weighted import sample_laplace
from bayes_softmax.spec.linear import LINEAR
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import Specification


def subsampling_of(settings: LaplaceSettings) -> RowChoice | None:
    """The rows to begin with and the bound of their error; None where neither was given."""
    if settings.rows is None and settings.max_error is None:
        return None
    return RowChoice(settings.rows or FIRST_ROWS, settings.max_error or MAX_ERROR)


type Sample = Callable[[Specification, LaplaceSettings], PosteriorDraws]

OF_NETWORK: dict[str, Sample] = {"last-layer": sample_last, **dict.fromkeys(STRUCTURES, sample_all_layers)}


def laplace_draws(spec: Specification, settings: LaplaceSettings) -> PosteriorDraws:
    """Draws from the Laplace approximation of a model; all weights of a network only where they were asked for."""
    refuse_learned_scales(spec, "laplace()")
    if settings.rows is not None and (spec.logits.kind != LINEAR):
        raise ValueError(
            f"rows={settings.rows} is for linear logits, and those of this model are of kind {spec.logits.kind!r}: "
            "leave rows at None"
        )
    if settings.max_error is not None and settings.rows is None and spec.streamed is None:
        raise ValueError(
            f"max_error={settings.max_error:g} is the bound of an error that estimates from a sample of the rows have: "
            "pass rows too, as in laplace(rows=10_000)"
        )
    if spec.logits.kind == NETWORK:
        return OF_NETWORK[settings.structure or "last-layer"](spec, settings)
    if settings.structure == "kron":
        raise ValueError(
            "structure='kron' is for the logits of a network; linear logits are one layer, for which laplace() has one "
            "approximation: leave structure at None"
        )
    if spec.groups:
        return sample_group_laplace(spec, settings)
    return sample_laplace(spec, settings.draws, settings.seed, settings.progressbar, subsampling_of(settings))
