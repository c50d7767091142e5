"""Engines that draw from a posterior, by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.checks import check_between, check_choice
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells, without_one
from bayes_softmax.fitting.hierarchy import sample_hierarchy
from bayes_softmax.fitting.last_layer import sample_last_layer
from bayes_softmax.fitting.learned_layers import sample_learned_layers
from bayes_softmax.fitting.network_sampling import sample_all_layers
from bayes_softmax.fitting.pymc import sample_pymc
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.sampling import sample_auto, sample_independence, sample_nuts
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.spec.network.logits import NETWORK
from bayes_softmax.spec.specification import Specification

REFIT_SEED = 1


class Engine(NamedTuple):
    """A sampling method: its functions for models with fixed and with learned scales, and whether it takes steps."""

    fixed: Callable[[Specification, SamplerSettings], PosteriorDraws]
    learned: Callable[[Specification, SamplerSettings], PosteriorDraws]
    has_step_size: bool = True


def _hierarchy_instead(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """NUTS, with the warning of the independence sampler that it replaces."""
    reason = "with learned scales the posterior is far from a normal"
    warn_caller(f"engine='independence' is not reliable here: {reason}; NUTS was run", NotReliableWarning)
    return sample_hierarchy(spec, settings)


ENGINES = {
    "auto": Engine(sample_auto, sample_hierarchy),
    "nuts": Engine(sample_nuts, sample_hierarchy),
    "independence": Engine(sample_independence, _hierarchy_instead, has_step_size=False),
    "pymc": Engine(sample_pymc, sample_pymc),
}

# Engines that draw all layers of a network.
ALL_LAYERS: dict[str, Callable[[Specification, SamplerSettings], PosteriorDraws]] = {
    "auto": sample_all_layers,
    "nuts": sample_all_layers,
    "pymc": sample_pymc,
}
# The same where scales of layers are learned, with which all layers are drawn.
LEARNED_LAYERS: dict[str, Callable[[Specification, SamplerSettings], PosteriorDraws]] = {
    "auto": sample_learned_layers,
    "nuts": sample_learned_layers,
    "pymc": sample_pymc,
}
LAYERS = ("last", "all")
MOST_COEFFICIENTS = 500  # of which all are drawn, where layers are not named


def check_engine(engine: str, target_accept: float | None) -> None:
    """Raise for an unknown engine, or for a setting that it does not have."""
    check_choice("engine", engine, tuple(ENGINES))
    if target_accept is not None:
        check_between("target_accept", target_accept, 0.0, 1.0)
    if target_accept is not None and not ENGINES[engine].has_step_size:
        raise ValueError(f"target_accept is for NUTS; engine={engine!r} has no step size")


def sample(
    spec: Specification, settings: SamplerSettings, engine: str, layers: str | None = None, starts: int | None = None
) -> PosteriorDraws:
    """Draw from the posterior by the named engine; the result can be refitted without an observation.

    ``layers`` of a network: ``"all"``, or ``"last"`` with hidden layers held at a mode; None chooses.  ``starts`` is
    the seed of the random starts from which that mode is found; by default that of the draws.
    """
    again = partial(sample_again, spec, settings, engine, layers)
    if spec.logits.kind == NETWORK:
        chosen = settings.seed if starts is None else starts
        return replace(_sample_network(spec, settings, engine, layers, chosen), refit_cells=again)
    refuse_layers(spec, layers)
    drawn = _sample_linear(spec, settings, engine)
    return replace(drawn, refit=partial(refit_without, spec), refit_cells=again)


def refuse_layers(spec: Specification, layers: str | None) -> None:
    """Raise if layers were named though the logits have none."""
    if layers is not None:
        check_choice("layers", layers, LAYERS)
        raise ValueError(
            f"layers={layers!r} is for the logits of a network, and those of this model are of kind "
            f"{spec.logits.kind!r}: leave layers at None"
        )


def _sample_linear(spec: Specification, settings: SamplerSettings, engine: str) -> PosteriorDraws:
    chosen = ENGINES[engine]
    run = chosen.learned if spec.priors.learns_scales else chosen.fixed
    return run(spec, settings)


def _sample_network(
    spec: Specification, settings: SamplerSettings, engine: str, layers: str | None, starts: int
) -> PosteriorDraws:
    """Draw all layers of a network, or the last."""
    if layers is not None:
        check_choice("layers", layers, LAYERS)
    if spec.learns_scales:
        if layers == "last":
            refuse_learned_scales(spec, "sample(layers='last')")
        check_choice("engine", engine, tuple(LEARNED_LAYERS))
        return LEARNED_LAYERS[engine](spec, settings)
    d, why = spec.network_coordinates.dimension, ""
    if layers is None and d > MOST_COEFFICIENTS:
        layers = "last"
        why = f", since its {d} coefficients are more than {MOST_COEFFICIENTS} (layers='all' draws them all)"
    elif layers is None:
        layers = "all" if engine in ALL_LAYERS else "last"
    if layers == "last":
        return sample_last_layer(spec, lambda linear: _sample_linear(linear, settings, engine), starts, why)
    check_choice("engine", engine, tuple(ALL_LAYERS))
    return ALL_LAYERS[engine](spec, settings)


def sample_again(
    spec: Specification, settings: SamplerSettings, engine: str, layers: str | None, cells: Cells, seed: int
) -> PosteriorDraws:
    """Draw by the same engine and settings from the posterior of other numbers of the observations."""
    return complete(sample(with_cells(spec, cells), settings._replace(seed=seed, progressbar=False), engine, layers))


def refit_without(spec: Specification, row: int, code: int) -> PosteriorDraws:
    """Posterior of the same model, priors included, without one observation of class ``code`` in a distinct row."""
    return complete(sample(without_one(spec, row, code), SamplerSettings(seed=REFIT_SEED), "auto"))
