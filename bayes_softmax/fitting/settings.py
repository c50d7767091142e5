"""Settings of a sampling run, and their checks before any work begins."""

from typing import NamedTuple

from bayes_softmax.core.checks import check_between, check_choice, check_counts, check_counts_or_none, check_flags
from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.memory import refuse_beyond_memory
from bayes_softmax.core.parameters import size_of
from bayes_softmax.fits.forecast import draws_bytes
from bayes_softmax.spec.custom.logits import CUSTOM
from bayes_softmax.spec.linear import INTERCEPT, WEIGHTS
from bayes_softmax.spec.network.logits import SKIP
from bayes_softmax.spec.specification import Specification

STEP_BYTES = 280.0  # statistics that nutpie keeps per step, tuning included; measured
FEWEST_WEIGHTS = 100
ANNOUNCED_BYTES = 256 * 2**20  # draws of effects beyond it are announced
STRUCTURES, PREDICTIVES = ("last-layer", "full", "kron"), ("glm", "mc")


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


class LaplaceSettings(NamedTuple):
    """Settings of the Laplace approximation; None of ``structure`` and ``predictive`` stands for the default.

    ``rows`` are those from which weights are estimated, None for all of them.
    ``starts`` is the seed of the random starts of a network's mode.
    """

    draws: int = 4000
    structure: str | None = None
    predictive: str | None = None
    seed: int = 0
    starts: int = 0
    progressbar: bool = False
    rows: int | None = None
    max_error: float | None = None


def check_laplace(settings: LaplaceSettings) -> None:
    """Raise for unknown choices, and for too few draws for a diagnosis of their importance weights."""
    check_counts(draws=settings.draws)
    check_counts_or_none(rows=settings.rows)
    check_flags(progressbar=settings.progressbar)
    if settings.max_error is not None:
        check_between("max_error", settings.max_error, 0.0, 1.0)
    for name, allowed in (("structure", STRUCTURES), ("predictive", PREDICTIVES)):
        if (value := getattr(settings, name)) is not None:
            check_choice(name, value, allowed)
    if settings.draws < FEWEST_WEIGHTS:
        raise ValueError(f"draws={settings.draws} must be at least {FEWEST_WEIGHTS}: fewer weights cannot be judged")


def refuse_too_many(
    spec: Specification, method: str, chains: int, draws: int, tune: int = 0, *, whole_network: bool = False
) -> None:
    """Raise if the draws would not fit into memory; of a network those of the last layer, or of all."""
    shapes = spec.logits.shapes
    whole = (whole_network and spec.hidden is not None) or spec.logits.kind == CUSTOM
    if spec.logits.kind == CUSTOM:
        dimension = sampled = size_of(shapes)
    elif spec.groups:
        dimension = sampled = spec.coordinates.dimension + sum(effects.dimension for effects in spec.groups)
        whole = True
    else:
        dimension = sampled = (spec.network_coordinates if whole else spec.coordinates).dimension
        if spec.hidden is None:  # with more features than rows, the row space of the features is sampled
            rows = spec.rows.n_obs if spec.streamed is not None else spec.distinct.n_obs
            sampled = min(dimension, (rows + 1) * spec.summary.n_classes)
    drawn = shapes if whole else {name: shape for name, shape in shapes.items() if name in (INTERCEPT, WEIGHTS, SKIP)}
    size = draws_bytes(chains * draws, dimension, size_of(drawn))
    size += chains * (tune + draws) * (8.0 * sampled + STEP_BYTES)
    asked = {"draws": draws, "chains": chains, "tune": tune}
    shown = ", ".join(f"{name}={n}" for name, n in asked.items() if name == "draws" or n > 1)
    refuse_beyond_memory(f"the draws of {method}({shown})", size, "ask for fewer draws, chains or tuning steps")
    if spec.groups and size > ANNOUNCED_BYTES:
        LOGGER.info(f"{chains * draws:,} draws of {sampled:,} weights and effects: up to {size / 2**30:.1f} GiB")
