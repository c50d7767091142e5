"""The independence sampler: Metropolis-Hastings with proposals from the Laplace mixture.

It targets the posterior exactly, like any MCMC method.  With bounded weights it is uniformly ergodic (Mengersen and
Tweedie, *Annals of Statistics* 24, 1996), and since proposals do not depend on the state they are evaluated in batches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.interrupts import held_back
from bayes_softmax.core.records import Draws, Whitening
from bayes_softmax.inference.importance import (
    CHUNK,
    Progress,
    Proposals,
    Target,
    acceptance_rate,
    pareto_smooth,
    propose,
)
from bayes_softmax.inference.interrupted import keep_chains

PILOT = 1024
MAX_K = 0.5  # below, the weights have finite variance
MIN_ACCEPTANCE = 0.6
SMALL_WORK = 1e5  # below this NUTS takes about a second and its draws have a larger effective sample size
DEFAULT_TUNE = 50  # steps from a proposal to the target; at acceptance 0.6 a chain never moves with probability 0.4^50


class Choice(NamedTuple):
    """Whether to use the independence sampler, its number of proposals per draw kept, and the reason."""

    suitable: bool
    thin: int
    reason: str


def choose(
    density: Target,
    whitening: Whitening,
    rng: np.random.Generator,
    cores: int,
    *,
    asked_for: bool = False,
    chunk: int = CHUNK,
) -> Choice:
    """Choose between independence sampling and NUTS, by size and by a pilot run of proposals.

    A batched evaluation costs a fraction of a NUTS draw, so if the weights are even (k below 0.5, acceptance above 0.6)
    the independence sampler is faster, with a few proposals per draw kept.  Otherwise its chains stick, and the errors
    of their means exceed the Monte Carlo standard errors; this is also checked if it was ``asked_for``, at any size.
    """
    if density.work < SMALL_WORK and not asked_for:
        return Choice(False, 1, "a small model")
    pilot = propose(density, whitening, PILOT, rng, cores=cores, chunk=chunk)
    if pilot.interrupted:
        raise KeyboardInterrupt("sampling was interrupted in its pilot run, before there were draws")
    _, k = pareto_smooth(pilot.log_weights)
    rate = acceptance_rate(pilot.log_weights, rng)
    found = f"a pilot of {PILOT} proposals has Pareto k {k:.2f} and acceptance rate {rate:.2f}"
    if k < MAX_K and rate >= MIN_ACCEPTANCE:
        return Choice(True, max(1, int(np.ceil(4.0 * (1.0 - rate)))), f"{found}: near enough to a normal distribution")
    return Choice(False, 1, f"{found}: too far from a normal distribution for independence sampling")


def independence_chains(
    density: Target,
    whitening: Whitening,
    *,
    draws: int,
    tune: int | None,
    chains: int,
    cores: int,
    seed: int,
    thin: int = 1,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Draws:
    """Sample ``chains`` chains of ``draws`` draws after ``tune`` steps each, keeping every ``thin``-th step.

    Densities are evaluated ``chunk`` at once.  The same seed gives the same draws for any ``cores``.
    After Ctrl-C the draws common to all chains are returned, with a note.
    """
    tune = DEFAULT_TUNE if tune is None else tune
    rng = np.random.default_rng(seed)
    length = tune + draws * thin
    proposals = propose(density, whitening, length * chains, rng, cores=cores, progress=progress, chunk=chunk)
    with held_back(pressed_before=proposals.interrupted) as noted:
        # All chains are equally long: proposals are made for one step of every chain in turn.
        finished = max((proposals.finished // chains - tune) // thin, 0)
        notes = keep_chains([finished] * chains, draws).notes
        position, accepted = _walk(proposals, tune + finished * thin, chains, rng)
        places = position[tune:].T[:, thin - 1 :: thin]
        rate = accepted[tune:].T.reshape(chains, finished, thin).mean(axis=2)
        stats = {"acceptance_rate": rate, "log_weight": proposals.log_weights[places]}
        drawn = Draws(proposals.points[places], stats, tune, notes)
    return drawn._replace(interrupted=proposals.interrupted or noted.times > 0)


def _walk(
    proposals: Proposals, steps: int, chains: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Accept or reject: index of the current point and whether it was just accepted, each (steps, chains)."""
    log_weights = proposals.log_weights[: steps * chains].reshape(steps, chains)
    log_uniform = np.log(rng.random((steps, chains)))
    candidates = np.arange(steps * chains, dtype=np.int64).reshape(steps, chains)
    position = np.empty((steps, chains), dtype=np.int64)
    accepted = np.zeros((steps, chains), dtype=np.bool_)
    position[0], accepted[0] = candidates[0], True
    current = log_weights[0].copy()
    for step in range(1, steps):
        # Written as a sum: if both weights are zero the step is rejected, and no infinities are subtracted.
        accepted[step] = log_uniform[step] + current < log_weights[step]
        position[step] = np.where(accepted[step], candidates[step], position[step - 1])
        current = np.where(accepted[step], log_weights[step], current)
    return position, accepted
