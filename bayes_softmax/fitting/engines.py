"""Engines that draw from a posterior, by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.checks import check_between, check_choice
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.data.observations import Observations
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells
from bayes_softmax.fitting.hierarchy import sample_hierarchy
from bayes_softmax.fitting.pymc import TITLE, sample_pymc
from bayes_softmax.fitting.sampling import sample_auto, sample_independence, sample_nuts
from bayes_softmax.fitting.settings import SamplerSettings
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.custom.refusals import refuse_engine
from bayes_softmax.spec.specification import Specification

REFIT_SEED = 1
ONLY_PYMC = "logits by a function of your own are known to PyMC alone"


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


def check_engine(engine: str, target_accept: float | None) -> None:
    """Raise for an unknown engine, or for a setting that it does not have."""
    check_choice("engine", engine, tuple(ENGINES))
    if target_accept is not None:
        check_between("target_accept", target_accept, 0.0, 1.0)
    if target_accept is not None and not ENGINES[engine].has_step_size:
        raise ValueError(f"target_accept is for NUTS; engine={engine!r} has no step size")


def sample(spec: Specification, settings: SamplerSettings, engine: str) -> PosteriorDraws:
    """Draw from the posterior by the named engine; the result can be refitted without an observation."""
    again = partial(sample_again, spec, settings, engine)
    if spec.logits.kind == CUSTOM:
        drawn = _by_pymc_alone(spec, settings, engine)
        return replace(drawn, refit=partial(refit_without, spec, settings=settings), refit_cells=again)
    chosen = ENGINES[engine]
    run = chosen.learned if spec.priors.learns_scales else chosen.fixed
    return replace(run(spec, settings), refit=partial(refit_without, spec), refit_cells=again)


def _by_pymc_alone(spec: Specification, settings: SamplerSettings, engine: str) -> PosteriorDraws:
    """Draws of a model that only PyMC knows."""
    refuse_engine(engine)
    return sample_pymc(spec, settings, TITLE if engine == "pymc" else f"{TITLE}; {ONLY_PYMC}")


def sample_again(
    spec: Specification, settings: SamplerSettings, engine: str, cells: Cells, seed: int
) -> PosteriorDraws:
    """Draw by the same engine and settings from the posterior of other numbers of the observations."""
    return complete(sample(with_cells(spec, cells), settings._replace(seed=seed, progressbar=False), engine))


def refit_without(spec: Specification, row: int, code: int, settings: SamplerSettings | None = None) -> PosteriorDraws:
    """Posterior of the same model, priors included, without one observation of class ``code`` in a distinct row.

    ``settings`` are those of the fit, by default the usual ones.
    """
    design = spec.distinct
    counts = design.dense_counts().copy()
    counts[row, code] -= 1.0
    response = replace(design.response, codes=None, counts=counts)
    without = replace(spec, rows=Observations(replace(design, response=response, weights=None), collapse=False))
    return complete(
        sample(without, (settings or SamplerSettings())._replace(seed=REFIT_SEED, progressbar=False), "auto")
    )
