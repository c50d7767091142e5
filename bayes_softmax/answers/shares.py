"""Weighted averages of probabilities over groups of rows, with their uncertainty."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from bayes_softmax.answers.average_jacobian import estimate_blocks, level_jacobian
from bayes_softmax.answers.fitted import Fitted, quadratic_form
from bayes_softmax.answers.intervals import Interval, normal_quantile
from bayes_softmax.answers.levels import Asked, AtLevels, at_levels
from bayes_softmax.answers.perturbed import Moved, moved
from bayes_softmax.answers.probabilities import HasLogits, sum_over_blocks
from bayes_softmax.answers.quantities import Quantities, summary_columns
from bayes_softmax.answers.rows import BLOCK_BYTES, Rows
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.records import FloatArray, IntArray
from bayes_softmax.core.threads import blas_on_one_thread

PART_BYTES = BLOCK_BYTES // 4  # of the shares of some groups, one array for each block of rows


class Weighted(NamedTuple):
    """Rows with weights ``shares`` (N,) that sum to one in each group: group g is ``ends[g]`` to ``ends[g + 1]``."""

    rows: Rows
    shares: FloatArray
    ends: IntArray

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.ends) - 1

    def parts(self, fit: Fitted, draws: HasLogits) -> Iterator["Weighted"]:
        """Some groups at a time, in order: as many as have shares, or Jacobians of an estimate, of a few megabytes."""
        per_group = 8 * draws.parameters.n_draws * draws.logits.n_classes
        if fit.delta_covariance is not None:
            per_group *= size_of(fit.logits.shapes)
        size = max(1, PART_BYTES // per_group)
        for first in range(0, self.n_groups, size):
            ends = self.ends[first : first + size + 1]
            place = slice(int(ends[0]), int(ends[-1]))
            yield Weighted(self.rows.take(place), self.shares[place], ends - ends[0])


class Answering(NamedTuple):
    """Draws whose shares are asked for, at the levels of the rows; an estimate may be ``moved`` for its errors."""

    at: AtLevels
    moved: Moved | None

    @property
    def draws(self) -> HasLogits:
        """The draws."""
        return self.at.draws


def answering(fit: Fitted, thinned: HasLogits, asked: Asked, n_levels: Mapping[str, int], n_nodes: int) -> Answering:
    """Draws of the fit at the levels that are asked for, or an estimate, moved where it is averaged over levels."""
    covariance = fit.delta_covariance if asked.averaged else None
    estimate = None if covariance is None else moved(fit.logits, fit.parameters, covariance, asked.averaged)
    used = thinned if estimate is None else estimate.draws
    at = at_levels(used, fit.schema, asked, n_levels, n_nodes=n_nodes, shifted=estimate is None)
    return Answering(at, estimate)


def share_table(fit: Fitted, answer: Answering, weighted: Weighted, interval: Interval) -> dict[str, FloatArray]:
    """Centre, spread and interval of the shares in the order (group, class), by column name."""
    found = [share_columns(shares_of(fit, answer, part), interval) for part in weighted.parts(fit, answer.draws)]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def share_columns(quantities: Quantities, interval: Interval) -> dict[str, FloatArray]:
    """Centre, spread and interval of shares; that of an estimate is on the logit scale."""
    columns = summary_columns(quantities, interval)
    del columns["p_positive"]
    if quantities.std_error is not None:
        p, error, (low, high) = quantities.values[0], quantities.std_error, interval.columns("wald")
        with np.errstate(divide="ignore", invalid="ignore"):
            centre, half = logit(p), normal_quantile(interval) * error / (p * (1 - p))
        half[np.isinf(centre) & ~np.isnan(error)] = 0.0  # a class that no cell has on offer, or the only one
        columns[low], columns[high] = expit(centre - half), expit(centre + half)
    return columns


def shares_of(fit: Fitted, answer: Answering, weighted: Weighted) -> Quantities:
    """Shares of the classes in each group, in the order (group, class)."""
    if answer.moved is not None:
        values = share_draws(answer.draws, weighted)
        return Quantities(values[:1], answer.moved.errors(values))
    if fit.delta_covariance is None:
        values = share_draws(answer.draws, weighted)
        return Quantities(values, np.full(values.shape[1], np.nan) if fit.is_estimate else None)
    with blas_on_one_thread():  # products of few columns: a second thread costs more than it saves
        estimate, jacobian = _estimate_and_jacobian(fit, weighted)
    variance = quadratic_form(jacobian, fit.delta_covariance)
    if fit.limits is not None:
        # A share that is certain only in the limit has no standard error, nor has a NaN.
        variance[(variance == 0) | np.isnan(estimate)] = np.nan
    return Quantities(estimate[None], np.sqrt(variance))


def share_draws(draws: HasLogits, weighted: Weighted) -> FloatArray:
    """Draws (S, groups x K) of the shares."""
    K, S, ends = draws.logits.n_classes, draws.parameters.n_draws, weighted.ends

    def sums(P: FloatArray, block: slice) -> FloatArray:
        out = np.zeros((weighted.n_groups, K, S))
        first, last = np.searchsorted(ends, [block.start, block.stop - 1], side="right") - 1
        for g in range(int(first), int(last) + 1):
            own = slice(max(int(ends[g]), block.start), min(int(ends[g + 1]), block.stop))
            out[g] = np.matmul(weighted.shares[own], P[:, own.start - block.start : own.stop - block.start])
        return out

    total = sum_over_blocks(draws, weighted.rows, sums)
    return np.ascontiguousarray(np.minimum(total, 1.0).reshape(-1, S).T)  # never above it by rounding


def _estimate_and_jacobian(fit: Fitted, weighted: Weighted) -> tuple[FloatArray, FloatArray]:
    """Shares (groups x K,) at the estimate, and their Jacobian (groups x K, d) with respect to the parameters."""
    K, d = fit.logits.n_classes, size_of(fit.logits.shapes)
    value, jacobian = np.zeros((weighted.n_groups, K)), np.zeros((weighted.n_groups, K, d))
    for g in range(weighted.n_groups):
        own = slice(int(weighted.ends[g]), int(weighted.ends[g + 1]))
        rows, shares = weighted.rows.take(own), weighted.shares[own]
        for block in estimate_blocks(rows, K):
            mean, J = level_jacobian(fit, rows, shares, block)
            value[g] += mean
            jacobian[g] += J
    return np.minimum(value, 1.0).ravel(), jacobian.reshape(-1, d)
