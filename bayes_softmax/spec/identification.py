r"""Why a fit without enough prior has no finite optimum: empty classes, collinear features, separated classes.

A direction ``D`` (q, K) of the coefficients in which the log-likelihood never falls is one with
:math:`z_n'(D_{y_n} - D_l) \ge 0` for every observation and class ``l``; if some margin is positive, the optimum
lies at infinity (Albert and Anderson, *Biometrika* 71, 1984).  Such a direction is found, or excluded, by a
linear program.  A direction with all margins zero is a collinearity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import qr
from scipy.optimize import linprog

from bayes_softmax.core.records import FloatArray
from bayes_softmax.spec.design import Design, Label

MARGIN_TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False, repr=False)
class Separation:
    """Whether the classes can be separated without error, along which direction.

    Attributes
    ----------
    kind
        ``"none"`` (they overlap), ``"quasi-complete"`` or ``"complete"``.
    features
        Names of the coefficients that go to infinity (``"intercept"`` among them).
    pairs
        Pairs of classes that are told apart.
    direction
        (q, K) the direction, per standard deviation of the features; zero where nothing is separated.
    """

    kind: str
    features: tuple[str, ...]
    pairs: tuple[tuple[Label, Label], ...]
    direction: FloatArray

    @property
    def separated(self) -> bool:
        """Whether the maximum-likelihood estimate is infinite."""
        return self.kind != "none"

    def __repr__(self) -> str:
        """Return one sentence."""
        if not self.separated:
            return "the classes overlap: no direction separates them"
        along = ", ".join(map(repr, self.features))
        return f"{self.kind} separation: {self._who()} without error by a combination of {along}"

    def _who(self) -> str:
        """Which classes: one from the others if a single class is in every pair, else the pairs."""
        for label in self.pairs[0]:
            if all(label in pair for pair in self.pairs):
                others = [b if a == label else a for a, b in self.pairs]
                return f"class {label!r} is told apart from {', '.join(map(repr, others))}"
        labels = {label for pair in self.pairs for label in pair}
        if len(self.pairs) == len(labels) * (len(labels) - 1) // 2:
            return f"the classes {', '.join(sorted(map(repr, labels)))} are all told apart"
        return "told apart are " + ", ".join(f"{a!r} and {b!r}" for a, b in self.pairs)


def coefficient_names(design: Design) -> tuple[str, ...]:
    """Names of the q columns of the standardised features."""
    return (("intercept",) if design.has_intercept else ()) + design.feature_names


def collinear_columns(design: Design) -> tuple[str, ...]:
    """Columns that are linear combinations of the others, by a pivoted QR of the standardised features."""
    Z = design.standardised()[design.totals > 0]
    names = coefficient_names(design)
    _, R, pivots = qr(Z, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(R))
    rank = int((diagonal > diagonal.max(initial=0.0) * max(Z.shape) * np.finfo(float).eps).sum())
    return tuple(names[j] for j in sorted(pivots[rank:]))


def check_separation(design: Design, free: FloatArray | None = None) -> Separation:
    """Find a separating direction by linear programming (HiGHS), or exclude one.

    Parameters
    ----------
    design
        Data.
    free
        (q,) True for coefficients that may move; default all.  With proper priors on the others only these can
        go to infinity.
    """
    Z = design.standardised()
    K = design.n_classes
    columns = np.arange(Z.shape[1]) if free is None else np.flatnonzero(free)
    nothing = np.zeros((Z.shape[1], K))
    if not len(columns):
        return Separation("none", (), (), nothing)
    margins = _margin_matrix(np.unique(_observed_pairs(design, Z[:, columns]), axis=0), K)
    # The first class stays at zero: only differences between classes matter.
    solution = linprog(
        -np.asarray(margins.sum(axis=0)).ravel(),
        A_ub=-margins,
        b_ub=np.zeros(margins.shape[0]),
        bounds=(-1, 1),
        method="highs",
    )
    values = margins @ solution.x if solution.x is not None else np.zeros(1)
    if not (values > MARGIN_TOLERANCE).any():
        return Separation("none", (), (), nothing)
    moved = np.column_stack([np.zeros(len(columns)), solution.x.reshape(K - 1, len(columns)).T])
    direction = nothing
    direction[columns] = moved
    kind = "complete" if _is_complete(margins) else "quasi-complete"
    return Separation(kind, _moving_features(design, direction), _separated_pairs(design, Z @ direction), direction)


def _is_complete(margins: Any) -> bool:
    """Whether one direction makes every margin positive: maximise the smallest one."""
    m, n = margins.shape
    smallest = np.zeros(n + 1)
    smallest[n] = -1.0
    A = sparse.hstack([-margins, np.ones((m, 1))]).tocsr()
    solution = linprog(smallest, A_ub=A, b_ub=np.zeros(m), bounds=[(-1, 1)] * n + [(None, 1)], method="highs")
    return solution.x is not None and bool(solution.x[n] > MARGIN_TOLERANCE)


def _observed_pairs(design: Design, Z: FloatArray) -> FloatArray:
    """One row ``[class, z]`` for each class observed in each row of the data."""
    n, k = np.nonzero(design.dense_counts() > 0)
    return np.column_stack([k.astype(float), Z[n]])


def _margin_matrix(pairs: FloatArray, n_classes: int) -> Any:
    """Sparse matrix taking ``vec(D)`` (K-1 blocks of q) to the margins of all pairs against all other classes."""
    codes, Z = pairs[:, 0].astype(int), pairs[:, 1:]
    q = Z.shape[1]
    blocks = []
    for other in range(n_classes):
        rows = np.flatnonzero(codes != other)
        block = sparse.csr_matrix((len(rows), n_classes * q))
        index = np.arange(len(rows))[:, None] + np.zeros((1, q), dtype=int)
        for sign, position in ((1.0, codes[rows]), (-1.0, np.full(len(rows), other))):
            column = position[:, None] * q + np.arange(q)
            data = (sign * Z[rows]).ravel()
            block = block + sparse.csr_matrix((data, (index.ravel(), column.ravel())), shape=block.shape)
        blocks.append(block)
    return sparse.vstack(blocks).tocsr()[:, q:]


def _moving_features(design: Design, direction: FloatArray) -> tuple[str, ...]:
    names = coefficient_names(design)
    return tuple(names[j] for j in np.flatnonzero(np.ptp(direction, axis=1) > MARGIN_TOLERANCE))


def _separated_pairs(design: Design, logits: FloatArray) -> tuple[tuple[Label, Label], ...]:
    """Pairs of classes between which some observation has a positive margin along the direction."""
    observed = design.dense_counts() > 0
    labels = design.response.classes
    gains = np.zeros((len(labels), len(labels)), dtype=bool)
    for k in range(len(labels)):
        own = logits[observed[:, k]]
        gains[k] = ((own[:, [k]] - own) > MARGIN_TOLERANCE).any(axis=0)
    gains |= gains.T
    return tuple((labels[k], labels[l]) for k in range(len(labels)) for l in range(k + 1, len(labels)) if gains[k, l])


def explain(design: Design, free: FloatArray | None = None) -> str | None:
    """In words, why there is no finite optimum where only the coefficients ``free`` lack a proper prior, if so."""
    if design.response.unused:
        named = ", ".join(map(repr, design.response.unused))
        empty = f"class {named} was declared but never observed, so its logits can fall without end"
        if free is None or free.any():
            return empty
    collinear = collinear_columns(design)
    if collinear:
        return f"the columns {', '.join(map(repr, collinear))} are linear combinations of the others (collinear)"
    separation = check_separation(design, free)
    return repr(separation) if separation.separated else None
