"""Ensembles of a network: modes from independent starts, or the posteriors of the last layer given each of them.

Lakshminarayanan, Pritzel and Blundell, *NeurIPS* 2017; the mixture of Laplace approximations is that of Eschenhagen,
Daxberger, Hennig and Kristiadi, *Bayesian Deep Learning Workshop, NeurIPS* 2021.
"""

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayes_softmax.answers.training import Cells
from bayes_softmax.core.checks import counted, listed
from bayes_softmax.core.errors import NotConvergedWarning, NotReliableWarning, warn_caller
from bayes_softmax.core.interrupts import INTERRUPTED
from bayes_softmax.core.parameters import Parameters
from bayes_softmax.core.progress import steps
from bayes_softmax.core.records import RELIABLE_PARETO_K, Draws, FloatArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.fits.draws import PosteriorDraws
from bayes_softmax.fits.tree import MEMBER
from bayes_softmax.fitting.again import complete, with_cells, without_one
from bayes_softmax.fitting.labelling import despite_interrupts, in_chains, labelled_posterior
from bayes_softmax.fitting.last_layer import given_hidden, hidden_of
from bayes_softmax.fitting.networks import has_kinks, random_starts, smooth_density, unit_of
from bayes_softmax.fitting.refusals import refuse_learned_scales
from bayes_softmax.fitting.sampling import posterior_of, prepare
from bayes_softmax.fitting.settings import refuse_too_many
from bayes_softmax.inference.block_metric import unwhiten
from bayes_softmax.inference.importance import importance_sample, propose
from bayes_softmax.inference.restarts import GRADIENT_TOLERANCE, SAME_VALUE, lbfgs_restarts
from bayes_softmax.spec.specification import Specification

SAW_MODES = "the members are modes of all rows"
SAW_HIDDEN = "the hidden layers of each member are held at a mode of all rows"
SAME_PROBABILITY = 1e-3  # modes of the same value whose class probabilities agree so far are one
COMPARED_ROWS = 500
LAST_LAYER_STREAM = 5  # the last layers must not repeat the random numbers of the starts


class EnsembleSettings(NamedTuple):
    """Number of members, and of draws of each if their last layers are drawn, else None."""

    members: int = 5
    draws: int | None = None
    seed: int = 0


class Members(NamedTuple):
    """Where searches from independent starts ended: points (M, d), their ``values`` (M,), and which are ``modes`` (M,).

    ``notes`` are for the reader.
    """

    points: FloatArray
    values: FloatArray
    modes: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """M."""
        return len(self.points)


def ensemble(spec: Specification, settings: EnsembleSettings) -> PosteriorDraws:
    """Members from independent starts, with equal weights, as the draws of one chain.

    Without ``settings.draws`` a draw is a member's mode; with them, a member has so many draws of its last layer.
    """
    refuse_learned_scales(spec, "ensemble()")
    refuse_too_many(spec, "ensemble", settings.members, settings.draws or 1)
    start = time.perf_counter()
    with blas_on_one_thread():
        members = _searched(spec, settings)
        timings = {"modes": time.perf_counter() - start}
        if settings.draws is None:
            drawn = replace(_of_modes(spec, members, timings), refit=partial(_without, spec, settings))
        else:
            drawn = _of_last_layers(spec, members, settings.draws, settings.seed, timings)
    return replace(drawn, refit_cells=partial(_again, spec, settings))


def _again(spec: Specification, settings: EnsembleSettings, cells: Cells, seed: int) -> PosteriorDraws:
    """The same kind of ensemble of other numbers of the observations, from starts of its own."""
    return complete(ensemble(with_cells(spec, cells), settings._replace(seed=seed)))


def _without(spec: Specification, settings: EnsembleSettings, row: int, code: int) -> PosteriorDraws:
    """The ensemble from the same starts without one observation."""
    return complete(ensemble(without_one(spec, row, code), settings))


def _searched(spec: Specification, settings: EnsembleSettings) -> Members:
    """Search from each start; after Ctrl-C those that are done, with a note."""
    density, rng, kinked = smooth_density(spec), np.random.default_rng(settings.seed), has_kinks(spec)
    unit = unit_of(density)
    starts = random_starts(density.coordinates, settings.members, rng)

    def search(some: Sequence[FloatArray]) -> Members:
        # On one thread each, so that a member does not depend on how many are searched at a time.
        evaluate = density.value_gradient_on_one_thread
        found = lbfgs_restarts(evaluate, np.array(some), density.total_weight, kinked=kinked, unit=unit)
        order = np.argsort(found.starts)
        # At the kinks of units the gradient need not vanish.
        modes = ~found.at_limit & (kinked | (found.gradient_norms <= GRADIENT_TOLERANCE))
        return Members(found.points[order], found.values[order], modes[order])

    parts, notes = _until_interrupted(search, list(itertools.batched(starts, os.cpu_count() or 1)))
    points, values, modes = (np.concatenate(arrays) for arrays in zip(*(part[:3] for part in parts), strict=True))
    found = Members(points, values, modes)
    return found._replace(notes=(*notes, *_unfinished(found), *_repeated(spec, found)))


def _until_interrupted[Item, Done](
    work: Callable[[Sequence[Item]], Done], jobs: Sequence[Sequence[Item]]
) -> tuple[list[Done], tuple[str, ...]]:
    """Results of all jobs, each of some members; after Ctrl-C those that are there, with a note."""
    done: list[Done] = []
    n_members = sum(len(job) for job in jobs)
    try:
        with steps("members", n_members) as count:
            for job in jobs:
                done.append(work(job))
                count(len(job))
    except KeyboardInterrupt:
        if not done:
            raise
        finished = sum(len(job) for job in jobs[: len(done)])
        note = f"{INTERRUPTED}: {finished} of {counted(n_members, 'member')} were finished"
        warn_caller(note)
        return done, (note,)
    return done, ()


def _unfinished(members: Members) -> list[str]:
    """A note, which is a warning too, on members whose search ended before a mode."""
    early = np.flatnonzero(~members.modes).tolist()
    if not early:
        return []
    note = (
        f"the search of {_members(early)} ended before the gradient vanished; with a narrower prior it would end at "
        "a mode"
    )
    warn_caller(note, NotConvergedWarning)
    return [note]


def _repeated(spec: Specification, members: Members) -> list[str]:
    """A note on members that are the same mode: of the same value and, in the rows of the data, the same function."""
    X = spec.distinct.X
    rows = X[np.unique(np.linspace(0, len(X) - 1, min(len(X), COMPARED_ROWS)).astype(np.int64))]
    P = softmax(spec.logits.at(Parameters(spec.network_coordinates.to_parameters(members.points)))(rows), axis=0)
    modes: list[list[int]] = []
    for m in range(members.n):
        for mode in modes:
            near = abs(members.values[m] - members.values[mode[0]]) <= SAME_VALUE
            if near and np.abs(P[:, :, m] - P[:, :, mode[0]]).max() <= SAME_PROBABILITY:
                mode.append(m)
                break
        else:
            modes.append([m])
    same = [f"members {listed(mode)}" for mode in modes if len(mode) > 1]
    if not same:
        return []
    are = "are the same mode" if len(same) == 1 else "are the same mode each"
    return [f"{counted(members.n, 'member')}, {counted(len(modes), 'distinct mode')}: {' and '.join(same)} {are}"]


def _of_modes(spec: Specification, members: Members, timings: dict[str, float]) -> PosteriorDraws:
    """A draw for each member."""
    parameters = in_chains(spec.network_coordinates.to_parameters(members.points), (1, members.n))
    stats = {MEMBER: np.arange(members.n)[None], "lp": members.values[None]}
    drawn = Draws(np.empty(0), stats, 0, members.notes, _is_cut(members.notes))
    engine = f"ensemble of {counted(members.n, 'MAP')} from independent starts, with equal weights"
    labelled = despite_interrupts(drawn, lambda: labelled_posterior(spec, parameters, drawn, engine, timings))
    return replace(labelled, seen=SAW_MODES, ess=float(members.n))


def _of_last_layers(
    spec: Specification, members: Members, draws: int, seed: int, timings: dict[str, float]
) -> PosteriorDraws:
    """So many draws of the last layer of each member, given its hidden layers."""
    seeds = np.random.default_rng([seed, LAST_LAYER_STREAM]).integers(2**31, size=members.n).tolist()
    hidden = [hidden_of(spec, theta) for theta in members.points]

    def draw(job: Sequence[int]) -> PosteriorDraws:
        return complete(given_hidden(spec, hidden[job[0]], last_layer_of(draws, seeds[job[0]])))

    start = time.perf_counter()
    fits, notes = _until_interrupted(draw, [(m,) for m in range(members.n)])
    timings["sampling"] = time.perf_counter() - start
    n, names = len(fits), fits[0].parameters.arrays
    parameters = {name: np.concatenate([fit.parameters[name] for fit in fits])[None] for name in names}
    held = {name: np.stack([of_member[name] for of_member in hidden[:n]]) for name in hidden[0]}
    ess, k = (np.array([getattr(fit, name) for fit in fits]) for name in ("ess", "pareto_k"))
    told = (*members.notes, *notes, *_uncorrected(k))
    drawn = Draws(np.empty(0), {MEMBER: np.repeat(np.arange(n), draws)[None]}, 0, told, _is_cut(told))
    engine = (
        f"ensemble of {counted(n, 'member')} from independent starts, with equal weights: {counted(draws, 'draw')} "
        "each of the last layer by laplace, with hidden layers held at the member's MAP"
    )
    together = float(n**2 / (1.0 / ess).sum())  # the variances of the members' means add up to that of their average
    labelled = despite_interrupts(
        drawn, lambda: labelled_posterior(spec, parameters, drawn, engine, timings, held=held)
    )
    return replace(labelled, seen=SAW_HIDDEN, ess=together, pareto_k=float(k.max()))


def last_layer_of(draws: int, seed: int) -> Callable[[Specification], PosteriorDraws]:
    """What draws from a linear model, here the last layer of a member."""
    return partial(_laplace_draws, draws=draws, seed=seed)  # no closure: it is pickled


def _laplace_draws(linear: Specification, draws: int, seed: int) -> PosteriorDraws:
    """Draws from the Laplace approximation of a linear model.

    They are corrected by their importance weights where these are reliable, else they are left as they are.
    """
    prepared, rng = prepare(linear, rounded=False), np.random.default_rng(seed)
    proposals = propose(prepared.problem.density, prepared.whitening, draws, rng, cores=os.cpu_count() or 1)
    if proposals.interrupted:
        raise KeyboardInterrupt
    found = importance_sample(proposals, draws, rng)
    points = found.points
    if not found.pareto_k <= RELIABLE_PARETO_K:
        points = unwhiten(prepared.whitening, rng.normal(size=points.shape))
    posterior = posterior_of(linear, prepared, Draws(points[None], {}, 0), seed, "laplace")
    return replace(posterior, pareto_k=found.pareto_k, ess=found.ess)


def _uncorrected(pareto_k: FloatArray) -> list[str]:
    """A note, which is a warning too, on members whose importance weights are unreliable."""
    left = np.flatnonzero(~(pareto_k <= RELIABLE_PARETO_K)).tolist()
    if not left:
        return []
    note = (
        f"ensemble(laplace=True): the draws of {_members(left)} are those of a normal approximation, not of the "
        f"posterior of the last layer: Pareto k of importance weights reaches {pareto_k.max():.2f}, above "
        f"{RELIABLE_PARETO_K}, so they correct nothing; sample(layers='last') draws that posterior"
    )
    warn_caller(note, NotReliableWarning)
    return [note]


def _members(which: list[int]) -> str:
    return f"{'member' if len(which) == 1 else 'members'} {listed(which)}"


def _is_cut(notes: Sequence[str]) -> bool:
    return any(note.startswith(INTERRUPTED) for note in notes)
