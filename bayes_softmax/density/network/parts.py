"""Rows in memory as parts of a network's likelihood: the packed blocks of linear logits, with the responses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design, Standardisation
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.density import kernel as linear_kernel
from bayes_softmax.density.kernel import PART_SIZE, RowData
from bayes_softmax.density.native import Field, checked_addresses, part_numbers, require
from bayes_softmax.density.network import kernel
from bayes_softmax.density.packing import (
    block_rows,
    count_rows,
    observed_rows,
    pack_features,
    pack_mask,
    pack_offset,
    pack_rows,
    pack_totals,
)
from bayes_softmax.density.parts import split_rows
from bayes_softmax.spec.network.hidden import NetworkCoordinates

RESPONSE_FIELDS = (
    Field("codes", np.int64, ("n_codes", "B")),
    Field("counts", np.float64, ("n_counts", "K", "B")),
)


@dataclass(frozen=True, eq=False)
class NetworkPart:
    """Rows in memory with their responses, packed into blocks.  Make it with :func:`pack_network_part`."""

    data: kernel.NetworkRows
    total_weight: float

    def __post_init__(self) -> None:
        """Check dtypes, layouts and codes, because vector loops read the rows through bare addresses."""
        self.native()
        rows, (codes, counts) = self.data.rows, self.data[1:]
        K = counts.shape[1]
        require(bool(((codes >= 0) & (codes < K)).all()), self.data, "codes", f"has classes beyond 0 to {K - 1}")
        found = sorted((len(codes), len(counts)))
        require(found == [0, len(rows.Z)], self.data, "codes", f"and counts have {found} blocks, not none and all")

    @property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        return self.data.rows.n_obs

    @property
    def n_blocks(self) -> int:
        """Number of blocks of rows."""
        return len(self.data.rows.Z)

    def native(self) -> tuple[IntArray, IntArray]:
        """Lines of the tables ``parts`` and ``responses``."""
        _, K, B = self.data.counts.shape
        sizes = {"n_codes": len(self.data.codes), "n_counts": len(self.data.counts), "K": K, "B": B}
        addresses = checked_addresses(self.data, RESPONSE_FIELDS, sizes)
        responses = np.array([*addresses, sizes["n_codes"], sizes["n_counts"]], dtype=np.int64)
        lines = part_numbers(self.data.rows)
        lines.view(linear_kernel.PART)["K"] = K  # the number of classes, if neither offset nor choice sets have it
        return lines, responses

    def log_likelihood_gradient(
        self, theta: FloatArray, V: FloatArray, layout: tuple[IntArray, IntArray], first: int, end: int
    ) -> tuple[float, FloatArray, FloatArray]:
        """Value of some blocks, and its gradient in the hidden weights and in ``V``; ``layout`` is sizes and options.

        The last row of the gradient in ``V`` is left zero.
        """
        gradient, G = np.zeros_like(theta), np.zeros(V.shape)
        value = kernel.log_likelihood_gradient(self.data, theta, V, layout, gradient, G, first, end)
        return value, gradient, G

    def log_likelihood(
        self, theta: FloatArray, V: FloatArray, layout: tuple[IntArray, IntArray], first: int, end: int
    ) -> float:
        """Value of some blocks."""
        none, no_rows = np.empty(0), np.empty((0, V.shape[1]))
        return float(kernel.log_likelihood_gradient(self.data, theta, V, layout, none, no_rows, first, end))


def skip_at(coordinates: NetworkCoordinates) -> int:
    """Where the features for the last layer begin in a block: those of the first, unless only these are centred."""
    hidden, last = coordinates.hidden, coordinates.last
    if not hidden.skip:
        return 0
    return 1 if (last.centre[hidden.n_units :] == hidden.inputs.centre).all() else 1 + hidden.sizes[0]


def _features(design: Design, coordinates: NetworkCoordinates) -> Design:
    """The design with the features of a block: of the first layer and, if they differ, of the last one."""
    hidden, last = coordinates.hidden, coordinates.last
    if skip_at(coordinates) <= 1:
        return replace(design, has_intercept=True, standardisation=hidden.inputs)
    both = Standardisation(
        np.concatenate([hidden.inputs.centre, last.centre[hidden.n_units :]]),
        np.concatenate([hidden.inputs.scale, last.scale[hidden.n_units :]]),
    )
    return replace(
        design, has_intercept=True, features=DenseFeatures(np.hstack([design.X, design.X])), standardisation=both
    )


def pack_network_part(design: Design, coordinates: NetworkCoordinates) -> NetworkPart:
    """The rows of a design as a part; hidden units share the cache with a block of its features.

    Rows of weight zero carry no information and are left out.
    """
    totals, K = design.totals, design.n_classes
    kept, features = observed_rows(totals), _features(design, coordinates)
    B = block_rows(count_rows(kept), 1 + features.n_features + 2 * sum(coordinates.hidden.sizes[1:]) + K)
    offset, _ = pack_offset(design, kept, B)
    rows = RowData(
        Z=pack_features(features, kept, B),
        n_obs=count_rows(kept),
        totals=pack_totals(totals, kept, B),
        offset=offset,
        available=pack_mask(None if design.available is None else design.available[kept], K, B),
    )
    codes, counts = np.empty((0, B), dtype=np.int64), np.empty((0, K, B))
    if design.response.codes is None:
        counts = pack_rows(design.dense_counts()[kept], B)
    else:
        codes = np.zeros((len(rows.Z), B), dtype=np.int64)
        codes.ravel()[: count_rows(kept)] = design.response.codes[kept]
    return NetworkPart(kernel.NetworkRows(rows, codes, counts), design.total_weight)


def network_parts(
    rows: Design | Sequence[Design], coordinates: NetworkCoordinates, n_parts: int = 1
) -> tuple[NetworkPart, ...]:
    """A part of each design, or with ``n_parts`` several of consecutive rows."""
    designs = [rows] if isinstance(rows, Design) else rows
    return tuple(pack_network_part(some, coordinates) for design in designs for some in split_rows(design, n_parts))


def part_tables(parts: Sequence[NetworkPart]) -> tuple[IntArray, IntArray]:
    """The tables ``parts`` and ``responses``; whoever reads them keeps the parts alive."""
    lines = [part.native() for part in parts]
    return (
        np.array([rows for rows, _ in lines], dtype=np.int64).reshape(-1, PART_SIZE),
        np.array([responses for _, responses in lines], dtype=np.int64).reshape(-1, kernel.RESPONSE_SIZE),
    )
