"""The second pass: moments of the encoded rows, and the rows themselves where they, or the distinct ones, are few."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import AnyArray, IntArray
from bayes_softmax.data.collapse import collapse_rows
from bayes_softmax.data.design import Design, dense_counts
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.sources.moments import Moments, Provisional, merged_moments
from bayes_softmax.data.sources.partitions import Numbered

IN_MEMORY = 256 * 2**20  # bytes of encoded rows up to which they are kept in memory
TOO_MANY = 0.25  # share of the rows that are distinct, above which they are not collapsed
FEW = 2048  # rows that are kept until it is known whether they are distinct


class Gathered(NamedTuple):
    """What the second pass found in some partitions.

    ``rows`` are the rows as given, or None where they are too large; ``distinct`` the collapsed ones, or None where
    collapsing does not help.
    """

    moments: Moments | None
    rows: tuple[Design, ...] | None
    distinct: Design | None


@dataclass(frozen=True)
class Gatherer:
    """How rows are gathered: sums in a provisional standardisation, and rows up to a limit in bytes.

    ``keep`` says whether rows as given are gathered, which makes no sense where all are known to be too large.
    """

    provisional: Provisional
    limit: float
    collapse: bool
    keep: bool = True

    def of_rows(self, design: Design) -> Gathered:
        """What is gathered of one design."""
        small = self.keep and size_of(design) <= self.limit
        collapsed = collapse_rows(design) if self.collapse and design.n_obs else None
        few = design if self.collapse and 0 < design.n_obs <= FEW else None  # equal rows may be in other partitions
        found = few if collapsed is None else collapsed.design
        distinct = found if found is not None and size_of(found) <= self.limit else None
        return Gathered(self.provisional.of_rows(design), (design,) if small else None, distinct)

    def merged(self, a: Gathered, b: Gathered) -> Gathered:
        """What is gathered of both."""
        if a.moments is None or b.moments is None:
            return b if a.moments is None else a
        moments = merged_moments(a.moments, b.moments)
        rows = None if a.rows is None or b.rows is None else (*a.rows, *b.rows)
        if rows is not None and sum(map(size_of, rows)) > self.limit:
            rows = None
        return Gathered(moments, rows, self._distinct(a, b, moments))

    def _distinct(self, a: Gathered, b: Gathered, moments: Moments) -> Design | None:
        """The distinct rows of both; None where they are too many."""
        known = [g.distinct for g in (a, b) if g.moments is not None and g.moments.n_obs]
        if not known or any(design is None for design in known):
            return None
        joined = joined_designs([design for design in known if design is not None])
        collapsed = collapse_rows(joined)
        found = joined if collapsed is None else collapsed.design
        few = found.n_obs <= max(TOO_MANY * moments.n_obs, FEW)
        return found if few and size_of(found) <= self.limit else None


def gather_partition(gatherer: Gatherer, part: Numbered[Design]) -> Gathered:
    """What is gathered of one partition."""
    total = Gathered(None, (), None)
    for design in part.items:
        total = gatherer.merged(total, gatherer.of_rows(design))
    return total


def merge_gathered(gatherer: Gatherer, a: Gathered, b: Gathered) -> Gathered:
    """What is gathered of two partitions."""
    return gatherer.merged(a, b)


def size_of(design: Design) -> float:
    """Bytes of a design."""
    arrays = (design.X, design.response.counts, design.response.codes, design.offset, design.weights, design.available)
    held = sum(array.nbytes for array in arrays if array is not None)
    return float(held) + (0.0 if design.frame is None else float(design.frame.memory_usage(index=False).sum()))


def joined_designs(designs: Sequence[Design]) -> Design:
    """The rows of several designs as one; where one has counts, all have."""
    first = designs[0]
    if len(designs) == 1:
        return first
    weighted = any(design.weights is not None for design in designs)
    counts = any(design.response.counts is not None for design in designs)
    if counts:
        designs = [_with_counts(design) for design in designs]
        weighted = False

    def joined(values: list[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    response = replace(
        first.response,
        codes=None if counts else joined([design.response.codes for design in designs]),
        counts=joined([design.response.counts for design in designs]) if counts else None,
    )
    weights = [np.ones(d.n_obs) if d.weights is None else d.weights for d in designs] if weighted else [None]
    frames = [design.frame for design in designs]
    X = np.concatenate([design.X for design in designs])
    return replace(
        first,
        features=DenseFeatures(X),
        response=response,
        weights=joined(weights),
        offset=joined([design.offset for design in designs]),
        index=pd.RangeIndex(len(X)),
        n_dropped=sum(design.n_dropped for design in designs),
        frame=None if any(frame is None for frame in frames) else pd.concat(frames, ignore_index=True),
        available=joined([design.available for design in designs]),
    )


def part_of(design: Design, at: IntArray) -> Design:
    """Some rows of a design in memory."""
    response = design.response
    return replace(
        design,
        features=DenseFeatures(design.features.at(at)),
        response=replace(response, codes=_some(response.codes, at), counts=_some(response.counts, at)),
        weights=_some(design.weights, at),
        offset=_some(design.offset, at),
        index=design.index[at],
        frame=None if design.frame is None else design.frame.iloc[at],
        available=_some(design.available, at),
        n_dropped=0,
    )


def _some[A: AnyArray](values: A | None, at: IntArray) -> A | None:
    return None if values is None else values[at]  # type: ignore[return-value]


def _with_counts(design: Design) -> Design:
    """The design with weighted counts in place of labels and weights."""
    counts = dense_counts(design.response, design.weights)
    return replace(design, response=replace(design.response, codes=None, counts=counts), weights=None)
