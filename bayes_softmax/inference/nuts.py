"""NUTS on the whitened density, by nutpie.

With ``theta = mode + T z`` the density of ``z`` is nearly standard normal, so the trajectories are short and
200 tuning steps suffice.  Hoffman and Gelman, *JMLR* 15 (2014); Neal, *Handbook of MCMC* (2011), section 4.1 on
linear transformations.
"""

import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.interrupts import held_back, load_in_full
from bayes_softmax.core.protocols import LogDensity, WhitenedDensity
from bayes_softmax.core.records import Draws, FloatArray, NativeDensity, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.inference.block_metric import unwhiten, whiten_gradient
from bayes_softmax.inference.interrupted import KeptChains, keep_chains
from bayes_softmax.inference.nutpie_models import Chain, InUse, callback_model, python_model, read_chain
from bayes_softmax.inference.watching import watching

DEFAULT_TUNE = 200  # whitened: only the step size and a nearly unit diagonal metric remain to be adapted
NO_START = "All initialization points failed"  # nutpie's message
# Above nutpie's 0.8: if a posterior is skewed (separated classes, weak priors) its curvature away from the mode exceeds
# that of the whitening. Measured: smaller steps end the divergences there and cost nothing elsewhere.
DEFAULT_TARGET_ACCEPT = 0.9
START_SPREAD = 2.0  # doubled sds, so that R-hat can detect a stuck chain
MAX_CORES = 4 * (os.cpu_count() or 1)


def whitened_nuts(
    density: LogDensity,
    whitening: Whitening,
    *,
    draws: int,
    tune: int | None,
    chains: int,
    cores: int | None,
    seed: int,
    target_accept: float | None,
    progressbar: bool,
    native: bool = True,
) -> Draws:
    """Sample ``chains`` chains of ``draws`` draws after ``tune`` tuning steps each.

    Parameters
    ----------
    density, whitening
        The log density and the change of variables that makes it nearly a standard normal.
    draws, tune, chains, cores
        As in ``pm.sample``; ``tune=None`` is 200.
    seed
        The same seed gives the same draws for any ``cores``.
    target_accept
        Target acceptance rate of the step-size adaptation; None is 0.9.
    progressbar
        Show nutpie's progress bar.
    native
        False forces the slower public interface of nutpie.

    Returns
    -------
    Draws
        After Ctrl-C the chains, cut to equal length, that retain most of the draws made by then, with a note.
    """
    drawn = nuts(
        _Whitened(density, whitening, native),
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        seed=seed,
        target_accept=target_accept,
        progressbar=progressbar,
    )
    z = drawn.points
    with held_back(pressed_before=drawn.interrupted) as noted:
        points = unwhiten(whitening, z.reshape(-1, z.shape[2])).reshape(z.shape)
    return drawn._replace(points=points, interrupted=drawn.interrupted or noted.times > 0)


class _Whitened(NamedTuple):
    """A log density after a linear change of variables."""

    density: LogDensity
    whitening: Whitening
    native: bool

    @property
    def dimension(self) -> int:
        return self.density.dimension

    def value_gradient(self, z: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = self.density.value_gradient(unwhiten(self.whitening, z[None])[0])
        return value, whiten_gradient(self.whitening, gradient)

    def callbacks(self) -> NativeDensity | None:
        return self.density.native(self.whitening) if self.native else None


def nuts(
    density: WhitenedDensity,
    *,
    draws: int,
    tune: int | None,
    chains: int,
    cores: int | None,
    seed: int,
    target_accept: float | None,
    progressbar: bool,
    spread: FloatArray | float = START_SPREAD,
) -> Draws:
    """Sample a nearly standard normal density; parameters and result as in :func:`whitened_nuts`.

    ``spread`` (d,) or one number are the sds of starting points.
    """
    load_in_full("nutpie", "pyarrow")
    import nutpie

    tune, d = DEFAULT_TUNE if tune is None else tune, density.dimension
    start = partial(_start, d=d, spread=spread)
    callbacks = density.callbacks()
    used = InUse()
    model = callback_model(d, callbacks, used, start) if callbacks else python_model(density, start)
    cores = n_cores(chains, cores)
    # Chains run in parallel, so BLAS must not; one thread also fixes the order of its sums.
    with blas_on_one_thread(), warnings.catch_warnings(), watching(progressbar) as watch:
        warnings.simplefilter("ignore", FutureWarning)
        sampler = nutpie.sample(
            model,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            seed=seed,
            save_warmup=False,
            return_raw_trace=True,
            target_accept=DEFAULT_TARGET_ACCEPT if target_accept is None else target_accept,
            blocking=False,
            **watch,
        )
        trace, interrupted = _wait(sampler, used)
    with held_back(pressed_before=interrupted) as noted:
        drawn = _collect(trace, d, draws=draws, tune=tune)
    return drawn._replace(interrupted=interrupted or noted.times > 0)


def n_cores(chains: int, cores: int | None) -> int:
    """Chains that run at a time: more than there are chains or processors do not help, and thousands are refused."""
    return min(chains, os.cpu_count() or 1 if cores is None else cores, MAX_CORES)


def _wait(sampler: Any, used: InUse) -> tuple[Any, bool]:
    """The draws of nutpie at its end or at Ctrl-C, and whether Ctrl-C was pressed.

    If a chain fails nutpie returns at once while its other threads continue; at exit they would still run compiled
    code that Python has freed, and crash.  So we wait until all have ended.
    """
    try:
        return sampler.wait(), False
    except KeyboardInterrupt:
        with held_back() as noted:
            trace = sampler.abort()
        if noted.times:  # the second one
            raise
        return trace, True
    except BaseException as error:
        stop(sampler, used)
        advice = as_advice(error)
        if advice is error:
            raise
        raise advice from error


def stop(sampler: Any, used: InUse) -> None:
    """End a sampler, and wait for its threads, after an error.

    It may raise that error again, and one whose thread panicked has ended and answers with panics only.
    """
    for step in (sampler.cancel, partial(used.wait, sampler)):
        try:
            step()
        except KeyboardInterrupt:
            raise
        except BaseException:
            continue


def as_advice(error: BaseException) -> BaseException:
    """The same error, or a ``ValueError`` with advice if no chain could start."""
    if NO_START not in str(error):
        return error
    return ValueError(
        "sampling cannot start: the log posterior is not finite around its mode, for example because offsets "
        "or features are so large that all probabilities are 0 or 1; see the status of model.map()"
    )


def _collect(trace: Any, dimension: int, *, draws: int, tune: int) -> Draws:
    """Draws and statistics from nutpie's Arrow tables, one table of each per chain.

    (nutpie's own conversion to an ArviZ tree takes longer than sampling a small model.)
    """
    chains = [read_chain(points, stats, dimension) for points, stats in zip(*trace.get_arrow_trace(), strict=True)]
    kept = keep_chains([len(z) for z, _ in chains], draws)
    return in_one([chains[c] for c in kept.chains], kept, tune)


def in_one(chains: Sequence[Chain], kept: KeptChains, tune: int) -> Draws:
    """The draws and statistics of the chains that are ``kept``, cut to one length."""
    names, n = chains[0][1], kept.draws
    stats = {name: np.stack([stats[name][:n] for _, stats in chains]) for name in names}
    return Draws(np.stack([z[:n] for z, _ in chains]), stats, tune, kept.notes)


def _start(seed: int, d: int, spread: FloatArray | float) -> FloatArray:
    """A starting point from the normal approximation with other sds."""
    point: FloatArray = spread * np.random.default_rng(seed).normal(size=d)
    return point
