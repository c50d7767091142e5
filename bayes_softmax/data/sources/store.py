"""Encoded rows on disk, so that later passes over a source need not decode them again."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.logger import LOGGER
from bayes_softmax.core.records import AnyArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import DenseFeatures

FREE_SHARE = 0.5  # of the free space of the disk, taken at most by default


class _Kept(NamedTuple):
    """A design on disk: all but its arrays, and which of these there are."""

    bare: Design
    path: Path
    names: tuple[str, ...]


class Store:
    """A folder for temporary files, with the encoded rows of as many partitions as its budget has room for.

    Rows have no labels and no variables there.  It is removed when nobody refers to it any more.

    Parameters
    ----------
    budget
        Bytes; default half of what is free in the folder for temporary files.
    within
        The folder for temporary files; default is the system's.
    """

    def __init__(self, budget: float | None = None, within: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bayes_softmax_", dir=within))
        free = shutil.disk_usage(self.folder).free
        self.budget = FREE_SHARE * free if budget is None else budget
        self.used = 0.0
        self._kept: dict[int, list[_Kept]] = {}
        self._full = self._gone = False
        self._lock = threading.Lock()
        weakref.finalize(self, _remove_folder, self.folder, os.getpid())

    def has(self, number: int) -> bool:
        """Whether it has all rows of a partition; not where somebody removed its files."""
        kept = self._kept.get(number)
        if kept is None:
            return False
        if all(Path(f"{some.path}.{name}.npy").exists() for some in kept for name in some.names):
            return True
        with self._lock:
            first, self._gone = not self._gone, True
        if first:
            LOGGER.info(f"files in {self.folder} are gone: the rows are read from the source again")
        del self._kept[number]
        self._full = True
        return False

    def numbers(self) -> list[int]:
        """The partitions of which it has all rows."""
        return list(self._kept)

    def read(self, number: int) -> Iterator[Design]:
        """The rows of a partition."""
        for kept in self._kept[number]:
            arrays = {name: np.load(f"{kept.path}.{name}.npy", allow_pickle=False) for name in kept.names}
            yield _with_arrays(kept.bare, arrays)

    def filled(self, number: int, designs: Iterable[Design]) -> Iterator[Design]:
        """The same designs, kept as they pass by; a partition of which some do not fit is not kept."""
        kept: list[_Kept] = []
        keeps = not self._full
        for i, design in enumerate(designs):
            if keeps:
                found = self._write(f"{number}-{i}", design)
                keeps = found is not None
                if found is not None:
                    kept.append(found)
            yield design
        if keeps:
            self._kept[number] = kept
        else:
            for some in kept:
                self._remove(some.path, some.names)

    def _write(self, name: str, design: Design) -> _Kept | None:
        """Write the arrays of a design; None if there is no room."""
        arrays = _arrays_of(design)
        size = float(sum(array.nbytes for array in arrays.values()))
        with self._lock:
            self._full = self._full or self.used + size > self.budget
            if self._full:
                return None
            self.used += size
        path = self.folder / name
        try:
            for key, array in arrays.items():
                np.save(f"{path}.{key}.npy", array, allow_pickle=False)
        except OSError as error:
            LOGGER.info(f"{self.folder} takes no more rows ({error}): later passes read them from the source again")
            self._full = True
            self._remove(path, tuple(arrays))
            return None
        nothing = replace(design.response, codes=None, counts=None)
        bare = replace(
            design, features=DenseFeatures(np.empty((0, 0))), response=nothing, weights=None, offset=None,
            index=pd.RangeIndex(design.n_obs), frame=None, available=None,
        )  # fmt: skip
        return _Kept(bare, path, tuple(arrays))

    def _remove(self, path: Path, names: Iterable[str]) -> None:
        for name in names:
            Path(f"{path}.{name}.npy").unlink(missing_ok=True)


def _remove_folder(folder: Path, owner: int) -> None:
    """Remove a folder at the end of the process that made it; one that was forked from it does not."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _arrays_of(design: Design) -> dict[str, AnyArray]:
    """The arrays of a design, by name."""
    response = design.response
    found = {
        "X": design.X, "codes": response.codes, "counts": response.counts, "weights": design.weights,
        "offset": design.offset, "available": design.available,
    }  # fmt: skip
    arrays: dict[str, AnyArray] = {name: array for name, array in found.items() if array is not None}
    arrays["X"] = _narrow(arrays["X"])
    if response.codes is not None and response.n_classes <= 256:
        arrays["codes"] = response.codes.astype(np.uint8)
    return arrays


def _narrow(X: AnyArray) -> AnyArray:
    """The same numbers in fewer bytes, where they allow it: flags and small whole numbers, and single precision."""
    some = X[:: max(len(X) // 64, 1)]  # shows of most features that they do not
    for dtype in (np.int8, np.float32):
        with np.errstate(invalid="ignore", over="ignore"):
            if (some.astype(dtype) == some).all() and (X.astype(dtype) == X).all():
                return X.astype(dtype)
    return X


def _with_arrays(bare: Design, arrays: dict[str, AnyArray]) -> Design:
    """The design of which these are the arrays."""
    codes = arrays.get("codes")
    codes = None if codes is None else codes.astype(np.int64)
    response = replace(bare.response, codes=codes, counts=arrays.get("counts"))
    weights, offset, available = (arrays.get(name) for name in ("weights", "offset", "available"))
    features = DenseFeatures(arrays["X"].astype(np.float64, copy=False))
    return replace(bare, features=features, response=response, weights=weights, offset=offset, available=available)
