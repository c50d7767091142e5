"""Second-order expansion of the log-likelihood at a point of a model with effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayes_softmax.core.records import FloatArray
from bayes_softmax.data.design import Design
from bayes_softmax.density import linear
from bayes_softmax.density.groups.expansion import ExpansionRows, expand
from bayes_softmax.density.groups.layout import Layout
from bayes_softmax.density.groups.packing import LevelRows
from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.prior import PriorCurvature


class LevelExpansion(NamedTuple):
    """Curvature (G, m, m), gradient (G, m), and border (G, m, d) with the common coordinates, of a log-likelihood."""

    curvature: FloatArray
    gradient: FloatArray
    border: FloatArray


class Expansion(NamedTuple):
    """Second-order expansion of a log-likelihood in each grouping that is whitened level by level, and the border.

    ``levels`` are None for the other groupings.  ``common`` (d, d) and ``slope`` (d,) contain the prior of the weights,
    whose curvature is ``prior``.
    """

    levels: tuple[LevelExpansion | None, ...]
    common: FloatArray
    slope: FloatArray
    prior: FloatArray


@dataclass(frozen=True, eq=False)
class EffectRows:
    """Rows of a design with levels and terms, and their coordinates in flat points of a layout.

    ``base`` is the model without effects.
    """

    base: SoftmaxPosterior
    design: Design
    levels: tuple[LevelRows, ...]
    layout: Layout

    def expansion(self, x: FloatArray) -> Expansion:
        """Expansion at a flat point; given several groupings whitened level by level, of each without the others."""
        d, n, P = self.layout.n_border, self.layout.n_weights, self.expected(x)
        residuals, J = self.design.dense_counts() - P, len(self.levels)
        H, slope = np.zeros((d, d)), np.zeros(d)
        levels: list[LevelExpansion | None] = []
        for j, (G, m) in enumerate(self.layout.shapes):
            if not self.layout.own[j]:
                levels.append(None)
                continue
            own = LevelExpansion(np.zeros((G, m, m)), np.zeros((G, m)), np.zeros((G, m, d)))
            H[:], slope[:] = 0.0, 0.0
            others = [l for l in range(J) if l != j] if self.layout.exact else []
            expand(self.rows([j, *others]), self.contrasts, P, residuals, *own, H, slope)
            levels.append(own)
        prior = PriorCurvature(self.base.prior_rows, self.base.coordinates, x[:n], convex=True).matrix
        H[:n, :n] += prior
        of_prior = np.zeros(n)
        log_prior_gradient(self.base.data, np.ascontiguousarray(x[:n]), of_prior)
        slope[:n] += of_prior
        return Expansion(tuple(levels), H, slope, prior)

    def expected(self, x: FloatArray) -> FloatArray:
        """Expected counts (N, K) of the rows."""
        eta = self._logits(x)
        eta -= eta.max(axis=1, keepdims=True)
        P = np.exp(eta)
        P *= (self.design.totals / P.sum(axis=1))[:, None]
        return P

    def _logits(self, x: FloatArray) -> FloatArray:
        """Logits (N, K) of the rows, -inf where a class is not on offer."""
        data, V = self.base.data, np.empty_like(self.base.data.YZ)
        linear.engine_coefficients(data, x[: self.layout.n_weights], V)
        eta = self.design.standardised() @ V.T
        C = self.base.coordinates.weights_contrast
        for j, rows in enumerate(self.levels):
            by_term = self.layout.effects(x, j).reshape(rows.n_levels, rows.n_terms, -1) @ C.T
            eta += np.einsum("nt,ntk->nk", rows.terms, by_term[rows.codes])
        if self.design.offset is not None:
            eta += self.design.offset
        return eta if self.design.available is None else np.where(self.design.available, eta, -np.inf)

    @cached_property
    def contrasts(self) -> FloatArray:
        """Columns of contrasts side by side: of the intercept, of the weights, and again for the effects."""
        Cb, Cw = self.base.data.Cb, self.base.data.Cw
        return np.ascontiguousarray(np.hstack([Cb, Cw]))

    def rows(self, order: Sequence[int]) -> ExpansionRows:
        """The rows' coordinates, with some groupings in an order."""
        k_b, k_w = self.base.data.Cb.shape[1], self.base.data.Cw.shape[1]
        d, p, first = self.base.dimension, self.design.n_features, int(k_b > 0)
        column, feature = np.empty(d, dtype=np.int64), np.zeros(d, dtype=np.int64)
        for c in range(max(k_b, k_w)):
            start = c * p + min(c + 1, k_b)
            column[start : start + p], feature[start : start + p] = k_b + c, np.arange(p) + first
            if c < k_b:
                column[start - 1] = c
        levels = [self.levels[j] for j in order]
        return ExpansionRows(
            self.design.standardised(),
            column,
            feature,
            np.array([rows.codes for rows in levels], dtype=np.int64),
            np.ascontiguousarray(np.hstack([rows.terms for rows in levels])),
            np.array([rows.n_terms for rows in levels], dtype=np.int64),
            np.full(len(order), k_b, dtype=np.int64),
            k_w,
            np.array([self.layout.at[j] for j in order], dtype=np.int64),
        )
