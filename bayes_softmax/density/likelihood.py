"""The log-likelihood in engine coefficients, as the sum over its parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np

from bayes_softmax.core.protocols import Part
from bayes_softmax.core.records import ExpectedRows, FloatArray
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.density import curvature, linear


class LogLikelihood(Protocol):
    """The log-likelihood of all rows, wherever they are; methods as those of :class:`Likelihood`."""

    @property
    def constant(self) -> float:
        """The offsets' term, which does not depend on the coefficients."""
        ...

    @property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        ...

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        ...

    @property
    def size(self) -> int:
        """Number of feature values held in memory."""
        ...

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation."""
        ...

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian."""
        ...

    @property
    def is_small(self) -> bool:
        """Whether one thread evaluates it as quickly as several do."""
        ...

    @property
    def has_small_hessian(self) -> bool:
        """Whether one thread computes the Hessian as quickly as several do."""
        ...

    def value_gradient(self, V: FloatArray) -> tuple[float, FloatArray]:
        """Value and gradient (K, q)."""
        ...

    def values(self, Vs: FloatArray) -> FloatArray:
        """Values (S,) at S coefficient matrices (S, K, q), in one pass over the rows."""
        ...

    def hessian(self, V: FloatArray) -> FloatArray:
        """Hessian (K, q, K, q) of minus the value."""
        ...

    def hessian_product(self, V: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a direction (K, q) by that Hessian."""
        ...

    def metric_sums(self, V: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The two factors (q, q) and (K, K) of the metric in ``density/kronecker.py``."""
        ...

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts of all rows, some at a time."""
        ...


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Sum over parts, at coefficients ``V`` (K, q), with directions ``D`` (K, q).

    The blocks of all parts are processed in parallel; only the function from ``hessian_product`` keeps any state.
    """

    parts: tuple[Part, ...]

    @cached_property
    def linear(self) -> FloatArray:
        """``Y'Z`` (K, q)."""
        return _total([part.linear for part in self.parts])

    @cached_property
    def constant(self) -> float:
        """The offsets' term, which does not depend on the coefficients."""
        return sum(part.constant for part in self.parts)

    @cached_property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        return sum(part.n_obs for part in self.parts)

    @cached_property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        return sum(part.total_weight for part in self.parts)

    @cached_property
    def size(self) -> int:
        """Number of feature values held in memory."""
        return sum(part.size for part in self.parts)

    @cached_property
    def n_blocks(self) -> tuple[int, ...]:
        """Number of blocks of each part."""
        return tuple(part.n_blocks for part in self.parts)

    @cached_property
    def work(self) -> float:
        """Number of multiplications of one evaluation: N q K."""
        return float(self.n_obs * self.linear.size)

    @cached_property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian: N q^2 per pair of classes, halved by symmetry."""
        K, q = self.linear.shape
        return float(self.n_obs * q * q * K * (K - 1) / 4)

    @cached_property
    def is_small(self) -> bool:
        """Whether one thread evaluates it as quickly as several do."""
        return len(ranges(sum(self.n_blocks), self.work)) == 1

    @cached_property
    def has_small_hessian(self) -> bool:
        """Whether one thread computes the Hessian as quickly as several do."""
        return len(ranges(sum(self.n_blocks), self.hessian_work)) == 1

    def value_gradient(self, V: FloatArray) -> tuple[float, FloatArray]:
        """Value and gradient (K, q)."""
        found = self._each(self.parts, lambda part, a, b: part.log_likelihood_gradient(V, a, b), self.work)
        G = _total([gradient for _, gradient in found])
        value = sum(value for value, _ in found) + linear.linear_term(self.linear, V, G)
        return value + self.constant, G

    def values(self, Vs: FloatArray) -> FloatArray:
        """Values (S,) at S coefficient matrices (S, K, q), in one pass over the rows."""
        found = [part.log_likelihoods(Vs, 0, part.n_blocks) for part in self.parts]
        return _total(found) + ((Vs - Vs[:, -1:]) * self.linear).sum(axis=(1, 2)) + self.constant

    def hessian(self, V: FloatArray) -> FloatArray:
        """Hessian (K, q, K, q) of minus the value."""
        K, q = V.shape
        found = self._each(self.parts, lambda part, a, b: part.pair_hessians(V, a, b), self.hessian_work)
        H = np.zeros((K, q, K, q))
        curvature.assemble(_total(found), H)
        return H

    def hessian_product(self, V: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a direction (K, q) by that Hessian; parts may keep a cache as long as it lives."""
        at_V = [part.curvature_at(V) for part in self.parts]
        self._each(at_V, lambda part, a, b: part.prepare(a, b), 0.5 * self.work)

        def product(D: FloatArray) -> FloatArray:
            return _total(self._each(at_V, lambda part, a, b: part.product(D, a, b), self.work))

        return product

    def metric_sums(self, V: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The two factors (q, q) and (K, K) of the metric in ``density/kronecker.py``."""
        work = 0.5 * (self.work + self.n_obs * V.shape[1] ** 2)
        found = self._each(self.parts, lambda part, a, b: part.metric_sums(V, a, b), work)
        return _total([G for G, _ in found]), _total([A for _, A in found])

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Features and expected counts of all rows, some at a time."""
        for part in self.parts:
            yield from part.expected_rows(V)

    def _each[P, T](self, items: Sequence[P], verb: Callable[[P, int, int], T], work: float) -> list[T]:
        return each_range(items, self.n_blocks, verb, work)


def each_range[P, T](
    items: Sequence[P], n_blocks: Sequence[int], verb: Callable[[P, int, int], T], work: float
) -> list[T]:
    """Results of ``verb(item, first, end)``, in order, for ranges that cover the blocks of all items.

    The blocks of all items together are divided into ranges of equal length, as many as ``work`` multiplications
    justify, which run in parallel.
    """
    if len(items) == 1:
        only = items[0]
        return in_parallel(lambda first, end: verb(only, first, end), ranges(n_blocks[0], work))
    starts = [0, *accumulate(n_blocks)]

    def piece(first: int, end: int) -> list[T]:
        return [
            verb(item, max(first - start, 0), min(end - start, n))
            for item, start, n in zip(items, starts, n_blocks, strict=False)
            if start < end and start + n > first
        ]

    return [result for results in in_parallel(piece, ranges(starts[-1], work)) for result in results]


def _total(found: Sequence[FloatArray]) -> FloatArray:
    """Sum of at least one array, all of one shape."""
    total = found[0]
    for term in found[1:]:
        total = total + term
    return total
