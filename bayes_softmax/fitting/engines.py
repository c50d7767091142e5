"""Engines that draw from a posterior, by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.checks import check_between, check_choice, listed
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells, without_one
from bayes_softmax.fitting.custom import sample_custom
from bayes_softmax.fitting.group_sampling import sample_groups
from bayes_softmax.fitting.hierarchy import sample_hierarchy
from bayes_softmax.fitting.last_layer import sample_last_layer
from bayes_softmax.fitting.learned_layers import sample_learned_layers
from bayes_softmax.fitting.network_sampling import sample_all_layers
from bayes_softmax.fitting.pymc import sample_pymc
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.sampling import sample_auto, sample_independence, sample_nuts, sample_subsampled
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.fitting.streamed import notes_on_passes, passes_so_far, refuse_learned_scales_in_passes
from bayes_softmax.spec.custom.logits import CUSTOM
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


def _no_sample_of_rows(spec: Specification, settings: SamplerSettings) -> PosteriorDraws:
    """Raise, as the density of learned scales is that of all rows."""
    raise ValueError(
        "engine='subsampled' is for priors with fixed scales; leave engine at 'auto' where they are learned"
    )


ENGINES = {
    "auto": Engine(sample_auto, sample_hierarchy),
    "nuts": Engine(sample_nuts, sample_hierarchy),
    "independence": Engine(sample_independence, _hierarchy_instead, has_step_size=False),
    "subsampled": Engine(sample_subsampled, _no_sample_of_rows, has_step_size=False),
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
# Engines of models with group-level effects.
GROUP_ENGINES: dict[str, Callable[[Specification, SamplerSettings], PosteriorDraws]] = {
    "auto": sample_groups,
    "nuts": sample_groups,
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
    if spec.groups:
        return replace(_sample_groups(spec, settings, engine), refit_cells=again)
    if spec.logits.kind == CUSTOM:
        return replace(sample_custom(spec, settings, engine), refit_cells=again)
    drawn = _sample_linear(spec, settings, engine)
    return replace(drawn, refit=partial(refit_without, spec), refit_cells=again)


def _sample_groups(spec: Specification, settings: SamplerSettings, engine: str) -> PosteriorDraws:
    """Draw weights, effects of levels and their covariances."""
    if engine not in GROUP_ENGINES:
        raise ValueError(f"engine={engine!r} is not for models with groups, which have {listed(GROUP_ENGINES)}")
    refit = partial(_refit_groups, spec, settings._replace(seed=REFIT_SEED, progressbar=False), engine)
    return replace(GROUP_ENGINES[engine](spec, settings), refit=refit)


def _refit_groups(spec: Specification, settings: SamplerSettings, engine: str, row: int, code: int) -> PosteriorDraws:
    """Posterior of weights, effects and covariances without one observation, by the same engine and settings."""
    return complete(_sample_groups(without_one(spec, row, code), settings, engine))


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
    refuse_learned_scales_in_passes(spec)
    before = passes_so_far(spec)
    drawn = run(spec, settings)
    return replace(drawn, notes=(*drawn.notes, *notes_on_passes(spec, before)))


def _sample_network(
    spec: Specification, settings: SamplerSettings, engine: str, layers: str | None, starts: int
) -> PosteriorDraws:
    """Draw all layers of a network, or the last."""
    refit = partial(_refit_network, spec, settings._replace(seed=REFIT_SEED, progressbar=False), engine)
    if spec.learns_scales:
        if layers == "last":
            refuse_learned_scales(spec, "sample(layers='last')")
        check_choice("layers", layers or "all", LAYERS)
        check_choice("engine", engine, tuple(LEARNED_LAYERS))
        return replace(LEARNED_LAYERS[engine](spec, settings), refit=refit)
    layers, why = _chosen_layers(spec, engine, layers)
    if layers == "last":
        return sample_last_layer(spec, partial(_sample_linear, settings=settings, engine=engine), starts, why)
    if engine not in ALL_LAYERS:
        raise ValueError(
            f"engine={engine!r} draws linear logits, as the last layer of a network: for layers='all' use "
            f"{listed(ALL_LAYERS)}, or else layers='last'"
        )
    drawn = ALL_LAYERS[engine](spec, settings)
    return replace(drawn, engine=f"{drawn.engine}{why}", refit=refit)


def _chosen_layers(spec: Specification, engine: str, layers: str | None) -> tuple[str, str]:
    """``"last"`` or ``"all"``, and why, as the end of a sentence, where nobody asked for it."""
    if layers is not None:
        check_choice("layers", layers, LAYERS)
        return layers, ""
    d = spec.network_coordinates.dimension
    if d > MOST_COEFFICIENTS:
        return "last", f", since its {d} coefficients are more than {MOST_COEFFICIENTS} (layers='all' draws them all)"
    if engine not in ALL_LAYERS:
        return "last", f", since engine={engine!r} draws linear logits"
    return "all", f"; all {d} coefficients, since they are at most {MOST_COEFFICIENTS}"


def _refit_network(spec: Specification, settings: SamplerSettings, engine: str, row: int, code: int) -> PosteriorDraws:
    """Posterior of all layers without one observation, by the same engine and settings."""
    return complete(sample(without_one(spec, row, code), settings, engine, "all"))


def sample_again(
    spec: Specification, settings: SamplerSettings, engine: str, layers: str | None, cells: Cells, seed: int
) -> PosteriorDraws:
    """Draw by the same engine and settings from the posterior of other numbers of the observations."""
    return complete(sample(with_cells(spec, cells), settings._replace(seed=seed, progressbar=False), engine, layers))


def refit_without(spec: Specification, row: int, code: int) -> PosteriorDraws:
    """Posterior of the same model, priors included, without one observation of class ``code`` in a distinct row."""
    return complete(sample(without_one(spec, row, code), SamplerSettings(seed=REFIT_SEED), "auto"))
