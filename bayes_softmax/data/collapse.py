"""Equal rows collapsed without loss: those with the same features, levels, offset and choice set become one."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, as_doubles
from bayes_softmax.data.features import DenseFeatures, places

SAMPLE = 2048  # rows looked at before all are hashed
SAMPLE_COLUMNS = 16
MIN_REPEATS = 0.25  # share of repeated rows in the sample below which collapsing would not pay
MAX_SHARE = 0.5  # largest share of distinct rows for which the collapsed data are used
BLOCK_ROWS = 65536

# Odd multipliers of the splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014): every bit reaches the high ones.
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Collapsed(NamedTuple):
    """A design whose response is counts over distinct rows, and the distinct row (N,) of each original one."""

    design: Design
    row_map: IntArray


def collapse_rows(design: Design) -> Collapsed | None:
    """Collapse equal rows; None where fewer than half of them would go; a sample is tested first."""
    if design.n_obs < 2 or not _sample_repeats(design):
        return None
    design.features.check_unchanged()
    row_map, distinct = pd.factorize(_hashes(design))
    n_distinct = len(distinct)
    if n_distinct > MAX_SHARE * design.n_obs:
        return None
    representative = np.empty(n_distinct, dtype=np.int64)
    representative[row_map[::-1]] = np.arange(design.n_obs - 1, -1, -1)
    collapsed = replace(
        design,
        features=DenseFeatures(design.features.at(representative)),
        response=replace(design.response, codes=None, counts=_summed(design, row_map, n_distinct)),
        weights=None,
        offset=None if design.offset is None else design.offset[representative],
        available=None if design.available is None else design.available[representative],
        group_columns=None if design.group_columns is None else design.group_columns[representative],
        index=pd.RangeIndex(n_distinct),
        frame=None if design.frame is None else as_doubles(design.frame.iloc[representative]).reset_index(drop=True),
    )
    if not _equal_to(design, collapsed, row_map):  # two patterns with one hash: once in 10^8 data sets
        return None
    return Collapsed(collapsed, row_map.astype(np.int64, copy=False))


def _arrays(design: Design, rows: slice | IntArray) -> list[FloatArray]:
    """Everything but the response, of some rows: rows that are equal in it are one."""
    others = [a[rows] for a in (design.offset, design.available, design.group_columns) if a is not None]
    return [design.features.at(rows), *(a.astype(np.float64, copy=False) for a in others)]


def _sample_repeats(design: Design) -> bool:
    """Whether enough rows of a sample repeat each other."""
    # At random: data in the order of their patterns, or in cycles, would bias a regular sample.
    rng, some = np.random.default_rng(0), design.n_obs > SAMPLE
    rows = rng.choice(design.n_obs, size=SAMPLE, replace=False) if some else np.arange(design.n_obs)
    arrays = _arrays(design, rows)
    # Most distinct rows differ in the first few columns already.
    for columns in (slice(SAMPLE_COLUMNS), slice(None)):
        hashes = row_hashes([a[:, columns] for a in arrays])
        if len(np.unique(hashes)) > (1 - MIN_REPEATS) * len(rows):
            return False
    return True


def _hashes(design: Design) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Hash of each row."""
    return np.concatenate([row_hashes(_arrays(design, rows)) for rows in places(*design.features.shape)])


def row_hashes(arrays: list[FloatArray]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64-bit hash of each row; 0.0 and -0.0 are the same number.

    In blocks that stay in the cache: of 1e6 rows of 5 and 20 numbers 0.06 and 0.4 s, where ``pandas.util.hash_array``
    column by column takes 0.3 and 1.4 s, ``hash_pandas_object`` 0.25 and 3.6 s, and pyarrow has no hash of rows.
    """
    n = len(arrays[0])
    out = np.full(n, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for start in range(0, n, BLOCK_ROWS):
        h = out[start : start + BLOCK_ROWS]
        for a in arrays:
            bits = np.ascontiguousarray(a[start : start + BLOCK_ROWS] + 0.0).view(np.uint64)
            for j in range(bits.shape[1]):
                h ^= bits[:, j]
                h *= _MULTIPLIERS[0]
                h ^= h >> np.uint64(29)
                h *= _MULTIPLIERS[1]
                h ^= h >> np.uint64(32)
    return out


def _equal_to(design: Design, collapsed: Design, row_map: IntArray) -> bool:
    """Whether every row equals the one that replaces it."""
    return all(
        bool((row == distinct).all())
        for rows in places(*design.features.shape)
        for row, distinct in zip(_arrays(design, rows), _arrays(collapsed, row_map[rows]), strict=True)
    )


def _summed(design: Design, row_map: IntArray, n_distinct: int) -> FloatArray:
    """(n_distinct, K) counts."""
    K, response = design.n_classes, design.response
    if response.codes is not None:
        cells = np.bincount(row_map * K + response.codes, weights=design.weights, minlength=n_distinct * K)
        return cells.reshape(n_distinct, K).astype(np.float64)
    counts = design.dense_counts()
    return np.stack([np.bincount(row_map, weights=counts[:, k], minlength=n_distinct) for k in range(K)], axis=1)
