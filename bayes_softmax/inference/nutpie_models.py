"""A log density as a model of nutpie, and the draws that nutpie returns.

nutpie accepts C callbacks only through a private interface (hence its pinned minor version); densities
without callbacks use ``nutpie.compiled_pyfunc.from_pyfunc``, which holds Python's global lock.
"""

import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core.protocols import WhitenedDensity
from bayes_softmax.core.records import FloatArray, NativeDensity

type Chain = tuple[FloatArray, dict[str, NDArray[Any]]]  # draws (draw, d), and statistics (draw,) by name
type Start = Callable[[int], FloatArray]  # the starting point of a chain, given its seed

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


class InUse:
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


def read_chain(points: Any, stats: Any, dimension: int) -> Chain:
    """Whitened draws (draw, d) of one chain after tuning, with their statistics."""
    import pyarrow

    def column(table: Any, name: str) -> Any:
        return pyarrow.array(table.column(name))

    sampled = ~column(stats, "tuning").to_numpy(zero_copy_only=False)
    z = column(points, "z").flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    z = z if sampled.all() else z[sampled]  # a copy of thousands of coordinates would take gigabytes
    kept = [name for name in KEPT_STATS if name in stats.column_names]
    return z, {name: column(stats, name).to_numpy(zero_copy_only=False)[sampled] for name in kept}


def callback_model(d: int, callbacks: NativeDensity, used: InUse, start: Start) -> Any:
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
            return _lib.PyMcModel(logp, expand, variables, d, sizes, coords, lambda s, _held=held: start(s), None)

    return WhitenedModel(dims={"z": ("coordinate",)})


def python_model(density: WhitenedDensity, start: Start) -> Any:
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
        make_initial_point_fn=start,
    )
