"""The joint posterior of weights, effects and hyperparameters, in coordinates in which it is nearly standard normal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bayes_softmax.core.records import FloatArray, NativeDensity
from bayes_softmax.data.design import Design
from bayes_softmax.density.groups.callbacks import group_callbacks
from bayes_softmax.density.groups.chains import Chain, chain_of
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.curvature import Blocks, JointCurvature, precision
from bayes_softmax.density.groups.kernel import GroupsData, log_conditional, to_models, whitened_log_joint
from bayes_softmax.density.groups.layout import MAX_BORDER, Layout, ModelPoint
from bayes_softmax.density.groups.linearised import EffectRows, Expansion
from bayes_softmax.density.groups.packing import LevelRows, Packed, pack_lanes, pack_levels
from bayes_softmax.density.groups.table import Lanes
from bayes_softmax.density.groups.tabulated import grouping_table
from bayes_softmax.density.posterior import SoftmaxPosterior


@dataclass(frozen=True, eq=False)
class GroupsPosterior:
    """Log density of whitened points, see :mod:`bayes_softmax.density.groups`.  Made by :func:`groups_posterior`.

    ``base`` is the model without effects, ``rows`` have levels and terms, ``reference`` is where the log-likelihood was
    expanded, and ``lanes`` the expansion in compiled form.
    """

    base: SoftmaxPosterior
    rows: EffectRows
    packed: tuple[Packed, ...]
    chain: Chain
    reference: ModelPoint
    lanes: tuple[Lanes | None, ...]
    data: GroupsData
    share: float = 0.0

    @property
    def layout(self) -> Layout:
        """Places of weights and effects in flat points."""
        return self.rows.layout

    @property
    def design(self) -> Design:
        """The rows of the model without effects."""
        return self.rows.design

    @property
    def levels(self) -> tuple[LevelRows, ...]:
        """The rows' levels and terms."""
        return self.rows.levels

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.layout.size + len(self.data.location)

    @property
    def spread(self) -> FloatArray:
        """Sds (d,) of whitened starting points: doubled but for effects.

        If all effects of thousands of levels were twice too large, their sds would follow them far away.
        """
        sds = np.full(self.dimension, 2.0)
        sds[self.layout.n_border : self.layout.size] = 1.0
        return sds

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

    def conditional_gradient(self, point: ModelPoint) -> FloatArray:
        """Gradient (n,) of :meth:`log_conditional` in weights and effects, in a flat point."""
        x = self.layout.flat(point)
        gradient = np.empty_like(x)
        log_conditional(self.data, x, point.hyper, gradient)
        return gradient

    def to_model(self, z: FloatArray) -> ModelPoint:
        """The point of the model at whitened coordinates."""
        z = np.require(z, dtype=np.float64, requirements=["C", "A", "W"])
        x, hyper = np.empty((1, self.layout.size)), self.data.location + self.data.root @ z[self.layout.size :]
        to_models(self.data, hyper[None], z[None], x)
        return self.layout.point(x[0], hyper)

    def newton_point(self) -> ModelPoint:
        """Where a Newton step in weights and effects leads from the reference, at its hyperparameters."""
        if self.layout.exact:
            return self.to_model(np.zeros(self.dimension))
        x, gradient = self.layout.flat(self.reference), self.conditional_gradient(self.reference)
        return self.layout.point(x + self.curvature_there().solve(gradient), self.reference.hyper)

    def at(self, point: ModelPoint, root: FloatArray) -> Self:
        """The same density, whitened by the expansion at a point; ``root`` (H, H) is that of the hyperparameters.

        With several groupings whitened level by level the border is that of the weights alone: see :meth:`bordered`.
        """
        return self.expanded(point, self.rows.expansion(self.layout.flat(point)), root)

    def expanded(self, point: ModelPoint, found: Expansion, root: FloatArray) -> Self:
        """The same density, whitened by a given expansion about a point."""
        x = self.layout.flat(point)
        lanes: list[Lanes | None] = []
        for j, own in enumerate(found.levels):
            if own is None:
                lanes.append(None)
                continue
            A, border = own.curvature, own.border if self.layout.exact else np.zeros_like(own.border)
            target = np.einsum("gab,gb->ga", A, self._total_effects(x, j)) + own.gradient
            if j in self.chain.groupings[1:]:  # only their parts reach rows
                A, target = np.zeros_like(A), np.zeros_like(target)
            lanes.append(pack_lanes(A, target, border, self.layout.effects(x, j)))
        if self.layout.exact:
            common, slope = found.common, found.slope
        else:
            common, slope = _inverse_factor(found.common), np.zeros_like(found.slope)
        data = self._data(lanes, x, common, slope, point.hyper, root)
        return replace(self, reference=point, lanes=tuple(lanes), data=data)

    def _total_effects(self, x: FloatArray, j: int) -> FloatArray:
        """Effects (G, m) of a grouping, with those of the levels that contain them if it begins the chain."""
        total = self.layout.effects(x, j).copy()
        if j in self.chain.groupings[:1]:
            at = np.arange(len(total))
            for parents, outer in zip(self.chain.parents, self.chain.groupings[1:], strict=True):
                at = parents[at]
                total += self.layout.effects(x, outer)[at]
        return total

    def bordered(self) -> Self:
        """With a fixed border, the slopes of all effects in the weights, and the weights' factor, at the reference."""
        if self.layout.exact:
            return self
        d, curvature, n = self.layout.n_weights, self.curvature_there(), self.layout.size
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
        table, work = grouping_table(self.packed, lanes, self.layout, self.chain)
        sizes = np.array([self.layout.n_weights, self.layout.exact, *work], dtype=np.int64)
        chain, at = np.array(self.chain.groupings, dtype=np.int64), x[: self.layout.n_border].copy()
        return GroupsData(
            self.base.data,
            table,
            sizes,
            chain,
            at,
            common,
            slope,
            hyper,
            np.ascontiguousarray(root),
            self._stretch(hyper),
        )

    def _stretch(self, hyper: FloatArray) -> FloatArray:
        """Share and variance of effects at hyperparameters in compiled form, and the terms' mean squares."""
        squares, variance = [np.square(rows.terms).mean(axis=0) for rows in self.levels], 0.0
        for Q, square in zip(self._precisions_at(hyper), squares, strict=True):
            variance += float(square @ np.diag(np.linalg.inv(Q)).reshape(len(square), -1).mean(axis=1))
        return np.concatenate([[self.share, variance], *squares])

    def stretched(self) -> Self:
        """The same density, with the prior's share in the effects' precision at the reference: see ``stretch.py``."""
        found, shares = self.rows.expansion(self.layout.flat(self.reference)), []
        for own, Q in zip(found.levels, self.precisions(), strict=True):
            if own is not None:
                shares.append(np.einsum("gij,ji->g", np.linalg.inv(own.curvature + Q), Q) / len(Q))
        stretched = replace(self, share=float(np.concatenate(shares).mean()))
        data = self.data._replace(stretch=stretched._stretch(self.data.location))
        return replace(stretched, data=data)

    def precisions(self) -> tuple[FloatArray, ...]:
        """Prior precision (m, m) of each grouping's effects at the reference."""
        return self._precisions_at(self.reference.hyper)

    def _precisions_at(self, hyper: FloatArray) -> tuple[FloatArray, ...]:
        """Those at hyperparameters (H,)."""
        ends = np.cumsum([covariance.n_hyper for _, covariance in self.packed])[:-1]
        parts = np.split(hyper, ends)
        return tuple(precision(covariance, own) for (_, covariance), own in zip(self.packed, parts, strict=True))

    def curvature_there(self) -> JointCurvature:
        """The joint curvature of weights and effects at the reference, where every grouping is whitened."""
        x, precisions = self.layout.flat(self.reference), self.precisions()
        found = self.rows.expansion(x)
        pairs = zip(found.levels, precisions, strict=True)
        inverses = [np.linalg.inv(own.curvature + Q) for own, Q in pairs if own is not None]
        blocks = Blocks(np.linalg.inv(found.common), tuple(inverses))
        rows, expected = self.rows.rows(range(len(self.levels))), self.rows.expected(x)
        return JointCurvature(self.layout, rows, self.rows.contrasts, expected, found.prior, precisions, blocks)


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
    C, part = base.coordinates.weights_contrast, base.data.parts[0]
    shape = int(part[4]), int(part[6])
    packed = tuple((pack_levels(rows, design, C, shape), c) for rows, c in zip(levels, covariances, strict=True))
    shapes = [(rows.n_levels, rows.n_terms * C.shape[1]) for rows in levels]
    layout = Layout.of(base.dimension, shapes, max_border)
    H = sum(covariance.n_hyper for covariance in covariances)
    zero, square = layout.point(np.zeros(layout.size), np.zeros(H)), np.zeros((layout.n_border, layout.n_border))
    nothing = np.empty(0, dtype=np.int64)
    data = GroupsData(
        base.data,
        nothing.reshape(0, 0),
        nothing,
        nothing,
        square[0],
        square,
        square[0],
        zero.hyper,
        np.eye(H),
        np.zeros(2),
    )
    rows, chain = EffectRows(base, design, tuple(levels), layout), Chain((), ()) if layout.exact else chain_of(levels)
    bare = GroupsPosterior(base, rows, packed, chain, zero, (), data)
    return bare.at(zero, np.eye(H))


def _inverse_factor(S: FloatArray) -> FloatArray:
    """Inverse of the lower Cholesky factor."""
    return np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(S)))
