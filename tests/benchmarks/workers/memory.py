"""Worker: peak memory and time of a model and its MAP beyond the data, which are given in one of several forms.

``python -m tests.benchmarks.workers.memory FORM ROWS OUT``.  A smaller fit comes first, so that libraries, kernels and
their workspaces are there; then the peak (``VmHWM``, so on Linux only) is set back to what the process with its data
holds.  Writes a line of JSON.
"""

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_softmax as bs

P, K, WARM = 20, 5, 30_000
MEGABYTE = 2**20
Model = Callable[[], bs.SoftmaxRegression]


def numbers(rng: np.random.Generator, n: int, dtype: str = "f8", order: str = "C") -> np.ndarray:
    """Features (n, P), made without a copy of all of them."""
    X = np.empty((n, P), dtype=dtype, order=order)  # type: ignore[call-overload]
    for start in range(0, n, 65536):
        X[start : start + 65536] = rng.normal(size=X[start : start + 65536].shape) * (30 if dtype[0] == "i" else 1)
    return X


def columns(rng: np.random.Generator, n: int, dtype: str = "f8") -> pd.DataFrame:
    return pd.DataFrame({f"x{j}": rng.normal(size=n).astype(dtype) for j in range(P)})


def factors(rng: np.random.Generator, n: int, dtype: str) -> pd.DataFrame:
    a, b = rng.choice(list("abcdefgh"), n), np.array([f"l{i}" for i in range(20)])[rng.integers(20, size=n)]
    return pd.DataFrame({"a": pd.Series(a).astype(dtype), "b": pd.Series(b).astype(dtype), "x": rng.normal(size=n)})  # type: ignore[call-overload]


def of_formula(data: pd.DataFrame, y: np.ndarray) -> Model:
    formula = f"y ~ {' + '.join(data.columns)}"
    data["y"] = y
    return lambda: bs.SoftmaxRegression.from_formula(formula, data)


def of_features(X: Any, y: np.ndarray) -> Model:
    return lambda: bs.SoftmaxRegression(X, y)


FORMS: dict[str, Callable[[np.random.Generator, int, np.ndarray], Model]] = {
    "float64": lambda rng, n, y: of_features(numbers(rng, n), y),
    "float64, Fortran order": lambda rng, n, y: of_features(numbers(rng, n, order="F"), y),
    "float32": lambda rng, n, y: of_features(numbers(rng, n, "f4"), y),
    "int32": lambda rng, n, y: of_features(numbers(rng, n, "i4"), y),
    "booleans": lambda rng, n, y: of_features(rng.random((n, P)) < 0.3, y),
    "data frame": lambda rng, n, y: of_features(columns(rng, n), y),
    "formula of numbers": lambda rng, n, y: of_formula(columns(rng, n), y),
    "formula of float32": lambda rng, n, y: of_formula(columns(rng, n, "f4"), y),
    "formula, two factors of strings": lambda rng, n, y: of_formula(factors(rng, n, "str"), y),
    "formula, two factors of objects": lambda rng, n, y: of_formula(factors(rng, n, "object"), y),
    "formula, two categoricals": lambda rng, n, y: of_formula(factors(rng, n, "category"), y),
}


def model_of(form: str, n: int) -> Model:
    rng = np.random.default_rng(0)
    y = rng.integers(K, size=n)
    return FORMS[form](rng, n, y)


def held(key: str) -> float:
    """Memory of this process in MB: ``VmRSS`` now, ``VmHWM`` at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def measured(form: str, n: int) -> dict[str, float]:
    """Megabytes and seconds of making a model and of its MAP."""
    model_of(form, WARM)().map()
    make = model_of(form, n)
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, start = held("VmRSS"), time.perf_counter()
    model = make()
    made, at_model = time.perf_counter(), held("VmHWM")
    model.map()
    end = time.perf_counter()
    packed = 8 * n * (len(model.feature_names) + 1) / MEGABYTE
    return {
        "packed_mb": packed, "model_mb": at_model - before, "fit_mb": held("VmHWM") - before,
        "model_s": made - start, "map_s": end - made,
    }  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
