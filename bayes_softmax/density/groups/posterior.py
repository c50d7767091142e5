"""The joint posterior of weights, effects and hyperparameters, in coordinates in which it is nearly standard normal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from bayes_softmax.core.records import FloatArray, NativeDensity
from bayes_softmax.data.design import Design
from bayes_softmax.density import linear
from bayes_softmax.density.groups.callbacks import group_callbacks
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.curvature import Blocks, JointCurvature, precision
from bayes_softmax.density.groups.expansion import ExpansionRows, expand
from bayes_softmax.density.groups.kernel import GroupsData, log_conditional, to_model, whitened_log_joint
from bayes_softmax.density.groups.layout import MAX_BORDER, Layout, ModelPoint
from bayes_softmax.density.groups.packing import LevelRows, Packed, grouping_table, pack_lanes, pack_levels
from bayes_softmax.density.groups.table import Lanes, line
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
class GroupsPosterior:
    """Log density of whitened points, see :mod:`bayes_softmax.density.groups`.  Made by :func:`groups_posterior`.

    ``base`` is the model without effects, ``levels`` the rows' levels and terms, ``reference`` where the log-likelihood
    was expanded, and ``lanes`` the expansion in compiled form.
    """

    base: SoftmaxPosterior
    design: Design
    levels: tuple[LevelRows, ...]
    packed: tuple[Packed, ...]
    layout: Layout
    reference: ModelPoint
    lanes: tuple[Lanes | None, ...]
    data: GroupsData

    @property
    def n_common(self) -> int:
        """Number of the model's common coordinates: the weights, then the effects of all groupings but the first."""
        G, m = self.layout.shapes[0]
        return self.layout.size - G * m

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.layout.size + len(self.data.location)

    def value_gradient(self, z: FloatArray) -> tuple[float, FloatArray]:
        """Log density at ``z``, up to a constant, with the log determinant of the map; and its gradient."""
        gradient = np.empty(self.dimension)
        z = np.require(z, dtype=np.float64, requirements=["C", "A", "W"])
        return float(whitened_log_joint(self.data, z, gradient)), gradient

    def callbacks(self) -> NativeDensity:
        """C callbacks for the same density."""
        return group_callbacks(self.data, self)

    def log_conditional(self, point: ModelPoint) -> float:
        """Log-likelihood plus log prior of weights and effects given the hyperparameters, up to a constant."""
        x = self.layout.flat(point)
        return float(log_conditional(self.data, x, point.hyper, np.empty_like(x)))

    def to_model(self, z: FloatArray) -> ModelPoint:
        """The point of the model at whitened coordinates."""
        z = np.require(z, dtype=np.float64, requirements=["C", "A", "W"])
        x, hyper = np.empty(self.layout.size), self.data.location + self.data.root @ z[self.layout.size :]
        to_model(self.data, hyper, z, x)
        return self.layout.point(x, hyper)

    def newton_point(self) -> ModelPoint:
        """Where a Newton step in weights and effects leads from the reference, at its hyperparameters."""
        if self.layout.exact:
            return self.to_model(np.zeros(self.dimension))
        x = self.layout.flat(self.reference)
        gradient = np.empty_like(x)
        log_conditional(self.data, x, self.reference.hyper, gradient)
        return self.layout.point(x + self._curvature.solve(gradient), self.reference.hyper)

    def at(self, point: ModelPoint, root: FloatArray) -> Self:
        """The same density, whitened by the expansion at a point; ``root`` (H, H) is that of the hyperparameters.

        With several groupings whitened level by level the border is that of the weights alone: see :meth:`bordered`.
        """
        found, x = self._expansion(point), self.layout.flat(point)
        lanes: list[Lanes | None] = []
        for j, own in enumerate(found.levels):
            if own is None:
                lanes.append(None)
                continue
            u, border = self.layout.effects(x, j), own.border if self.layout.exact else np.zeros_like(own.border)
            target = np.einsum("gab,gb->ga", own.curvature, u) + own.gradient
            lanes.append(pack_lanes(own.curvature, target, border, u))
        if self.layout.exact:
            common, slope = found.common, found.slope
        else:
            common, slope = _inverse_factor(found.common), np.zeros_like(found.slope)
        data = self._data(lanes, x, common, slope, point.hyper, root)
        return replace(self, reference=point, lanes=tuple(lanes), data=data)

    def bordered(self) -> Self:
        """With a fixed border, the slopes of all effects in the weights, and the weights' factor, at the reference."""
        if self.layout.exact:
            return self
        d, curvature, n = self.layout.n_weights, self._curvature, self.layout.size
        products = np.array([curvature.times(unit) for unit in np.eye(d, n)])
        slopes = np.array([curvature.solve(row, effects_only=True) for row in products])
        S = products[:, :d] - slopes[:, d:] @ products[:, d:].T
        lanes = []
        for j, (G, m) in enumerate(self.layout.shapes):
            own = self.lanes[j]
            assert own is not None
            X = self.layout.effects(slopes, j).transpose(1, 2, 0)
            nothing = np.zeros((G, m, m)), np.zeros((G, m))
            lanes.append(own._replace(border=pack_lanes(*nothing, np.ascontiguousarray(X), nothing[1]).border))
        x, old = self.layout.flat(self.reference), self.data
        data = self._data(lanes, x, _inverse_factor(0.5 * (S + S.T)), old.slope, old.location, old.root)
        return replace(self, lanes=tuple(lanes), data=data)

    def _data(
        self,
        lanes: Sequence[Lanes | None],
        x: FloatArray,
        common: FloatArray,
        slope: FloatArray,
        hyper: FloatArray,
        root: FloatArray,
    ) -> GroupsData:
        table, work = grouping_table(self.packed, lanes, self.layout)
        sizes = np.array([self.layout.n_weights, self.layout.exact, *work], dtype=np.int64)
        d = self.layout.n_border
        return GroupsData(self.base.data, table, sizes, x[:d].copy(), common, slope, hyper, np.ascontiguousarray(root))

    @property
    def _curvature(self) -> JointCurvature:
        """The joint curvature at the reference."""
        found, hyper = self._expansion(self.reference), self.reference.hyper
        lines = [line(self.data.groupings, j) for j in range(len(self.levels))]
        precisions = tuple(
            precision(cov, hyper[t["first_hyper"] : t["first_hyper"] + t["n_hyper"]])
            for (_, cov), t in zip(self.packed, lines, strict=True)
        )
        pairs = zip(found.levels, precisions, strict=True)
        inverses = [np.linalg.inv(own.curvature + Q) for own, Q in pairs if own is not None]
        blocks = Blocks(np.linalg.inv(found.common), tuple(inverses))
        rows, expected = self._rows(range(len(self.levels))), self._expected(self.reference)
        return JointCurvature(self.layout, rows, self._contrasts, expected, found.prior, precisions, blocks)

    def _expansion(self, point: ModelPoint) -> Expansion:
        """Expansion at a point; given several groupings whitened level by level, of each without the others."""
        x, d, n = self.layout.flat(point), self.layout.n_border, self.layout.n_weights
        P = self._expected(point)
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
            expand(self._rows([j, *others]), self._contrasts, P, residuals, *own, H, slope)
            levels.append(own)
        prior = PriorCurvature(self.base.prior_rows, self.base.coordinates, x[:n], convex=True).matrix
        H[:n, :n] += prior
        of_prior = np.zeros(n)
        log_prior_gradient(self.base.data, np.ascontiguousarray(x[:n]), of_prior)
        slope[:n] += of_prior
        return Expansion(tuple(levels), H, slope, prior)

    def _expected(self, point: ModelPoint) -> FloatArray:
        """Expected counts (N, K) of the rows."""
        eta = self._logits(point)
        eta -= eta.max(axis=1, keepdims=True)
        P = np.exp(eta)
        P *= (self.design.totals / P.sum(axis=1))[:, None]
        return P

    def _logits(self, point: ModelPoint) -> FloatArray:
        """Logits (N, K) of the rows, -inf where a class is not on offer."""
        V, x = np.empty_like(self.data.linear.YZ), self.layout.flat(point)
        linear.engine_coefficients(self.data.linear, x[: self.layout.n_weights], V)
        eta = self.design.standardised() @ V.T
        C = self.base.coordinates.weights_contrast
        for j, rows in enumerate(self.levels):
            by_term = self.layout.effects(x, j).reshape(rows.n_levels, rows.n_terms, -1) @ C.T
            eta += np.einsum("nt,ntk->nk", rows.terms, by_term[rows.codes])
        if self.design.offset is not None:
            eta += self.design.offset
        return eta if self.design.available is None else np.where(self.design.available, eta, -np.inf)

    @cached_property
    def _contrasts(self) -> FloatArray:
        """Columns of contrasts side by side: of the intercept, of the weights, and again for the effects."""
        Cb, Cw = self.data.linear.Cb, self.data.linear.Cw
        return np.ascontiguousarray(np.hstack([Cb, Cw]))

    def _rows(self, order: Sequence[int]) -> ExpansionRows:
        """The rows' coordinates, with some groupings in an order."""
        k_b, k_w = self.data.linear.Cb.shape[1], self.data.linear.Cw.shape[1]
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


def groups_posterior(
    base: SoftmaxPosterior,
    design: Design,
    levels: Sequence[LevelRows],
    covariances: Sequence[CovarianceData],
    *,
    max_border: int = MAX_BORDER,
) -> GroupsPosterior:
    """Compose the joint posterior, whitened at zero; ``base`` is the model of ``design`` without effects.

    The largest grouping is whitened level by level given the hyperparameters, the effects of the others are common
    coordinates; if there are more of these than ``max_border`` every grouping is whitened level by level.
    """
    C, part = base.coordinates.weights_contrast, base.likelihood.parts[0].native()
    assert part is not None
    shape = int(part[4]), int(part[6])
    packed = tuple((pack_levels(rows, design, C, shape), c) for rows, c in zip(levels, covariances, strict=True))
    shapes = [(rows.n_levels, rows.n_terms * C.shape[1]) for rows in levels]
    layout = Layout.of(base.dimension, shapes, max_border)
    H = sum(len(cov.scale) + int(cov.pair.max(initial=-1)) + 1 for cov in covariances)
    zero, square = layout.point(np.zeros(layout.size), np.zeros(H)), np.zeros((layout.n_border, layout.n_border))
    nothing = np.empty((0, 0), dtype=np.int64)
    data = GroupsData(base.data, nothing, nothing[0:0].ravel(), square[0], square, square[0], zero.hyper, np.eye(H))
    bare = GroupsPosterior(base, design, tuple(levels), packed, layout, zero, (), data)
    return bare.at(zero, np.eye(H))


def _inverse_factor(S: FloatArray) -> FloatArray:
    """Inverse of the lower Cholesky factor."""
    return np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(S)))
