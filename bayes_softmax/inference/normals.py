r"""Normal approximations around a mode, :math:`N(\hat\theta, H^{-1})`, with a dense precision or one for each layer.

A layer's precision is :math:`H = G \otimes A + I \otimes P`, for an array of outputs times inputs: ``A`` (q, q) of the
inputs, ``G`` (o, o) of the outputs, and the prior's precision ``P`` (q, q), the same for every output (Ritter, Botev
and Barber, *ICLR* 2018, without their damping: with ``P`` beside the products no approximation of it is needed;
Daxberger et al., *NeurIPS* 2021).  With the eigenvectors of G and those of A in the metric A + P,

.. math:: G = U\,\mathrm{diag}(g)\,U', \quad Q'AQ = \mathrm{diag}(a), \quad Q'PQ = \mathrm{diag}(1 - a), \quad
          H^{-1} = (U \otimes Q)\,\mathrm{diag}(g_i a_j + 1 - a_j)^{-1} (U \otimes Q)',

so that a layer needs two eigendecompositions, and no matrix of the size of its weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular

from bayes_softmax.core.records import FloatArray, IntArray, LayerFactors


class Normal(Protocol):
    """A normal distribution around zero, with precision H and a factor ``T T' = H^-1`` of its covariance."""

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        ...

    @property
    def log_determinant(self) -> float:
        """Log determinant of T."""
        ...

    @property
    def work(self) -> float:
        """Number of multiplications of a vector's product with T."""
        ...

    def coloured(self, z: FloatArray) -> FloatArray:
        """``T z`` (S, d) of standard normal ``z`` (S, d)."""
        ...

    def whitened(self, J: FloatArray) -> FloatArray:
        """``J T`` (n, d) of ``J`` (n, d), whose products are the covariances of ``J theta``."""
        ...


@dataclass(frozen=True, eq=False)
class DenseNormal:
    """By the lower Cholesky factor (d, d) of the precision.  Make it with :func:`dense_normal`."""

    factor: FloatArray

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        return len(self.factor)

    @cached_property
    def log_determinant(self) -> float:
        """Log determinant of T."""
        return -float(np.log(np.diag(self.factor)).sum())

    @property
    def work(self) -> float:
        """Multiplications of a triangular solve."""
        return 0.5 * float(self.dimension) ** 2

    def coloured(self, z: FloatArray) -> FloatArray:
        """By the transpose of the factor's inverse."""
        coloured: FloatArray = solve_triangular(self.factor, z.T, lower=True, trans="T").T
        return np.ascontiguousarray(coloured)

    def whitened(self, J: FloatArray) -> FloatArray:
        """By the factor's inverse."""
        whitened: FloatArray = solve_triangular(self.factor, J.T, lower=True).T
        return whitened


class _Layer(NamedTuple):
    """``U`` (o, o), ``Q`` (q, q) and the standard deviations (o, q) along their products."""

    U: FloatArray
    Q: FloatArray
    sd: FloatArray


@dataclass(frozen=True, eq=False)
class LayeredNormal:
    """Independent layers, each an array of outputs times inputs.  Make it with :func:`layered_normal`.

    ``order`` (d,) holds the positions of the coordinates, layer by layer, in the whole vector; None if in order.
    """

    layers: tuple[_Layer, ...]
    order: IntArray | None

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        return sum(layer.sd.size for layer in self.layers)

    @cached_property
    def log_determinant(self) -> float:
        """Log determinant of T."""
        total = 0.0
        for U, Q, sd in self.layers:
            total += float(np.log(sd).sum()) + len(U) * float(np.linalg.slogdet(Q)[1])
        return total

    @property
    def work(self) -> float:
        """Multiplications of products with the eigenvectors, layer by layer."""
        return float(sum(layer.sd.size * (len(layer.U) + len(layer.Q)) for layer in self.layers))

    def coloured(self, z: FloatArray) -> FloatArray:
        """``U (sd z) Q'`` of each layer."""
        out, start = np.empty_like(z), 0
        for U, Q, sd in self.layers:
            some = slice(start, start + sd.size)
            arrays = z[:, some].reshape(-1, *sd.shape) * sd
            out[:, some if self.order is None else self.order[some]] = (U @ (arrays @ Q.T)).reshape(len(z), -1)
            start += sd.size
        return out

    def whitened(self, J: FloatArray) -> FloatArray:
        """``sd (U' J Q)`` of each layer."""
        out, start = np.empty_like(J), 0
        for U, Q, sd in self.layers:
            some = slice(start, start + sd.size)
            arrays = J[:, some if self.order is None else self.order[some]].reshape(-1, *sd.shape)
            out[:, some] = ((U.T @ (arrays @ Q)) * sd).reshape(len(J), -1)
            start += sd.size
        return out


def dense_normal(precision: FloatArray) -> DenseNormal:
    """The normal of a precision matrix (d, d), which is overwritten.

    Raises
    ------
    ValueError
        If it is not positive definite.
    """
    try:
        factor: FloatArray = cholesky(precision, lower=True, overwrite_a=True)
    except LinAlgError:
        raise ValueError("the precision is not positive definite: some direction is not determined") from None
    return DenseNormal(factor)


def layered_normal(factors: Sequence[LayerFactors], order: IntArray | None = None) -> LayeredNormal:
    """The normal of independent layers.

    Raises
    ------
    ValueError
        If a layer's precision is not positive definite.

    Examples
    --------
    >>> from bayes_softmax.core.records import LayerFactors
    >>> rng = np.random.default_rng(0)
    >>> G, A = (B @ B.T for B in (rng.normal(size=(2, 2)), rng.normal(size=(3, 3))))
    >>> normal = layered_normal([LayerFactors(A, G, np.eye(3))])
    >>> T = normal.coloured(np.eye(6)).T
    >>> bool(np.allclose(np.linalg.inv(T @ T.T), np.kron(G, A) + np.eye(6)))
    True
    """
    return LayeredNormal(tuple(_layer(*factor) for factor in factors), order)


def _layer(A: FloatArray, G: FloatArray, P: FloatArray) -> _Layer:
    g, U = eigh(G)
    balance = max(float(np.trace(A)), np.finfo(float).tiny) / max(float(np.trace(P)), np.finfo(float).tiny)
    try:
        a, Q = eigh(A, A + balance * P)
    except LinAlgError:
        raise ValueError("a layer's precision is not positive definite: some direction is not determined") from None
    a = np.clip(a, 0.0, 1.0)
    precision = np.outer(np.maximum(g, 0.0), a) + (1.0 - a) / balance
    if not (precision > 0).all():
        raise ValueError("a layer's precision is not positive definite: some direction is not determined")
    return _Layer(U, np.ascontiguousarray(Q), 1.0 / np.sqrt(precision))
