"""Dask arrays as sources: chunks of rows of features, labels and perhaps weights, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_softmax.core.checks import counted, shown
from bayes_softmax.data.sources.partitions import Source, in_frames

RESPONSE, WEIGHTS = "y", "weights"


@dataclass(frozen=True, eq=False)
class Chunk:
    """Chunks of arrays with the same rows: names of the columns of each, and what is computed.

    As part of a task of Dask's what is computed is replaced by its values.
    """

    parts: tuple[tuple[tuple[str, ...], Any], ...]
    number: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"chunk {self.number} of X"

    def frames(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Its rows, in frames."""
        found: list[pd.DataFrame] = []
        for names, lazy in self.parts:
            if columns is not None and not set(names) & set(columns):
                continue
            values = lazy if isinstance(lazy, np.ndarray) else np.asarray(lazy.compute(scheduler="synchronous"))
            made = pd.DataFrame(values.reshape(len(values), len(names)), columns=list(names), copy=False)
            if found and len(made) != len(found[0]):
                raise ValueError(
                    f"it has {counted(len(found[0]), 'row')}, but the same chunk of {names[0]} has {len(made)}"
                )
            found.append(made)
        frame = pd.concat(found, axis=1) if found else pd.DataFrame()
        return in_frames(frame if columns is None else frame[list(columns)])


def is_dask_array(value: Any) -> bool:
    """Whether a value is a Dask array."""
    return type(value).__module__.partition(".")[0] == "dask" and type(value).__name__ == "Array"


def dask_array_source(X: Any, y: Any, names: tuple[str, ...], weights: Any) -> Source:
    """The source of features (N, p) and labels (N,), perhaps with weights (N,): columns ``y`` and ``weights``."""
    others = {RESPONSE: y} | ({} if weights is None else {WEIGHTS: weights})
    for name in others:
        if name in names:
            raise ValueError(f"feature_names: {shown(name)} is the name of another column here; give another")
    X = X.rechunk({1: -1})
    parts: list[tuple[tuple[str, ...], Any]] = [(names, X)]
    for name, value in others.items():
        if not is_dask_array(value):
            raise TypeError(
                f"{name} is of type {type(value).__name__}, and X a Dask array; give both as Dask arrays: "
                f"dask.array.from_array({name}, chunks=(X.chunks[0],))"
            )
        if value.ndim != 1:
            raise ValueError(
                f"{name} has shape {value.shape}; expected one dimension: columns of counts are columns of a Dask data "
                "frame, with y naming them"
            )
        known = not any(np.isnan(n) for n in (*X.chunks[0], *value.chunks[0]))
        if known and value.shape[0] != X.shape[0]:
            raise ValueError(f"X has {counted(X.shape[0], 'row')}, but {name} has {value.shape[0]}")
        value = value.rechunk((X.chunks[0],)) if known else value
        if value.numblocks[0] != X.numblocks[0]:
            raise ValueError(f"X has {counted(X.numblocks[0], 'chunk')} of rows, but {name} has {value.numblocks[0]}")
        parts.append(((name,), value))
    chunks = tuple(Chunk(tuple((part, array.blocks[i]) for part, array in parts), i) for i in range(X.numblocks[0]))
    return Source("the Dask array", chunks, (*names, *others), on_dask=True)
