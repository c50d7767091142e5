r"""A sample of rows that are read in passes: each by itself, in one pass, with probabilities that are known.

Row i is included with probability :math:`\pi_i = \min(1, t \rho_i)` (Poisson sampling), and then counts
:math:`1 / \pi_i` times (Horvitz and Thompson, *JASA* 47, 1952).  The rates :math:`\rho_i` are by weight and leverage,
as in :mod:`bayes_softmax.density.subsample`.  The factor ``t`` makes a sample of about as many rows as are asked for,
by what a uniform sample of the rows says; where that is wrong there are more or fewer, and nothing is biased.

A row is included if its random number is below :math:`\pi_i`, so that the sample of fewer rows is a part of the sample
of more, which one pass brings.  Numbers depend on the partition alone, and not on who reads it when.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.features import DenseFeatures
from bayes_softmax.data.sources.gathering import joined_designs
from bayes_softmax.data.sources.partitions import Numbered
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density.parts import rows_of
from bayes_softmax.density.subsample.rows import UNIFORM, factor_of, leverages_in

FEWEST = 100  # of fewer, none might come
KEPT = 6  # times the rows that are asked for first: what more of them costs is a pass
KEPT_BYTES = 64 * 2**20  # of features that come back beyond those asked for


class Rates(NamedTuple):
    """By what rows are included: the factor (q, q) of the leverages, and the sums that shares are relative to."""

    factor: FloatArray
    by_leverage: float
    by_weight: float

    def of(self, design: Design) -> FloatArray:
        """The rates (n,) of the rows of a design."""
        totals = design.totals
        shares = totals / self.by_weight
        if self.by_leverage == 0:
            return shares
        by_leverage = totals * leverages_in(design, self.factor) ** 1.5 / self.by_leverage
        rates: FloatArray = (1.0 - UNIFORM) * by_leverage + UNIFORM * shares
        return rates


class Kept(NamedTuple):
    """The rows of some partitions that a pass brought, with their rates and random numbers."""

    designs: tuple[Design, ...]
    rates: tuple[FloatArray, ...]
    numbers: tuple[FloatArray, ...]


def rows_below(rates: Rates, t: float, seeds: tuple[int, ...], part: Numbered[Design]) -> Kept:
    """The rows of a partition that a sample with the factor ``t`` includes."""
    rng = np.random.default_rng([*seeds, part.number])
    kept = Kept((), (), ())
    for design in part.items:
        numbers, found = rng.random(design.n_obs), rates.of(design)
        at = np.flatnonzero(numbers < t * found)
        if len(at):
            kept = both(kept, Kept((_alone(design, at),), (found[at],), (numbers[at],)))
    return kept


def both(a: Kept, b: Kept) -> Kept:
    """The rows of both."""
    return Kept(a.designs + b.designs, a.rates + b.rates, a.numbers + b.numbers)


def _alone(design: Design, at: IntArray) -> Design:
    """Some rows, which keep nothing of the others in memory."""
    some = rows_of(design, at)
    return replace(some, features=DenseFeatures(design.features.at(at)), index=pd.RangeIndex(len(at)))


@dataclass(frozen=True, eq=False)
class PoissonSample:
    """Rows that were included, each with its probability: a :class:`~.rows.SampledRows`."""

    design: Design
    probabilities: FloatArray

    @cached_property
    def weighted(self) -> Design:
        """The rows with weights for which sums over them estimate sums over all rows."""
        factor = 1.0 / self.probabilities
        return replace(self.design, weights=factor if self.design.weights is None else self.design.weights * factor)

    @property
    def squares(self) -> FloatArray:
        """(n,) factors of the squares of the rows' values in the variance of such a sum."""
        squares: FloatArray = (1.0 - self.probabilities) / self.probabilities**2
        return squares

    @property
    def shared(self) -> FloatArray:
        """(n,) zero: rows are independent, and their number is random."""
        return np.zeros(len(self.probabilities))


def factor_for(rates: FloatArray, n: float) -> float:
    """The factor ``t`` for which ``min(1, t rates)`` adds up to ``n``; where all are too few, that which takes all.

    Examples
    --------
    >>> factor_for(np.array([1.0, 3.0, 96.0]), 2.0)
    0.25
    >>> factor_for(np.array([1.0, 2.0]), 5.0)
    1.0
    """
    falling = np.sort(rates)[::-1]
    certain = np.arange(len(falling))  # rows that are included for sure, of the highest rates
    factors = (n - certain) / np.cumsum(falling[::-1])[::-1]
    fits = np.flatnonzero(factors * falling <= 1.0)
    return float(factors[fits[0]] if len(fits) else 1.0 / falling[-1])


class PassSampler:
    """Samples of rows that are read in passes, of any size, from as few passes as that takes.

    Parameters
    ----------
    rows
        The rows.
    gram
        (q, q) matrix of the leverages.
    seeds
        Of the random numbers.
    """

    def __init__(self, rows: StreamedRows, gram: FloatArray, seeds: Sequence[int]) -> None:
        sample, factor = rows.sample, factor_of(gram)
        by_leverage = float(sample.totals @ leverages_in(sample, factor) ** 1.5)
        self._rows, self._rates = rows, Rates(factor, by_leverage, rows.summary.total_weight)
        # Each row of the uniform sample stands for so many of all, and has their weight.
        self._stands_for = rows.summary.moments.n_used / max(int((sample.totals > 0).sum()), 1)
        self._uniform = self._rates.of(sample) / self._stands_for
        self._seeds, self._most = tuple(seeds), 0
        self._design, self._found, self._numbers = rows.sample, np.empty(0), np.empty(0)

    def draw(self, n: int) -> PoissonSample:
        """The rows of a sample of about ``n``."""
        n = max(n, FEWEST)
        if n > self._most:
            self._read(n)
        probabilities = np.minimum(1.0, self._factor(n) * self._found)
        at = np.flatnonzero(self._numbers < probabilities)
        return PoissonSample(_alone(self._design, at), probabilities[at])

    def _factor(self, n: float) -> float:
        """The factor of the rates with which about ``n`` rows are included, by the uniform sample."""
        return factor_for(self._uniform[self._uniform > 0], n / self._stands_for)

    def _read(self, n: int) -> None:
        """A pass that brings more rows than are asked for."""
        more = int(KEPT_BYTES / (8.0 * max(self._design.n_features, 1)))
        self._most = max(n, min(KEPT * n, more))
        task = partial(rows_below, self._rates, self._factor(self._most), self._seeds)
        kept = self._rows.run(task, both, f"leverages, and a sample of about {self._most:,} rows")
        self._design = joined_designs(kept.designs)
        self._found, self._numbers = np.concatenate(kept.rates), np.concatenate(kept.numbers)
