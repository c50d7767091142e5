"""Levels of rows, packed beside the blocks of features, and the covariances of their effects in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.layout import Layout
from bayes_softmax.density.groups.table import FIELDS, GROUPING_SIZE, OF_LANES, Lanes
from bayes_softmax.density.native import Field, checked_addresses, require
from bayes_softmax.density.packing import pack_rows
from bayes_softmax.density.simd import ROW_MULTIPLE

MAX_LANES = 264  # levels side by side: a chunk's arrays stay in the second-level cache
ROW_FIELDS = (
    Field("codes", np.int64, ("n_blocks", "B")),
    Field("terms", np.float64, ("n_blocks", "q", "B")),
    Field("observed", np.float64, ("G", "q", "K1")),
    Field("contrasts", np.float64, ("K1", "k")),
)
COVARIANCE_FIELDS = (
    Field("mapping", np.float64, ("n", "m")),
    Field("sd_of_column", np.int64, ("n",)),
    Field("pair", np.int64, ("n", "n")),
    Field("power", np.float64, ("n",)),
    Field("family", np.int64, ("n_sds",)),
    Field("df", np.float64, ("n_sds",)),
    Field("scale", np.float64, ("n_sds",)),
)
LANE_FIELDS = (
    Field("curvature", np.float64, ("n_chunks", "m", "m", "lanes")),
    Field("target", np.float64, ("n_chunks", "m", "lanes")),
    Field("border", np.float64, ("n_chunks", "m", "d", "lanes")),
    Field("effects", np.float64, ("n_chunks", "m", "lanes")),
)
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


def grouping_table(
    packed: Sequence[Packed], lanes: Sequence[Lanes | None], layout: Layout
) -> tuple[IntArray, tuple[int, int]]:
    """Checked addresses and sizes, a line for each grouping, and the sizes of the workspaces.

    Whoever reads them keeps the arrays alive.  ``lanes`` are None for a grouping that belongs to the border.
    """
    lines, first_hyper, own_at, prior_at, d = [], 0, 0, 0, layout.n_border
    for j, ((rows, covariance), expansion) in enumerate(zip(packed, lanes, strict=True)):
        sizes = _sizes(rows, covariance) | {"d": d}
        addresses = checked_addresses(rows, ROW_FIELDS, sizes) + checked_addresses(covariance, COVARIANCE_FIELDS, sizes)
        n, m = sizes["n"], sizes["m"]
        n_hyper, B = sizes["n_sds"] + int(covariance.pair.max(initial=-1)) + 1, lanes_of(sizes["G"])
        sizes |= {"n_chunks": -(-sizes["G"] // B) if expansion else 0, "lanes": B}
        addresses += checked_addresses(expansion, LANE_FIELDS, sizes) if expansion else [0] * len(OF_LANES)
        sizes |= {"first_hyper": first_hyper, "n_hyper": n_hyper, "at": layout.at[j]}
        sizes |= {"own_at": own_at, "prior_at": prior_at}
        lines.append([*addresses, *(sizes[name] for name in FIELDS[len(addresses) :])])
        first_hyper += n_hyper
        own_at += sizes["n_chunks"] * m * B * (m + 4 + (d if layout.exact else 0))
        prior_at += n * n + m * n + 3 * m * m
    return np.array(lines, dtype=np.int64).reshape(-1, GROUPING_SIZE), (own_at, prior_at)


def _sizes(rows: Grouping, covariance: CovarianceData) -> dict[str, int]:
    (n_blocks, q, B), (G, _, K1), k = rows.terms.shape, rows.observed.shape, rows.contrasts.shape[1]
    found: dict[str, Any] = {"n_blocks": n_blocks, "B": B, "q": q, "G": G, "K1": K1, "k": k, "m": q * k}
    return found | {"n": len(covariance.mapping), "n_sds": len(covariance.scale)}
