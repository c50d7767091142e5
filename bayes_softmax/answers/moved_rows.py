"""Rows averaged over a population of levels at an estimate, and at estimates near it: standard errors of averages."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import qmc

from bayes_softmax.answers.delta import LOGIT_POINTS
from bayes_softmax.answers.fitted import Answering
from bayes_softmax.answers.intervals import Interval, normal_quantile
from bayes_softmax.answers.levels import Asked, at_levels
from bayes_softmax.answers.perturbed import Moved, moved, parameters_at, principal_axes
from bayes_softmax.answers.probabilities import HasLogits, ThinnedDraws, over_blocks
from bayes_softmax.answers.rows import Rows
from bayes_softmax.core.records import FloatArray


class MovedRows(NamedTuple):
    """Encoded rows with nodes, at an estimate and at those moved along the axes of its covariance."""

    moved: Moved
    draws: HasLogits
    rows: Rows


def moved_rows(fit: Answering, asked: Asked, rows: Rows) -> MovedRows:
    """The rows at the estimate and near it; ``rows`` are encoded for what is asked."""
    assert fit.delta_covariance is not None
    near = moved(fit.logits, fit.parameters, fit.delta_covariance, asked.averaged)
    at = at_levels(near.draws, fit.schema, asked, {}, n_nodes=_n_nodes(rows), shifted=False)
    return MovedRows(near, at.draws, at.place(rows))


def _n_nodes(rows: Rows) -> int:
    assert rows.nodes is not None
    return rows.nodes.n_nodes


def averaged_intervals(near: MovedRows, interval: Interval, shift: FloatArray | None) -> FloatArray:
    """Estimate, lower and upper end (3, N, K) of averaged probabilities, by the delta method on their logits."""
    rows = near.rows
    out, z = np.empty((3, rows.n_rows, near.draws.logits.n_classes)), normal_quantile(interval)

    def ends(P: FloatArray, block: slice) -> None:
        draws = np.moveaxis(P, 2, 0)  # (draws, K, rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            logit = np.log(draws) - np.log1p(-draws)
            half = z * near.moved.errors(logit)
        half[~np.isfinite(logit[0])] = 0.0
        out[0, block] = draws[0].T
        out[1, block], out[2, block] = expit(logit[0] - half).T, expit(logit[0] + half).T

    over_blocks(near.draws, rows, ends, shift=shift)
    return out


def cost_errors(near: MovedRows, shift: FloatArray | None, cost: FloatArray) -> FloatArray:
    """Standard errors (N,) of ``sum_k cost_nk p_nk``."""
    error = np.empty(near.rows.n_rows)

    def spread(P: FloatArray, block: slice) -> None:
        error[block] = near.moved.errors(np.einsum("nk,kns->sn", cost[block], P))

    over_blocks(near.draws, near.rows, spread, shift=shift)
    return error


def normal_rows(fit: Answering, asked: Asked, rows: Rows) -> tuple[HasLogits, Rows]:
    """The rows at draws of the normal approximation of an estimate."""
    assert fit.delta_covariance is not None
    axes = principal_axes(fit.logits, fit.delta_covariance, asked.averaged)
    points = ndtri(qmc.Sobol(max(1, len(axes.steps)), rng=0).random(LOGIT_POINTS))[:, : len(axes.steps)]
    drawn = ThinnedDraws(fit.logits, parameters_at(fit.logits, fit.parameters, axes, points))
    at = at_levels(drawn, fit.schema, asked, {}, n_nodes=_n_nodes(rows))
    return at.draws, at.place(rows)
