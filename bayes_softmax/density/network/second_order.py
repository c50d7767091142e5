"""Products with the Hessian, and the Gauss-Newton matrix, of minus a network's log-likelihood, in free coordinates."""

from collections.abc import Sequence

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.core.threads import in_parallel, ranges
from bayes_softmax.density import linear
from bayes_softmax.density.kernel import KernelData
from bayes_softmax.density.likelihood import each_range
from bayes_softmax.density.network.gauss_newton import Point
from bayes_softmax.density.network.parts import NetworkPart
from bayes_softmax.density.network.tangents import curvature_products

NUMBERS = 2**21  # of directions and their images that exist at a time in one task


def hessian_products(
    parts: Sequence[NetworkPart], at: Point, last: KernelData, vectors: FloatArray, work: float, *, full: bool
) -> FloatArray:
    """Images (S, d) of vectors (S, d) under the Hessian if ``full``, else the generalised Gauss-Newton matrix.

    ``work`` are the multiplications of one evaluation: ranges of rows run in parallel.
    """
    n, n_blocks = len(at.hidden), tuple(part.n_blocks for part in parts)
    hidden = np.ascontiguousarray(vectors[:, :n])
    V = _engine(last, vectors[:, n:])

    def verb(part: NetworkPart, first: int, end: int) -> tuple[FloatArray, FloatArray]:
        out = np.zeros_like(hidden), np.zeros_like(V)
        curvature_products(part.data, (at.hidden, at.V), at.layout, (hidden, V), full, out, (first, end))
        return out

    found = each_range(parts, n_blocks, verb, 3.0 * len(vectors) * work)
    images = np.empty_like(vectors)
    images[:, :n] = -np.sum([of_hidden for of_hidden, _ in found], axis=0)
    for image, G in zip(images, -np.sum([of_last for _, of_last in found], axis=0), strict=True):
        linear.close_rows(G)
        linear.free_gradient(last, G, image[n:])
    return images


def hessian(parts: Sequence[NetworkPart], at: Point, last: KernelData, dimension: int) -> FloatArray:
    """The Hessian (d, d): images of all directions, some at a time and in parallel."""
    H, step = np.empty((dimension, dimension)), max(1, NUMBERS // (2 * (dimension + at.V.size)))

    def images(first: int, end: int) -> None:
        for start in range(first, end, step):
            own = np.arange(start, min(start + step, end))
            directions = np.zeros((len(own), dimension))
            directions[np.arange(len(own)), own] = 1.0
            H[own] = hessian_products(parts, at, last, directions, 0.0, full=True)

    n_obs = sum(part.n_obs for part in parts)
    in_parallel(images, ranges(dimension, 3.0 * dimension * n_obs * dimension))
    symmetric: FloatArray = 0.5 * (H + H.T)
    return symmetric


def _engine(last: KernelData, thetas: FloatArray) -> FloatArray:
    """Coefficients (S, K, q) of the last layer."""
    V = np.empty((len(thetas), *last.YZ.shape))
    for theta, own in zip(np.ascontiguousarray(thetas), V, strict=True):
        linear.engine_coefficients(last, theta, own)
    return V
