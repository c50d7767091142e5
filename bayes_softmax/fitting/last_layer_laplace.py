"""The Laplace approximation of a network's last layer, a linear model, with hidden layers held at the MAP."""

import time
from dataclasses import replace
from functools import partial

from bayes_softmax.answers.probabilities import HasLogits, ThinnedDraws
from bayes_softmax.answers.training import Cells
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.records import RELIABLE_PARETO_K
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells, without_one
from bayes_softmax.fitting.beside_map import Beside, held_out, with_note
from bayes_softmax.fitting.kronecker_layer import kronecker_last_layer
from bayes_softmax.fitting.last_layer import given_hidden, hidden_of
from bayes_softmax.fitting.network_laplace import Mode, find_mode
from bayes_softmax.fitting.settings import LaplaceSettings
from bayes_softmax.fitting.weighted import weighted_draws
from bayes_softmax.inference.certificate import DENSE_DIMENSION
from bayes_softmax.spec.specification import Specification


def sample_last(spec: Specification, settings: LaplaceSettings, *, measured: bool = True) -> PosteriorDraws:
    """Draw the last layer, by the linear model's own approximation where a matrix of its curvature is formed.

    With ``measured`` the result notes its log loss beside that of the MAP.
    """
    with blas_on_one_thread():
        start = time.perf_counter()
        mode = find_mode(spec, settings.starts)
        seconds = time.perf_counter() - start
        posterior = _given_mode(spec, mode, settings)
        if measured:
            posterior = with_note(posterior, _measured(spec, settings), "laplace()")
    if posterior.pareto_k is not None and not posterior.pareto_k <= RELIABLE_PARETO_K:
        how = "" if _is_small(spec) else ", and the draws were left as those of the normal approximation"
        warn_caller(
            f"laplace() is not reliable here: Pareto k is {posterior.pareto_k:.2f}, above {RELIABLE_PARETO_K}{how}; "
            "run model.sample(layers='last') instead",
            NotReliableWarning,
        )
    timings = {**posterior.timings, "hidden layers": seconds}
    refit = partial(_without, spec, mode, settings)
    return replace(posterior, timings=timings, refit=refit, refit_cells=partial(_again, spec, settings))


def _is_small(spec: Specification) -> bool:
    """Whether a matrix of the last layer's curvature is formed."""
    return spec.coordinates.dimension <= DENSE_DIMENSION


def _given_mode(spec: Specification, mode: Mode, settings: LaplaceSettings) -> PosteriorDraws:
    hidden = hidden_of(spec, mode.theta)
    if _is_small(spec):
        settings_of_run = settings.draws, settings.seed, settings.progressbar
        return given_hidden(spec, hidden, lambda linear: weighted_draws(linear, *settings_of_run))
    start = spec.network_coordinates.hidden.dimension
    return kronecker_last_layer(spec, hidden, mode.theta[start:], settings)


def _measured(spec: Specification, settings: LaplaceSettings) -> Beside | None:
    """Log loss beside the MAP's on rows held out; None for a large last layer, whose refit takes too long."""
    if not _is_small(spec):
        return None

    def refit(without: Specification) -> tuple[HasLogits, HasLogits]:
        mode = find_mode(without, settings.starts)
        drawn = _given_mode(without, mode, settings._replace(progressbar=False))
        return drawn, ThinnedDraws(spec.logits, mode.parameters)

    return held_out(spec, refit, settings.seed)


def _without(spec: Specification, mode: Mode, settings: LaplaceSettings, row: int, code: int) -> PosteriorDraws:
    """Draws of the last layer without one observation; unless it is large, hidden layers stay as they are."""
    without, own = without_one(spec, row, code), settings._replace(progressbar=False)
    if _is_small(spec):
        return complete(_given_mode(without, mode, own))
    return complete(sample_last(without, own, measured=False))  # whose mode is that of all layers


def _again(spec: Specification, settings: LaplaceSettings, cells: Cells, seed: int) -> PosteriorDraws:
    """The same approximation of the posterior of other numbers of the observations."""
    own = settings._replace(seed=seed, progressbar=False)
    return complete(sample_last(with_cells(spec, cells), own, measured=False))
