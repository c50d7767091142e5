"""The joint posterior of weights, effects and hyperparameters, in coordinates in which it is nearly standard normal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from bayes_softmax.core.records import FloatArray, NativeDensity
from bayes_softmax.data.design import Design
from bayes_softmax.density import linear
from bayes_softmax.density.groups.arrow import ArrowData, new_factors
from bayes_softmax.density.groups.callbacks import group_callbacks
from bayes_softmax.density.groups.covariance import CovarianceData
from bayes_softmax.density.groups.effects import Grouping
from bayes_softmax.density.groups.expansion import ExpansionRows, expand
from bayes_softmax.density.groups.kernel import GroupsData, log_conditional, to_model, whitened_log_joint
from bayes_softmax.density.groups.packing import LevelRows, grouping_table, pack_levels
from bayes_softmax.density.log_prior import log_prior_gradient
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.density.prior import PriorCurvature


class ModelPoint(NamedTuple):
    """A point of the model: common coordinates (d,), effects of the first grouping (G, m), and hyperparameters (H,)."""

    common: FloatArray
    effects: FloatArray
    hyper: FloatArray


@dataclass(frozen=True, eq=False)
class GroupsPosterior:
    """Log density of ``z = [w, v, e]``, see :mod:`bayes_softmax.density.groups`.  Made by :func:`groups_posterior`.

    ``base`` is the model without effects, ``levels`` the rows' levels and terms; the first grouping's levels are
    eliminated, and it should be the one with the most.
    """

    base: SoftmaxPosterior
    design: Design
    levels: tuple[LevelRows, ...]
    packed: tuple[tuple[Grouping, CovarianceData], ...]
    data: GroupsData

    @property
    def n_common(self) -> int:
        """Number of common coordinates d: the weights, then the effects of all groupings but the first."""
        return len(self.data.slope)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.n_common + self.data.arrow.effects.size + len(self.data.location)

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
        return float(log_conditional(self.data, *point))

    def to_model(self, z: FloatArray) -> ModelPoint:
        """The point of the model at whitened coordinates."""
        d, shape = self.n_common, self.data.arrow.effects.shape
        w, v, e = np.split(np.ascontiguousarray(z), [d, d + shape[0] * shape[1]])
        point = ModelPoint(np.empty(d), np.empty(shape), self.data.location + self.data.root @ e)
        to_model(self.data, point.hyper, w, v.reshape(shape), new_factors(*shape, d), point.common, point.effects)
        return point

    def at(self, point: ModelPoint, root: FloatArray) -> Self:
        """The same density, whitened by the expansion at a point; ``root`` (H, H) is that of the hyperparameters."""
        arrow, curvature, slope = self._expansion(point)
        data = GroupsData(
            self.data.linear, self.data.groupings, arrow, curvature, slope, point.hyper, np.ascontiguousarray(root)
        )
        return replace(self, data=data)

    def _expansion(self, point: ModelPoint) -> tuple[ArrowData, FloatArray, FloatArray]:
        """Expansion of the log-likelihood; curvature and gradient of the common coordinates with the weights' prior."""
        (G, m), d, n = point.effects.shape, self.n_common, self.base.dimension
        eta = self._logits(point)
        eta -= eta.max(axis=1, keepdims=True)
        P = np.exp(eta)
        P *= (self.design.totals / P.sum(axis=1))[:, None]
        A, r, C = np.zeros((G, m, m)), np.zeros((G, m)), np.zeros((G, m, d))
        H, slope = np.zeros((d, d)), np.zeros(d)
        expand(self._rows, self._contrasts, P, self.design.dense_counts() - P, A, r, C, H, slope)
        weights = point.common[:n]
        prior = PriorCurvature(self.base.prior_rows, self.base.coordinates, weights, convex=True)
        H[:n, :n] += prior.matrix
        of_prior = np.zeros(n)
        log_prior_gradient(self.base.data, np.ascontiguousarray(weights), of_prior)
        slope[:n] += of_prior
        target = np.einsum("gab,gb->ga", A, point.effects) + r
        return ArrowData(point.common, point.effects, A, target, C), H, slope

    def _logits(self, point: ModelPoint) -> FloatArray:
        """Logits (N, K) of the rows, -inf where a class is not on offer."""
        V, n = np.empty_like(self.data.linear.YZ), self.base.dimension
        linear.engine_coefficients(self.data.linear, point.common[:n], V)
        eta = self.design.standardised() @ V.T
        C = self.base.coordinates.weights_contrast
        at = n
        for j, rows in enumerate(self.levels):
            m = rows.n_terms * C.shape[1]
            own = point.effects if j == 0 else point.common[at : at + rows.n_levels * m].reshape(-1, m)
            at += own.size if j else 0
            by_term = own.reshape(rows.n_levels, rows.n_terms, -1) @ C.T
            eta += np.einsum("nt,ntk->nk", rows.terms, by_term[rows.codes])
        if self.design.offset is not None:
            eta += self.design.offset
        return eta if self.design.available is None else np.where(self.design.available, eta, -np.inf)

    @cached_property
    def _contrasts(self) -> FloatArray:
        """Columns of contrasts side by side: of the intercept, of the weights, and again for the effects."""
        Cb, Cw = self.data.linear.Cb, self.data.linear.Cw
        return np.ascontiguousarray(np.hstack([Cb, Cw]))

    @cached_property
    def _rows(self) -> ExpansionRows:
        """The rows' coordinates."""
        k_b, k_w = self.data.linear.Cb.shape[1], self.data.linear.Cw.shape[1]
        d, p, first = self.base.dimension, self.design.n_features, int(k_b > 0)
        column, feature = np.empty(d, dtype=np.int64), np.zeros(d, dtype=np.int64)
        for c in range(max(k_b, k_w)):
            start = c * p + min(c + 1, k_b)
            column[start : start + p], feature[start : start + p] = k_b + c, np.arange(p) + first
            if c < k_b:
                column[start - 1] = c
        J = len(self.levels)
        return ExpansionRows(
            self.design.standardised(),
            column,
            feature,
            np.array([rows.codes for rows in self.levels], dtype=np.int64),
            np.ascontiguousarray(np.hstack([rows.terms for rows in self.levels])),
            np.array([rows.n_terms for rows in self.levels], dtype=np.int64),
            np.full(J, k_b, dtype=np.int64),
            k_w,
            self.data.groupings[:, -1].copy(),
        )


def groups_posterior(
    base: SoftmaxPosterior, design: Design, levels: Sequence[LevelRows], covariances: Sequence[CovarianceData]
) -> GroupsPosterior:
    """Compose the joint posterior, whitened at zero; ``base`` is the model of ``design`` without effects."""
    C, part = base.coordinates.weights_contrast, base.likelihood.parts[0].native()
    assert part is not None
    shape = int(part[4]), int(part[6])
    packed = tuple((pack_levels(rows, design, C, shape), c) for rows, c in zip(levels, covariances, strict=True))
    table = grouping_table(packed, base.dimension)
    first, m = levels[0], levels[0].n_terms * C.shape[1]
    d = base.dimension + sum(rows.n_levels * rows.n_terms * C.shape[1] for rows in levels[1:])
    H = int(table[-1, -3] + table[-1, -2])
    point = ModelPoint(np.zeros(d), np.zeros((first.n_levels, m)), np.zeros(H))
    nothing = ArrowData(point.common, point.effects, np.empty((0, m, m)), point.effects, np.empty((0, m, d)))
    data = GroupsData(base.data, table, nothing, np.empty((d, d)), np.empty(d), point.hyper, np.eye(H))
    return GroupsPosterior(base, design, tuple(levels), packed, data).at(point, np.eye(H))
