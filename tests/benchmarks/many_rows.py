"""Parquet files of any number of rows, written a row group at a time; the same rows for the same seed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

GROUP_ROWS = 250_000
FEATURES, CLASSES, PATTERNS = 20, 5, 1000
SEED = 15


def numbers(n_rows: int) -> Iterator[pd.DataFrame]:
    """Rows of 20 correlated numbers and one of five classes, in pieces."""
    truth = np.random.default_rng(SEED)
    W, b = 0.5 * truth.normal(size=(FEATURES, CLASSES)), np.linspace(0, 1, CLASSES)
    classes = np.array([f"class {k}" for k in range(CLASSES)])
    for number, n in enumerate(_sizes(n_rows)):
        rng = np.random.default_rng([SEED, number])
        X = rng.normal(size=(n, FEATURES))
        X[:, 1:] += 0.5 * X[:, :1]
        codes = np.argmax(X @ W + b + rng.gumbel(size=(n, CLASSES)), axis=1)
        frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(FEATURES)])
        yield frame.assign(y=classes[codes])


def patterns(n_rows: int) -> Iterator[pd.DataFrame]:
    """Rows of three factors of ten levels each, so of 1000 patterns, and one of five classes, in pieces."""
    truth = np.random.default_rng(SEED)
    effects = 0.5 * truth.normal(size=(3, 10, CLASSES))
    levels, classes = np.array([f"level {j}" for j in range(10)]), np.array([f"class {k}" for k in range(CLASSES)])
    for number, n in enumerate(_sizes(n_rows)):
        rng = np.random.default_rng([SEED, number])
        at = rng.integers(10, size=(n, 3))
        logits = np.sum([effects[j, at[:, j]] for j in range(3)], axis=0)
        codes = np.argmax(logits + rng.gumbel(size=(n, CLASSES)), axis=1)
        yield pd.DataFrame({name: levels[at[:, j]] for j, name in enumerate("abc")} | {"y": classes[codes]})


KINDS = {"numbers": numbers, "patterns": patterns}


def parquet_file(folder: Path, kind: str, n_rows: int) -> Path:
    """A file of so many rows, as pandas would write it but in row groups of 250 000; kept for the next time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{kind}-{n_rows}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    writer = None
    for frame in KINDS[kind](n_rows):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = pq.ParquetWriter(unfinished, table.schema) if writer is None else writer
        writer.write_table(table, row_group_size=GROUP_ROWS)
    if writer is not None:
        writer.close()
    unfinished.rename(path)
    return path


def _sizes(n_rows: int) -> list[int]:
    return [min(GROUP_ROWS, n_rows - start) for start in range(0, n_rows, GROUP_ROWS)]
