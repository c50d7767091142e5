"""NUTS on the whitened density, by nutpie.

With ``theta = mode + T z`` the density of ``z`` is nearly standard normal, so the trajectories are short and
200 tuning steps suffice.  Hoffman and Gelman, *JMLR* 15 (2014); Neal, *Handbook of MCMC* (2011), section 4.1 on
linear transformations.

nutpie accepts C callbacks only through a private interface (hence its pinned minor version); densities
without callbacks use ``nutpie.compiled_pyfunc.from_pyfunc``, which holds Python's global lock.
"""

import contextlib
import os
import time
import warnings
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.interrupts import held_back, load_in_full
from bayes_softmax.core.protocols import LogDensity, WhitenedDensity
from bayes_softmax.core.records import Draws, FloatArray, NativeDensity, Whitening
from bayes_softmax.core.threads import blas_on_one_thread
from bayes_softmax.inference.block_metric import unwhiten, whiten_gradient
from bayes_softmax.inference.interrupted import keep_chains
from bayes_softmax.inference.watching import watching

DEFAULT_TUNE = 200  # whitened: only the step size and a nearly unit diagonal metric remain to be adapted
NO_START = "All initialization points failed"  # nutpie's message
# Above nutpie's 0.8: if a posterior is skewed (separated classes, weak priors) its curvature away from the mode exceeds
# that of the whitening. Measured: smaller steps end the divergences there and cost nothing elsewhere.
DEFAULT_TARGET_ACCEPT = 0.9
MAX_CORES = 4 * (os.cpu_count() or 1)
KEPT_STATS = (
    "diverging",
    "n_steps",
    "depth",
    "energy",
    "logp",
    "step_size",
    "mean_tree_accept",
    "maxdepth_reached",
)


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
) -> Draws:
    """Sample a nearly standard normal density; parameters and result as in :func:`whitened_nuts`."""
    load_in_full("nutpie", "pyarrow")
    import nutpie

    tune = DEFAULT_TUNE if tune is None else tune
    callbacks = density.callbacks()
    used = _InUse()
    model = _callback_model(density.dimension, callbacks, used) if callbacks else _python_model(density)
    # More threads than chains or processors do not help, and the system refuses thousands of them.
    cores = min(chains, os.cpu_count() or 1 if cores is None else cores, MAX_CORES)
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
        drawn = _collect(trace, density.dimension, draws=draws, tune=tune)
    return drawn._replace(interrupted=interrupted or noted.times > 0)


class _InUse:
    """Whether nutpie's threads still hold a model, which they release when they end."""

    def __init__(self) -> None:
        self._held: weakref.ref[_Held] | None = None

    def give(self) -> "_Held":
        """An object that lives as long as the model that holds it."""
        held = _Held()
        self._held = weakref.ref(held)
        return held

    def wait(self, sampler: Any) -> None:
        """Return when no thread is running."""
        while self._held is not None and self._held() is not None:
            time.sleep(0.002)
            sampler._sampler.is_empty(ignore_error=True)  # frees objects that threads released without Python's lock


class _Held:
    """Held by a model."""


def _wait(sampler: Any, used: _InUse) -> tuple[Any, bool]:
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
        with contextlib.suppress(Exception):
            sampler.cancel()
        used.wait(sampler)
        if NO_START in str(error):
            raise ValueError(
                "sampling cannot start: the log posterior is not finite around its mode, for example because offsets "
                "or features are so large that all probabilities are 0 or 1; see the status of model.map()"
            ) from error
        raise


def _collect(trace: Any, dimension: int, *, draws: int, tune: int) -> Draws:
    """Draws and statistics from nutpie's Arrow tables, one table of each per chain.

    (nutpie's own conversion to an ArviZ tree takes longer than sampling a small model.)
    """
    chains = [_read_chain(points, stats, dimension) for points, stats in zip(*trace.get_arrow_trace(), strict=True)]
    left, length, notes = keep_chains([len(z) for z, _ in chains], draws)
    z = np.stack([chains[c][0][:length] for c in left])
    names = chains[left[0]][1]
    return Draws(z, {n: np.stack([chains[c][1][n][:length] for c in left]) for n in names}, tune, notes)


def _read_chain(points: Any, stats: Any, dimension: int) -> tuple[FloatArray, dict[str, NDArray[Any]]]:
    """Whitened draws (draw, d) of one chain after tuning, with their statistics."""
    import pyarrow

    def column(table: Any, name: str) -> Any:
        return pyarrow.array(table.column(name))

    sampled = ~column(stats, "tuning").to_numpy(zero_copy_only=False)
    z = column(points, "z").flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)[sampled]
    kept = [name for name in KEPT_STATS if name in stats.column_names]
    return z, {name: column(stats, name).to_numpy(zero_copy_only=False)[sampled] for name in kept}


def _callback_model(d: int, callbacks: NativeDensity, used: _InUse) -> Any:
    """A density of ``d`` coordinates as a nutpie model that calls C functions, without Python's global lock."""
    from nutpie import _lib
    from nutpie.sample import CompiledModel

    coords = {"coordinate": [str(i) for i in range(d)]}

    class WhitenedModel(CompiledModel):
        """A model for nutpie, which accepts only subclasses of its own interface."""

        @property
        def n_dim(self) -> int:
            return d

        @property
        def shapes(self) -> dict[str, tuple[int, ...]]:
            return {"z": (d,)}

        @property
        def coords(self) -> dict[str, list[str]]:
            return coords

        def _make_sampler(self, settings: Any, init_mean: Any, cores: int, *rest: Any) -> Any:
            return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), *rest)

        def _make_model(self, init_mean: Any) -> Any:
            address = callbacks.user_address
            sizes = {"coordinate": d}
            variables = _lib.PyVariable.new_variables(["z"], ["float64"], [(d,)], sizes, {"z": ("coordinate",)})
            held = used.give()
            keep_alive = (callbacks, held)
            logp = _lib.LogpFunc(callbacks.logp_address, address, keep_alive)
            expand = _lib.ExpandFunc(d, d, callbacks.expand_address, address, keep_alive)
            return _lib.PyMcModel(logp, expand, variables, d, sizes, coords, lambda s, _held=held: _start(s, d), None)

    return WhitenedModel(dims={"z": ("coordinate",)})


def _python_model(density: WhitenedDensity) -> Any:
    """The density through nutpie's public interface for Python functions."""
    from nutpie.compiled_pyfunc import from_pyfunc

    d = density.dimension

    def logp(z: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = density.value_gradient(z)
        return (value, gradient) if np.isfinite(value) else (-np.inf, np.zeros(d))

    return from_pyfunc(
        ndim=d,
        make_logp_fn=lambda: logp,
        make_expand_fn=lambda _seed1, _seed2, _chain: lambda z: {"z": z},
        expanded_dtypes=[np.dtype("float64")],
        expanded_shapes=[(d,)],
        expanded_names=["z"],
        coords={"coordinate": [str(i) for i in range(d)]},
        dims={"z": ("coordinate",)},
        make_initial_point_fn=lambda s: _start(s, d),
    )


def _start(seed: int, d: int) -> FloatArray:
    """A starting point from the normal approximation with doubled sds, so that R-hat can detect a stuck chain."""
    return 2.0 * np.random.default_rng(seed).normal(size=d)
