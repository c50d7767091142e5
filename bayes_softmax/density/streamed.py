"""The log-likelihood of rows that are read in passes: one pass gives everything that a Newton step needs at a point."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import ExpectedRows, FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.sources.partitions import Numbered
from bayes_softmax.data.sources.rows import StreamedRows
from bayes_softmax.density import curvature, kernel, linear
from bayes_softmax.density.building import posterior_of_likelihood
from bayes_softmax.density.parts import MemoryPart, pack_part, pack_without_responses
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.spec.coding import Coordinates
from bayes_softmax.spec.priors import PriorTable

REMEMBERED = 4  # points whose sums are kept
RESPONSES = b""  # in place of a point, for the sums over the responses, which do not depend on it
MANY_PAIRS = 4_000_000  # numbers of the Hessian beyond which it is computed only where it is asked for


class Wants(NamedTuple):
    """What a pass computes beside value and gradient: sums over the responses, and the Hessian."""

    responses: bool
    hessian: bool


class Sums(NamedTuple):
    """Sums over rows at one point; those of the Hessian, of the metric and over the responses may be None."""

    value: float
    gradient: FloatArray
    pairs: FloatArray | None
    metric: tuple[FloatArray, FloatArray] | None
    responses: tuple[FloatArray, float] | None


def sums_at(V: FloatArray, wants: Wants, part: Numbered[Design]) -> Sums:
    """The sums over one partition at coefficients ``V`` (K, q)."""
    K, q = V.shape
    total = Sums(
        0.0,
        np.zeros((K, q)),
        np.zeros((K * (K - 1) // 2, q, q)) if wants.hessian else None,
        (np.zeros((q, q)), np.zeros((K, K))) if wants.hessian else None,
        (np.zeros((K, q)), 0.0) if wants.responses else None,
    )
    for packed in packed_parts(part, with_responses=wants.responses):
        n = packed.n_blocks
        value, gradient = packed.log_likelihood_gradient(V, 0, n)
        pairs = packed.pair_hessians(V, 0, n) if wants.hessian else None
        metric = packed.metric_sums(V, 0, n) if wants.hessian else None
        responses = (packed.linear, packed.constant) if wants.responses else None
        total = add_sums(total, Sums(value, gradient, pairs, metric, responses))
    return total


def packed_parts(part: Numbered[Design], *, with_responses: bool = False) -> Iterator[MemoryPart]:
    """The rows of a partition, packed, some at a time; nothing where none holds an observation."""
    pack = pack_part if with_responses else pack_without_responses
    for design in part.items:
        if design.totals.any():
            yield pack(design)


def add_sums(a: Sums, b: Sums) -> Sums:
    """Sums over the rows of both."""
    return Sums(
        a.value + b.value,
        a.gradient + b.gradient,
        None if a.pairs is None or b.pairs is None else a.pairs + b.pairs,
        _added(a.metric, b.metric),
        _added(a.responses, b.responses),
    )


def _added[A, B](a: tuple[A, B] | None, b: tuple[A, B] | None) -> tuple[A, B] | None:
    return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])  # type: ignore[operator]


def values_at(Vs: FloatArray, part: Numbered[Design]) -> FloatArray:
    """Values (S,) at S coefficient matrices of one partition, without the responses' terms."""
    total = np.zeros(len(Vs))
    for packed in packed_parts(part):
        total += packed.log_likelihoods(Vs, 0, packed.n_blocks)
    return total


def product_at(V: FloatArray, D: FloatArray, part: Numbered[Design]) -> FloatArray:
    """Product (K, q) of the Hessian of minus the log-likelihood with a direction, of one partition."""
    total = np.zeros(V.shape)
    for packed in packed_parts(part):
        at_V = packed.curvature_at(V)
        at_V.prepare(0, packed.n_blocks)
        total += at_V.product(D, 0, packed.n_blocks)
    return total


@dataclass(frozen=True, eq=False)
class StreamedLikelihood:
    """Sum over rows that are read in passes, at coefficients ``V`` (K, q): a ``LogLikelihood``.

    The sums at the last points are remembered with the rows, so that value, gradient and Hessian at a point are one
    pass, also for another fit of the same rows.
    ``watch`` is told of every point where a pass was completed, and the value there.
    """

    rows: StreamedRows
    watch: Callable[[FloatArray, float], None] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(K, q)."""
        summary = self.rows.summary
        return summary.n_classes, summary.n_features + int(summary.has_intercept)

    @property
    def constant(self) -> float:
        """The offsets' term, which does not depend on the coefficients."""
        return self._of_responses[1]

    @property
    def n_obs(self) -> int:
        """Number of rows of positive weight."""
        return self.rows.summary.moments.n_used

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        return self.rows.summary.total_weight

    @property
    def size(self) -> int:
        """Number of feature values held in memory: those of the sample."""
        return int(self.rows.sample.X.size)

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation: N q K."""
        K, q = self.shape
        return float(self.n_obs) * q * K

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Hessian: none beside the gradient, with which it is computed."""
        K, q = self.shape
        return 0.0 if self._has_hessian else float(self.n_obs) * q * q * K * (K - 1) / 4

    @property
    def is_small(self) -> bool:
        """False: it is never evaluated by one thread."""
        return False

    @property
    def has_small_hessian(self) -> bool:
        """False, as :attr:`is_small`."""
        return False

    def value_gradient(self, V: FloatArray) -> tuple[float, FloatArray]:
        """Value and gradient (K, q)."""
        sums = self._at(V, hessian=self._has_hessian)
        G, (products, constant) = sums.gradient.copy(), self._of_responses
        value = sums.value + linear.linear_term(products, V, G) + constant
        if self.watch is not None:
            self.watch(V, value)
        return value, G

    def values(self, Vs: FloatArray) -> FloatArray:
        """Values (S,) at S coefficient matrices (S, K, q), in one pass over the rows."""
        if len(Vs) == 1:
            return np.array([self.value_gradient(Vs[0])[0]])
        found = self.rows.run(partial(values_at, Vs), np.add, f"log-likelihood at {len(Vs)} points")
        products, constant = self._of_responses
        total: FloatArray = found + ((Vs - Vs[:, -1:]) * products).sum(axis=(1, 2)) + constant
        return total

    def hessian(self, V: FloatArray) -> FloatArray:
        """Hessian (K, q, K, q) of minus the value."""
        K, q = V.shape
        pairs = self._at(V, hessian=True).pairs
        assert pairs is not None
        H = np.zeros((K, q, K, q))
        curvature.assemble(pairs, H)
        return H

    def hessian_product(self, V: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a direction (K, q) by that Hessian, in a pass for each where it is too large."""
        K, q = V.shape
        if self._has_hessian:
            H = self.hessian(V).reshape(K * q, K * q)
            return lambda D: (H @ D.ravel()).reshape(K, q)

        def product(D: FloatArray) -> FloatArray:
            return self.rows.run(partial(product_at, V, D), np.add, "product with the Hessian")

        return product

    def metric_sums(self, V: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The two factors (q, q) and (K, K) of the metric in ``density/kronecker.py``."""
        metric = self._at(V, hessian=True).metric
        assert metric is not None
        return metric

    def expected_rows(self, V: FloatArray) -> Iterator[ExpectedRows]:
        """Raise: it is for more features than rows, which fit into memory."""
        raise ValueError("expected counts of single rows need the rows in memory")

    @property
    def _has_hessian(self) -> bool:
        """Whether each gradient comes with the Hessian."""
        K, q = self.shape
        return K * (K - 1) // 2 * q * q <= MANY_PAIRS

    @property
    def _of_responses(self) -> tuple[FloatArray, float]:
        """The sums over the responses, from the first pass at any point."""
        if RESPONSES not in self.rows.sums:
            self._at(np.zeros(self.shape), hessian=False)
        found: tuple[FloatArray, float] = self.rows.sums[RESPONSES]
        return found

    def _at(self, V: FloatArray, *, hessian: bool) -> Sums:
        """The sums at a point, remembered or from a pass."""
        key, remembered = V.tobytes(), self.rows.sums
        known: Sums | None = remembered.get(key)
        if known is not None and (known.pairs is not None or not hessian):
            return known
        wants = Wants(RESPONSES not in remembered, hessian)
        title = "value, gradient and Hessian" if hessian else "value and gradient"
        sums = self.rows.run(partial(sums_at, V.copy(), wants), add_sums, title)
        if sums.responses is not None:
            remembered[RESPONSES] = sums.responses
        remembered[key] = sums
        points = [point for point in remembered if point != RESPONSES]
        for point in points[:-REMEMBERED]:
            del remembered[point]
        return sums


def streamed_posterior(rows: StreamedRows, coordinates: Coordinates, priors: PriorTable) -> SoftmaxPosterior:
    """The log posterior of rows that are read in passes."""
    likelihood = StreamedLikelihood(rows)
    table = np.empty((0, kernel.PART_SIZE), dtype=np.int64)
    held = bool((rows.summary.class_counts() > 0).all()) and rows.reader.options.available is None
    return posterior_of_likelihood(
        likelihood, table, np.zeros(likelihood.shape), coordinates, priors, intercept_is_held=held
    )
