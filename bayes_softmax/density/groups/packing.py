"""Levels of rows, packed beside the blocks of features, and the covariances of their effects in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.kernel import GROUPING_SIZE
from bayes_softmax.density.native import Field, checked_addresses, require
from bayes_softmax.density.packing import pack_rows

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
    kept, (n_blocks, B) = np.flatnonzero(design.totals > 0), shape
    codes = np.zeros((n_blocks, B), dtype=np.int64)
    codes.ravel()[: len(kept)] = rows.codes[kept]
    observed = np.zeros((rows.n_levels, rows.n_terms, design.n_classes - 1))
    products = rows.terms[kept, :, None] * design.dense_counts()[kept, None, :-1]
    np.add.at(observed, rows.codes[kept], products)
    differences = np.ascontiguousarray(contrasts[:-1] - contrasts[-1])
    return Grouping(codes, pack_rows(rows.terms[kept], B), observed, differences)


def grouping_table(groupings: Sequence[tuple[Grouping, CovarianceData]], n_weights: int) -> IntArray:
    """Checked addresses and sizes, a line for each grouping; whoever reads them keeps the arrays alive."""
    lines, first_hyper, at = [], 0, n_weights
    for j, (rows, covariance) in enumerate(groupings):
        sizes = _sizes(rows, covariance)
        require(bool(((rows.codes >= 0) & (rows.codes < sizes["G"])).all()), rows, "codes", "has unknown levels")
        addresses = checked_addresses(rows, ROW_FIELDS, sizes) + checked_addresses(covariance, COVARIANCE_FIELDS, sizes)
        n_hyper = sizes["n_sds"] + int(covariance.pair.max(initial=-1)) + 1
        numbers = [sizes[name] for name in ("n_blocks", "B", "q", "G", "n", "k", "n_sds", "K1")]
        lines.append([*addresses, *numbers, first_hyper, n_hyper, at if j else 0])
        first_hyper, at = first_hyper + n_hyper, at + (sizes["G"] * sizes["m"] if j else 0)
    return np.array(lines, dtype=np.int64).reshape(-1, GROUPING_SIZE)


def _sizes(rows: Grouping, covariance: CovarianceData) -> dict[str, int]:
    (n_blocks, q, B), (G, _, K1), k = rows.terms.shape, rows.observed.shape, rows.contrasts.shape[1]
    found: dict[str, Any] = {"n_blocks": n_blocks, "B": B, "q": q, "G": G, "K1": K1, "k": k, "m": q * k}
    return found | {"n": len(covariance.mapping), "n_sds": len(covariance.scale)}
