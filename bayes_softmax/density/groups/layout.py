"""Where weights and effects are in a flat point of the model, and which levels are whitened by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from bayes_softmax.core.records import FloatArray

# An exact border costs its size squared for each level, and then soon more than the rows.
MAX_BORDER = 64


class ModelPoint(NamedTuple):
    """A point of the model.

    ``common`` (d,) are the weights and then the effects of all groupings but the first, ``effects`` (G, m) those of the
    first, and ``hyper`` (H,) the hyperparameters.
    """

    common: FloatArray
    effects: FloatArray
    hyper: FloatArray


@dataclass(frozen=True)
class Layout:
    """Places of weights and effects: common coordinates, then groupings that are whitened level by level.

    ``shapes`` are levels and free coordinates (G, m) of each grouping, ``own`` whether it is whitened level by level,
    ``at`` its place.  The border is exact if only one grouping is.
    """

    n_weights: int
    shapes: tuple[tuple[int, int], ...]
    own: tuple[bool, ...]
    at: tuple[int, ...]

    @classmethod
    def of(cls, n_weights: int, shapes: Sequence[tuple[int, int]], max_border: int) -> Self:
        """The largest grouping is whitened level by level; so are all if the others would make too large a border."""
        sizes = [G * m for G, m in shapes]
        largest = int(np.argmax(sizes))
        several = n_weights + sum(sizes) - sizes[largest] > max_border and len(sizes) > 1
        own = tuple(several or j == largest for j in range(len(sizes)))
        at, end = [0] * len(sizes), n_weights
        for j in sorted(range(len(sizes)), key=lambda j: own[j]):
            at[j], end = end, end + sizes[j]
        return cls(n_weights, tuple(shapes), own, tuple(at))

    @property
    def exact(self) -> bool:
        """Whether the border is exact, for one grouping whose levels are eliminated."""
        return sum(self.own) == 1

    @property
    def size(self) -> int:
        """Number of weights and effects."""
        return self.n_weights + sum(G * m for G, m in self.shapes)

    @property
    def n_border(self) -> int:
        """Number of common coordinates."""
        return min(at for at, own in zip(self.at, self.own, strict=True) if own)

    def effects(self, x: FloatArray, j: int) -> FloatArray:
        """Effects (..., G, m) of a grouping, in flat points (..., n)."""
        G, m = self.shapes[j]
        return x[..., self.at[j] : self.at[j] + G * m].reshape(*x.shape[:-1], G, m)

    def flat(self, point: ModelPoint) -> FloatArray:
        """Weights and effects (n,) of a point."""
        x, start = np.empty(self.size), self.n_weights
        x[:start] = point.common[:start]
        for j, (G, m) in enumerate(self.shapes):
            self.effects(x, j)[:] = (point.effects if j == 0 else point.common[start : start + G * m]).reshape(G, m)
            start += G * m if j else 0
        return x

    def point(self, x: FloatArray, hyper: FloatArray) -> ModelPoint:
        """The reverse."""
        others = [self.effects(x, j).ravel() for j in range(1, len(self.shapes))]
        return ModelPoint(np.concatenate([x[: self.n_weights], *others]), self.effects(x, 0).copy(), hyper)
