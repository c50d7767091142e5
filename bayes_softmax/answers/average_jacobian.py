"""Averages of an estimate's probabilities and slopes, with their exact Jacobian; the formulae are in ``averages``."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.answers.cautions import both_cautions
from bayes_softmax.answers.changes import Change, Slope, encoded_rows, of_block, settings_of, slopes_of
from bayes_softmax.answers.fitted import Answering, alone
from bayes_softmax.answers.population import Population
from bayes_softmax.answers.probabilities import HasLogits, over_blocks
from bayes_softmax.answers.rows import Rows, block_ranges
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.records import FloatArray
from bayes_softmax.separation.limits import Limits, moving_pairs


class SumsAtEstimate(NamedTuple):
    """Weighted sums over rows: values (changes, K), their Jacobian (changes, K, d), weights, and cautions."""

    value: FloatArray
    jacobian: FloatArray
    total: float
    cautions: tuple[str, ...]


def estimate_and_jacobian(
    fit: Answering, rows: Population, changes: Sequence[Change], cautions: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Averages (changes, K), and their Jacobian (changes, K, d) with respect to the parameters."""
    sums = rows.total(partial(_sums_at_estimate, alone(fit), tuple(changes)), _added)
    cautions.extend(sums.cautions)
    return sums.value / sums.total, sums.jacobian / sums.total


def _added(a: SumsAtEstimate, b: SumsAtEstimate) -> SumsAtEstimate:
    return SumsAtEstimate(
        a.value + b.value, a.jacobian + b.jacobian, a.total + b.total, both_cautions(a.cautions, b.cautions)
    )


def _sums_at_estimate(fit: Answering, changes: Sequence[Change], rows: Population) -> SumsAtEstimate:
    """The sums over some rows."""
    cautions: list[str] = []
    K, d = fit.logits.n_classes, size_of(fit.logits.shapes)
    value, jacobian, total = np.zeros((len(changes), K)), np.zeros((len(changes), K, d)), 0.0
    for chunk in rows.chunks():
        weights, slopes = chunk.weights, slopes_of(fit.schema, chunk, changes)
        total += weights.sum()
        if slopes:
            base = encoded_rows(fit, rows, chunk, {}, cautions)
            for block in estimate_blocks(base, K):
                _add_slope_jacobians(fit, base, weights, slopes, block, value, jacobian)
            if fit.limits is not None:
                for i, D in slopes.items():
                    infinite = _infinite_slopes(fit.limits, base, weights, D)
                    value[i, infinite] = np.nan
                    if infinite.any():
                        name = cast(Slope, changes[i]).variable.name
                        cautions.append(f"the slope in {name!r} is not determined, or infinite: NaN")
        for setting, parts in settings_of(changes):
            at = encoded_rows(fit, rows, chunk, setting, cautions)
            for block in estimate_blocks(at, K):
                mean, J = level_jacobian(fit, at, weights, block)
                for i, sign in parts:
                    value[i] += sign * mean
                    jacobian[i] += sign * J
    return SumsAtEstimate(value, jacobian, float(total), tuple(cautions))


def estimate_blocks(rows: Rows, K: int) -> list[slice]:
    """Blocks of rows whose K x K matrices and Jacobians fit into memory together."""
    return [slice(*ends) for ends in block_ranges(rows.n_rows, 8 * (K + 2) * (K + rows.X.shape[1] + 1))]


def _probabilities(fit: HasLogits, rows: Rows, block: slice) -> FloatArray:
    """Probabilities (rows, K) at the estimate."""
    return np.concatenate([P[:, :, 0].T for P in over_blocks(fit, rows.take(block), lambda P, _: P)])


def level_jacobian(fit: HasLogits, rows: Rows, row_weights: FloatArray, block: slice) -> tuple[FloatArray, FloatArray]:
    """Weighted sum (K,) of the probabilities in one block of rows, and its Jacobian (K, d)."""
    w, P = row_weights[block, None], _probabilities(fit, rows, block)
    B = _softmax_jacobian(P) * w[:, :, None]
    if rows.loose is not None:
        B[rows.loose[block] & (w > 0)] = np.nan
    return (w * P).sum(axis=0), fit.logits.pull_back(fit.parameters, rows.X[block], B)


def _softmax_jacobian(P: FloatArray) -> FloatArray:
    """Jacobian ``diag(p) - p p'`` (n, K, K) of the softmax."""
    result: FloatArray = P[:, :, None] * (np.eye(P.shape[1]) - P[:, None, :])
    return result


def _add_slope_jacobians(
    fit: HasLogits,
    rows: Rows,
    row_weights: FloatArray,
    slopes: Mapping[int, FloatArray],
    block: slice,
    value: FloatArray,
    jacobian: FloatArray,
) -> None:
    """Add weighted sums of slopes and of their Jacobians over one block of rows."""
    w, P, X = row_weights[block, None], _probabilities(fit, rows, block), rows.X[block]
    logits, parameters = fit.logits, fit.parameters
    B, eye = _softmax_jacobian(P) * w[:, :, None], np.eye(P.shape[1])
    for i, D in slopes.items():
        d = of_block(D, block)
        delta = logits.slope(parameters, X, d)[:, :, 0].T
        f = w * P * (delta - (P * delta).sum(axis=1, keepdims=True))
        A = f[:, :, None] * (eye - P[:, None, :]) - P[:, :, None] * f[:, None, :]
        if rows.loose is not None:
            A[rows.loose[block] & (w > 0)] = np.nan
        value[i] += f.sum(axis=0)
        jacobian[i] += logits.pull_back(parameters, X, A)
        jacobian[i] += logits.pull_back_slope(parameters, X, d, B)


def _infinite_slopes(limits: Limits, rows: Rows, row_weights: FloatArray, D: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose slope is infinite in some row: a logit difference to another possible class diverges."""
    K = limits.rows.shape[1]
    out = np.zeros(K, dtype=bool)
    if rows.loose is None:
        return out
    possible = ~(rows.excluded | rows.loose) & (row_weights > 0)[:, None]
    if rows.available is not None:
        possible &= rows.available
    for block in (slice(*ends) for ends in block_ranges(rows.n_rows, 8 * len(limits.rows) * K * K)):
        moving = moving_pairs(limits, of_block(D, block))
        out |= (moving & possible[block, :, None] & possible[block, None, :]).any(axis=(0, 2))
    return out
