"""Draws from the Laplace approximation of linear logits, corrected and diagnosed by importance weights."""

import os
import time
from dataclasses import replace
from functools import partial

import numpy as np

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.errors import NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.subsample.posterior import SubsampledPosterior
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells
from bayes_softmax.fitting.engines import refit_without
from bayes_softmax.fitting.intercept_alone import warn_if_intercept_alone
from bayes_softmax.fitting.labelling import despite_interrupts
from bayes_softmax.fitting.progress import progress_bar
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.sampling import posterior_of, prepare
from bayes_softmax.fitting.settings import refuse_too_many
from bayes_softmax.fitting.streamed import batches_of, notes_on_passes, passes_so_far
from bayes_softmax.fitting.subsampled import RowChoice, refuse_subsampling, subsample_of, why_not_subsampled
from bayes_softmax.inference.importance import FEWEST_PROPOSALS, importance_sample, propose
from bayes_softmax.spec.specification import Specification

TITLE = "laplace (importance resampling of the Laplace approximation)"


def sample_laplace(
    spec: Specification, draws: int, seed: int, progressbar: bool, choice: RowChoice | None = None
) -> PosteriorDraws:
    """Equal-weight draws from the Laplace approximation, corrected and diagnosed by importance weights.

    The weights are those of all rows, or estimated from a sample of them.
    """
    with blas_on_one_thread():
        posterior = weighted_draws(spec, draws, seed, progressbar, choice)
    if posterior.pareto_k is not None and posterior.pareto_k > RELIABLE_PARETO_K:
        warn_caller(
            f"laplace() is not reliable here: Pareto k is {posterior.pareto_k:.2f}, above {RELIABLE_PARETO_K}; "
            "run model.sample() instead",
            NotReliableWarning,
        )
    notes = (*warn_if_intercept_alone(spec), *posterior.notes)
    return replace(
        posterior, notes=notes, refit=partial(refit_without, spec), refit_cells=partial(_again, spec, draws, choice)
    )


def _again(spec: Specification, draws: int, choice: RowChoice | None, cells: Cells, seed: int) -> PosteriorDraws:
    """As many draws from the posterior of other numbers of the observations."""
    return complete(sample_laplace(with_cells(spec, cells), draws, seed, progressbar=False, choice=choice))


def weighted_draws(
    spec: Specification, draws: int, seed: int, progressbar: bool, choice: RowChoice | None = None
) -> PosteriorDraws:
    """The same without warnings, and without what fits again."""
    refuse_learned_scales(spec, "laplace()")
    refuse_too_many(spec, "laplace", 1, draws)
    before = passes_so_far(spec)
    prepared = prepare(spec, rounded=False)
    density, title = prepared.problem.density, TITLE
    target: SoftmaxPosterior | SubsampledPosterior = density
    if choice is None and spec.streamed is not None and why_not_subsampled(prepared.problem) is None:
        choice = RowChoice()
    if choice is not None:
        refuse_subsampling(prepared.problem, "laplace(rows=)")
        found = subsample_of(spec, prepared.problem, prepared.whitening, seed, choice)
        target, title = found.density, f"{TITLE}; {found.in_words(density.likelihood.n_obs)}"
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    of_sample = target is not density
    batches = batches_of(spec, os.cpu_count() or 1, of_sample=of_sample)
    with progress_bar(progressbar and (of_sample or spec.streamed is None)) as progress:
        proposals = propose(target, prepared.whitening, draws, rng, progress=progress, **batches)
    if proposals.finished < FEWEST_PROPOSALS:
        raise KeyboardInterrupt("interrupted before enough draws were weighted")
    notes: tuple[str, ...] = ()
    if proposals.finished < draws:
        notes = (f"{INTERRUPTED}: {proposals.finished} of {draws} draws were finished",)
        warn_caller(notes[0])

    def label() -> PosteriorDraws:
        found = importance_sample(proposals, proposals.finished, rng)
        prepared.timings["sampling"] = time.perf_counter() - start
        posterior = posterior_of(spec, prepared, Draws(found.points[None], {}, 0, notes), seed, title)
        passes = notes_on_passes(spec, before)
        log_evidence = found.log_evidence + density.coordinates.log_jacobian
        return replace(
            posterior,
            pareto_k=found.pareto_k,
            ess=found.ess,
            log_evidence=log_evidence,
            notes=(*posterior.notes, *passes),
        )

    return despite_interrupts(Draws(proposals.points, {}, 0, notes, proposals.interrupted), label)
