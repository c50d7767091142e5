"""Memory layout of the kernel's data: rows in blocks, feature by feature within a block, aligned to cache lines."""

import math

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import as_slice, block_length
from bayes_softmax.density.simd import ROW_MULTIPLE

# Multiples of the tile with an odd number of cache lines: powers of two would map a block's features to few sets of
# the first-level cache.  A block of features should stay in the second-level cache between the two products.
BLOCK_ROWS = (264, 216, 168, 120, 72, 24)
BLOCK_DOUBLES = 64_000
BLOCK_OVERHEAD = 24  # cost of starting a block, in rows

assert all(rows % ROW_MULTIPLE == 0 for rows in BLOCK_ROWS)


def aligned(shape: tuple[int, ...]) -> FloatArray:
    """Array of zeros that starts on a cache line."""
    size = math.prod(shape)
    raw = np.zeros(size + 8)
    start = -(raw.ctypes.data // 8) % 8
    return raw[start : start + size].reshape(shape)


def block_rows(n_rows: int, n_columns: int) -> int:
    """Number of rows B of a block: as many as fit into the cache, without much padding."""
    fitting = [B for B in BLOCK_ROWS if B * n_columns <= BLOCK_DOUBLES] or [BLOCK_ROWS[-1]]
    return min(fitting, key=lambda B: -(-n_rows // B) * (B + BLOCK_OVERHEAD))


def pack_rows(A: FloatArray, B: int | None = None) -> FloatArray:
    """Rows (N, m) as blocks (n, m, B), the last one padded with zeros."""
    N, m = A.shape
    B = block_rows(N, m) if B is None else B
    n_blocks = max(-(-N // B), 1)
    out = aligned((n_blocks, m, B))
    full = N // B
    out[:full] = A[: full * B].reshape(full, B, m).transpose(0, 2, 1)
    if full < n_blocks:
        out[full, :, : N - full * B] = A[full * B :].T
    return out


def pack_mask(available: NDArray[np.bool_] | None, K: int, B: int) -> NDArray[np.bool_]:
    """Classes on offer in rows (N, K) as blocks (n, K, B), all True where padded; (0, K, B) for None."""
    if available is None:
        return np.empty((0, K, B), dtype=bool)
    n_blocks = max(-(-len(available) // B), 1)
    padded = np.ones((n_blocks * B, K), dtype=bool)
    padded[: len(available)] = available
    return np.ascontiguousarray(padded.reshape(n_blocks, B, K).transpose(0, 2, 1))


def pack_offset(design: Design, rows: slice | IntArray, B: int) -> tuple[FloatArray, float]:
    """Offset (n, K, B) of the given rows, and its contribution to the log-likelihood's linear term.

    Each row is taken relative to its largest offset among the classes on offer: a class excluded by an offset of -1e30
    then costs the others no digits, whatever its position.
    """
    if design.offset is None:
        return np.empty((0, design.n_classes, B)), 0.0
    offset, counts = design.offset[rows], design.dense_counts()[rows]
    if design.available is not None:
        offset = np.where(design.available[rows], offset, -np.inf)
    relative = offset - offset.max(axis=1, keepdims=True)
    relative[relative == -np.inf] = 0.0  # not on offer: masked, so the value does not matter
    return pack_rows(relative, B), float((counts * relative).sum())


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _pack_features(X, centre, scale, out):  # type: ignore[no-untyped-def]
    """Standardise and pack rows ``X`` (N, p) into as many blocks ``out`` (n, q, B) as they fill."""
    n, q, B = out.shape
    p = X.shape[1]
    ones = q - p
    for b in range(n):
        for i in range(min(B, X.shape[0] - b * B)):
            row = X[b * B + i]
            if ones > 0:
                out[b, 0, i] = 1.0
            for j in range(p):
                out[b, ones + j, i] = (row[j] - centre[j]) / scale[j]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _pack_labels(codes, weights, out):  # type: ignore[no-untyped-def]
    """One-hot counts (n, K, B) of labels (N,); ``weights`` (N,) or (0,) for ones."""
    n, B = out.shape[0], out.shape[2]
    for b in range(n):
        for i in range(min(B, codes.shape[0] - b * B)):
            row = b * B + i
            out[b, codes[row], i] = weights[row] if weights.shape[0] > 0 else 1.0


def observed_rows(totals: FloatArray) -> slice | IntArray:
    """Rows that hold an observation: a slice if all do, which takes no memory, else their positions."""
    used = totals > 0
    return slice(0, len(totals)) if used.all() else np.flatnonzero(used)


def count_rows(rows: slice | IntArray) -> int:
    """Number of such rows."""
    return int(rows.stop - rows.start) if isinstance(rows, slice) else len(rows)


def some_of(rows: slice | IntArray, first: int, end: int) -> slice | IntArray:
    """The rows ``first <= i < end`` of them, as a slice where they are consecutive."""
    if isinstance(rows, slice):
        return slice(rows.start + first, min(rows.start + end, rows.stop))
    return as_slice(rows[first:end])


def pack_totals(totals: FloatArray, rows: slice | IntArray, B: int) -> FloatArray:
    """Observations (n, B) in each of the given rows; (0, B) if there is one in each."""
    if ((totals == 1) | (totals == 0)).all():
        return np.empty((0, B))
    return pack_rows(totals[rows][:, None], B)[:, 0].copy()


def pack_features(design: Design, rows: slice | IntArray, B: int | None = None) -> FloatArray:
    """Standardised features (n, q, B) of the given rows, preceded by a feature of ones if there is an intercept."""
    q, N = design.n_features + int(design.has_intercept), count_rows(rows)
    B = block_rows(N, q) if B is None else B
    out = aligned((max(-(-N // B), 1), q, B))
    centre, scale = (np.ascontiguousarray(a, dtype=np.float64) for a in design.standardisation)
    design.features.check_unchanged()
    step = max(block_length(q) // B, 1)

    def pack(first: int, end: int) -> None:
        for b in range(first, end, step):
            blocks = out[b : min(b + step, end)]
            X = design.features.at(some_of(rows, b * B, (b + len(blocks)) * B))
            _pack_features(X, centre, scale, blocks)

    in_parallel(pack, ranges(len(out), 4.0 * out.size))
    return out


def pack_counts(design: Design, rows: slice | IntArray, B: int) -> FloatArray:
    """Weighted counts (n, K, B) of the given rows."""
    weights = None if design.weights is None else design.weights[rows]
    if design.response.counts is not None:
        counts = design.response.counts[rows]
        return pack_rows(counts if weights is None else counts * weights[:, None], B)
    assert design.response.codes is not None
    out = aligned((max(-(-count_rows(rows) // B), 1), design.n_classes, B))
    _pack_labels(design.response.codes[rows], np.empty(0) if weights is None else weights, out)
    return out
