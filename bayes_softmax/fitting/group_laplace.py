"""Draws from an approximation of the marginal posterior of a model with group-level effects, corrected and judged.

Weights and hyperparameters are drawn as :mod:`bayes_softmax.fitting.group_proposals` says, with the levels' effects
integrated out, and the effects given each of them, near their conditional modes.  The importance weight of a draw has
the marginal likelihood by quadrature where that is possible, else an unbiased estimate from the same effects: of many
proposals for each level of one grouping, of one joint proposal for several groupings.  So resampled draws are those of
the posterior, and the Pareto k of the weights judges all that was approximated.
"""

import os
import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.errors import ImproperPosteriorError, NotConvergedWarning, NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws, FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread, in_parallel
from bayes_softmax.density.groups.marginal import MarginalPosterior, signed
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fitting.again import complete, with_cells
from bayes_softmax.fitting.group_marginal import marginal_density, maximum, refuse_unsuited, rule_of, sizes
from bayes_softmax.fitting.group_proposals import (
    Approximation,
    Drawn,
    Likelihood,
    approximate,
    draw_near,
    free_covariance_data,
    shapes_of,
)
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.progress import progress_bar
from bayes_softmax.fitting.refusals import why_uncertified
from bayes_softmax.fitting.settings import LaplaceSettings, refuse_too_many
from bayes_softmax.fitting.solvers import SolverOptions
from bayes_softmax.inference.importance import FEWEST_PROPOSALS, Proposals, Resampled, resample, weigh
from bayes_softmax.spec.groups.log_prior import hyperparameters
from bayes_softmax.spec.specification import Specification

TITLE = "laplace (importance resampling of an approximation, levels integrated out)"
LEVELS_STREAM, RESAMPLING_STREAM = 17, 18  # of the seed
DRAWS = 64  # whose levels are drawn in one task
# Nodes in each of two dimensions for importance weights: enough for differences of log densities of plausible points.
FEWER_NODES = 7
# Where the mode has a variance of zero or a correlation of one, chains begin inside: sds relative to the prior's scale.
LEAST_SD, MOST_SINE = 0.05, 0.95
OFFSET = 0.3  # of the logarithms of sds, in logits


class Prepared(NamedTuple):
    """The likelihood, its approximation, and the hyperparameters (H,) of the mode, unconstrained."""

    likelihood: Likelihood
    near: Approximation
    hyper: FloatArray


def sample_group_laplace(spec: Specification, settings: LaplaceSettings) -> PosteriorDraws:
    """Equal-weight draws, corrected and judged by importance weights."""
    refuse_too_many(spec, "laplace", 1, settings.draws)
    with blas_on_one_thread():
        start = time.perf_counter()
        prepared = prepare(spec)
        rng, offsets = np.random.default_rng(settings.seed), prepared.likelihood.offsets
        drawn = draw_near(spec, prepared.near, prepared.hyper, offsets, draws=settings.draws, rng=rng)
        timings = {"mode": time.perf_counter() - start}
        proposals = _weighed(prepared, drawn, settings)
        notes: tuple[str, ...] = ()
        if proposals.finished < settings.draws:
            notes = (*notes, f"{INTERRUPTED}: {proposals.finished} of {settings.draws} draws were finished")
            warn_caller(notes[-1])
        made = Draws(proposals.points, {}, 0, notes, proposals.interrupted)

        def label() -> PosteriorDraws:
            rng = np.random.default_rng([settings.seed, RESAMPLING_STREAM])
            found = resample(proposals.log_weights, proposals.finished, rng)
            posterior = _labelled(spec, prepared, drawn, found, made, settings.seed)
            timings["sampling"] = time.perf_counter() - start - timings["mode"]
            return replace(posterior, timings=timings)

        posterior = despite_interrupts(made, label)
    if posterior.pareto_k is not None and posterior.pareto_k > RELIABLE_PARETO_K:
        warn_caller(
            f"laplace() is not reliable here: Pareto k is {posterior.pareto_k:.2f}, above {RELIABLE_PARETO_K}; "
            "run model.sample() instead",
            NotReliableWarning,
        )
    return replace(posterior, refit_cells=partial(_again, spec, settings))


def prepare(spec: Specification) -> Prepared:
    """The approximation near the mode of the marginal posterior; raises where the posterior is improper."""
    n_nodes = rule_of(spec).n_nodes
    if n_nodes > 1 and spec.groups[0].n_free > 1:
        n_nodes = FEWER_NODES
    density = marginal_density(spec, signed, n_nodes, priors=True)
    refuse_unsuited(density, "laplace()")
    mode = maximum(spec, density, SolverOptions(), n_nodes)
    if not mode.converged:
        reasons = None if spec.priors.is_proper else why_uncertified(spec)
        if reasons is not None:
            raise ImproperPosteriorError(
                f"the posterior is improper, there is nothing to sample: {reasons}. Give the coefficients a proper "
                "prior (prior=None is the autoscaled default)"
            )
        warn_caller(f"laplace() is around where the search for a mode ended: {mode.status.value}", NotConvergedWarning)
    return _prepared(spec, density, mode.theta)


def _prepared(spec: Specification, density: MarginalPosterior, point: FloatArray) -> Prepared:
    """The approximation near a point of signed sds and angles."""
    x, hyper, offsets = point[density.n_weights :], [], []
    for effects, at, sds in zip(spec.groups, density.slices, sizes(spec, density), strict=True):
        own, angles = np.split(x[at], [effects.n_sds])
        least = LEAST_SD * np.array([prior.scale for prior in effects.scale_of_sd])
        sines = np.clip(np.sin(angles), -MOST_SINE, MOST_SINE)
        hyper.append(np.concatenate([np.log(np.maximum(np.abs(own), least)), np.arctanh(sines)]))
        of_term = sds[:: len(sds) // effects.n_terms]
        offsets.append(np.repeat(OFFSET * of_term, effects.n_free // effects.n_terms))
    h, c = np.concatenate(hyper), np.concatenate(offsets)
    free = tuple(free_covariance_data(effects.n_free) for effects in spec.groups)
    own_density = replace(density, covariances=free, coordinates=tuple(map(signed, free)), priors=False)
    likelihood = Likelihood(own_density, c)
    mode = np.concatenate([point[: density.n_weights], shapes_of(spec, h[None], c)[0]])
    return Prepared(likelihood, approximate(likelihood, mode, np.ones(len(mode))), h)


def _weighed(prepared: Prepared, drawn: Drawn, settings: LaplaceSettings) -> Proposals:
    """The draws with their importance weights."""
    numbered, likelihood = np.column_stack([np.arange(len(drawn.points)), drawn.points]), prepared.likelihood

    def values(some: FloatArray) -> FloatArray:
        each = [likelihood.estimate(row[1:], _numbers(settings.seed, int(row[0]))) for row in some]
        found: FloatArray = np.array(each)
        return found

    with progress_bar(settings.progressbar) as progress:
        found = weigh(values, numbered, drawn.log_t, cores=os.cpu_count() or 1, progress=progress)
    if found.finished < FEWEST_PROPOSALS:
        raise KeyboardInterrupt("interrupted before enough draws were weighted")
    return found._replace(points=found.points[:, 1:])


def _numbers(seed: int, draw: int) -> np.random.Generator:
    """The random numbers of the effects of a draw, which are made again: those of all draws might not fit in memory."""
    return np.random.default_rng([seed, LEVELS_STREAM, draw])


def _labelled(
    spec: Specification, prepared: Prepared, drawn: Drawn, found: Resampled, made: Draws, seed: int
) -> PosteriorDraws:
    """The draws as a posterior, with effects of levels drawn given each."""
    density = prepared.likelihood.density
    points, hypers = drawn.points[found.chosen], drawn.hyper[found.chosen]
    levels = _levels(prepared, drawn, found.chosen, seed)
    hyper, parameters = dict[str, FloatArray](), spec.coordinates.to_parameters(points[:, : density.n_weights])
    each = np.split(hypers, np.cumsum([effects.n_hyper for effects in spec.groups])[:-1], axis=1)
    for j, (effects, h) in enumerate(zip(spec.groups, each, strict=True)):
        parameters[effects.name] = np.array([effects.effects(own[j]) for own in levels])
        parameters[effects.covariance_name] = effects.covariance(h)
        hyper |= hyperparameters(effects, h)
    chains = (1, len(points))
    named = in_chains({name: parameters[name] for name in spec.logits.shapes}, chains)
    posterior = labelled_posterior(spec, named, made, TITLE, {}, hyper=in_chains(hyper, chains))
    return replace(posterior, pareto_k=found.pareto_k, ess=found.ess)


def _levels(prepared: Prepared, drawn: Drawn, chosen: IntArray, seed: int) -> list[tuple[FloatArray, ...]]:
    """The effects of the chosen draws."""

    def some(first: int, end: int) -> list[tuple[FloatArray, ...]]:
        own = chosen[first:end].tolist()
        return [prepared.likelihood.draw_effects(drawn.points[i], _numbers(seed, i)) for i in own]

    ranges = [(first, min(first + DRAWS, len(chosen))) for first in range(0, len(chosen), DRAWS)]
    return [effects for part in in_parallel(some, ranges) for effects in part]


def _again(spec: Specification, settings: LaplaceSettings, cells: Cells, seed: int) -> PosteriorDraws:
    """As many draws from the posterior of other numbers of the observations."""
    own = settings._replace(seed=seed, progressbar=False)
    return complete(sample_group_laplace(with_cells(spec, cells), own))
