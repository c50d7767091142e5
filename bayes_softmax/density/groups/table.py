"""What compiled code reads of each grouping: one line of addresses and sizes, and the arrays behind it."""

from typing import NamedTuple

import numpy as np
from numba import carray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.simd import pointer

OF_ROWS = ("codes", "terms", "observed", "contrasts")
OF_COVARIANCE = ("mapping", "sd_of_column", "pair", "power", "family", "df", "scale")
OF_LANES = ("curvature", "target", "border", "effects")
SIZES = ("n_blocks", "B", "q", "G", "n", "k", "n_sds", "K1", "n_chunks", "lanes", "n_parents", "in_chain")
# ``at``: the place of the effects in a point of the model; the last three are places in the workspaces
PLACES = ("first_hyper", "n_hyper", "at", "own_at", "chain_at", "prior_at")
FIELDS = (*OF_ROWS, *OF_COVARIANCE, *OF_LANES, "parents", *SIZES, *PLACES)
GROUPING = np.dtype([(name, np.int64) for name in FIELDS])
GROUPING_SIZE = len(FIELDS)


class Lanes(NamedTuple):
    """Second-order expansion of a log-likelihood in the effects of a grouping that are whitened level by level.

    Levels are the last axis, in chunks of B side by side, so that one vector instruction serves several of them; what
    is padded is zero.  ``curvature`` (n, m, m, B) is A, ``target`` (n, m, B) is ``A_g u_0g + r_g``, ``border``
    (n, m, d, B) is C, or X where it is fixed, and ``effects`` (n, m, B) are u_0.
    """

    curvature: FloatArray
    target: FloatArray
    border: FloatArray
    effects: FloatArray


class OwnWork(NamedTuple):
    """Workspace of a grouping that is whitened level by level, laid out as :class:`Lanes`.

    ``F`` are the inverses of the levels' factors, ``X`` the effects' slopes in the common coordinates, ``a`` their
    conditional means, ``v`` the whitened coordinates, ``u`` the effects and then their gradient, ``y`` a scratch.
    """

    F: FloatArray
    X: FloatArray
    a: FloatArray
    v: FloatArray
    u: FloatArray
    y: FloatArray


class ChainWork(NamedTuple):
    """Workspace of a grouping in a chain of nested ones, laid out as :class:`Lanes`.

    Symbols as at the top of ``nested.py``: ``W``, later the adjoint of P; ``M``; ``g``, later the adjoint of t; ``U``
    and ``p``.
    """

    W: FloatArray
    M: FloatArray
    g: FloatArray
    U: FloatArray
    p: FloatArray


class PriorWork(NamedTuple):
    """Factors of one grouping's covariance: see ``priors.precision_of``; ``adjoint`` (m, m) is of the precision."""

    R: FloatArray
    root: FloatArray
    inverse: FloatArray
    precision: FloatArray
    adjoint: FloatArray


@nb.njit(**nb.OPTIONS)
def line(groupings, j):  # type: ignore[no-untyped-def]
    """Line ``j`` of the table (J, ``GROUPING_SIZE``)."""
    return carray(pointer(groupings.ctypes.data), (groupings.shape[0],), GROUPING)[j]


@nb.njit(**nb.OPTIONS)
def doubles(address, shape):  # type: ignore[no-untyped-def]
    """The array of this shape at an address."""
    return carray(pointer(address), shape, np.float64)


@nb.njit(**nb.OPTIONS)
def _integers(address, shape):  # type: ignore[no-untyped-def]
    return carray(pointer(address), shape, np.int64)


@nb.njit(**nb.OPTIONS)
def read_grouping(t):  # type: ignore[no-untyped-def]
    """Rows of one grouping."""
    return Grouping(
        _integers(t.codes, (t.n_blocks, t.B)),
        doubles(t.terms, (t.n_blocks, t.q, t.B)),
        doubles(t.observed, (t.G, t.q, t.K1)),
        doubles(t.contrasts, (t.K1, t.k)),
    )


@nb.njit(**nb.OPTIONS)
def read_covariance(t):  # type: ignore[no-untyped-def]
    """Covariance of one grouping."""
    return CovarianceData(
        doubles(t.mapping, (t.n, t.q * t.k)),
        _integers(t.sd_of_column, (t.n,)),
        _integers(t.pair, (t.n, t.n)),
        doubles(t.power, (t.n,)),
        _integers(t.family, (t.n_sds,)),
        doubles(t.df, (t.n_sds,)),
        doubles(t.scale, (t.n_sds,)),
    )


@nb.njit(**nb.OPTIONS)
def read_lanes(t, d):  # type: ignore[no-untyped-def]
    """Expansion of one grouping with ``d`` common coordinates."""
    n, m, B = t.n_chunks, t.q * t.k, t.lanes
    return Lanes(
        doubles(t.curvature, (n, m, m, B)),
        doubles(t.target, (n, m, B)),
        doubles(t.border, (n, m, d, B)),
        doubles(t.effects, (n, m, B)),
    )


@nb.njit(**nb.OPTIONS)
def own_work(t, d, exact, work):  # type: ignore[no-untyped-def]
    """The workspace of one grouping; where the border is fixed there is no need for another ``X``."""
    n, m, B = t.n_chunks, t.q * t.k, t.lanes
    size, at = n * m * B, t.own_at
    of_F, of_X = size * m, size * d if exact else 0
    X = work[at + of_F : at + of_F + of_X].reshape(n if exact else 0, m, d, B)
    at, F = at + of_F + of_X, work[at : at + of_F].reshape(n, m, m, B)
    rest = work[at : at + 4 * size].reshape(4, n, m, B)
    return OwnWork(F, X, rest[0], rest[1], rest[2], rest[3])


@nb.njit(**nb.OPTIONS)
def chain_work(t, work):  # type: ignore[no-untyped-def]
    """The workspace of one grouping in a chain; of no use for another."""
    n, m, B = t.n_chunks, t.q * t.k, t.lanes
    size, at = n * m * B, t.chain_at
    squares = work[at : at + 2 * size * m].reshape(2, n, m, m, B)
    at += 2 * size * m
    rest = work[at : at + 3 * size].reshape(3, n, m, B)
    return ChainWork(squares[0], squares[1], rest[0], rest[1], rest[2])


@nb.njit(**nb.OPTIONS)
def read_parents(t):  # type: ignore[no-untyped-def]
    """The level that contains each level, in the next grouping of a chain; empty where there is none."""
    return _integers(t.parents, (t.n_parents,))


@nb.njit(**nb.OPTIONS)
def prior_work(t, work):  # type: ignore[no-untyped-def]
    """The workspace of one grouping's covariance."""
    n, m, at = t.n, t.q * t.k, t.prior_at
    R = work[at : at + n * n].reshape(n, n)
    root = work[at + n * n : at + n * n + m * n].reshape(m, n)
    rest = work[at + n * n + m * n : at + n * n + m * n + 3 * m * m].reshape(3, m, m)
    return PriorWork(R, root, rest[0], rest[1], rest[2])
