"""Forecast of the time and memory of a run."""

from dataclasses import dataclass

import pandas as pd

from bayes_softmax.core.checks import counted
from bayes_softmax.display.brief import Brief, as_markup, as_text
from bayes_softmax.display.digits import Format
from bayes_softmax.display.table import table_of


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
        For the mode and the whitening there, part of every engine.
    sampling_seconds
        By engine, after the mode is found.
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
        seconds = self.sampling_seconds
        return Brief(
            f"Forecast for {counted(self.chains, 'chain')} x {counted(self.draws, 'draw')} after "
            f"{counted(self.tune, 'tuning step')} on {counted(self.cores, 'core')}, "
            f"{counted(self.dimension, 'dimension')}",
            (
                "measured now on this machine; good to a factor of about 2",
                f"mode and whitening: {duration(self.mode_seconds)}",
                f"sample(engine='nuts'): {duration(seconds['nuts'])}, at {self.leapfrogs:.0f} gradients per draw",
                f"sample(engine='independence'): {duration(seconds['independence'])}, where the posterior is nearly "
                "normal (engine='auto' tests this)",
                f"laplace(draws={self.chains * self.draws}): {duration(seconds['laplace'])}",
                f"memory beyond the data: {self.memory_bytes / 2**20:.0f} MiB",
            ),
        )

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
