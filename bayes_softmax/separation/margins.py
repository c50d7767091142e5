r"""Margins :math:`z_n'(D_{y_n} - D_l)` of a direction ``D``, for each observed pair of a row and a class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.collapse import row_hashes
from bayes_softmax.data.design import Design
from bayes_softmax.separation.choice_sets import informative_rows


class ObservedPairs(NamedTuple):
    """Distinct pairs of a row and a class observed there.

    ``Z`` (P, q) standardised features, ``own`` (P,) the class, ``row`` (P,) a row of the data that it stands for,
    ``offered`` (P, K) the classes on offer there, or None for all, ``lines`` (m, K, q) an orthonormal basis of the
    lineality space, the directions that no margin sees, first class zero: programs stay orthogonal to it.
    """

    Z: FloatArray
    own: IntArray
    row: IntArray
    n_classes: int
    lines: FloatArray
    offered: NDArray[np.bool_] | None = None

    @property
    def others(self) -> NDArray[np.bool_]:
        """(P, K) the classes that the own one has a margin over: all others on offer."""
        shape = len(self.own), self.n_classes
        others = np.ones(shape, dtype=bool) if self.offered is None else self.offered.copy()
        others[np.arange(len(self.own)), self.own] = False
        return others

    def margins(self, direction: FloatArray) -> FloatArray:
        """(P, K) margins of the own class over each class; zero in its own column, and of classes not on offer."""
        logits = self.Z @ direction.T
        margins: FloatArray = logits[np.arange(len(self.own)), self.own][:, None] - logits
        if self.offered is not None:
            margins[~self.offered] = 0.0
        return margins

    def sum_of(self, chosen: NDArray[np.bool_]) -> FloatArray:
        """Coefficients (K, q) of the sum of the chosen margins (P, K) as a linear function of the direction."""
        signs = -chosen.astype(np.float64)
        signs[np.arange(len(self.own)), self.own] += chosen.sum(axis=1)
        total: FloatArray = signs.T @ self.Z
        return total


def observed_pairs(design: Design, Z: FloatArray, lines: FloatArray | None = None) -> ObservedPairs:
    """Each distinct pair of features and class once; rows of weight zero, or with one class on offer, add none."""
    response, used = design.response, informative_rows(design)
    if response.codes is not None:
        row = np.flatnonzero(used)
        own = response.codes[row]
    else:
        row, own = np.nonzero((design.dense_counts() > 0) & used[:, None])
    rows = np.ascontiguousarray(Z[row])
    parts = [rows, own[:, None].astype(np.float64)]
    if design.available is not None:
        parts.append(design.available[row].astype(np.float64))
    # If two different pairs shared a hash, a constraint would be lost: once in 10^8 data sets of a million rows.
    _, first = np.unique(row_hashes(parts), return_index=True)
    first.sort()
    return ObservedPairs(
        rows[first],
        own[first].astype(np.int64),
        row[first].astype(np.int64),
        design.n_classes,
        np.zeros((0, design.n_classes, Z.shape[1])) if lines is None else lines,
        None if design.available is None else design.available[row[first]],
    )


def margin_matrix(observed: ObservedPairs, working: IntArray) -> sparse.csr_matrix:
    """Sparse matrix (M, (K-1) q) that takes ``vec(D)`` without its first class to the margins of the working set."""
    (i, l), q = working.T, observed.Z.shape[1]
    Z = observed.Z[i]
    columns = np.concatenate([observed.own[i, None] * q, l[:, None] * q], axis=1)
    indices = (columns[:, :, None] + np.arange(q)).reshape(len(i), 2 * q)
    values = np.concatenate([Z, -Z], axis=1)
    used = (values != 0) & (indices >= q)
    pointers = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    shape = (len(i), (observed.n_classes - 1) * q)
    return sparse.csr_matrix((values[used], indices[used] - q, pointers), shape=shape)


def dense_margins(observed: ObservedPairs, working: IntArray) -> FloatArray:
    """The same as an array, which is sooner made than a sparse matrix, and read, where it is small."""
    (i, l), (K, q) = working.T, (observed.n_classes, observed.Z.shape[1])
    rows, Z = np.arange(len(working)), observed.Z[i]
    matrix = np.zeros((len(working), K, q))
    matrix[rows, observed.own[i]] = Z
    matrix[rows, l] -= Z
    return matrix[:, 1:].reshape(len(working), (K - 1) * q)
