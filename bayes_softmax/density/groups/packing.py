"""Levels of rows, packed beside the blocks of features, and the covariances of their effects in numbers."""

from dataclasses import dataclass

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.table import Lanes
from bayes_softmax.density.native import require
from bayes_softmax.density.packing import pack_rows
from bayes_softmax.density.simd import ROW_MULTIPLE

MAX_LANES = 264  # levels side by side: a chunk's arrays stay in the second-level cache
type Packed = tuple[Grouping, CovarianceData]


@dataclass(frozen=True, eq=False)
class LevelRows:
    """Level of each row of a design, of ``n_levels``, and the terms (N, q) that multiply its effects."""

    codes: IntArray
    n_levels: int
    terms: FloatArray

    @property
    def n_terms(self) -> int:
        """q."""
        return int(self.terms.shape[1])


def pack_levels(rows: LevelRows, design: Design, contrasts: FloatArray, shape: tuple[int, int]) -> Grouping:
    """The rows of positive weight in blocks of ``shape``, with the observed counts of each level."""
    known = (rows.codes >= 0) & (rows.codes < rows.n_levels)
    require(bool(known.all()), rows, "codes", "has unknown levels")  # compiled code does not check
    kept, (n_blocks, B) = np.flatnonzero(design.totals > 0), shape
    codes = np.zeros((n_blocks, B), dtype=np.int64)
    codes.ravel()[: len(kept)] = rows.codes[kept]
    observed = np.zeros((rows.n_levels, rows.n_terms, design.n_classes - 1))
    products = rows.terms[kept, :, None] * design.dense_counts()[kept, None, :-1]
    np.add.at(observed, rows.codes[kept], products)
    differences = np.ascontiguousarray(contrasts[:-1] - contrasts[-1])
    return Grouping(codes, pack_rows(rows.terms[kept], B), observed, differences)


def lanes_of(n_levels: int) -> int:
    """Number B of levels side by side."""
    chunks = -(-n_levels // MAX_LANES)
    return ROW_MULTIPLE * -(-n_levels // (ROW_MULTIPLE * chunks))


def pack_lanes(curvature: FloatArray, target: FloatArray, border: FloatArray, effects: FloatArray) -> Lanes:
    """An expansion in G levels, (G, m, m), (G, m), (G, m, d) and (G, m), in chunks of levels side by side."""
    (G, m), d, B = effects.shape, border.shape[2], lanes_of(len(effects))
    packed = [pack_rows(each.reshape(G, -1), B) for each in (curvature, target, border, effects)]
    n = len(packed[0])
    return Lanes(packed[0].reshape(n, m, m, B), packed[1], packed[2].reshape(n, m, d, B), packed[3])
