"""Rows in memory as parts of a likelihood."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_softmax.core.protocols import Part, PartCurvature
from bayes_softmax.core.records import ExpectedRows, FloatArray, IntArray
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import block_length, some_rows
from bayes_softmax.density import curvature, kernel
from bayes_softmax.density.native import part_numbers
from bayes_softmax.density.packing import (
    aligned,
    count_rows,
    observed_rows,
    pack_counts,
    pack_features,
    pack_mask,
    pack_offset,
    pack_totals,
    some_of,
)
from bayes_softmax.separation.choice_sets import connected_classes


@dataclass(frozen=True, eq=False)
class MemoryPart:
    """Rows in memory, packed into blocks: a ``core.protocols.Part``.  Make it with :func:`pack_part`."""

    rows: kernel.RowData
    linear: FloatArray
    constant: float
    total_weight: float

    def __post_init__(self) -> None:
        """Check dtypes and layouts, because vector loops read the rows through bare addresses."""
        part_numbers(self.rows)

    @property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        return self.rows.n_obs

    @property
    def n_blocks(self) -> int:
        """Number of blocks of rows."""
        return len(self.rows.Z)

    @property
    def size(self) -> int:
        """Number of feature values held in memory."""
        return self.rows.Z.size

    def log_likelihood_gradient(self, V: FloatArray, first: int, end: int) -> tuple[float, FloatArray]:
        """Value and gradient of some blocks."""
        G = np.zeros(V.shape)
        return kernel.log_likelihood_gradient(self.rows, V, G, first, end), G

    def log_likelihoods(self, Vs: FloatArray, first: int, end: int) -> FloatArray:
        """Values (S,) of some blocks at S coefficient matrices (S, K, q)."""
        out, D = np.zeros(len(Vs)), np.ascontiguousarray(Vs[:, :-1] - Vs[:, -1:])
        kernel.add_log_likelihoods(self.rows, D, out, first, end)
        return out

    def pair_hessians(self, V: FloatArray, first: int, end: int) -> FloatArray:
        """Curvature (pairs, q, q) of each pair of classes."""
        K, q = V.shape
        S = np.zeros((K * (K - 1) // 2, q, q))
        curvature.pair_hessians(self.rows, V, S, first, end)
        return S

    def metric_sums(self, V: FloatArray, first: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Weighted Gram matrix of the features (q, q) and class covariance (K, K)."""
        K, q = V.shape
        G, A = np.zeros((q, q)), np.zeros((K, K))
        curvature.weighted_gram(self.rows, V, G, A, first, end)
        return G, A

    def curvature_at(self, V: FloatArray) -> PartCurvature:
        """The Hessian at ``V``, for products; it keeps the expected counts for as long as it lives."""
        n_blocks, _, B = self.rows.Z.shape
        return _MemoryCurvature(self.rows, V, aligned((n_blocks, len(V) - 1, B)))

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts, block by block, without padding."""
        rows, B = self.rows, self.rows.Z.shape[2]
        P = aligned((1, len(V), B))
        for b, Z in enumerate(rows.Z):
            curvature.expected_counts(rows, V, P, b, b + 1)
            n = min(B, rows.n_obs - b * B)
            totals = rows.totals[b, :n] if len(rows.totals) else np.ones(n)
            yield ExpectedRows(Z[:, :n], P[0, :, :n], totals)

    def native(self) -> IntArray:
        """Addresses and sizes, in the layout ``kernel.PART`` of compiled code."""
        return part_numbers(self.rows)


@dataclass(frozen=True, eq=False)
class _MemoryCurvature:
    """A ``core.protocols.PartCurvature`` that keeps the expected counts ``P`` (n, K - 1, B) of all but one class."""

    rows: kernel.RowData
    V: FloatArray
    P: FloatArray

    def prepare(self, first: int, end: int) -> None:
        curvature.keep_counts(self.rows, self.V, self.P[first:end], first, end)

    def product(self, D: FloatArray, first: int, end: int) -> FloatArray:
        out = np.zeros(D.shape)
        curvature.hessian_product(self.rows, self.P[first:end], D, out, first, end)
        return out


def pack_part(design: Design) -> MemoryPart:
    """The rows of a design as a part; rows of weight zero carry no information and are left out."""
    rows, kept, constant = _packed(design)
    return MemoryPart(rows, _response_products(design, kept, rows.Z), constant, design.total_weight)


def pack_without_responses(design: Design) -> MemoryPart:
    """The same without ``linear``, the sums over the responses, which are zero: for passes that know them."""
    rows, _, constant = _packed(design)
    return MemoryPart(rows, np.zeros((design.n_classes, rows.Z.shape[1])), constant, design.total_weight)


def _packed(design: Design) -> tuple[kernel.RowData, slice | IntArray, float]:
    """The packed rows that hold an observation, their positions, and the offsets' term of the log-likelihood."""
    totals, K = design.totals, design.n_classes
    kept = observed_rows(totals)
    Z = pack_features(design, kept)
    B = Z.shape[2]
    offset, constant = pack_offset(design, kept, B)
    rows = kernel.RowData(
        Z=Z,
        n_obs=count_rows(kept),
        totals=pack_totals(totals, kept, B),
        offset=offset,
        available=pack_mask(None if design.available is None else design.available[kept], K, B),
    )
    return rows, kept, constant


def parts_of(rows: Design | Sequence[Design], n_parts: int = 1) -> tuple[MemoryPart, ...]:
    """A part of each design, or with ``n_parts`` several of consecutive rows.

    Several designs have the same classes and features and one standardisation.
    """
    designs = [rows] if isinstance(rows, Design) else rows
    return tuple(pack_part(some) for design in designs for some in split_rows(design, n_parts))


def split_rows(design: Design, n_parts: int) -> list[Design]:
    """Split a design into several of consecutive rows, with the same standardisation."""
    if n_parts == 1:
        return [design]
    bounds = [design.n_obs * part // n_parts for part in range(n_parts + 1)]
    return [rows_of(design, slice(first, end)) for first, end in itertools.pairwise(bounds)]


def rows_of(design: Design, rows: slice | IntArray) -> Design:
    """The design restricted to some rows; slices are views, not copies."""

    def cut(array: Any) -> Any:
        return None if array is None else array[rows]

    response = replace(design.response, codes=cut(design.response.codes), counts=cut(design.response.counts))
    return replace(
        design,
        features=some_rows(design.features, rows),
        response=response,
        weights=cut(design.weights),
        offset=cut(design.offset),
        index=cut(design.index),
        frame=None,
        available=cut(design.available),
        group_columns=cut(design.group_columns),
    )


def holds_intercept(rows: Design | Sequence[Design]) -> bool:
    """Whether all classes were observed and choice sets connect them, so that no prior is needed to hold intercepts."""
    designs = [rows] if isinstance(rows, Design) else rows
    if not (np.sum([design.class_counts() for design in designs], axis=0) > 0).all():
        return False
    offered = [design.available[design.totals > 0] for design in designs if design.available is not None]
    return len(offered) < len(designs) or len(connected_classes(np.concatenate(offered))) == 1


def _response_products(design: Design, kept: slice | IntArray, Z: FloatArray) -> FloatArray:
    """``Y'Z`` (K, q) of the counts of the rows and their packed features; counts are packed some blocks at a time."""
    (_, q, B), K = Z.shape, design.n_classes
    step = max(block_length(q) // B, 1)

    def part(first: int, end: int) -> FloatArray:
        out = np.zeros((K, q))
        for b in range(first, end, step):
            blocks = Z[b : min(b + step, end)]
            Y = pack_counts(design, some_of(kept, b * B, (b + len(blocks)) * B), B)
            curvature.response_products(blocks, Y, out, 0, len(blocks))
        return out

    parts = in_parallel(part, ranges(len(Z), float(Z.size * K)))
    total: FloatArray = -np.sum(parts, axis=0)
    return total


def part_table(parts: Sequence[Part]) -> IntArray:
    """Lines (n, 12) of the parts, ``kernel.PART``, in an array that keeps alive the memory behind its addresses.

    There are no lines, (0, 12), if some part is not in memory.
    """
    found = [line for part in parts if (line := part.native()) is not None]
    lines = np.array(found if len(found) == len(parts) else [], dtype=np.int64).reshape(-1, kernel.PART_SIZE)
    return np.asarray(_Owner(lines, tuple(parts)))


@dataclass(frozen=True)
class _Owner:
    """Owner of an array's memory and of the memory to which its entries point."""

    lines: IntArray
    parts: tuple[Part, ...]

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.lines.__array_interface__
