"""Data that nobody wishes for: columns of every scale, arrays of every make, labels of every type."""

import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl

LABELS = {
    "words": lambda k: f"class {k}",
    "numbers in words": lambda k: str(10 - k),
    "integers": lambda k: 3 * k - 4,
    "truth": lambda k: k == 1,
    "floats": lambda k: k / 2,
    "umlauts": lambda k: "äöüßé€"[k % 6] * (1 + k // 6),
    "odd": lambda k: ["", " ", "a,b", "x ~ y", "`", "'", '"', "{0}", "%s", "\n"][k % 10],
    "dates": lambda k: datetime.date(2020, 1, 1 + k),
    "large": lambda k: 2**62 + k,
    "beyond int64": lambda k: 2**63 + 5 * k,
    "mixed": lambda k: [0, "0", 1.5, "b", True, "c", 7, "d", 8, "e"][k % 10],
    "tuples": lambda k: (k, "t"),
}
SIMPLE = ("words", "integers", "numbers in words")


class Responses(NamedTuple):
    """``codes`` (N,) and the labels of the K classes, as they are handed over in ``given``."""

    codes: np.ndarray
    labels: list[Any]
    given: Any
    counts: np.ndarray | None
    kind: str


def pick(rng: np.random.Generator, *choices: Any) -> Any:
    """One of the choices, themselves and not as NumPy would have them."""
    return choices[int(rng.integers(len(choices)))]


def features(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """(N, p) float64 and the kinds of its columns."""
    N = int(pick(rng, 1, 2, 3, 5, *(8, 15, 30, 40, 60, 100) * 2, 300))
    p = int(pick(rng, 0, 1, 1, 2, 2, 3, 3, 4, 6, 10, 25, min(N + 5, 40)))
    wild = rng.random() < 0.5
    columns: list[np.ndarray] = []
    kinds = []
    for _ in range(p):
        kind = pick(
            rng, "normal", "normal", "binary", "integer", *(WILD if wild else ()), *(("copy", "sum") if columns else ())
        )
        kinds.append(kind)
        columns.append(_column(rng, kind, N, columns))
    return np.column_stack(columns) if columns else np.empty((N, 0)), kinds


WILD = ("scaled", "scaled", "far", "flag", "sparse", "heavy", "constant", "zero", "huge", "tiny", "two values")


def _column(rng: np.random.Generator, kind: str, N: int, before: list[np.ndarray]) -> np.ndarray:
    z = rng.normal(size=N)
    return {
        "normal": lambda: z,
        "binary": lambda: (z > 0.3).astype(float),
        "integer": lambda: np.round(3 * z),
        "scaled": lambda: z * 10.0 ** rng.uniform(-6, 9),
        "far": lambda: z + 10.0 ** rng.uniform(1, 8),
        "flag": lambda: (np.arange(N) == rng.integers(N)).astype(float),
        "sparse": lambda: z * (rng.random(N) < 0.1),
        "heavy": lambda: rng.standard_cauchy(N),
        "constant": lambda: np.full(N, rng.normal()),
        "zero": lambda: np.zeros(N),
        "huge": lambda: z * 1e150,
        "tiny": lambda: z * 1e-150,
        "two values": lambda: np.where(z > 0, 5.0, 5.0 + 1e-7),
        "copy": lambda: before[int(rng.integers(len(before)))].copy(),
        "sum": lambda: np.sum(before, axis=0),
    }[kind]()


def dressed(rng: np.random.Generator, X: np.ndarray) -> tuple[Any, str]:
    """The same features in another make of array or frame."""
    form = pick(rng, *("plain",) * 12, *("frame",) * 6, *FORMS)
    if X.shape[1] == 0 and form not in ("plain", "read-only", "Fortran"):
        form = "plain"
    return FORMS.get(form, _frame if form == "frame" else np.copy)(X), form


def _frame(X: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(X, columns=[f"v{j}" for j in range(X.shape[1])], index=np.arange(len(X))[::-1] * 2)


def _strided(X: np.ndarray) -> np.ndarray:
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def _read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.setflags(write=False)
    return X


def _whole(X: np.ndarray) -> np.ndarray:
    return np.clip(np.round(X), -1e15, 1e15).astype(np.int64)


FORMS = {
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": _read_only,
    "float32": lambda X: np.clip(X, -1e30, 1e30).astype(np.float32),
    "int64": _whole,
    "int8": lambda X: np.clip(np.round(X), -100, 100).astype(np.int8),
    "bool": lambda X: X > 0,
    "big-endian": lambda X: X.astype(">f8"),
    "lists": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "complex": lambda X: X.astype(complex),
    "unmasked": lambda X: np.ma.MaskedArray(X.copy(), mask=np.zeros(X.shape, dtype=bool)),
    "masked": lambda X: np.ma.MaskedArray(X.copy(), mask=np.arange(X.size).reshape(X.shape) % 7 == 0),
    "nullable": lambda X: _frame(X).convert_dtypes(convert_integer=False),
    "polars": lambda X: pl.DataFrame({f"v{j}": X[:, j] for j in range(X.shape[1])}),
    "same names": lambda X: _frame(X).set_axis(["v"] * X.shape[1], axis=1),
    "odd names": lambda X: _frame(X).set_axis([ODD_NAMES[j % 8] + "_" * (j // 8) for j in range(X.shape[1])], axis=1),
    "names of numbers": lambda X: _frame(X).set_axis(range(X.shape[1]), axis=1),
    "multi-index": lambda X: _frame(X).set_axis(pd.MultiIndex.from_product([["a"], range(X.shape[1])]), axis=1),
}
ODD_NAMES = ("a b", "weights", "1", "", "x:y", "C(x)", "category", "é")


def responses(rng: np.random.Generator, X: np.ndarray) -> Responses:
    """Labels or counts: random, following the features, or separated by them."""
    N = len(X)
    K = int(pick(rng, *(2, 3) * 8, *(4, 4, 6, 10), 1))
    Z = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0) if X.size else np.zeros((N, 1))
    Z = np.nan_to_num(Z)
    size = pick(rng, 0.0, 0.5, 1.0, 30.0)
    logits = size * Z @ rng.normal(size=(Z.shape[1], K)) + rng.normal(size=K)
    codes = (logits + (rng.gumbel(size=logits.shape) if size < 30 else 0.0)).argmax(axis=1)
    form = pick(rng, "labels", "labels", "labels", "labels", "counts", "one-hot", "real counts", "frame of counts")
    if form == "labels":
        return _labels(rng, codes, K)
    counts = np.eye(K)[codes]
    if form != "one-hot":
        counts = counts * rng.integers(0, 5, size=(N, 1)) + rng.integers(0, 3, size=(N, K))
    counts = counts * 0.7 if form == "real counts" else counts
    labels: list[Any] = list(range(K))
    given: Any = counts.astype(pick(rng, float, float, int)) if form in ("counts", "one-hot") else counts.copy()
    if form == "frame of counts":
        labels = [f"n{k}" for k in range(K)]
        given = pd.DataFrame(counts, columns=labels)
    return Responses(codes, labels, given, counts, form)


def _labels(rng: np.random.Generator, codes: np.ndarray, K: int) -> Responses:
    kind = pick(rng, *SIMPLE * 8, *LABELS)
    if kind == "truth" and K > 2:
        kind = "words"
    labels = [LABELS[kind](k) for k in range(K)]
    objects = np.empty(len(codes), dtype=object)
    objects[:] = [labels[k] for k in codes]
    form = pick(rng, *("array",) * 6, "list", "series", "categorical", "categorical", "polars", "tuple")
    given: Any = objects
    if form == "list":
        given = objects.tolist()
    elif form == "tuple":
        given = tuple(objects.tolist())
    elif form == "series":
        given = pd.Series(objects.tolist(), name=pick(rng, "y", None, "a b"))
    elif form == "categorical" and kind not in ("mixed", "tuples", "dates", "truth"):
        given = pd.Categorical(objects.tolist(), categories=[*labels, *pick(rng, (), (_another(labels),))])
    elif form == "polars" and kind not in ("mixed", "tuples", "dates", "large", "beyond int64"):
        given = pl.Series(pick(rng, "y", ""), objects.tolist())
    elif kind in ("integers", "floats", "truth", "words", "beyond int64"):
        given = np.array(objects.tolist())
    return Responses(codes, labels, given, None, f"{kind} in a {form}")


def _another(labels: list[Any]) -> Any:
    return "never" if isinstance(labels[0], str) else -99
