r"""What choice sets leave open: classes that are never on offer together, and features that never decide.

Where only some classes are on offer in a row, the likelihood depends on differences between these alone.  No row sees a
direction ``D`` (K, q) iff :math:`z_n'(D_k - D_l) = 0` for all pairs of classes that are on offer together in row n:
the null space of :math:`\sum_n (\mathrm{diag}(a_n) - a_n a_n' / |a_n|) \otimes z_n z_n'`, the information at equal
probabilities of the classes on offer.  It is found from triangular factors of the rows of each choice set, which do
not square the condition of the features.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.separation.rank import triangular_factor

ROUNDING = 1e-9  # relative to a line's largest entry: below, entries are zero


def informative_rows(design: Design) -> NDArray[np.bool_]:
    """(N,) rows that inform: of positive weight, with at least two classes on offer."""
    used: NDArray[np.bool_] = design.totals > 0
    return used if design.available is None else used & (design.available.sum(axis=1) > 1)


def connected_classes(available: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Groups of classes that choice sets (n, K) of two classes and more connect, in order of their first classes."""
    together = available.T.astype(np.float64) @ available.astype(np.float64)
    _, group = connected_components(together, directed=False)
    found: dict[int, list[int]] = {}
    for k, number in enumerate(group.tolist()):
        found.setdefault(number, []).append(k)
    return [tuple(classes) for classes in found.values()]


def unseen_lines(Z: FloatArray, available: NDArray[np.bool_], rounding: float = 0.0) -> FloatArray:
    """Orthonormal directions (m, K, q), first class zero, that no row (n,) of features and choice sets sees.

    ``rounding`` is as in :func:`~bayes_softmax.separation.rank.independent_columns`.
    """
    (n, q), K = Z.shape, available.shape[1]
    size = (K - 1) * q
    seen = np.zeros((0, size))
    sets, which = np.unique(available, axis=0, return_inverse=True)
    for number, offered in enumerate(sets):
        R = triangular_factor(Z[which.ravel() == number])
        first, *others = np.flatnonzero(offered)
        blocks = [np.kron((np.eye(K)[first] - np.eye(K)[other])[1:], R) for other in others]
        seen = np.vstack([seen, *blocks])
        if len(seen) > 4 * size:
            seen = np.linalg.qr(seen, mode="r")
    _, values, vectors = np.linalg.svd(np.vstack([seen, np.zeros((size, size))]), full_matrices=False)
    tolerance = max(max(n, size) * np.finfo(float).eps, rounding)
    unseen = vectors[values <= values.max(initial=0.0) * tolerance]
    unseen[np.abs(unseen) < ROUNDING] = 0.0
    return np.concatenate([np.zeros((len(unseen), 1, q)), unseen.reshape(len(unseen), K - 1, q)], axis=1)


def within_groups(lines: FloatArray, groups: list[tuple[int, ...]]) -> FloatArray:
    """Largest movement (q,) of each column between two connected classes, along any of the lines (m, K, q)."""
    moved = np.zeros(lines.shape[2])
    for classes in groups:
        spread = np.ptp(lines[:, list(classes)], axis=1)
        moved = np.maximum(moved, spread.max(axis=0, initial=0.0))
    return moved
