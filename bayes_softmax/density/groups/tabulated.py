"""Addresses and sizes of all groupings in one table, for compiled code."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bayes_softmax.core.records import IntArray
from bayes_softmax.density.groups.chains import Chain
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.layout import Layout
from bayes_softmax.density.groups.packing import Packed, lanes_of
from bayes_softmax.density.groups.table import FIELDS, GROUPING_SIZE, OF_LANES, Lanes
from bayes_softmax.density.native import Field, checked_addresses

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
PARENT_FIELDS = (Field("parents", np.int64, ("n_parents",)),)


class Parents(NamedTuple):
    """The levels of a grouping that contain those of another."""

    parents: IntArray


def grouping_table(
    packed: Sequence[Packed], lanes: Sequence[Lanes | None], layout: Layout, chain: Chain
) -> tuple[IntArray, tuple[int, int]]:
    """Checked addresses and sizes, a line for each grouping, and the sizes of the workspaces.

    Whoever reads them keeps the arrays alive.  ``lanes`` are None for a grouping that belongs to the border.
    """
    lines, first_hyper, work_at, prior_at, d = [], 0, 0, 0, layout.n_border
    parents = dict(zip(chain.groupings, chain.parents, strict=False))
    for j, ((rows, covariance), expansion) in enumerate(zip(packed, lanes, strict=True)):
        sizes = _sizes(rows, covariance) | {"d": d}
        addresses = checked_addresses(rows, ROW_FIELDS, sizes) + checked_addresses(covariance, COVARIANCE_FIELDS, sizes)
        n, m = sizes["n"], sizes["m"]
        n_hyper, B = covariance.n_hyper, lanes_of(sizes["G"])
        sizes |= {"n_chunks": -(-sizes["G"] // B) if expansion else 0, "lanes": B}
        addresses += checked_addresses(expansion, LANE_FIELDS, sizes) if expansion else [0] * len(OF_LANES)
        sizes |= {"n_parents": len(parents[j]) if j in parents else 0, "in_chain": j in chain.groupings}
        addresses.append(checked_addresses(Parents(parents[j]), PARENT_FIELDS, sizes)[0] if j in parents else 0)
        size = sizes["n_chunks"] * m * B
        chain_at = work_at + size * (m + 4 + (d if layout.exact else 0))
        sizes |= {"first_hyper": first_hyper, "n_hyper": n_hyper, "at": layout.at[j]}
        sizes |= {"own_at": work_at, "chain_at": chain_at, "prior_at": prior_at}
        lines.append([*addresses, *(sizes[name] for name in FIELDS[len(addresses) :])])
        first_hyper += n_hyper
        work_at = chain_at + (size * (2 * m + 3) if sizes["in_chain"] else 0)
        prior_at += n * n + m * n + 3 * m * m
    return np.array(lines, dtype=np.int64).reshape(-1, GROUPING_SIZE), (work_at, prior_at)


def _sizes(rows: Grouping, covariance: CovarianceData) -> dict[str, int]:
    (n_blocks, q, B), (G, _, K1), k = rows.terms.shape, rows.observed.shape, rows.contrasts.shape[1]
    found: dict[str, Any] = {"n_blocks": n_blocks, "B": B, "q": q, "G": G, "K1": K1, "k": k, "m": q * k}
    return found | {"n": len(covariance.mapping), "n_sds": len(covariance.scale)}
