"""The curvature of the priors of a network: independent normals of hidden weights, and a linear model's last layer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.density.kernel import KernelData
from bayes_softmax.density.prior import PriorCurvature, PriorRows
from bayes_softmax.spec.coding import Coordinates


@dataclass(frozen=True)
class NetworkPrior:
    """Curvature of minus the log prior of a network with layers of ``sizes`` (L + 1,).

    ``precision`` (m,) and ``last`` are as in :mod:`bayes_softmax.density.network.kernel`, ``coordinates`` those of the
    last layer.
    """

    sizes: IntArray
    precision: FloatArray
    last: KernelData
    coordinates: Coordinates

    @property
    def rows(self) -> PriorRows:
        """The priors of the last layer, in the kernel's form."""
        return PriorRows(self.last.family, self.last.scale, self.last.df, self.last.centre)

    @property
    def hidden(self) -> FloatArray:
        """Precisions (h,) of the hidden weights and biases, in the order of the free vector."""
        layers = zip(self.sizes[1:].tolist(), self._by_layer, strict=True)
        return np.concatenate([np.tile(own, units) for units, own in layers])

    @property
    def _by_layer(self) -> list[FloatArray]:
        return np.split(self.precision, np.cumsum(1 + self.sizes[:-1])[:-1])

    def of_last(self, theta: FloatArray, *, convex: bool) -> PriorCurvature:
        """The curvature of the last layer's prior at a free vector (d,) of the network."""
        return PriorCurvature(self.rows, self.coordinates, self._last(theta), convex=convex)

    def add_to(self, G: FloatArray, theta: FloatArray, *, convex: bool) -> FloatArray:
        """The matrix ``G`` (d, d) with the curvature added in place."""
        hidden = self.hidden
        np.einsum("ii->i", G)[: len(hidden)] += hidden
        G[len(hidden) :, len(hidden) :] += self.of_last(theta, convex=convex).matrix
        return G

    def product(self, theta: FloatArray, *, convex: bool) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a vector (d,) by the curvature."""
        hidden, of_last = self.hidden, self.of_last(theta, convex=convex)
        n = len(hidden)
        return lambda vector: np.concatenate([hidden * vector[:n], of_last @ vector[n:]])

    def of_layers(self, theta: FloatArray) -> list[FloatArray]:
        """Precision (m, m) of the prior of one output's coefficients, for each layer; of the last one, averaged.

        Where the last layer's intercept has another coding than its weights, it is a layer of its own.
        """
        found = [np.diag(own) for own in self._by_layer]
        of_column = self.of_last(theta, convex=True).column_matrix()
        if self.coordinates.is_matrix:
            return [*found, of_column]
        return [*found, of_column[:1, :1], of_column[1:, 1:]]

    def _last(self, theta: FloatArray) -> FloatArray:
        """The last layer's part of a free vector."""
        return theta[len(theta) - self.coordinates.dimension :]
