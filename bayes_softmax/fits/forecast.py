"""Forecast of the time and memory of a run."""

from dataclasses import dataclass

import pandas as pd

from bayes_softmax.core.checks import counted
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of

ALL_LAYERS, LAST_LAYER = "all layers", "last layer"  # of a network, in place of engines


@dataclass(frozen=True, repr=False)
class Forecast:
    """Time and memory of a fit on this machine; made by ``SoftmaxRegression.forecast()``.

    Attributes
    ----------
    draws, tune, chains, cores
        Settings of the run.
    dimension
        Free coordinates that are sampled.
    compile_seconds
        Just spent on compiling, or on loading cached code; not spent again in this process.
    mode_seconds
        For the mode and the whitening there, part of every engine; of a network, for its mode from several starts.
    sampling_seconds
        By engine, after the mode is found; of a network ``"all layers"``, ``"last layer"`` and ``"laplace"``.
    leapfrogs
        Assumed number of gradients per NUTS draw.
    memory_bytes
        Peak memory beyond the data as given.
    """

    draws: int
    tune: int
    chains: int
    cores: int
    dimension: int
    compile_seconds: float
    mode_seconds: float
    sampling_seconds: dict[str, float]
    leapfrogs: float
    memory_bytes: float

    def to_frame(self) -> pd.DataFrame:
        """One row per engine: seconds for the mode, for sampling, and in all."""
        rows = {
            engine: {"mode_seconds": self.mode_seconds, "sampling_seconds": s, "total_seconds": self.mode_seconds + s}
            for engine, s in self.sampling_seconds.items()
        }
        return table_of(pd.DataFrame.from_dict(rows, orient="index").rename_axis("engine"), others=Format("ratio"))

    def _brief(self) -> Brief:
        """The forecast in words."""
        seconds, engines = self.sampling_seconds, self._engines()
        return Brief(
            f"Forecast for {counted(self.chains, 'chain')} x {counted(self.draws, 'draw')} after "
            f"{counted(self.tune, 'tuning step')} on {counted(self.cores, 'core')}, "
            f"{counted(self.dimension, 'dimension')}",
            (
                f"measured now on this machine; good to a factor of about {4 if ALL_LAYERS in seconds else 2}",
                f"mode{'' if ALL_LAYERS in seconds else ' and whitening'}: {duration(self.mode_seconds)}",
                *(f"{name}: {duration(seconds[engine])}{more}" for engine, (name, more) in engines.items()),
                f"memory beyond the data: {self.memory_bytes / 2**20:.0f} MiB",
            ),
        )

    def _engines(self) -> dict[str, tuple[str, str]]:
        """The call of each engine, and a remark."""
        steps, laplace = f", at {self.leapfrogs:.0f} gradients per draw", f"laplace(draws={self.chains * self.draws})"
        if ALL_LAYERS in self.sampling_seconds:
            return {
                ALL_LAYERS: ("sample(layers='all')", f"{steps}, and with a mode for each chain"),
                LAST_LAYER: ("sample(layers='last')", " after the mode"),
                "laplace": (laplace, ", of the last layer, after the mode"),
            }
        remark = ", where the posterior is nearly normal (engine='auto' tests this)"
        known = {
            "nuts": ("sample(engine='nuts')", steps),
            "independence": ("sample(engine='independence')", remark),
            "laplace": (laplace, ""),
            "subsampled": ("sample()", ", of the remainders on a sample of the rows"),
        }
        return {engine: known[engine] for engine in self.sampling_seconds}

    __repr__ = as_text
    _repr_html_ = as_markup


def draws_bytes(n_draws: int, dimension: int, n_parameters: int) -> float:
    """Bytes of three copies of draws of the free coordinates and of the parameters."""
    return 24.0 * n_draws * (dimension + n_parameters)


def duration(seconds: float) -> str:
    """Seconds as text in a readable unit."""
    if seconds < 0.1:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
