"""NUTS with a density and a starting point of its own for each chain, such as the modes of a network."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.interrupts import held_back, load_in_full
from bayes_softmax.core.protocols import WhitenedDensity
from bayes_softmax.core.records import Draws, FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.inference.interrupted import keep_chains
from bayes_softmax.inference.nutpie_models import Chain, InUse, callback_model, python_model, read_chain
from bayes_softmax.inference.nuts import as_advice, in_one, n_cores, stop
from bayes_softmax.inference.watching import watching_chains

POLL = 0.002  # seconds of waiting for each of the running chains in turn


class Running(NamedTuple):
    """A sampler of one chain, and whether its thread still holds the model."""

    sampler: Any
    used: InUse


def nuts_by_chain(
    densities: Sequence[WhitenedDensity],
    starts: FloatArray,
    *,
    draws: int,
    tune: int,
    cores: int | None,
    seed: int,
    target_accept: float,
    progressbar: bool,
) -> tuple[Draws, IntArray]:
    """Sample a chain of each density, from its row of ``starts`` (chains, d), at most ``cores`` at a time.

    Each chain has a random stream of its own, so the same seed gives the same draws for any ``cores``.

    Returns
    -------
    Draws
        In the coordinates of each density.  After Ctrl-C the chains, cut to equal length, that retain most of the draws
        made by then, with a note.
    IntArray
        The numbers of the chains that were kept.
    """
    load_in_full("nutpie", "pyarrow")
    import nutpie

    seeds = np.random.SeedSequence(seed).generate_state(len(densities), np.uint64).tolist()

    def launch(chain: int, watch: dict[str, Any]) -> Running:
        density, used = densities[chain], InUse()
        callbacks, start = density.callbacks(), starts[chain]
        model = (
            callback_model(density.dimension, callbacks, used, lambda _: start)
            if callbacks
            else python_model(density, lambda _: start)
        )
        options = {"draws": draws, "tune": tune, "chains": 1, "cores": 1, "seed": seeds[chain]}
        options |= {"save_warmup": False, "return_raw_trace": True, "blocking": False}
        return Running(nutpie.sample(model, target_accept=target_accept, **options, **watch), used)

    n = len(densities)
    with blas_on_one_thread(), warnings.catch_warnings(), watching_chains(progressbar, n) as watch:
        warnings.simplefilter("ignore", FutureWarning)
        traces, interrupted = _all(n, n_cores(n, cores), lambda chain: launch(chain, watch(chain)))
    with held_back(pressed_before=interrupted) as noted:
        chains = [_read(trace, densities[0].dimension) for trace in traces]
        kept = keep_chains([0 if chain is None else len(chain[0]) for chain in chains], draws)
        drawn = in_one([chain for c in kept.chains if (chain := chains[c]) is not None], kept, tune)
    return drawn._replace(interrupted=interrupted or noted.times > 0), kept.chains


def _all(n: int, cores: int, launch: Callable[[int], Running]) -> tuple[list[Any], bool]:
    """What the samplers of ``n`` chains return, None of those that Ctrl-C left out; and whether it was pressed."""
    traces: list[Any] = [None] * n
    running: dict[int, Running] = {}
    waiting = list(range(n))
    try:
        while waiting or running:
            while waiting and len(running) < cores:
                running[waiting[0]] = launch(waiting[0])
                waiting.pop(0)
            for chain in list(running):
                with contextlib.suppress(TimeoutError):  # raised by a sampler that has not ended
                    traces[chain] = running[chain].sampler.wait(timeout=POLL)
                    del running[chain]
    except KeyboardInterrupt:
        with held_back() as noted:
            for chain, each in running.items():
                traces[chain] = each.sampler.abort()
        if noted.times:  # the second one
            raise
        return traces, True
    except BaseException as error:
        for each in running.values():
            stop(*each)
        advice = as_advice(error)
        if advice is error:
            raise
        raise advice from error
    return traces, False


def _read(trace: Any, dimension: int) -> Chain | None:
    """The only chain of a trace, None if there is none yet."""
    if trace is None:
        return None
    found = [read_chain(points, stats, dimension) for points, stats in zip(*trace.get_arrow_trace(), strict=True)]
    return found[0] if found else None
