r"""Rank of the features: columns that are combinations of others, exactly or nearly.

Both are judged on the standardised features ``Z``, so that neither unit nor origin of a feature matters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr, solve_triangular

from bayes_softmax.core.checks import listed
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.data.rows_in_short import RowsInShort

BLOCK_ROWS = 8192  # rows standardised at once
# Standard errors along such a direction are about a thousand times those without the other columns.
NEARLY_COLLINEAR = 1e3
ROUNDINGS = 4  # units in the last place that sums of a few features may have lost
MANY_COLUMNS = 1000  # whose eigenvalues would take longer than the fit
MAIN_SHARE = 0.5  # of a coefficient's variance that a direction must make up to be what inflates it (Belsley)


def coefficient_names(design: RowsInShort) -> tuple[str, ...]:
    """Names of the q columns of the standardised features."""
    return (("intercept",) if design.has_intercept else ()) + design.feature_names


def triangular_factor(Z: FloatArray) -> FloatArray:
    """Factor ``R`` of ``Z = QR``, block by block."""
    R = np.zeros((0, Z.shape[1]))
    step = max(BLOCK_ROWS, Z.shape[1])
    for start in range(0, len(Z), step):
        R = np.linalg.qr(np.vstack([R, Z[start : start + step]]), mode="r")
    return R


def rounding_of(design: Design) -> float:
    """Rounding error of the standardised features: a unit in the last place of the features as given.

    A column far from zero, in units of its standard deviation, has lost digits before anything is computed.
    """
    centre, scale = design.standardisation
    return float(ROUNDINGS * np.finfo(float).eps * (np.abs(centre) / scale).max(initial=0.0))


def independent_columns(Z: FloatArray, rounding: float = 0.0) -> NDArray[np.bool_]:
    """(q,) True for columns that are kept by a pivoted QR; the others are linear combinations of them.

    ``rounding`` is the error of the columns, of size 1, beside that of double precision.
    """
    if not Z.size:
        return np.zeros(Z.shape[1], dtype=bool)
    R, pivots = qr(triangular_factor(Z), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(R))
    tolerance = max(max(Z.shape) * np.finfo(float).eps, rounding)
    rank = int((diagonal > diagonal.max(initial=0.0) * tolerance).sum())
    kept = np.zeros(Z.shape[1], dtype=bool)
    kept[pivots[:rank]] = True
    return kept


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Basis of the vectors ``v`` (q,) with ``Z v = 0``: each has one redundant column and the kept ones.

    ``combination`` (rank, r) says how the kept columns make up each redundant one; a matrix (r, q) is formed on demand
    only, since with many more features than rows it is far larger than the data.
    """

    kept: IntArray
    redundant: IntArray
    combination: FloatArray
    n_columns: int

    def __len__(self) -> int:
        """Dimension r of the space."""
        return len(self.redundant)

    def vectors(self, amounts: FloatArray) -> FloatArray:
        """Vectors (m, q) that are combinations ``amounts`` (m, r) of the basis."""
        out = np.zeros((len(amounts), self.n_columns))
        out[:, self.kept] = -amounts @ self.combination.T
        out[:, self.redundant] = amounts
        return out

    @property
    def basis(self) -> FloatArray:
        """The basis as a matrix (r, q)."""
        return self.vectors(np.eye(len(self)))


def null_space(Z: FloatArray, kept: NDArray[np.bool_], columns: IntArray, n_columns: int) -> NullSpace:
    """Null space of ``Z`` (N, m), whose columns are those numbered ``columns`` of ``n_columns``."""
    redundant = np.flatnonzero(~kept)
    if not len(redundant):
        return NullSpace(columns[kept], columns[~kept], np.zeros((int(kept.sum()), 0)), n_columns)
    R = triangular_factor(Z)
    # Least squares by QR: the kept columns are independent.
    Q, T = np.linalg.qr(R[:, kept])
    combination = solve_triangular(T, Q.T @ R[:, redundant])
    # Entries that are rounding errors beside the largest of a combination are zero.
    combination[np.abs(combination) < 1e-9 * np.abs(combination).max(axis=0, initial=1.0)] = 0.0
    return NullSpace(columns[kept], columns[~kept], combination, n_columns)


@dataclass(frozen=True)
class NearCollinearity:
    """Columns that are nearly linear combinations of each other.

    Attributes
    ----------
    columns
        Names of the columns with most of their coefficients' variance along directions of this kind.
    condition_index
        Largest over smallest singular value of the standardised features.
    """

    columns: tuple[str, ...]
    condition_index: float

    def __str__(self) -> str:
        """Return a sentence for the notes of an estimate."""
        return (
            f"the columns {listed(self.columns)} are nearly collinear (condition index "
            f"{self.condition_index:.2g}): their coefficients and standard errors are huge and mean little one by one; "
            "predictions are not affected, and a prior shrinks them"
        )


def near_collinearity(design: Design, free: NDArray[np.bool_]) -> NearCollinearity | None:
    r"""Columns among ``free`` (q,) whose coefficients the data hardly determine, because they move together.

    With the singular values :math:`s_k` and right singular vectors :math:`v_k` of the standardised features, the
    variance of coefficient j in a linear model is proportional to :math:`\sum_k v_{jk}^2 / s_k^2`.  A direction k with
    condition index :math:`s_1 / s_k` above 1000 that makes up more than half of that sum is what inflates it (Belsley,
    Kuh and Welsch, *Regression Diagnostics*, 1980, section 3.2).
    """
    if not 2 <= free.sum() <= MANY_COLUMNS:
        return None
    return collinearity_in(_cross_products(design, free), design, free)


def collinearity_in(products: FloatArray, rows: RowsInShort, free: NDArray[np.bool_]) -> NearCollinearity | None:
    """The same by the weighted ``Z'Z`` of the free columns."""
    names = np.array(coefficient_names(rows), dtype=object)[free]
    if not 2 <= len(names) <= MANY_COLUMNS:
        return None
    # Eigenvalues of Z'Z are good to 1e-16 of the largest: condition indices to 1e7, and these here to many digits.
    values, vectors = eigh(products)
    values = np.maximum(values, np.finfo(float).eps * values[-1])
    index = np.sqrt(values[-1] / values)
    shares = vectors**2 / values
    shares /= shares.sum(axis=1, keepdims=True)
    inflated = shares[:, index > NEARLY_COLLINEAR].sum(axis=1) > MAIN_SHARE
    if not inflated.any():
        return None
    return NearCollinearity(tuple(names[inflated]), float(index[0]))


def _cross_products(design: Design, free: NDArray[np.bool_]) -> FloatArray:
    """Weighted ``Z'Z`` (q, q) of the free columns, without a copy of the data."""
    first = int(design.has_intercept)
    features = free[first:]
    centre, scale = (a[features] for a in design.standardisation)
    ones = first and free[0]
    total = np.zeros((int(free.sum()),) * 2)
    for start in range(0, design.n_obs, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        Z = (design.features.at(rows)[:, features] - centre) / scale
        if ones:
            Z = np.column_stack([np.ones(len(Z)), Z])
        total += (Z * design.totals[rows, None]).T @ Z
    return total / design.total_weight
