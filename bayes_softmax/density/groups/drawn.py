"""Draws of thousands of levels, converted some at a time, and what is kept of them."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.kernel import to_models
from bayes_softmax.density.groups.posterior import GroupsPosterior

BATCH_DOUBLES = 4_000_000  # of converted points at a time


class Batch(NamedTuple):
    """Converted points ``first, ..., first + S - 1``: flat (S, n), see ``layout.py``, and hyperparameters (S, H)."""

    first: int
    flat: FloatArray
    hyper: FloatArray


def in_batches(density: GroupsPosterior, points: FloatArray) -> Iterator[Batch]:
    """Convert whitened points (S, dimension), a few megabytes at a time.

    Whoever takes the batches decides what to keep of each: all effects in arrays of their final size, every tenth draw
    of them, or :class:`Moments`.
    """
    n, data = density.layout.size, density.data
    size = max(1, BATCH_DOUBLES // n)
    for first in range(0, len(points), size):
        z = np.ascontiguousarray(points[first : first + size])
        flat, hyper = np.empty((len(z), n)), data.location + z[:, n:] @ data.root.T
        to_models(data, hyper, z, flat)
        yield Batch(first, flat, hyper)


class Moments(NamedTuple):
    """Means and sums of squared deviations of arrays, over draws that came in batches."""

    n_draws: int
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Of no draws."""
        return cls(0, np.zeros(shape), np.zeros(shape))

    def plus(self, draws: FloatArray) -> Self:
        """With more draws (S, *shape); the update of Chan, Golub and LeVeque (1983)."""
        S, mean = len(draws), draws.mean(axis=0)
        total, apart = self.n_draws + S, mean - self.mean
        squares = self.squares + ((draws - mean) ** 2).sum(axis=0) + apart**2 * (self.n_draws * S / total)
        return self._replace(n_draws=total, mean=self.mean + apart * (S / total), squares=squares)

    @property
    def sd(self) -> FloatArray:
        """Standard deviations, with ``n_draws - 1``."""
        return np.sqrt(self.squares / max(self.n_draws - 1, 1))
