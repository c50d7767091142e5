"""Integrals over the levels of several groupings at once, crossed or nested, by Laplace's method."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import block_diag

from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.arrow_solve import ArrowFactor, draw_arrow, factor_arrow, inverse_blocks, solve_arrow
from bayes_softmax.density.groups.joint_laplace import (
    JointRows,
    add_determinant_adjoints,
    add_mode_adjoints,
    joint_expansion,
    joint_log_likelihood,
)
from bayes_softmax.density.groups.level_modes import HALVINGS, NEWTON_STEPS, SMALL_DECREMENT, SQUARED_DECREMENT
from bayes_softmax.density.groups.marginal import Integrated, LevelNormals
from bayes_softmax.density.groups.packing import LevelRows


class SeveralGroupings:
    """The levels of all groupings together: their mode, and the curvature there, an arrow.

    The grouping with the most levels has a block for each of them, all others are a dense border.
    """

    def __init__(self, design: Design, levels: Sequence[LevelRows], contrasts: FloatArray) -> None:
        k = contrasts.shape[1]
        self._turn = [int(j) for j in np.argsort([-rows.n_levels * rows.n_terms for rows in levels], kind="stable")]
        self._levels = [levels[j] for j in self._turn]
        self._sizes = [rows.n_terms * k for rows in self._levels]
        self._order = np.argsort(self._levels[0].codes, kind="stable")
        self._rows = _joint_rows(design, self._levels, contrasts, self._order)
        border = sum(rows.n_levels * size for rows, size in zip(self._levels[1:], self._sizes[1:], strict=True))
        self._modes = np.zeros((self._levels[0].n_levels, self._sizes[0])), np.zeros(border)

    def value_gradient(self, eta: FloatArray, roots: Sequence[FloatArray]) -> Integrated:
        """The marginal log-likelihood and its derivatives."""
        eta, L = np.ascontiguousarray(eta[self._order]), self._root(roots)
        value, (first, border), factor = self._at_mode(eta, L)
        if not np.isfinite(value):
            return Integrated(value, np.full_like(eta, np.nan), tuple(np.full_like(root, np.nan) for root in roots))
        self._modes = first, border
        kappas, of_sorted, Lbar = np.empty_like(eta), np.empty_like(eta), np.zeros_like(L)
        of_first, of_border = np.zeros_like(first), np.zeros_like(border)
        inverse = inverse_blocks(factor)
        add_determinant_adjoints(self._rows, eta, L, first, border, inverse, kappas, of_first, of_border, Lbar)
        steps = solve_arrow(factor, of_first, of_border)
        add_mode_adjoints(self._rows, eta, L, first, border, *steps, kappas, of_sorted, Lbar)
        of_eta, of_roots = np.empty_like(of_sorted), [np.empty(0)] * len(roots)
        of_eta[self._order] = of_sorted
        ends = np.cumsum([0, *self._sizes])
        for place, j in enumerate(self._turn):
            own = slice(ends[place], ends[place + 1])
            of_roots[j] = np.ascontiguousarray(Lbar[own, own])
        return Integrated(value, of_eta, tuple(of_roots))

    def value(self, eta: FloatArray, roots: Sequence[FloatArray]) -> float:
        """The marginal log-likelihood alone."""
        return self._at_mode(np.ascontiguousarray(eta[self._order]), self._root(roots))[0]

    def normals(self, eta: FloatArray, roots: Sequence[FloatArray]) -> LevelNormals:
        """The levels' effects given all else; the covariances are those of each level alone."""
        L = self._root(roots)
        _, (first, border), factor = self._at_mode(np.ascontiguousarray(eta[self._order]), L)
        blocks, _, covariance = inverse_blocks(factor)
        modes: list[FloatArray] = [np.empty(0)] * len(roots)
        covariances, at = list(modes), 0
        for place, j in enumerate(self._turn):
            G, m, root = self._levels[place].n_levels, self._sizes[place], roots[j]
            own = first if place == 0 else border[at : at + G * m].reshape(G, m)
            squares = np.arange(G)[:, None] * m + np.arange(m) + at
            of_own = blocks if place == 0 else covariance[squares[:, :, None], squares[:, None, :]]
            at += 0 if place == 0 else G * m
            modes[j], covariances[j] = own @ root.T, root @ of_own @ root.T
        return LevelNormals(tuple(modes), tuple(covariances))

    def joint_covariance(self, eta: FloatArray, roots: Sequence[FloatArray]) -> FloatArray:
        """Covariance of all levels' effects given all else, one grouping after the other: dense, for not too many."""
        eta, L, rows = np.ascontiguousarray(eta[self._order]), self._root(roots), self._rows
        _, (first, border), _ = self._at_mode(eta, L)
        (G, m), d, T = first.shape, len(border), len(rows.columns)
        A, C, P = np.zeros((G, m, m)), np.zeros((T, m)), np.eye(G * m + d)
        joint_expansion(rows, eta, L, first, border, A, C, P[G * m :, G * m :], first.copy(), border.copy())
        own = np.arange(G * m).reshape(G, m)
        P[own[:, :, None], own[:, None, :]] += A
        met = own[np.repeat(np.arange(G), np.diff(rows.starts))]
        P[G * m + rows.columns[:, None], met] += C
        P[met, G * m + rows.columns[:, None]] += C
        inverse: FloatArray = np.linalg.inv(P)
        at, places = 0, [np.empty(0, dtype=np.int64)] * len(roots)
        turns: list[FloatArray] = [np.empty(0)] * len(roots)
        for levels, size, j in zip(self._levels, self._sizes, self._turn, strict=True):
            places[j] = np.arange(at, at + levels.n_levels * size)
            turns[j] = block_diag(*[roots[j]] * levels.n_levels)
            at += levels.n_levels * size
        order, turn = np.concatenate(places), block_diag(*turns)
        found: FloatArray = turn @ inverse[np.ix_(order, order)] @ turn.T
        return found

    def estimate(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> float:
        """Log of the unbiased estimate of the marginal likelihood that belongs to a draw."""
        return self._draw(eta, roots, rng)[0]

    def draw(self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator) -> tuple[FloatArray, ...]:
        """A draw of all effects from their joint normal approximation."""
        return self._draw(eta, roots, rng)[1]

    def _draw(
        self, eta: FloatArray, roots: Sequence[FloatArray], rng: np.random.Generator
    ) -> tuple[float, tuple[FloatArray, ...]]:
        eta, L = np.ascontiguousarray(eta[self._order]), self._root(roots)
        _, (first, border), factor = self._at_mode(eta, L)
        moves, square = draw_arrow(factor, rng)
        first, border = first + moves[0], border + moves[1]
        value = joint_log_likelihood(self._rows, eta, L, first, border) - _half_square(first, border)
        drawn: list[FloatArray] = [np.empty(0)] * len(roots)
        at = 0
        for place, j in enumerate(self._turn):
            G, m = self._levels[place].n_levels, self._sizes[place]
            own = first if place == 0 else border[at : at + G * m].reshape(G, m)
            at += 0 if place == 0 else G * m
            drawn[j] = own @ roots[j].T
        return float(value) + 0.5 * square - 0.5 * factor.log_determinant, tuple(drawn)

    def _root(self, roots: Sequence[FloatArray]) -> FloatArray:
        """The roots of a row's levels, in the order in which they are held."""
        return np.ascontiguousarray(block_diag(*[roots[j] for j in self._turn]))

    def _at_mode(self, eta: FloatArray, L: FloatArray) -> tuple[float, tuple[FloatArray, FloatArray], ArrowFactor]:
        """Laplace's approximation, the mode by Newton steps, and the curvature there."""
        (first, border), before = self._modes, np.inf
        for _ in range(NEWTON_STEPS):
            value, of_first, of_border, factor = self._expansion(eta, L, first, border)
            steps = solve_arrow(factor, of_first, of_border)
            decrement = float((steps[0] * of_first).sum() + steps[1] @ of_border)
            size = 1.0 + float((first**2).sum() + border @ border)
            stalled = 4.0 * decrement > before and decrement < SMALL_DECREMENT * size
            if not decrement > SQUARED_DECREMENT * size or stalled:
                break
            before = decrement
            share, rounding = 1.0, 1e-14 * (1.0 + abs(value))
            for _ in range(HALVINGS):
                tried = first + share * steps[0], border + share * steps[1]
                found = joint_log_likelihood(self._rows, eta, L, *tried) - _half_square(*tried)
                if found >= value + 1e-4 * share * decrement - rounding:
                    break
                share *= 0.5
            first, border = tried
        return value - 0.5 * factor.log_determinant, (first, border), factor

    def _expansion(
        self, eta: FloatArray, L: FloatArray, first: FloatArray, border: FloatArray
    ) -> tuple[float, FloatArray, FloatArray, ArrowFactor]:
        """The log density of effects, its gradient, and the factors of its curvature."""
        (G, m), d, T = first.shape, len(border), len(self._rows.columns)
        A, C, D = np.tile(np.eye(m), (G, 1, 1)), np.zeros((T, m)), np.eye(d)
        of_first, of_border = -first, -border
        value = joint_expansion(self._rows, eta, L, first, border, A, C, D, of_first, of_border)
        factor = factor_arrow(A, C, D, self._rows.columns, self._rows.starts)
        return float(value) - _half_square(first, border), of_first, of_border, factor


def _half_square(first: FloatArray, border: FloatArray) -> float:
    return 0.5 * float((first**2).sum() + border @ border)


def _joint_rows(design: Design, levels: Sequence[LevelRows], contrasts: FloatArray, order: IntArray) -> JointRows:
    """The rows in order, and which places of the border each level of the first grouping meets."""
    N, k, J, at = len(order), contrasts.shape[1], len(levels), 0
    places, runs = np.zeros((J, N), dtype=np.int64), np.zeros((J, N), dtype=np.int64)
    first = levels[0].codes[order]
    places[0] = first
    met = []  # (level, place, size, grouping) of each meeting
    for j, rows in enumerate(levels[1:], 1):
        places[j] = at + rows.codes[order] * rows.n_terms * k
        at += rows.n_levels * rows.n_terms * k
        pairs = np.unique(np.stack([first, places[j]], axis=1), axis=0)
        met.append(np.column_stack([pairs, np.full((len(pairs), 1), rows.n_terms * k)]))
    meetings = np.concatenate(met)
    meetings = meetings[np.lexsort((meetings[:, 1], meetings[:, 0]))]
    ends = np.cumsum(meetings[:, 2])
    begins = ends - meetings[:, 2]
    columns = np.repeat(meetings[:, 1] - begins, meetings[:, 2]) + np.arange(ends[-1])
    starts = np.concatenate([[0], ends])[np.searchsorted(meetings[:, 0], np.arange(levels[0].n_levels + 1))]
    key = meetings[:, 0] * (at + 1) + meetings[:, 1]
    for j in range(1, J):
        runs[j] = begins[np.searchsorted(key, first * (at + 1) + places[j])]
    return JointRows(
        first,
        np.ascontiguousarray(design.dense_counts()[order]),
        np.ascontiguousarray(design.totals[order]),
        np.ascontiguousarray(np.hstack([rows.terms for rows in levels])[order]),
        np.array([rows.n_terms for rows in levels], dtype=np.int64),
        np.ascontiguousarray(contrasts),
        places,
        runs,
        columns,
        starts.astype(np.int64),
    )
