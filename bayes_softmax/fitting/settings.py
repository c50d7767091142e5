"""Settings of a sampling run, and their checks before any work begins."""

from typing import NamedTuple

from bayes_softmax.core.checks import check_counts, check_counts_or_none, check_flags
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.parameters import size_of
from bayes_softmax.fits.forecast import draws_bytes
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.specification import Specification

STEP_BYTES = 280.0  # statistics that nutpie keeps per step, tuning included; measured
FEWEST_WEIGHTS = 100


class SamplerSettings(NamedTuple):
    """Settings of a sampling run; None stands for the engine's default."""

    draws: int = 1000
    tune: int | None = None
    chains: int = 4
    cores: int | None = None
    seed: int = 0
    target_accept: float | None = None
    progressbar: bool = False


def check_run(settings: SamplerSettings) -> None:
    """Raise for invalid numbers of draws, chains or cores."""
    check_counts(draws=settings.draws, chains=settings.chains)
    check_counts_or_none(tune=settings.tune, cores=settings.cores)
    check_flags(progressbar=settings.progressbar)


def check_weighted_run(draws: int, *, progressbar: bool) -> None:
    """Raise for too few draws for a diagnosis of their importance weights."""
    check_counts(draws=draws)
    check_flags(progressbar=progressbar)
    if draws < FEWEST_WEIGHTS:
        raise ValueError(f"draws={draws} must be at least {FEWEST_WEIGHTS}: fewer weights cannot be judged")


def refuse_too_many(spec: Specification, method: str, chains: int, draws: int, tune: int = 0) -> None:
    """Raise if the draws would not fit into memory."""
    if spec.logits.kind == CUSTOM:
        size = chains * (tune + draws) * (8.0 * size_of(spec.logits.shapes) + STEP_BYTES)
        _refuse(method, size, draws=draws, chains=chains, tune=tune)
        return
    coordinates, K = spec.coordinates, spec.design.n_classes
    # With more features than rows, the row space of the features is sampled.
    sampled = min(coordinates.dimension, (spec.distinct.n_obs + 1) * K)
    size = draws_bytes(chains * draws, coordinates.dimension, spec.design.n_features, K)
    size += chains * (tune + draws) * (8.0 * sampled + STEP_BYTES)
    _refuse(method, size, draws=draws, chains=chains, tune=tune)


def _refuse(method: str, size: float, **asked: int) -> None:
    """Raise if so many bytes do not fit."""
    shown = ", ".join(f"{name}={n}" for name, n in asked.items() if name == "draws" or n > 1)
    refuse_beyond_memory(f"the draws of {method}({shown})", size, "ask for fewer draws, chains or tuning steps")
